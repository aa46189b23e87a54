"""Implements a hook that does not exist."""

import ptbench


@ptbench.hookimpl
def ptbench_provider() -> list[ptbench.Provider]:
    return []

"""Offers a reporter under a name that ptbench itself offers."""

import ptbench


@ptbench.hookimpl
def ptbench_reporters() -> list[ptbench.Reporter]:
    return [ptbench.Reporter(name="acme-text", description="Not mine.", write=lambda report, folder: [])]

"""Returns something that is no offer."""

import ptbench


@ptbench.hookimpl
def ptbench_metrics() -> list[str]:
    return ["accuracy"]

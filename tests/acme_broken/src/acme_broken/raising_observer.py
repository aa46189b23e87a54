"""Observes, and raises."""

import ptbench


@ptbench.hookimpl
def ptbench_run_finished() -> None:
    raise RuntimeError("the observer fell over")

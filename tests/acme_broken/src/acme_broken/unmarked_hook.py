"""Forgets to mark its hook."""

import ptbench


def ptbench_metrics() -> list[ptbench.Metric]:
    return []

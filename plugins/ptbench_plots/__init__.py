"""Pictures of a report."""

from __future__ import annotations

from collections.abc import Iterable

from ptbench import Reporter, hookimpl


@hookimpl
def ptbench_reporters() -> Iterable[Reporter]:
    """Accuracy against cost."""
    return []

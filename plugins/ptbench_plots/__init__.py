"""Pictures of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ptbench import Report, Reporter, hookimpl


def _write(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench_plots.pareto import write_pareto

    return write_pareto(report, folder)


PARETO = Reporter(
    name="pareto",
    description="pareto.png: score against seconds per example, a panel per task.",
    requires=("matplotlib",),
    write=_write,
)


@hookimpl
def ptbench_reporters() -> Iterable[Reporter]:
    """Accuracy against cost."""
    return [PARETO]

"""Pictures of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ptbench import Report, Reporter, hookimpl


def _pareto(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench_plots.pareto import write_pareto

    return write_pareto(report, folder)


def _curves(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench_plots.curves import write_curves

    return write_curves(report, folder)


def _inspection(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench_plots.inspection import write_inspections

    return write_inspections(report, folder)


PARETO = Reporter(
    name="pareto",
    description="pareto.png: score against seconds per example, a panel per task.",
    requires=("matplotlib",),
    write=_pareto,
)
CURVES = Reporter(
    name="curves",
    description="curves/*.png: scores over shots, losses and scores over epochs, where records have them.",
    requires=("matplotlib",),
    write=_curves,
)
INSPECTION = Reporter(
    name="inspection",
    description="inspect/*/*.png: gradients, weights and activations by layer, and how alike layers are.",
    requires=("matplotlib",),
    write=_inspection,
)


@hookimpl
def ptbench_reporters() -> Iterable[Reporter]:
    """Accuracy against cost, curves, and the insides of models."""
    return [PARETO, CURVES, INSPECTION]

"""Results go where teams already look: TensorBoard, MLflow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ptbench import Report, Reporter, hookimpl


def _tensorboard(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench_trackers.boards import write_boards

    return write_boards(report, folder)


def _mlflow(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench_trackers.tracked import write_tracked

    return [write_tracked(report, folder)]


TENSORBOARD = Reporter(
    name="tensorboard",
    description="tensorboard/: scores with intervals, costs and learning curves as event files.",
    requires=("tensorboard",),
    write=_tensorboard,
)
MLFLOW = Reporter(
    name="mlflow",
    description="Runs in MLflow, one per cell below one for the run; MLFLOW_TRACKING_URI says where.",
    requires=("mlflow", "sqlalchemy", "alembic"),
    write=_mlflow,
)


@hookimpl
def ptbench_reporters() -> Iterable[Reporter]:
    """TensorBoard; MLflow."""
    return [TENSORBOARD, MLFLOW]

"""Results go where teams already look: TensorBoard, MLflow."""

from __future__ import annotations

from collections.abc import Iterable

from ptbench import Reporter, hookimpl


@hookimpl
def ptbench_reporters() -> Iterable[Reporter]:
    """None yet."""
    return []

"""Whether runs are on the same examples, and on which of them they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Predictions


def differing(runs: Sequence[Predictions]) -> NDArray[np.bool_]:
    """Return for every example whether some runs on the same examples predict differently there."""
    first, *others = runs
    differs = np.zeros(len(first), dtype=bool)
    for run in others:
        for column in first:
            differs |= _unequal(first[column], run[column])
    return differs


def same_examples(runs: Sequence[Predictions]) -> bool:
    """Whether all have the same ids in the same order, the same labels and the same targets."""
    first, *others = runs
    return all(
        list(run.ids) == list(first.ids)
        and run.labels == first.labels
        and not _unequal(run["target"], first["target"]).any()
        for run in others
    )


def _unequal(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for every row whether the two columns differ there."""
    if a.dtype == object or a.shape != b.shape:
        return np.array([not np.array_equal(x, y) for x, y in zip(a, b, strict=True)], dtype=bool)
    return np.asarray((a != b).reshape(len(a), -1).any(axis=1))

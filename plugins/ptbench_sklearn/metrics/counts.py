"""What the classification metrics share: positions in the labels, one-hot rows, safe ratios."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import DataError, Predictions

Floats = NDArray[np.float64]


def positions(predictions: Predictions, column: str) -> NDArray[np.int64]:
    """Return a column of positions in the labels, int64[n].

    Raises:
        DataError: A position is outside the labels; as an index it would count for another label.
    """
    values = np.asarray(predictions[column], dtype=np.int64)
    k = len(predictions.labels)
    if wrong := np.flatnonzero((values < 0) | (values >= k)).tolist():
        where = predictions.ids[wrong[0]]
        raise DataError(f"{column} of example '{where}' is {values[wrong[0]]}, but there are {k} labels")
    return values


def one_hot(values: NDArray[np.int64], k: int) -> Floats:
    """Return float64[n, k] with a 1 at each value."""
    return np.asarray(values[:, None] == np.arange(k), dtype=np.float64)


def hits(predictions: Predictions) -> Floats:
    """Return (hit, 1) for every example, float64[n, 2]."""
    right = positions(predictions, "prediction") == positions(predictions, "target")
    return np.stack([right, np.ones(len(right))], axis=1).astype(np.float64)


def per_label(predictions: Predictions) -> Floats:
    """Return for every example, one-hot per label: hit, predicted, actual; float64[n, 3 k]."""
    k = len(predictions.labels)
    target, prediction = positions(predictions, "target"), positions(predictions, "prediction")
    actual, predicted = one_hot(target, k), one_hot(prediction, k)
    return np.concatenate([actual * predicted, predicted, actual], axis=1)


def split(sums: Floats, parts: int) -> tuple[Floats, ...]:
    """Split sums float64[..., parts * k] into so many float64[..., k]."""
    return tuple(np.split(sums, parts, axis=-1))


def ratio(above: Floats, below: NDArray[Any], undefined: float = np.nan) -> Floats:
    """Return above / below, and ``undefined`` where below is 0, without a warning."""
    quotient = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), undefined)
    np.divide(above, below, out=quotient, where=np.not_equal(below, 0))
    return quotient


def proportion(sums: Floats) -> Floats:
    """Return the first sum divided by the second: hits by examples, say."""
    return ratio(sums[..., 0], sums[..., 1])

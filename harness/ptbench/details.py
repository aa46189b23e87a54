"""What lies behind a score: labels that are confused, confidence beside accuracy, the worst errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Predictions
from ptbench.statistics.intervals import wilson

BINS = 15
"""Those of the metric ``ece``."""


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """How often each label was taken for each."""

    labels: tuple[str, ...]
    counts: NDArray[np.int64]
    """int64[labels, labels]: rows are targets, columns predictions."""

    def mistakes(self, most: int | None = None) -> list[tuple[str, str, int]]:
        """Return target, prediction and count of the labels that are confused, the most frequent first."""
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [(self.labels[t], self.labels[p], int(wrong[t, p])) for t, p in pairs if wrong[t, p]]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The examples whose top score lies in (low, high]; the first bin has 0 too."""

    low: float
    high: float
    n: int
    confidence: float
    """The mean of their top scores."""
    accuracy: float
    """The share for which the label of the top score is right."""
    accuracy_low: float
    """Ends of Wilson's 95 % interval of it, which takes the examples as independent of each other."""
    accuracy_high: float


def confusion(table: Predictions) -> Confusion | None:
    """Count which label was predicted for which; None where targets and predictions are no labels.

    >>> table = Predictions(
    ...     ["a", "b", "c"], {"target": np.array([0, 1, 1]), "prediction": np.array([0, 0, 1])}, ("no", "yes")
    ... )
    >>> confusion(table).counts.tolist()
    [[1, 0], [1, 1]]
    """
    if not is_labelled(table):
        return None
    size = len(table.labels)
    flat = np.asarray(table["target"], np.int64) * size + np.asarray(table["prediction"], np.int64)
    return Confusion(table.labels, np.bincount(flat, minlength=size * size).reshape(size, size))


def reliability(table: Predictions, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Return accuracy beside confidence in bins of equal width of the top score; empty bins are left out.

    Empty where there are no scores or no labels. The mean of ``|confidence - accuracy|``, weighted by ``n``,
    is the expected calibration error (Guo et al. 2017, "On calibration of modern neural networks", equation
    3). Raises `ValueError` for fewer than one bin.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1; got {bins}")
    if not is_labelled(table) or not _has_scores(table) or not len(table):
        return ()
    scores = np.asarray(table["scores"])
    confidence = scores.max(axis=1).astype(np.float64)
    hit = scores.argmax(axis=1) == table["target"]
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], confidence)
    found = []
    for one in np.unique(place):
        inside = place == one
        n, hits = int(inside.sum()), int(hit[inside].sum())
        mean = float(confidence[inside].mean())
        low, high = float(edges[one]), float(edges[one + 1])
        found.append(ReliabilityBin(low, high, n, mean, hits / n, *wilson(hits, n)))
    return tuple(found)


def worst(table: Predictions, most: int = 20) -> list[int]:
    """Return the positions of the worst errors, the worst first; at most so many.

    With labels: those that are wrong, the ones with the largest score of the predicted label first; without
    scores in the order of the table. With numbers: those with the largest absolute error. Empty where the
    table has neither.
    """
    if is_labelled(table):
        wrong = np.flatnonzero(np.asarray(table["target"]) != np.asarray(table["prediction"]))
        if _has_scores(table):
            sure = np.asarray(table["scores"])[wrong, np.asarray(table["prediction"])[wrong]]
            wrong = wrong[np.argsort(-sure.astype(np.float64), kind="stable")]
        return [int(i) for i in wrong[:most]]
    if not is_numbers(table):
        return []
    error = np.abs(np.asarray(table["prediction"], np.float64) - np.asarray(table["target"], np.float64))
    order = np.argsort(-error, kind="stable")
    return [int(i) for i in order[:most] if error[i] > 0]


def is_labelled(table: Predictions) -> bool:
    """Whether every example has one label as its target, and one as its prediction."""
    return bool(table.labels) and _both(table, np.integer)


def is_numbers(table: Predictions) -> bool:
    """Whether every example has one number as its target, and one as its prediction."""
    return not table.labels and _both(table, np.number)


def _both(table: Predictions, kind: type[Any]) -> bool:
    columns = [np.asarray(table[name]) for name in ("target", "prediction") if name in table]
    return len(columns) == 2 and all(c.ndim == 1 and np.issubdtype(c.dtype, kind) for c in columns)


def _has_scores(table: Predictions) -> bool:
    return "scores" in table and np.shape(table["scores"]) == (len(table), len(table.labels))

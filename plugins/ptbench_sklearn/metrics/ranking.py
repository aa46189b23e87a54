"""Metrics of the order of scores: area under the ROC curve and average precision, vectorised over weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import Predictions, TableMetric
from ptbench_sklearn.metrics.counts import Floats, positions, ratio


def group_starts(ordered: NDArray[Any]) -> NDArray[np.intp]:
    """Return where each run of equal values begins in values that are sorted."""
    return np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def group_sums(weights: Floats, starts: NDArray[np.intp]) -> Floats:
    """Return weights added within each run of equal values: float64[..., n] to float64[..., groups]."""
    return weights if len(starts) == weights.shape[-1] else np.add.reduceat(weights, starts, axis=-1)


def dot(*factors: Floats) -> Floats:
    """Return the sum over the last axis of a product, without an array for the product."""
    letters = ",".join(["...n"] * len(factors))
    return np.asarray(np.einsum(f"{letters}->...", *factors))


def _curve_sums(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """Return weights of positive and of all examples at each distinct score, the highest score first."""
    order = np.argsort(-scores, kind="stable")
    starts = group_starts(scores[order])
    ordered = np.take(weights, order, axis=-1)
    return group_sums(ordered * positive[order], starts), group_sums(ordered, starts)


def _auc(positive: Floats, everything: Floats) -> Floats:
    """Return the chance that a positive outranks a negative, ties counted half (Mann and Whitney 1947)."""
    negative = everything - positive
    above = dot(negative, np.cumsum(positive, axis=-1)) - dot(negative, positive) / 2
    return ratio(above, positive.sum(axis=-1) * negative.sum(axis=-1))


def _average_precision(positive: Floats, everything: Floats) -> Floats:
    """Return the sum of precision times the step in recall, over the distinct scores (as scikit-learn)."""
    precision = ratio(np.cumsum(positive, axis=-1), np.cumsum(everything, axis=-1), undefined=0.0)
    return ratio(dot(positive, precision), positive.sum(axis=-1))


def _auc_without(positive: Floats, everything: Floats) -> tuple[Floats, Floats]:
    """Return the area without one positive, and without one negative, at each score."""
    negative = everything - positive
    outranked = np.cumsum(negative[::-1])[::-1] - negative / 2
    outranking = np.cumsum(positive) - positive / 2
    p, n, above = positive.sum(), negative.sum(), dot(negative, outranking)
    return ratio(above - outranked, (p - 1) * n), ratio(above - outranking, p * (n - 1))


def _average_precision_without(positive: Floats, everything: Floats) -> tuple[Floats, Floats]:
    """Return average precision without one positive, and without one negative, at each score."""
    hits, seen, p = np.cumsum(positive), np.cumsum(everything), positive.sum()
    before = np.cumsum(positive * hits / seen) - positive * hits / seen

    def left(lost: int) -> Floats:
        """Return the value with so many positives fewer at a score, and one example."""
        precision = ratio(hits - lost, seen - 1, undefined=0.0)
        after = np.cumsum((positive * precision)[::-1])[::-1] - lost * precision
        return ratio(before + after, p - lost)

    return left(1), left(0)


@dataclass(frozen=True, slots=True)
class Curve:
    """A value from the weights of positive and of all examples at each distinct score, the highest first."""

    value: Callable[[Floats, Floats], Floats]
    without: Callable[[Floats, Floats], tuple[Floats, Floats]]
    """The value without one positive, and without one negative, at each score; each counts once."""

    def left_out(self, scores: Floats, positive: NDArray[np.bool_]) -> Floats:
        """Return the value without each of the examples, float64[n]; NaN where it is undefined."""
        sums = _curve_sums(scores, positive, np.ones(len(scores)))
        place = np.unique(-scores, return_inverse=True)[1]
        of_positive, of_negative = self.without(*sums)
        return np.where(positive, of_positive[place], of_negative[place])


AUC = Curve(_auc, _auc_without)
AVERAGE_PRECISION = Curve(_average_precision, _average_precision_without)


def _binary(curve: Curve) -> Callable[[Predictions, Floats], Floats]:
    def compute(predictions: Predictions, weights: Floats) -> Floats:
        scores = np.asarray(predictions["scores"], dtype=np.float64)[:, 1]
        return curve.value(*_curve_sums(scores, positions(predictions, "target") == 1, weights))

    return compute


def _binary_moves(curve: Curve) -> Callable[[Predictions], Floats]:
    def moves(predictions: Predictions) -> Floats:
        scores = np.asarray(predictions["scores"], dtype=np.float64)[:, 1]
        positive = positions(predictions, "target") == 1
        value = curve.value(*_curve_sums(scores, positive, np.ones(len(scores))))
        return (len(scores) - 1) * (value - curve.left_out(scores, positive))

    return moves


def _over_labels(curve: Curve) -> Callable[[Predictions, Floats], Floats]:
    """Return the mean over those labels, one against the rest, for which it is defined."""

    def compute(predictions: Predictions, weights: Floats) -> Floats:
        scores = np.asarray(predictions["scores"], dtype=np.float64)
        target = positions(predictions, "target")
        total = np.zeros(weights.shape[:-1])
        defined = np.zeros(weights.shape[:-1])
        for label in np.unique(target):
            value = curve.value(*_curve_sums(scores[:, label], target == label, weights))
            total += np.nan_to_num(value)
            defined += ~np.isnan(value)
        return ratio(total, defined)

    return compute


def _over_labels_moves(curve: Curve) -> Callable[[Predictions], Floats]:
    value_of = _over_labels(curve)

    def moves(predictions: Predictions) -> Floats:
        scores = np.asarray(predictions["scores"], dtype=np.float64)
        target = positions(predictions, "target")
        n = len(target)
        total, defined = np.zeros(n), np.zeros(n)
        for label in np.unique(target):
            left = curve.left_out(scores[:, label], target == label)
            total += np.nan_to_num(left)
            defined += ~np.isnan(left)
        return (n - 1) * (value_of(predictions, np.ones(n)) - ratio(total, defined))

    return moves


def _auc_caveat(predictions: Predictions) -> str | None:
    one = len(np.unique(predictions["target"])) < 2
    return "undefined: all examples have one label" if one else None


def _precision_caveat(predictions: Predictions) -> str | None:
    positive = positions(predictions, "target") == 1
    if not positive.any():
        return f"undefined: no example is '{predictions.labels[1]}'"
    return f"1 for any scores: all examples are '{predictions.labels[1]}'" if positive.all() else None


def _left_out(predictions: Predictions) -> str | None:
    k = len(predictions.labels)
    absent = k - len(np.unique(predictions["target"]))
    return f"{absent} of {k} labels are no target and are left out" if absent else None


def _ovr_precision_caveat(predictions: Predictions) -> str | None:
    one = len(np.unique(predictions["target"])) < 2
    return "1 for any scores: all examples have one label" if one else _left_out(predictions)


def _metric(
    name: str,
    description: str,
    curve: Curve,
    caveat: Callable[[Predictions], str | None],
) -> TableMetric:
    binary = not name.endswith("_ovr")
    return TableMetric(
        name=name,
        description=description,
        higher_is_better=True,
        target="label",
        columns=("scores",),
        binary=binary,
        compute=_binary(curve) if binary else _over_labels(curve),
        moves=_binary_moves(curve) if binary else _over_labels_moves(curve),
        caveat=caveat,
    )


METRICS = (
    _metric(
        "roc_auc",
        "Chance that a positive example scores above a negative one (positive: the second label).",
        AUC,
        _auc_caveat,
    ),
    _metric(
        "roc_auc_ovr",
        "Mean over the labels of the area under the ROC curve, one label against the rest.",
        AUC,
        lambda predictions: _auc_caveat(predictions) or _left_out(predictions),
    ),
    _metric(
        "average_precision",
        "Precision averaged over the steps in recall (positive: the second label).",
        AVERAGE_PRECISION,
        _precision_caveat,
    ),
    _metric(
        "average_precision_ovr",
        "Mean over the labels of the average precision, one label against the rest.",
        AVERAGE_PRECISION,
        _ovr_precision_caveat,
    ),
)

"""Precision, recall and F1 of every label, averaged: macro, micro, weighted; and balanced accuracy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ptbench import Predictions, SumMetric
from ptbench_sklearn.metrics.counts import Floats, hits, per_label, positions, proportion, ratio, split

Ratio = Callable[[Floats, Floats, Floats], Floats]


def _precision(hit: Floats, predicted: Floats, actual: Floats) -> Floats:
    """Return the precision of every label; 0 for one that is never predicted."""
    return ratio(hit, predicted, undefined=0.0)


def _recall(hit: Floats, predicted: Floats, actual: Floats) -> Floats:
    """Return the recall of every label; 0 for one that no example has."""
    return ratio(hit, actual, undefined=0.0)


def _f1(hit: Floats, predicted: Floats, actual: Floats) -> Floats:
    """Return the F1 of every label; 0 for one that is neither there nor predicted."""
    return ratio(2 * hit, predicted + actual, undefined=0.0)


def _macro(of_label: Ratio) -> Callable[[Floats], Floats]:
    def value(sums: Floats) -> Floats:
        hit, predicted, actual = split(sums, 3)
        occurs = predicted + actual > 0
        return ratio(of_label(hit, predicted, actual).sum(axis=-1), occurs.sum(axis=-1))

    return value


def _weighted(of_label: Ratio) -> Callable[[Floats], Floats]:
    def value(sums: Floats) -> Floats:
        hit, predicted, actual = split(sums, 3)
        return ratio((of_label(hit, predicted, actual) * actual).sum(axis=-1), actual.sum(axis=-1))

    return value


def _balanced_accuracy(sums: Floats) -> Floats:
    hit, _, actual = split(sums, 3)
    return ratio(ratio(hit, actual, undefined=0.0).sum(axis=-1), (actual > 0).sum(axis=-1))


def _totals(predictions: Predictions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how often each label is predicted and how many examples have it, int64[k] each."""
    k = len(predictions.labels)
    predicted, actual = (
        np.bincount(positions(predictions, name), minlength=k) for name in ("prediction", "target")
    )
    return predicted, actual


def _told(*counts: tuple[NDArray[np.bool_], str]) -> str:
    """Return "2 of 3 labels ..." for each condition that some labels meet."""
    return "; ".join(f"{some.sum()} of {len(some)} labels {what}" for some, what in counts if some.any())


def _absent(predictions: Predictions) -> tuple[NDArray[np.bool_], str]:
    predicted, actual = _totals(predictions)
    return predicted + actual == 0, "occur in no target and no prediction and are left out"


def _never_predicted(predictions: Predictions) -> tuple[NDArray[np.bool_], str]:
    predicted, actual = _totals(predictions)
    return (predicted == 0) & (actual > 0), "are never predicted, so their precision counts as 0"


def _never_target(predictions: Predictions) -> tuple[NDArray[np.bool_], str]:
    predicted, actual = _totals(predictions)
    return (predicted > 0) & (actual == 0), "are predicted but no target, so their recall counts as 0"


def _balanced_caveat(predictions: Predictions) -> str:
    return _told((_totals(predictions)[1] == 0, "are no target and are left out"))


def _micro_metric(of: str) -> SumMetric:
    return SumMetric(
        name=f"micro_{of}",
        description=f"{of.capitalize()} over all decisions; with one label per example it is the accuracy.",
        higher_is_better=True,
        target="label",
        rows=hits,
        value=proportion,
        interval="wilson",
    )


def _label_metric(
    name: str,
    description: str,
    value: Callable[[Floats], Floats],
    caveat: Callable[[Predictions], str | None] = lambda predictions: None,
) -> SumMetric:
    return SumMetric(
        name=name,
        description=description,
        higher_is_better=True,
        target="label",
        rows=per_label,
        value=value,
        caveat=caveat,
    )


METRICS = (
    _label_metric(
        "balanced_accuracy",
        "Mean over the labels of the share of their examples that is predicted so.",
        _balanced_accuracy,
        _balanced_caveat,
    ),
    _label_metric(
        "macro_precision",
        "Mean precision of the labels.",
        _macro(_precision),
        lambda predictions: _told(_absent(predictions), _never_predicted(predictions)),
    ),
    _label_metric(
        "macro_recall",
        "Mean recall of the labels.",
        _macro(_recall),
        lambda predictions: _told(_absent(predictions), _never_target(predictions)),
    ),
    _label_metric(
        "macro_f1", "Mean F1 of the labels.", _macro(_f1), lambda predictions: _told(_absent(predictions))
    ),
    _micro_metric("precision"),
    _micro_metric("recall"),
    _micro_metric("f1"),
    _label_metric(
        "weighted_precision",
        "Mean precision of the labels, weighted by how many examples have them.",
        _weighted(_precision),
        lambda predictions: _told(_never_predicted(predictions)),
    ),
    SumMetric(
        name="weighted_recall",
        description="Mean recall of the labels, weighted by how many examples have them: the accuracy.",
        higher_is_better=True,
        target="label",
        rows=hits,
        value=proportion,
        interval="wilson",
    ),
    _label_metric(
        "weighted_f1",
        "Mean F1 of the labels, weighted by how many examples have them.",
        _weighted(_f1),
    ),
)

"""Metrics of predicted labels: accuracy, the binary ones, Matthews correlation, the confusion matrix."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ptbench import FileMetric, Predictions, Proportion, SumMetric, safe_cell
from ptbench_sklearn.metrics.counts import Floats, hits, one_hot, positions, proportion, ratio, split

POSITIVE = 1
GUESSES = 5
CHUNK = 4096
"""Rows of scores that are looked at together."""


def _binary(predictions: Predictions) -> Floats:
    """Return (true positive, predicted positive, actual positive) for every example, float64[n, 3]."""
    actual = positions(predictions, "target") == POSITIVE
    predicted = positions(predictions, "prediction") == POSITIVE
    return np.stack([actual & predicted, predicted, actual], axis=1).astype(np.float64)


def _precision(sums: Floats) -> Floats:
    return ratio(sums[..., 0], sums[..., 1])


def _recall(sums: Floats) -> Floats:
    return ratio(sums[..., 0], sums[..., 2])


def _f1(sums: Floats) -> Floats:
    return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


HITS_OF_PREDICTED = Proportion(lambda sums: (sums[..., 0], sums[..., 1]))
HITS_OF_ACTUAL = Proportion(lambda sums: (sums[..., 0], sums[..., 2]))
HITS_OF_EITHER = Proportion(
    lambda sums: (sums[..., 0], sums[..., 1] + sums[..., 2] - sums[..., 0]), lambda q: 2 * q / (1 + q)
)
"""F1 grows with the share q of the hits among all that is predicted or actually positive."""


def _no_predicted(predictions: Predictions) -> str | None:
    predicted = _binary(predictions)[:, 1].any()
    return None if predicted else f"undefined: '{predictions.labels[POSITIVE]}' is never predicted"


def _no_actual(predictions: Predictions) -> str | None:
    actual = _binary(predictions)[:, 2].any()
    return None if actual else f"undefined: no example is '{predictions.labels[POSITIVE]}'"


def _no_positive(predictions: Predictions) -> str | None:
    some = _binary(predictions).any()
    name = predictions.labels[POSITIVE]
    return None if some else f"undefined: no example is '{name}' and none is predicted to be"


def _top5_rows(predictions: Predictions) -> Floats:
    """Return (whether the target is among the five highest scores, 1); of equal ones the first are."""
    target = positions(predictions, "target")[:, None]
    scores = np.asarray(predictions["scores"])
    rows = np.ones((len(scores), 2))
    for start in range(0, len(scores), CHUNK):  # a thousand labels for 50,000 images are 200 MB already
        part, own_label = scores[start : start + CHUNK], target[start : start + CHUNK]
        own = np.take_along_axis(part, own_label, axis=1)
        earlier = np.arange(part.shape[1]) < own_label
        rank = ((part > own) | ((part == own) & earlier)).sum(axis=1)
        rows[start : start + CHUNK, 0] = rank < GUESSES
    return rows


def _top5_caveat(predictions: Predictions) -> str | None:
    k = len(predictions.labels)
    return f"always 1: there are {k} labels for {GUESSES} guesses" if k <= GUESSES else None


def _mcc_rows(predictions: Predictions) -> Floats:
    """Return hit, 1, and one-hot per label predicted and actual: float64[n, 2 + 2 k]."""
    k = len(predictions.labels)
    both = [one_hot(positions(predictions, column), k) for column in ("prediction", "target")]
    return np.concatenate([hits(predictions), *both], axis=1)


def _mcc(sums: Floats) -> Floats:
    """Return R_K: Gorodkin (2004), "Comparing two K-category assignments by a K-category correlation".

    NaN for a single label in the targets; else 0 for constant predictions, which tell nothing.
    """
    right, n = sums[..., 0], sums[..., 1]
    predicted, actual = split(sums[..., 2:], 2)
    covariance = right * n - (predicted * actual).sum(axis=-1)
    spread_predicted = n**2 - (predicted**2).sum(axis=-1)
    spread_actual = n**2 - (actual**2).sum(axis=-1)
    value = ratio(covariance, np.sqrt(spread_predicted) * np.sqrt(spread_actual), undefined=0.0)
    return np.where(spread_actual == 0, np.nan, value)


def _mcc_caveat(predictions: Predictions) -> str | None:
    if len(np.unique(predictions["target"])) < 2:
        return "undefined: all examples have one label"
    if len(np.unique(predictions["prediction"])) < 2:
        return "0 by convention: one label is predicted for all examples"
    return None


def _confusion_matrix(predictions: Predictions, path: Path) -> None:
    k = len(predictions.labels)
    pairs = positions(predictions, "target") * k + positions(predictions, "prediction")
    names = [safe_cell(label) for label in predictions.labels]
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["target", *names])
        for name, counts in zip(names, np.bincount(pairs, minlength=k * k).reshape(k, k), strict=True):
            writer.writerow([name, *counts.tolist()])


METRICS = (
    SumMetric(
        name="accuracy",
        description="Share of the examples whose label was predicted.",
        higher_is_better=True,
        target="label",
        rows=hits,
        value=proportion,
        interval="wilson",
    ),
    SumMetric(
        name="top5_accuracy",
        description="Share of the examples whose label is among the five with the highest scores.",
        higher_is_better=True,
        target="label",
        columns=("scores",),
        rows=_top5_rows,
        value=proportion,
        interval="wilson",
        caveat=_top5_caveat,
    ),
    SumMetric(
        name="precision",
        description="Share of the examples predicted positive that are (positive: the second label).",
        higher_is_better=True,
        target="label",
        binary=True,
        rows=_binary,
        value=_precision,
        proportion=HITS_OF_PREDICTED,
        caveat=_no_predicted,
    ),
    SumMetric(
        name="recall",
        description="Share of the positive examples that are predicted so (positive: the second label).",
        higher_is_better=True,
        target="label",
        binary=True,
        rows=_binary,
        value=_recall,
        proportion=HITS_OF_ACTUAL,
        caveat=_no_actual,
    ),
    SumMetric(
        name="f1",
        description="Harmonic mean of precision and recall (positive: the second label).",
        higher_is_better=True,
        target="label",
        binary=True,
        rows=_binary,
        value=_f1,
        proportion=HITS_OF_EITHER,
        caveat=_no_positive,
    ),
    SumMetric(
        name="mcc",
        description="Matthews correlation coefficient, for any number of labels.",
        higher_is_better=True,
        target="label",
        rows=_mcc_rows,
        value=_mcc,
        caveat=_mcc_caveat,
    ),
    FileMetric(
        name="confusion_matrix",
        description="Counts of examples, a row per target label and a column per predicted label (CSV).",
        target="label",
        write=_confusion_matrix,
    ),
)

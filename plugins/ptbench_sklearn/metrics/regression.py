"""Metrics of predicted numbers: errors, the coefficient of determination, correlations.

R2 and Pearson's r are functions of sums, but not of sums of rows that each know one example only: with
moments about 0, a target of mean 1e8 and spread 1 has no digit left. They take the table instead and
measure from its median, an element that is never far from the mean and makes constants exactly 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptbench import Predictions, SumMetric, TableMetric
from ptbench_sklearn.metrics.counts import Floats, proportion, ratio
from ptbench_sklearn.metrics.ranking import dot, group_starts, group_sums

NEGLIGIBLE = 1e-12
"""A spread below this share of the squares it is the rest of is rounding: the resample is constant."""


def _numbers(predictions: Predictions, column: str) -> Floats:
    return np.asarray(predictions[column], dtype=np.float64)


def _errors(predictions: Predictions) -> Floats:
    return _numbers(predictions, "prediction") - _numbers(predictions, "target")


def _squared(predictions: Predictions) -> Floats:
    """Return (squared error, 1) for every example, float64[n, 2]."""
    errors = _errors(predictions)
    return np.stack([errors**2, np.ones(len(errors))], axis=1)


def _absolute(predictions: Predictions) -> Floats:
    """Return (absolute error, 1) for every example, float64[n, 2]."""
    errors = _errors(predictions)
    return np.stack([np.abs(errors), np.ones(len(errors))], axis=1)


def _rmse(sums: Floats) -> Floats:
    return np.sqrt(proportion(sums))


def _centred(values: Floats) -> tuple[Floats, float]:
    """Return values measured from their median element in units of the largest, and that unit."""
    centred = values - np.partition(values, len(values) // 2)[len(values) // 2]
    unit = float(np.abs(centred).max()) or 1.0
    return centred / unit, unit


def _spread(squares: Floats, total: Floats, n: Floats) -> Floats:
    """Return the sum of squares about the mean, exactly 0 where it is rounding."""
    spread = squares - ratio(total**2, n, undefined=0.0)
    return np.where(spread > NEGLIGIBLE * squares, spread, 0.0)


@dataclass(frozen=True, slots=True)
class Moments:
    """A value from sums of rows that are measured from the median."""

    rows: Callable[[Predictions], Floats]
    value: Callable[[Floats], Floats]

    def compute(self, predictions: Predictions, weights: Floats) -> Floats:
        """Return the value under weights float64[..., n]."""
        return self.value(weights @ self.rows(predictions))

    def moves(self, predictions: Predictions) -> Floats:
        """Return n - 1 times the value less the one without each example."""
        rows = self.rows(predictions)
        whole = rows.sum(axis=0)
        return (len(rows) - 1) * (self.value(whole) - self.value(whole - rows))


def _r2_rows(predictions: Predictions) -> Floats:
    target, unit = _centred(_numbers(predictions, "target"))
    errors = _errors(predictions) / unit
    return np.stack([np.ones(len(target)), target, target**2, errors**2], axis=1)


def _r2(sums: Floats) -> Floats:
    n, total, squares, error = np.moveaxis(sums, -1, 0)
    return 1 - ratio(error, _spread(squares, total, n))


def _pearson_rows(predictions: Predictions) -> Floats:
    x, y = (_centred(_numbers(predictions, column))[0] for column in ("target", "prediction"))
    return np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)


def _pearson(sums: Floats) -> Floats:
    n, sx, sy, sxx, syy, sxy = np.moveaxis(sums, -1, 0)
    spread = np.sqrt(_spread(sxx, sx, n)) * np.sqrt(_spread(syy, sy, n))
    return np.clip(ratio(sxy - ratio(sx * sy, n), spread), -1, 1)


R2 = Moments(_r2_rows, _r2)
PEARSON = Moments(_pearson_rows, _pearson)


def _midranks(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return ranks float64[..., n] about their mean, and the sum of their squares.

    They are the ranks in the sample where each row stands as often as its weight; tied rows share the
    mean of theirs, which takes (t^3 - t) / 12 from the squares for t rows (Kendall 1945, Biometrika 33).
    """
    order = np.argsort(values, kind="stable")
    tied = group_sums(np.take(weights, order, axis=-1), group_starts(values[order]))
    n = weights.sum(axis=-1)
    ranks = np.cumsum(tied, axis=-1)
    ranks -= tied / 2
    ranks -= n[..., None] / 2
    squares = (n * n * n - dot(tied, tied, tied)) / 12
    return np.take(ranks, np.unique(values, return_inverse=True)[1], axis=-1), squares


def _spearman(predictions: Predictions, weights: Floats) -> Floats:
    x, sxx = _midranks(_numbers(predictions, "target"), weights)
    y, syy = _midranks(_numbers(predictions, "prediction"), weights)
    return np.clip(ratio(dot(weights, x, y), np.sqrt(sxx) * np.sqrt(syy)), -1, 1)


def _ahead(values: Floats, amounts: Floats) -> Floats:
    """Return for each row half of the amounts at larger values less half of those at smaller ones."""
    distinct, place = np.unique(values, return_inverse=True)
    tied = np.bincount(place, weights=amounts, minlength=len(distinct))
    upto = np.cumsum(tied)
    return np.asarray(((upto[-1] - 2 * upto + tied) / 2)[place])


def _spearman_moves(predictions: Predictions) -> Floats:
    """Return n times the derivative by the weight of each row, which moves its own rank and all others.

    A rank about the mean is half the weight of the smaller values less half that of the larger; the variance
    under ties (Kendall) has the derivative that follows from that.
    """
    target, prediction = _numbers(predictions, "target"), _numbers(predictions, "prediction")
    once = np.ones(len(target))
    (x, sxx), (y, syy) = (_midranks(values, once) for values in (target, prediction))
    covariance, root = dot(x, y), np.sqrt(sxx * syy)
    by_rank = x * y + _ahead(target, y) + _ahead(prediction, x)
    by_x, by_y = (r * r + 2 * _ahead(values, r) for r, values in ((x, target), (y, prediction)))
    return len(once) * ratio(by_rank - covariance * (by_x / sxx + by_y / syy) / 2, root)


def _constant(*columns: str) -> Callable[[Predictions], str | None]:
    def caveat(predictions: Predictions) -> str | None:
        for column in columns:
            values = _numbers(predictions, column)
            if (values == values[0]).all():
                return f"undefined: every {column} is {values[0]:g}"
        return None

    return caveat


def _error_metric(
    name: str,
    description: str,
    rows: Callable[[Predictions], Floats],
    value: Callable[[Floats], Floats] = proportion,
) -> SumMetric:
    return SumMetric(
        name=name, description=description, higher_is_better=False, target="number", rows=rows, value=value
    )


def _table_metric(
    name: str,
    description: str,
    compute: Callable[[Predictions, Floats], Floats],
    moves: Callable[[Predictions], Floats],
    *constant: str,
) -> TableMetric:
    return TableMetric(
        name=name,
        description=description,
        higher_is_better=True,
        target="number",
        compute=compute,
        moves=moves,
        caveat=_constant(*constant),
    )


METRICS = (
    _error_metric("mse", "Mean squared error, in squared units of the target.", _squared),
    _error_metric("rmse", "Root of the mean squared error, in units of the target.", _squared, _rmse),
    _error_metric("mae", "Mean absolute error, in units of the target.", _absolute),
    _table_metric(
        "r2",
        "Share of the target's variance that is explained; below 0 is possible.",
        R2.compute,
        R2.moves,
        "target",
    ),
    _table_metric(
        "pearson",
        "Pearson's correlation coefficient.",
        PEARSON.compute,
        PEARSON.moves,
        "target",
        "prediction",
    ),
    _table_metric(
        "spearman",
        "Spearman's rank correlation, midranks for ties.",
        _spearman,
        _spearman_moves,
        "target",
        "prediction",
    ),
)

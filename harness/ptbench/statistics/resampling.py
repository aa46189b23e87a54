"""The bootstrap's machinery: a metric as a function of weights, and the weights of every resample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Predictions
from ptbench.errors import DataError
from ptbench.offers import Floats, SumMetric, TableMetric

CHUNK = 16 * 2**20
"""Bytes of rows, or of weights that leave units out, held at once, whatever n is; a metric's own temporary
arrays are a few times that."""


CACHED = 2**20
"""Bytes of weights of resamples held at once: with what a core's cache holds they take a third of the time
(measured from 256 KiB to 16 MiB)."""


def narrow(metric: SumMetric | TableMetric, predictions: Predictions) -> Predictions:
    """Return what a metric may see, the target and the columns that it names, in the order of the ids."""
    names = dict.fromkeys(("target", *metric.columns))
    if missing := [name for name in names if name not in predictions]:
        raise DataError(f"metric '{metric.name}' needs the column '{missing[0]}', which is not predicted")
    table = Predictions(
        predictions.ids, {name: predictions[name] for name in names}, predictions.labels, predictions.clusters
    )
    return in_order(table)


def in_order(table: Predictions) -> Predictions:
    """Return the examples in the order of their ids; the same table, uncopied, where they are."""
    if all(a <= b for a, b in pairwise(table.ids)):
        return table
    return table.take(sorted(range(len(table)), key=table.ids.__getitem__))


def flaw(table: Predictions) -> str:
    """Return why no metric can be computed on these predictions, or an empty text."""
    n = len(table)
    if not n:
        return "there are no examples"
    flaws = []
    for name in table:
        if np.issubdtype(table[name].dtype, np.floating):
            values = table[name].reshape(n, -1)
            if bad := n - int(np.isfinite(values).all(axis=1).sum()):
                what = "infinite" if not np.isnan(values).any() else "NaN"
                flaws.append(f"{name} is {what} for {bad} of {n} examples")
    return "; ".join(flaws)


def distinct(table: Predictions) -> tuple[Predictions, NDArray[np.int64], NDArray[np.intp]]:
    """Return the distinct examples, how many there are of each, and which of them each example is.

    Only where whole numbers make equal ones likely; else every example is its own.

    A metric cannot tell a row that counts twice from two equal rows, so resampling counts of distinct
    rows (multinomial) is the bootstrap itself, at a cost that does not grow with n.
    """
    columns = [table[name] for name in table]
    if any(column.ndim != 1 or column.dtype.kind not in "iub" for column in columns):
        return table, once(table), np.arange(len(table))
    which = np.zeros(len(table), dtype=np.intp)
    for column in columns:  # folded one by one: each is then a sort of whole numbers, not of rows
        values, place = np.unique(column, return_inverse=True)
        which = np.unique(which * len(values) + place, return_inverse=True)[1]
    _, first, counts = np.unique(which, return_index=True, return_counts=True)
    return table.take(first), counts, which


def function(metric: SumMetric | TableMetric, table: Predictions) -> Callable[[Floats], Floats]:
    """Return the metric on these examples as a function of weights, float64[b, n] to float64[b]."""
    if isinstance(metric, TableMetric):
        return lambda weights: metric.compute(table, weights)
    add = _adder(metric, table)
    return lambda weights: metric.value(add(weights))


def _adder(metric: SumMetric, table: Predictions) -> Callable[[Floats], Floats]:
    """Return ``weights @ rows`` as a function of weights, without ever holding huge rows of mostly zeros.

    Rows of counts per label are such: 50,000 examples of 1,000 labels would take 1.2 GB.
    """
    n, first = len(table), metric.rows(table.take(range(min(len(table), 64))))
    width = first.shape[1]
    if n * width * 8 <= CHUNK or np.count_nonzero(first) > first.size / 10:
        rows = metric.rows(table)
        return lambda weights: weights @ rows
    step = max(1, CHUNK // (8 * width))
    parts = []
    for start in range(0, n, step):
        block = metric.rows(table.take(range(start, min(start + step, n))))
        example, column = np.nonzero(block)
        parts.append((example + start, column, block[example, column]))
    examples, columns, entries = (np.concatenate(part) for part in zip(*parts, strict=True))
    return lambda weights: np.stack(
        [np.bincount(columns, weights=row[examples] * entries, minlength=width) for row in weights]
    )


def once(table: Predictions) -> NDArray[np.int64]:
    """Return the weights of the examples as they are: each counts once."""
    return np.ones(len(table), dtype=np.int64)


def evaluate(measure: Callable[[Floats], Floats], counts: NDArray[np.int64]) -> float:
    """Return the value with each row counted so often; NaN where it is undefined or infinite."""
    value = float(measure(counts[None].astype(np.float64))[0])
    return value if math.isfinite(value) else math.nan


def bootstrap(
    metric: SumMetric | TableMetric, table: Predictions, unit: NDArray[np.int64], seed: int, resamples: int
) -> Floats:
    """Return the metric on resamples of the examples, or of their clusters: float64[resamples].

    ``unit`` is the cluster of each example, from 0 (`ptbench.statistics.jackknife.units`).
    """
    if table.clusters is None:
        rows, counts, _ = distinct(table)
        measure = function(metric, rows)
        return np.concatenate([measure(weights) for weights in resample(counts, seed, resamples)])
    whole, clusters = function(metric, table), np.ones(int(unit.max()) + 1, dtype=np.int64)
    drawn = resample(clusters, seed, resamples, len(table))
    return np.concatenate([whole(weights[:, unit]) for weights in drawn])


def resample(counts: NDArray[np.int64], seed: int, resamples: int, width: int = 0) -> Iterator[Floats]:
    """Yield how often each row counts in resamples with replacement: float64[b, len(counts)], in chunks.

    ``width`` is how long the caller makes the rows, where that is longer.
    """
    rng = np.random.default_rng(seed)
    n, groups = int(counts.sum()), len(counts)
    owner = np.repeat(np.arange(groups, dtype=np.uint32), counts)
    step = max(1, CACHED // (8 * max(groups, width)))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        if groups * 16 < n:  # per row, a multinomial costs about sixteen times as much as drawing an index
            yield rng.multinomial(n, counts / n, size=size).astype(np.float64)
        else:
            # 32 bits halve the time of drawing and of counting.
            drawn = (owner[rng.integers(0, n, size=n, dtype=np.uint32)] for _ in range(size))
            yield np.stack([np.bincount(index, minlength=groups) for index in drawn]).astype(np.float64)


def quantiles(draws: Floats) -> tuple[float, float, int]:
    """Return the 2.5 % and 97.5 % quantiles, NaN where over 5 % are undefined, and how many are."""
    defined = draws[np.isfinite(draws)]
    lost = len(draws) - len(defined)
    if lost > 0.05 * len(draws):
        return math.nan, math.nan, lost
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high), lost


def interval(draws: Floats, value: float) -> tuple[float, float, str]:
    """Return the percentile interval of a value, and what a reader must know of it."""
    low, high, lost = quantiles(draws)
    if math.isnan(low):
        return low, high, f"the interval is undefined, as is the metric on {lost} of {len(draws)} resamples"
    if high - low <= 1e-12 * abs(value):
        # A perfect F1 on 20 examples is no certainty; an interval without width would claim so.
        return math.nan, math.nan, "the interval is undefined, as all resamples give the same value"
    caveats = []
    if lost:
        caveats.append(f"{lost} of {len(draws)} resamples, where the metric is undefined, were left out")
    slack = 1e-9 * (high - low)
    if not low - slack <= value <= high + slack:
        caveats.append("the value lies outside the interval, since resampling is biased for this metric")
    return low, high, "; ".join(caveats)

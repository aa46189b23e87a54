"""How much each example moves a score: the jackknife, from which standard errors, pairs and clusters follow.

With one unit (an example, or a cluster of them) left out, a score is a little different. These differences,
times the number of units less one, are the units' *contributions*: they have mean about 0, and their
standard deviation over the root of their number is the standard error of the score (Tukey 1958; Efron and
Tibshirani 1993, chapter 11). The contributions of two models on the same units subtract, and so the standard
error of a difference is that of the differences of their contributions: pairing costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Predictions
from ptbench.offers import Floats, SumMetric, TableMetric
from ptbench.statistics.resampling import CACHED, CHUNK, distinct

BLOCKS = 400
"""Units that are left out one by one where each costs a computation of the whole metric. With g of them a
standard error is itself uncertain by 1 / sqrt(2 g) of it: 3.5 %."""
FELT = 20
"""Clusters that move a metric most, and are left out where `TableMetric.moves` tells of the others: one that
holds most of the positives changes an area under the curve by another amount than its derivatives say."""


def units(table: Predictions, most: int | None = None) -> NDArray[np.int64]:
    """Return for each example the unit that it belongs to, int64[n] from 0: its cluster, or its own.

    With ``most``, units are joined into at most so many blocks of (nearly) the same number of units.
    """
    if table.clusters is None:
        unit = np.arange(len(table), dtype=np.int64)
        count = len(table)
    else:
        names, unit = np.unique(np.asarray(table.clusters), return_inverse=True)
        unit, count = unit.astype(np.int64), len(names)
    if most is None or count <= most:
        return unit
    return unit % (count // math.ceil(count / most))


@np.errstate(all="ignore")  # 0/0 is how a metric says that it is undefined
def contributions(metric: SumMetric | TableMetric, table: Predictions) -> Floats:
    """Return how much each unit moves a metric on these examples: float64[g].

    The same examples give the same units in the same order, whatever was predicted. NaN where the metric is
    undefined without a unit.
    """
    if isinstance(metric, TableMetric):
        if metric.moves is not None and table.clusters is None:
            return np.asarray(metric.moves(table))
        unit, blocks = units(table), units(table, BLOCKS)
        if metric.moves is not None and unit.max() > blocks.max():
            return _moved_by_clusters(metric, table, unit, metric.moves(table))
        return _left_out_by_weights(metric, table, blocks, np.arange(blocks.max() + 1))
    if table.clusters is None:
        kinds, counts, kind = distinct(table)
        whole = sum(counts[part] @ rows for part, rows in _rows(metric, kinds))
        return _left_out(metric, np.asarray(whole), _rows(metric, kinds), len(table))[kind]
    unit = units(table)
    g = int(unit.max()) + 1
    sums: Floats = np.zeros((g, metric.rows(table.take([0])).shape[1]))
    for part, rows in _rows(metric, table):
        np.add.at(sums, unit[part], rows)
    return _left_out(metric, sums.sum(axis=0), iter([(slice(0, g), sums)]), g)


def standard_error(moved: Floats) -> float:
    """Return the standard error of a score, or of a difference, from its contributions; NaN from one."""
    g = len(moved)
    return float(np.std(moved, ddof=1)) / math.sqrt(g) if g > 1 else math.nan


def freedom(moved: Floats) -> float:
    """Return the degrees of freedom of that standard error: g - 1, or fewer where few units move much.

    Satterthwaite's (1946, Biometrics Bulletin 2): twice the squared mean of the variance's estimate over the
    variance of that estimate, which is ``kurtosis / g - (g - 3) / (g (g - 1))`` of it. A normal's kurtosis of
    3 gives g - 1; five positives among a hundred examples, which alone decide an area under the curve, give
    about five, however many negatives there are.
    """
    g = len(moved)
    squares = (moved - np.mean(moved)) ** 2
    if g < 2 or not (variance := float(np.mean(squares))) > 0:
        return math.nan
    return float(freedom_at(np.mean((squares / variance) ** 2), g))


def freedom_at(kurtosis: Any, g: int) -> Floats:
    """Return `freedom` of g contributions with this kurtosis."""
    spread = np.maximum(kurtosis / g - (g - 3) / (g * (g - 1)), 2 / g**2)
    return np.asarray(np.minimum(g - 1.0, 2 / spread))


def _rows(metric: SumMetric, table: Predictions) -> Iterator[tuple[slice, Floats]]:
    """Yield what the examples add, part by part: rows of counts per label are wide."""
    width = metric.rows(table.take([0])).shape[1]
    step = max(1, 2 * CHUNK // (8 * max(1, width)))
    if len(table) <= step:
        yield slice(0, len(table)), metric.rows(table)
        return
    for start in range(0, len(table), step):
        part = slice(start, min(start + step, len(table)))
        yield part, metric.rows(table.take(range(part.start, part.stop)))


def _left_out(metric: SumMetric, whole: Floats, parts: Iterator[tuple[slice, Floats]], g: int) -> Floats:
    value = metric.value(whole[None])[0]
    left = [metric.value(whole - rows) for _, rows in parts]
    return np.asarray((g - 1) * (value - np.concatenate(left)))


def _moved_by_clusters(
    metric: TableMetric, table: Predictions, unit: NDArray[np.int64], moves: Floats
) -> Floats:
    """Return the contributions of many clusters: each is nearly the sum of those of its examples."""
    sums: Floats = np.asarray(np.bincount(unit, weights=moves), dtype=np.float64)
    found = sums * (len(sums) / len(table))
    most = np.argsort(np.bincount(unit, weights=abs(moves)))[-FELT:]
    found[most] = _left_out_by_weights(metric, table, unit, most)
    return found


def _left_out_by_weights(
    metric: TableMetric, table: Predictions, unit: NDArray[np.int64], which: NDArray[np.int64]
) -> Floats:
    g, n = int(unit.max()) + 1, len(table)
    value = metric.compute(table, np.ones((1, n)))[0]
    step = max(1, CACHED // (8 * n))
    left = [
        metric.compute(table, (unit != which[start : start + step, None]).astype(np.float64))
        for start in range(0, len(which), step)
    ]
    return np.asarray((g - 1) * (value - np.concatenate(left)))

"""Intervals for the score of one cell: Wilson's for proportions, else a bootstrap over examples, seeded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from ptbench.data import Predictions
from ptbench.offers import SumMetric, TableMetric
from ptbench.records import Score
from ptbench.statistics.resampling import distinct, evaluate, flaw, function, interval, narrow, once, resample

RESAMPLES = 1_000
"""Between seeds an end of the interval then moves by 4 % of the half-width (standard deviation, measured;
2,000: 3 %; 10,000: 1.3 %), which no table shows; the cost is proportional."""


def wilson(hits: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22; with
    no continuity correction. NaN where there are no trials.

    >>> low, high = wilson(0, 10)
    >>> (low, round(high, 4))
    (0.0, 0.2775)
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits must lie between 0 and n; got {hits} of {n}")
    if n == 0:
        return math.nan, math.nan
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(hits * (n - hits) / n + z * z / 4)
    return (0.0 if hits == 0 else centre - half), (1.0 if hits == n else centre + half)


@np.errstate(all="ignore")  # 0/0 is how a metric says that it is undefined
def score(
    metric: SumMetric | TableMetric, predictions: Predictions, *, seed: int = 0, resamples: int = RESAMPLES
) -> Score:
    """Return the value of a metric with its 95 % interval.

    Proportions get Wilson's interval, all others the percentile bootstrap over examples (Efron and
    Tibshirani 1993, chapter 13). What is undefined is NaN, and the caveat says why: a value, or an
    interval for which more than 5 % of the resamples were undefined or all of them were equal.

    Raises:
        DataError: The predictions lack a column that the metric reads.
    """
    table = narrow(metric, predictions)
    n = len(table)
    kind = metric.interval if isinstance(metric, SumMetric) else "bootstrap"

    def result(value: float, ends: tuple[float, float], *caveats: str | None) -> Score:
        caveat = "; ".join(filter(None, caveats))
        return Score(metric.name, value, *ends, n, metric.higher_is_better, kind, caveat)

    if problem := flaw(table):
        return result(math.nan, (math.nan, math.nan), problem)
    rows, counts, _ = distinct(table)
    measure = function(metric, rows)
    value = evaluate(measure, counts)
    caveat = metric.caveat(table)
    if math.isnan(value):
        return result(value, (value, value), caveat or "the metric is undefined for these predictions")
    if kind == "wilson":
        return result(value, wilson(min(value, 1.0) * n, n), caveat)
    if n == 1:
        return result(value, (math.nan, math.nan), caveat, "one example gives no interval")
    draws = np.concatenate([measure(weights) for weights in resample(counts, seed, resamples)])
    low, high, problem = interval(draws, value)
    return result(value, (low, high), caveat, problem)


@np.errstate(all="ignore")
def values_of(metric: SumMetric | TableMetric, runs: Sequence[Predictions]) -> list[float]:
    """Return the value of a metric for each run; NaN where it is undefined."""
    tables = [narrow(metric, run) for run in runs]
    return [math.nan if flaw(run) else evaluate(function(metric, run), once(run)) for run in tables]

"""The interval of one score: Wilson's for proportions, else the jackknife's, or a bootstrap's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ptbench.data import Predictions
from ptbench.offers import Proportion, SumMetric, TableMetric
from ptbench.records import Score
from ptbench.statistics.jackknife import contributions, freedom, standard_error, units
from ptbench.statistics.resampling import (
    bootstrap,
    distinct,
    evaluate,
    flaw,
    function,
    in_order,
    narrow,
    once,
)
from ptbench.statistics.resampling import interval as percentiles
from ptbench.statistics.student import t_quantile

RESAMPLES = 1_000
"""Between seeds an end of the interval then moves by 4 % of the half-width (standard deviation, measured;
2,000: 3 %; 10,000: 1.3 %), which no table shows; the cost is proportional."""

SHARE = Proportion(lambda sums: (sums[..., 0], sums[..., 1]))
"""Of metrics whose rows are (hit, 1)."""


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


@np.errstate(all="ignore")  # an end may be infinitely far on its scale
def t_interval(
    value: float, error: float, freedom: float, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> tuple[float, float]:
    """Return Student's 95 % interval, made where the bounds are infinitely far and taken back from there.

    Between two bounds that scale is the logit of the place between them (for -1 and 1 it is Fisher's z,
    doubled), beside one bound the logarithm of the distance to it; the standard error goes there by the delta
    method. On it an estimate is more nearly normal, and no interval leaves the bounds. NaN without an error,
    or on a bound.

    >>> low, high = t_interval(0.9, 0.03, math.inf, (0, 1))
    >>> round(low, 3), round(high, 3)
    (0.824, 0.945)
    """
    below, above = value - bounds[0], bounds[1] - value
    if not (error > 1e-12 * abs(value) and below > 0 and above > 0):
        return math.nan, math.nan
    shift = t_quantile(freedom) * error * np.array([-1.0, 1.0])
    if math.isinf(below) and math.isinf(above):
        ends = value + shift
    elif math.isinf(above):
        ends = bounds[0] + below * np.exp(shift / below)
    elif math.isinf(below):
        ends = bounds[1] - above * np.exp(-shift / above)
    else:
        odds = below / above * np.exp(shift / below + shift / above)
        ends = bounds[0] + (bounds[1] - bounds[0]) / (1 + 1 / odds)
    return float(ends[0]), float(ends[1])


def scores(metrics: Iterable[SumMetric | TableMetric], predictions: Predictions) -> list[Score]:
    """Return `score` of several metrics, for which the examples are put in order once."""
    table = in_order(predictions)
    return [score(metric, table) for metric in metrics]


@np.errstate(all="ignore")  # 0/0 is how a metric says that it is undefined
def score(
    metric: SumMetric | TableMetric, predictions: Predictions, *, seed: int = 0, resamples: int = RESAMPLES
) -> Score:
    """Return the value of a metric with its 95 % interval, by the first of these that applies.

    - ``wilson``: a proportion, or what grows with one, has Wilson's interval.
    - ``bootstrap``, if the metric asks for it: the percentile bootstrap, seeded (Efron and Tibshirani 1993,
      chapter 13). NaN where more than 5 % of the resamples were undefined or all of them were equal.
    - ``jackknife``: `t_interval` with the jackknife's standard error and Satterthwaite's degrees of freedom.
      NaN where the metric is undefined without one of the examples, or where none of them moves it.

    Examples of one cluster are left out, and resampled, together. Proportions then have the jackknife's
    interval; where no cluster moves them, Wilson's with as many trials as there are clusters. What is
    undefined is NaN, and the caveat says why.

    Raises:
        DataError: The predictions lack a column that the metric reads.
    """
    table = narrow(metric, predictions)
    clusters = None if table.clusters is None else len(set(table.clusters))
    value, caveat = math.nan, flaw(table)
    found = _Found(by=_method(metric, clusters))
    if not caveat:
        rows, counts, _ = distinct(table)
        value = evaluate(function(metric, rows), counts)
        caveat = metric.caveat(table) or ""
        if not math.isnan(value):
            found = _interval(metric, table, value, seed, resamples)
        elif not caveat:
            caveat = "the metric is undefined for these predictions"
    return Score(
        metric.name,
        value,
        found.low,
        found.high,
        len(table),
        metric.higher_is_better,
        found.by,
        "; ".join(filter(None, (caveat, found.problem))),
        clusters=clusters,
    )


@np.errstate(all="ignore")
def values_of(metric: SumMetric | TableMetric, runs: Sequence[Predictions]) -> list[float]:
    """Return the value of a metric for each run; NaN where it is undefined."""
    tables = [narrow(metric, run) for run in runs]
    return [math.nan if flaw(run) else evaluate(function(metric, run), once(run)) for run in tables]


class _Found(NamedTuple):
    by: str
    low: float = math.nan
    high: float = math.nan
    problem: str = ""


def proportion_of(metric: SumMetric | TableMetric) -> Proportion | None:
    """Return the proportion that a metric is or grows with; None for other metrics."""
    if not isinstance(metric, SumMetric):
        return None
    return metric.proportion or (SHARE if metric.interval == "wilson" else None)


def _method(metric: SumMetric | TableMetric, clusters: int | None) -> str:
    if proportion_of(metric):
        return "wilson" if clusters is None else "jackknife"
    return metric.interval


def _interval(
    metric: SumMetric | TableMetric, table: Predictions, value: float, seed: int, resamples: int
) -> _Found:
    unit = units(table)
    g, what = int(unit.max()) + 1, "example" if table.clusters is None else "cluster"
    by = _method(metric, None if table.clusters is None else g)
    if by == "wilson":
        return _Found(by, *by_wilson(metric, [table]))
    if g == 1:
        return _Found(by, problem=f"one {what} gives no interval")
    if by == "bootstrap":
        return _Found(by, *percentiles(bootstrap(metric, table, unit, seed, resamples), value))
    moved = contributions(metric, table)
    if lost := int(np.isnan(moved).sum()):
        return _Found(
            by, problem=f"the interval is undefined, as is the metric without any of {lost} {what}s"
        )
    low, high = t_interval(value, standard_error(moved), freedom(moved), metric.bounds)
    if not math.isnan(low):
        return _Found(by, low, high)
    if proportion_of(metric):
        return _Found("wilson", *by_wilson(metric, [table], g))
    return _Found(by, problem=f"the interval is undefined, as no {what} moves the value")


def by_wilson(
    metric: SumMetric | TableMetric, runs: Sequence[Predictions], trials: int | None = None
) -> tuple[float, float]:
    """Return Wilson's interval of the mean rate of runs, carried over to the value of the metric.

    As if of so many trials; else of as many as one run has, since the seeds of one example are no examples of
    their own. The metric must have a `proportion_of`.
    """
    proportion = proportion_of(metric)
    assert isinstance(metric, SumMetric)
    assert proportion is not None
    sums = []
    for run in runs:
        rows, counts, _ = distinct(run)
        sums.append(counts @ metric.rows(rows))
    hits, n = (float(np.mean(count)) for count in proportion.counts(np.stack(sums)))
    count = max(1, round(n)) if trials is None else trials
    low, high = wilson(hits if count == n else hits / n * count, count)
    return proportion.value(low), proportion.value(high)

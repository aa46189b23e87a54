"""Who is distinguishable from the best: a bootstrap over examples, paired, seeded.

Every answer is the same for any order of the entries and, as long as ids differ, of the examples (which
are put in the order of their ids first). It depends on the seed and, as NumPy's random streams do, on
the version of NumPy.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

import numpy as np

from ptbench.data import Predictions
from ptbench.offers import Floats, SumMetric, TableMetric
from ptbench.records import Score, Standing
from ptbench.statistics.examples import differing, same_examples
from ptbench.statistics.intervals import RESAMPLES, score, values_of, wilson
from ptbench.statistics.resampling import function, interval, narrow, once, quantiles, resample
from ptbench.statistics.student import t_strata

FEWEST = 6
"""Fewer examples on which two models differ prove nothing: a sign test on five has p = 0.0625 at best."""


def score_runs(
    metric: SumMetric | TableMetric,
    runs: Sequence[Predictions],
    key: tuple[str, str] = ("", ""),
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Score:
    """Return the mean of a metric over several runs on the same examples.

    The interval is that which `standings` gives to this (model, protocol).

    Raises:
        DataError: The predictions lack a column that the metric reads.
    """
    (mean,) = standings("", metric, {key: runs}, seed=seed, resamples=resamples)
    caveats = dict.fromkeys(
        caveat for run in runs for caveat in (metric.caveat(narrow(metric, run)) or "").split("; ") if caveat
    )
    return Score(
        metric.name,
        mean.value,
        mean.ci_low,
        mean.ci_high,
        len(runs[0]),
        metric.higher_is_better,
        "draws",
        "; ".join(caveats),
    )


@np.errstate(all="ignore")
def standings(
    task: str,
    metric: SumMetric | TableMetric,
    entries: Mapping[tuple[str, str], Sequence[Predictions]],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    names: Mapping[tuple[str, str], Sequence[Any]] | None = None,
) -> list[Standing]:
    """Return where each (model, protocol) stands on one metric of one task, the best first.

    ``entries`` has the predictions of one or several runs each (seeds, draws of training rows), on the
    same examples. A value is the mean over runs; for a single run its interval is that of `score`, and so
    it is where all runs predict the same. For runs that differ the interval is for other examples and for
    other seeds: the examples are resampled, the same ones for all runs, and to every resample is added
    Student's t of the mean over so few runs, ``seed_sd / sqrt(runs) * t`` (a Behrens-Fisher
    combination of two independent sources). Where resampling is undefined since all resamples are equal
    (every run is always wrong, each in its own way), a proportion has Wilson's interval of the mean rate,
    on as many examples as one run has. ``seed_share`` tells how much of the variance is that of the seeds.

    No interval leaves the bounds of its metric. What the draws of one training set have in common, or the
    examples of one test set, no interval tells.

    Every entry is compared with the best on the same resamples of examples (a paired bootstrap; Koehn
    2004, EMNLP); where ``names`` says that their runs are the same ones (equal seeds, equal draws), run by
    run, and else as if the runs had nothing in common. With fewer than `FEWEST` examples on which the two
    differ, the interval of the difference is stretched to hold 0. An entry on other examples, or without a
    value, is not compared: its difference is NaN. The best itself is not marked as tied.

    Two things are not corrected for. Each comparison stands on its own, so among many entries some will
    be told apart from the best by chance; and the best was picked by the same examples, so its value is
    somewhat too good, and so are its differences.
    """
    rows = [
        _Entry(key, [narrow(metric, run) for run in entries[key]], tuple((names or {}).get(key, ())))
        for key in sorted(entries)
    ]
    for row in rows:
        row.values = values_of(metric, row.runs)
    sign = -1 if metric.higher_is_better else 1
    rows.sort(key=lambda row: sign * row.value if row.defined else math.inf)
    best = rows[0] if rows and rows[0].defined else None
    peers = [row for row in rows if best and row.defined and same_examples(best.runs + row.runs)]
    for group in (peers, *([row] for row in rows if row not in peers)):
        _bootstrap(metric, group, seed, resamples)
    for row in rows:
        if same_examples(row.runs) and not differing(row.runs).any():
            alone = score(metric, row.runs[0], seed=seed, resamples=resamples)
            row.ends = (alone.ci_low, alone.ci_high)
        if row is best:
            row.difference = (0.0, 0.0, 0.0)
        elif best and row in peers:
            row.difference = (best.value - row.value, *_paired(best, row, seed))
    return [
        Standing(
            task=task,
            metric=metric.name,
            model=row.key[0],
            protocol=row.key[1],
            value=row.value,
            ci_low=row.ends[0],
            ci_high=row.ends[1],
            seeds=len(row.runs),
            seed_sd=row.seed_sd,
            seed_share=row.seed_share,
            best=row is best,
            tied=row is not best and row.difference[1] <= 0 <= row.difference[2],
            difference=row.difference[0],
            difference_low=row.difference[1],
            difference_high=row.difference[2],
        )
        for row in rows
    ]


@dataclass(eq=False)
class _Entry:
    """A model under a protocol: its predictions for each seed and what is found out about them."""

    key: tuple[str, str]
    runs: list[Predictions]
    names: tuple[Any, ...] = ()
    values: Sequence[float] = ()
    means: Floats | None = None
    """The mean over runs on every resample of the examples."""
    draws: Floats | None = None
    """The same with the uncertainty of a mean over so few runs."""
    ends: tuple[float, float] = (math.nan, math.nan)
    difference: tuple[float, float, float] = (math.nan, math.nan, math.nan)

    @property
    def value(self) -> float:
        return math.fsum(self.values) / len(self.values) if self.values else math.nan

    @property
    def defined(self) -> bool:
        return not math.isnan(self.value)

    @property
    def seed_sd(self) -> float:
        return stdev(self.values) if self.defined and len(self.values) > 1 else math.nan

    @property
    def seed_share(self) -> float:
        """The share of the seeds in the variance of the mean over runs."""
        seeds = self.seed_sd**2 / len(self.runs)
        total = seeds + (math.nan if self.means is None else float(np.nanvar(self.means)))
        return seeds / total if total > 0 else math.nan


def _between_runs(values: Sequence[float], n: int, seed: int, name: str) -> Floats:
    """Return n values of how far the mean of these may lie from that over all runs there could be."""
    spread = stdev(values) if len(values) > 1 else 0.0
    if not spread > 0:
        return np.zeros(n)
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    order = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")]).permutation(n)
    runs = len(values)
    return spread / math.sqrt(runs) * np.asarray(t_strata(runs - 1, n))[order]


def _bootstrap(metric: SumMetric | TableMetric, group: list[_Entry], seed: int, resamples: int) -> None:
    """Set the draws and the intervals of entries on the same examples, all from the same resamples."""
    group = [row for row in group if row.defined and same_examples(row.runs)]
    if not group:
        return
    functions = [[function(metric, run) for run in row.runs] for row in group]
    draws = [
        [np.mean([measure(weights) for measure in seeds], axis=0) for seeds in functions]
        for weights in resample(once(group[0].runs[0]), seed, resamples)
    ]
    for row, values in zip(group, zip(*draws, strict=True), strict=True):
        row.means = np.concatenate(values)
        shift = _between_runs(row.values, len(row.means), seed, "\0".join(row.key))
        row.draws = np.clip(row.means + shift, *metric.bounds)
        row.ends = interval(row.draws, row.value)[:2]
        if math.isnan(row.ends[0]) and isinstance(metric, SumMetric) and metric.interval == "wilson":
            n = len(row.runs[0])  # the seeds of one example are no examples of their own
            row.ends = wilson(min(row.value, 1.0) * n, n)


def _paired(best: _Entry, row: _Entry, seed: int) -> tuple[float, float]:
    """Return the interval of the difference between two entries that were resampled together."""
    assert best.means is not None
    assert best.draws is not None
    assert row.means is not None
    assert row.draws is not None
    if best.names and best.names == row.names:
        apart = [a - b for a, b in zip(best.values, row.values, strict=True)]
        shift = _between_runs(apart, len(row.means), seed, "\0".join((*best.key, *row.key)))
        low, high, _ = quantiles(best.means - row.means + shift)
    else:
        low, high, _ = quantiles(best.draws - row.draws)
    differs = differing(best.runs + row.runs)
    if not differs.any():
        return 0.0, 0.0
    return (min(low, 0.0), max(high, 0.0)) if differs.sum() < FEWEST else (low, high)

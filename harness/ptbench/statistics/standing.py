"""Where each model stands on a task: its interval, its place, and whom it cannot be told apart from.

Every answer is the same for any order of the entries and, as long as ids differ, of the examples (which are
put in the order of their ids first).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import stdev
from typing import Any

import numpy as np

from ptbench.data import Predictions
from ptbench.offers import SumMetric, TableMetric
from ptbench.records import Score, Standing
from ptbench.statistics.averages import Scored
from ptbench.statistics.examples import same_examples
from ptbench.statistics.intervals import RESAMPLES, by_wilson, proportion_of, score, t_interval
from ptbench.statistics.pairs import Pairs, Side, pairs
from ptbench.statistics.ranks import different, places
from ptbench.statistics.resampling import narrow

Key = tuple[str, str]


def score_runs(
    metric: SumMetric | TableMetric,
    runs: Sequence[Predictions],
    key: Key = ("", ""),
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
    first = runs[0]
    return Score(
        metric.name,
        mean.value,
        mean.ci_low,
        mean.ci_high,
        len(first),
        metric.higher_is_better,
        "draws",
        "; ".join(caveats),
        clusters=None if first.clusters is None else len(set(first.clusters)),
    )


def standings(
    task: str,
    metric: SumMetric | TableMetric,
    entries: Mapping[Key, Sequence[Predictions]],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    names: Mapping[Key, Sequence[Any]] | None = None,
) -> list[Standing]:
    """Return where each (model, protocol) stands on one metric of one task, the best first.

    `stand` says how; this leaves out what only an average needs.
    """
    return stand(task, metric, entries, seed=seed, resamples=resamples, names=names)[0]


def stand(
    task: str,
    metric: SumMetric | TableMetric,
    entries: Mapping[Key, Sequence[Predictions]],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    names: Mapping[Key, Sequence[Any]] | None = None,
) -> tuple[list[Standing], Scored]:
    """Return where each (model, protocol) stands on one metric of one task, and what an average needs of it.

    ``entries`` has the predictions of one or several runs each (seeds, draws of training rows), on the
    same examples. A value is the mean over runs; for a single run its interval is that of `score`, and so
    it is where all runs predict the same. For runs that differ the interval is for other examples and for
    other seeds: the variance among examples (of the mean over runs) and that of the mean over so few runs,
    added; Student's t with `ptbench.statistics.student.cautious_freedom`. As what is random in single
    predictions shows in both, the interval is a little long. Where nothing varies (every run is always
    wrong, each in its own way), a proportion, or what grows with one, has Wilson's interval of the mean rate,
    on as many trials as one run has. ``seed_share`` tells how much of the variance is that of the seeds.

    No interval leaves the bounds of its metric. What the draws of one training set have in common, or the
    examples of one test set, no interval tells.

    Each two entries are compared as `ptbench.statistics.paired.compare` does it; where ``names`` says that
    their runs are the same ones (equal seeds, equal draws), run by run. All these comparisons of a task and
    metric are corrected together (Holm, 5 %): places and groups follow, and tied is who shares a letter with
    the best. The interval of the difference to the best stands on its own, uncorrected. An entry on other
    examples than the best, or without a value, is not compared: its difference is NaN, and it has no place.

    The best was picked by the same examples, so its value is somewhat too good, and so are its differences.
    """
    sides = {key: Side(metric, entries[key], (names or {}).get(key, ())) for key in sorted(entries)}
    sign = -1 if metric.higher_is_better else 1
    keys = sorted(sides, key=lambda key: sign * sides[key].value if sides[key].defined else math.inf)
    best = sides[keys[0]] if keys and sides[keys[0]].defined else None
    peers = [
        key for key in keys if best and sides[key].defined and same_examples(best.runs + sides[key].runs)
    ]
    found = pairs([sides[key] for key in peers]) if peers else None
    apart = different(found.p) if found else np.zeros((0, 0), dtype=bool)
    standing = places(-sign * found.values, apart) if found else []
    rows = []
    for key in keys:
        side, at = sides[key], peers.index(key) if key in peers else None
        known = found if at is not None else _alone(side)
        ends, share = _ends(metric, side, known, at or 0, seed, resamples)
        row = Standing(
            task=task,
            metric=metric.name,
            model=key[0],
            protocol=key[1],
            value=side.value,
            ci_low=ends[0],
            ci_high=ends[1],
            seeds=len(side.runs),
            seed_sd=stdev(side.values) if side.defined and len(side.runs) > 1 else math.nan,
            best=side is best,
            tied=False,
            difference=math.nan,
            difference_low=math.nan,
            difference_high=math.nan,
            seed_share=share,
        )
        if found and at is not None:  # the best is the first of its peers
            low, high = found.interval(at, 0, metric.bounds[1] - metric.bounds[0])
            row = replace(
                row,
                tied=at > 0 and not apart[0, at],
                difference=found.change(at, 0),
                difference_low=low,
                difference_high=high,
                rank_low=standing[at].low,
                rank_high=standing[at].high,
                group=standing[at].group,
            )
        rows.append(row)
    return rows, Scored(metric.name, metric.higher_is_better, metric.bounds, tuple(peers), found)


def _alone(side: Side) -> Pairs | None:
    return pairs([side]) if side.defined and side.several and side.same else None


def _ends(
    metric: SumMetric | TableMetric, side: Side, found: Pairs | None, at: int, seed: int, resamples: int
) -> tuple[tuple[float, float], float]:
    """Return the ends of the interval of a value, and the share of the runs in its variance."""
    if not side.several:
        one = score(metric, side.runs[0], seed=seed, resamples=resamples)
        return (one.ci_low, one.ci_high), 0.0 if len(side.runs) > 1 else math.nan
    if found is None:
        return (math.nan, math.nan), math.nan
    own = float(found.own[at])
    ends = t_interval(side.value, math.sqrt(own), float(found.own_freedom[at]), metric.bounds)
    if math.isnan(ends[0]) and proportion_of(metric):
        ends = by_wilson(metric, side.runs, None if side.runs[0].clusters is None else found.units)
    return ends, side.spread[0] / own if own > 0 else math.nan

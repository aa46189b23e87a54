"""Two sides on the same examples: what changed from A to B, how sure that is, what could have been seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ptbench.comparison import Difference
from ptbench.data import Predictions
from ptbench.errors import DataError
from ptbench.offers import SumMetric, TableMetric
from ptbench.statistics.beta import sign_tail
from ptbench.statistics.examples import same_examples
from ptbench.statistics.jackknife import units
from ptbench.statistics.pairs import Side, pairs
from ptbench.statistics.power import detectable, fewest
from ptbench.statistics.student import t_sf


def compare(
    metric: SumMetric | TableMetric,
    a: Sequence[Predictions],
    b: Sequence[Predictions],
    *,
    a_names: Sequence[Any] = (),
    b_names: Sequence[Any] = (),
) -> Difference:
    """Return how B differs from A on one metric, paired by example.

    Each side has the predictions of one or several runs (seeds, draws of training rows) on the same examples;
    its value is the mean over them. ``a_names`` and ``b_names`` say which run is which: where they are the
    same ones, the sides are paired run by run too, else as if their runs had nothing in common.

    Two single runs, each example alone, right or wrong: McNemar's exact test, with the interval of Bonett
    and Price (2012; recommended by Fagerland, Lydersen and Laake 2014, Statistics in Medicine 33). That comes
    from another formula than p, and so at the border one may say yes and the other no; p decides. All else:
    Student's t on the differences of the contributions of examples, or of clusters
    (`ptbench.statistics.jackknife`), to whose variance that between runs is added.
    On m units that differ p is never below ``2 * 0.5**m``, as so many coins can tell no more, and with fewer
    than `ptbench.statistics.power.FEWEST` the interval holds 0.

    Raises:
        DataError: The two are not on the same examples, or lack a column that the metric reads.
    """
    before, after = Side(metric, a, a_names), Side(metric, b, b_names)
    if problem := apart([*before.runs, *after.runs]):
        raise DataError(f"metric '{metric.name}': the two sides cannot be compared: {problem}")
    first = before.runs[0]
    change, n = after.value - before.value, len(first)
    if math.isnan(change):
        who = " and ".join(name for name, side in (("A", before), ("B", after)) if not side.defined)
        return Difference(
            metric.name, metric.higher_is_better, before.value, after.value, change, math.nan, math.nan,
            math.nan, "none", n, len(set(units(first).tolist())), 0, caveat=f"metric undefined for {who}"
        )  # fmt: skip
    both = pairs([before, after])
    exact = not math.isnan(both.gained[0, 1])
    error, p, freedom = math.sqrt(both.variance[0, 1]), float(both.p[0, 1]), float(both.freedom[0, 1])
    low, high = both.interval(0, 1, metric.bounds[1] - metric.bounds[0])
    caveats = [
        f"{name} ran once, and so its luck is not known"
        for name, side, other in (("A", before, after), ("B", after, before))
        if len(side.runs) == 1 and other.several
    ]
    if math.isnan(p):
        caveats.append("the metric is undefined without one of the units, or there is only one")
    elif math.isnan(low):
        alike = f"no {'example' if first.clusters is None else 'cluster'} differs from the others"
        why = "no example moves the metric" if change == 0 else alike
        caveats.append(f"the interval is undefined, as {why}")
    found = Difference(
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        a=before.value,
        b=after.value,
        change=change,
        low=low,
        high=high,
        p=p,
        test="mcnemar" if exact else "none" if math.isnan(p) else "t",
        n=n,
        units=both.units,
        differing=int(both.differing[0, 1]),
        gained=int(both.gained[0, 1]) if exact else None,
        lost=int(both.gained[1, 0]) if exact else None,
        error=error,
        freedom=freedom if math.isfinite(freedom) else math.nan,
        caveat="; ".join(caveats),
        moving=int(both.moving[0, 1]),
        example_error=math.sqrt(both.example_variance[0, 1]),
        example_freedom=float(both.example_freedom[0, 1]),
    )
    return seen_at(found, 0.05)


def seen_at(difference: Difference, level: float) -> Difference:
    """Return a difference with the true change that a two-sided test at this level finds in 4 cases of 5."""
    least = math.nan if difference.gained is None else fewest(level) / difference.n
    return replace(difference, detectable=detectable(difference.error, difference.freedom, least, level))


def worse(difference: Difference, margin: float = 0.0) -> float:
    """Return the one-sided p of B being no worse than A by more than ``margin``; NaN where nobody can tell.

    McNemar's test without a margin is the exact one. All else is Student's t of the gain plus the margin; it
    is never less than half the two-sided p, so that the floor of few examples holds here too.
    """
    if math.isnan(difference.p):
        return math.nan
    if margin == 0 and difference.gained is not None and difference.lost is not None:
        return float(sign_tail(difference.gained, difference.gained + difference.lost))
    left = difference.gain + margin
    if difference.error > 0:
        p = t_sf(-left / difference.error, difference.freedom)
    else:
        p = 0.0 if left < 0 else 1.0
    return max(p, difference.p / 2 if difference.gain < 0 else 1 - difference.p / 2)


def apart(runs: Sequence[Predictions]) -> str:
    """Return why runs (as `ptbench.statistics.resampling.narrow` gives them) are not on the same examples.

    Empty where they are.
    """
    first, *others = runs
    for other in others:
        if len(other) != len(first):
            return f"one has {len(first)} examples, the other {len(other)}"
        if list(other.ids) != list(first.ids):
            return "they are on other examples, as the ids differ"
        if other.labels != first.labels:
            return "they have other labels"
        if not same_examples([first, other]):
            return "the targets of the same examples differ"
        if list(other.clusters or ()) != list(first.clusters or ()):
            return "their examples belong to other clusters"
    return ""

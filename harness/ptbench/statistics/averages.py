"""The mean over tasks: of each model, with its interval, place and group; and of a difference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ptbench.comparison import Difference
from ptbench.offers import Floats
from ptbench.records import Average, Record
from ptbench.statistics.beta import t_tail
from ptbench.statistics.intervals import t_interval
from ptbench.statistics.pairs import Pairs
from ptbench.statistics.power import detectable, holding_zero, least_p
from ptbench.statistics.ranks import different, places
from ptbench.statistics.student import pooled_freedom, t_quantile, t_sf


@dataclass(frozen=True, slots=True)
class Scored:
    """What an average needs to know of one task: its primary metric, and all that was compared there."""

    metric: str
    higher_is_better: bool
    bounds: tuple[float, float]
    keys: tuple[tuple[str, str], ...]
    """Model and protocol of each side of ``pairs``: those on the same examples that have a value."""
    pairs: Pairs | None
    """None where nothing has a value."""

    @property
    def common(self) -> bool:
        """Whether more is better, and 1 is the most."""
        return self.higher_is_better and self.bounds[1] == 1


def shares_data(records: Iterable[Record]) -> bool:
    """Whether two tasks are known to be on the very same data: the digests of both are one.

    An average would then count each example more than once, and its interval would be too narrow. Tasks that
    share only some examples, or have the same ones with other targets, are not noticed.
    """
    tasks: dict[str, set[str]] = {}
    for record in records:
        if digest := record.fingerprints.get("data"):
            tasks.setdefault(digest, set()).add(record.task)
    return any(len(names) > 1 for names in tasks.values())


def averages(tasks: Sequence[Scored]) -> list[Average]:
    """Return the mean of each (model, protocol) over the primary metrics of these tasks, the best first.

    Only who has a value on every task has one, and only tasks with a common scale make one: at least two,
    where of all primary metrics more is better and 1 the most; else the list is empty. The interval is for
    other examples (and seeds) of these very tasks, not for other tasks: the variances of the tasks add up,
    with Welch's and Satterthwaite's degrees of freedom; tasks must have no examples in common
    (`shares_data`). Places and groups come from the differences of the averages, paired by example within
    each task.

    That 1 is the most does not make metrics mean the same: of two labels, chance has an accuracy of 0.5 and a
    Matthews' correlation of 0. A mean of both takes them as they are, as leaderboards do: what moves one of
    them by as much as the other is not as much better.
    """
    if len(tasks) < 2 or not all(task.common for task in tasks):
        return []
    shared = set(tasks[0].keys).intersection(*(task.keys for task in tasks))
    keys = sorted(shared)
    if not keys:
        return []
    parts = [_of(task, keys) for task in tasks]
    t = len(tasks)
    values = np.mean([part.values for part in parts], axis=0)
    variance, freedom = _sum([part.variance for part in parts], [part.freedom for part in parts])
    own, own_freedom = _sum([part.own for part in parts], [part.own_freedom for part in parts])
    change = abs(values - values[:, None])
    with np.errstate(all="ignore"):
        ratio = np.where(change > 1e-12, change, 0.0) * t / np.sqrt(variance)
    p = np.where(variance + change == 0, 1.0, np.minimum(1.0, 2 * t_tail(ratio, freedom)))
    floor = least_p(np.sum([part.moving for part in parts], axis=0))
    bounds = (float(np.mean([task.bounds[0] for task in tasks])), 1.0)
    rows = []
    for i, place in enumerate(places(values, different(np.maximum(p, floor)))):
        ends = t_interval(float(values[i]), math.sqrt(own[i]) / t, float(own_freedom[i]), bounds)
        rows.append(Average(*keys[i], float(values[i]), *ends, t, place.low, place.high, place.group))
    return sorted(rows, key=lambda row: -row.value)


def average_difference(differences: Sequence[Difference]) -> Difference | None:
    """Return the mean of the differences on several tasks, whose examples have nothing in common.

    It mixes what the metrics mean as `averages` does. As for one task, p is at least what as many coins can
    show as units differ, on all tasks together, and with few of them the interval holds 0.

    None where there are fewer than two, one has no test, or they have no common scale: of all more must be
    better, and none be more than 1 (that 1 is the most, the caller knows from the metrics' bounds).
    """
    if len(differences) < 2 or any(math.isnan(one.p) for one in differences):
        return None
    if any(not one.higher_is_better or max(one.a, one.b) > 1 for one in differences):
        return None
    t = len(differences)
    a, b = (math.fsum(values) / t for values in zip(*((one.a, one.b) for one in differences), strict=True))
    change = math.fsum(one.change for one in differences) / t
    parts = [(one.error**2, one.freedom) for one in differences if one.error > 0]
    error, freedom = math.sqrt(math.fsum(part for part, _ in parts)) / t, pooled_freedom(parts)
    moving = sum(one.moving for one in differences)
    if error > 0:
        half, p = t_quantile(freedom) * error, min(1.0, 2 * t_sf(abs(change) / error, freedom))
    else:
        half, p = 0.0, 1.0 if change == 0 else 0.0
    low, high = holding_zero(change - half, change + half, moving)
    return Difference(
        metric="average",
        higher_is_better=True,
        a=a,
        b=b,
        change=change,
        low=low,
        high=high,
        p=max(p, float(least_p(moving))),
        test="t",
        n=sum(one.n for one in differences),
        units=sum(one.units for one in differences),
        differing=sum(one.differing for one in differences),
        error=error,
        freedom=freedom if math.isfinite(freedom) else math.nan,
        detectable=detectable(error, freedom),
        moving=moving,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    values: Floats
    own: Floats
    own_freedom: Floats
    variance: Floats
    freedom: Floats
    moving: Floats


def _of(task: Scored, keys: Sequence[tuple[str, str]]) -> _Part:
    """Return what a task says of these, in this order."""
    assert task.pairs is not None
    at = [task.keys.index(key) for key in keys]
    both, found = np.ix_(at, at), task.pairs
    return _Part(
        found.values[at],
        found.own[at],
        found.own_freedom[at],
        found.variance[both],
        found.freedom[both],
        found.moving[both].astype(np.float64),
    )


def _sum(variances: Sequence[Floats], freedom: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return the sum of independent variances and its degrees of freedom, entry by entry."""
    each, total = np.stack(variances), np.sum(variances, axis=0)
    with np.errstate(all="ignore"):
        shares = np.where(each > 0, (each / total) ** 2 / np.stack(freedom), 0.0)
        return total, 1 / shares.sum(axis=0)

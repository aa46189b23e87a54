"""What runs of one and the same thing differ by: the noise of times.

Nobody knows the noise of a machine but who has repeated something on it. Repeats are earlier runs ("nights")
of a cell whose identity is the same in every part, so that nothing but noise makes the difference.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.cellidentity import UNTOLD
from ptbench.comparison import Timing
from ptbench.pareto import Entry as Address
from ptbench.records import Report
from ptbench.runner.sides import Entry, entries, title
from ptbench.statistics.student import t_quantile, t_sf

REPEATS = 5
"""Fewer tell too little of noise: in a suite of twenty rows, Student's t takes a time for noise unless it
lies 23 standard deviations off with three repeats, 7.4 with five, 4.3 with ten and 3.4 with thirty."""
FLOOR = 0.01
"""The least noise of a time that is believed, as a share: a few repeats may be equal by luck, or closer to
each other than one week is to the next."""
STRANGE = 0.01
"""The p below which a repeat, beside the others, counts as a hiccup."""
SHORTEST = 0.05
"""Seconds; below them, a cell's time is that of waking up."""


@dataclass(frozen=True)
class Night:
    """An earlier run: its entries, but for those that were found worse or slower at that time."""

    run: Mapping[str, Any]
    entries: Mapping[Address, Entry]

    @classmethod
    def of(cls, report: Report) -> Night:
        """Make one of a run."""
        bad = {(row.task, *row.b) for row in report.comparison.regressed} if report.comparison else set()
        found = {key: entry for key, entry in entries(report).items() if key not in bad}
        return cls(report.run, found)


def find_nights(run: Report, baseline: Report, nights: Sequence[Report]) -> list[Night]:
    """Return the baseline and the other earlier runs, each once, and never the run itself."""
    by_name = {title(report): report for report in (*nights, baseline)}
    by_name.pop(title(run), None)
    return [Night.of(report) for report in by_name.values()]


def repeats(baseline: Entry, nights: Sequence[Night]) -> list[Entry]:
    """Return the entries of nights that repeat one: measured then, all well, and of the same identity."""
    wanted = {record.seed: record.identity for record in baseline.records}
    if any(not identity or UNTOLD in identity for identity in wanted.values()):
        return []  # nobody knows what they depend on
    there = [night.entries.get((baseline.task, baseline.model, baseline.label)) for night in nights]
    return [
        entry
        for entry in there
        if entry is not None
        and not entry.problem
        and not any(record.reused for record in entry.records)
        and {record.seed: record.identity for record in entry.records} == wanted
    ]


def same_machine(a: Mapping[str, Any], b: Mapping[str, Any], *, packages: bool = False) -> bool:
    """Whether two runs had the same machine to themselves in the same way (and the same packages)."""
    names = ("machine", "executor", "slots", *(("python", "packages") if packages else ()))
    return all(a.get(name) == b.get(name) for name in names)


def seconds(entry: Entry) -> float | None:
    """Return the seconds of all seeds; None where not all were measured in this very run."""
    each = [None if record.reused else record.cost.seconds for record in entry.records]
    return math.fsum(s for s in each if s) if all(each) else None


def earlier_seconds(a: Entry, b: Entry, nights: Sequence[Night]) -> list[float]:
    """Return the seconds of the repeats of A that the time of B can be judged by: of the same machine."""
    if seconds(b) is None or not same_machine(a.run, b.run):
        return []
    alike = (entry for entry in repeats(a, nights) if same_machine(a.run, entry.run, packages=True))
    return [s for entry in alike if (s := seconds(entry)) is not None]


def timed(now: float, before: Sequence[float], margin: float) -> Timing:
    """Return how a time stands to one or more repeats: Student's t of a prediction, one-sided, on logarithms.

    The next of k repeats lies sqrt(1 + 1/k) standard deviations about their mean, with k - 1 degrees of
    freedom (Hahn and Meeker 1991, "Statistical Intervals", section 4.7). p is NaN with fewer than `REPEATS`,
    and where they are shorter than `SHORTEST`.
    """
    logs = np.log(np.asarray(before, dtype=np.float64))
    noise = float(logs.std(ddof=1)) if len(logs) > 1 else math.nan
    mean = float(logs.mean())
    judged = len(logs) >= REPEATS and mean >= math.log(SHORTEST)
    p = t_sf(float(_off(math.log(now), logs, margin)), len(logs) - 1) if judged else math.nan
    return Timing(math.exp(mean), now, len(logs), noise, p)


@dataclass(frozen=True)
class Hiccups:
    """How often repeats took long with no regression, and how long then."""

    lengths: tuple[float, ...]
    """Logarithms beyond the margin, in rising order."""
    of: int
    """Repeats that were looked at."""


def hiccups(before: Iterable[Sequence[float]], margin: float) -> Hiccups:
    """Judge every repeat of every row by the others of its row; return those that stand out.

    A machine that now and then takes long is known by them: they are more than chance would have.
    """
    found: list[float] = []
    of = 0
    for times in before:
        logs = np.log(np.asarray(times, dtype=np.float64))
        k = len(logs)
        if k > REPEATS and logs.mean() >= math.log(SHORTEST):
            others = np.broadcast_to(logs, (k, k))[~np.eye(k, dtype=bool)].reshape(k, k - 1)
            far = _off(logs, others, margin) > t_quantile(k - 2, 1 - 2 * STRANGE)
            found += (logs - others.mean(axis=1) - math.log1p(margin))[far].tolist()
            of += k
    return Hiccups(tuple(sorted(found)), of)


def beside_hiccups(timing: Timing, known: Hiccups, margin: float) -> Timing:
    """Return a timing whose p is at least the share of repeats that hiccupped for as long.

    Student's t takes logarithms for normal; this keeps its rate where times have a longer tail. So what is no
    longer than a hiccup of this machine is no alarm.
    """
    if math.isnan(timing.p) or not known.of:
        return timing
    off = math.log(timing.b / timing.a) - math.log1p(margin)
    share = (len(known.lengths) - bisect_left(known.lengths, off)) / known.of
    return replace(timing, p=max(timing.p, share))


def _off(log: Any, others: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """Return how many standard errors of a prediction a time lies beyond the margin of others, [..., k]."""
    noise = np.maximum(others.std(axis=-1, ddof=1), FLOOR)
    off = log - others.mean(axis=-1) - math.log1p(margin)
    return np.asarray(off / (noise * math.sqrt(1 + 1 / others.shape[-1])))

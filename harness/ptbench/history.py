"""A suite over many nights: a series for each score, and where and why its level changed.

A night is one run. Only summaries are read (`ptbench.summaries`); the records of the two nights about a
change are read for what differs in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ptbench.causes import Causes
from ptbench.confirmation import FEWEST
from ptbench.errors import UsageError, one_line
from ptbench.pareto import Entry
from ptbench.runs import run_folders
from ptbench.segmentation import Floats, Segmentation, segment
from ptbench.summaries import EntrySummary, Summary, read_summary

SECONDS = "seconds"
"""What the series of time are called, among the metrics."""


def level_text(value: float) -> str:
    """Return a level as people read it.

    >>> level_text(0.84217), level_text(-0.00012), level_text(1234.5)
    ('0.842', '-0.00012', '1,234.500')
    """
    return f"{value:,.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """Where the level of a series changed for good, or until the next change."""

    night: int
    """The first night of the new level."""
    last: int
    """The last night before it: the nights between, if any, have no score."""
    before: float
    """The mean of the stretch before it, and of that after it; the geometric mean, of seconds."""
    after: float
    better: bool
    causes: tuple[str, ...] = ()
    """What changed between these two nights, what the score depends on first; empty: nothing known."""

    @property
    def words(self) -> str:
        """The change in a few words: ``0.800 -> 0.790, worse``."""
        texts = level_text(self.before), level_text(self.after)
        before, after = texts if texts[0] != texts[1] else (f"{self.before:.9g}", f"{self.after:.9g}")
        return f"{before} -> {after}, {'better' if self.better else 'worse'}"


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One metric of a model under a protocol on a task, night by night."""

    task: str
    model: str
    protocol: str
    metric: str
    """Its name, or ``seconds``."""
    higher_is_better: bool
    values: Floats
    """float[nights]; NaN in a night without."""
    low: Floats
    """Ends of the 95 % interval, which is for other examples, not for other nights."""
    high: Floats
    changes: tuple[ChangePoint, ...] = ()
    outliers: tuple[int, ...] = ()
    """Nights that stood out, one or two together; the last ones too, until a third confirms them."""

    @property
    def title(self) -> str:
        """The series as people read it."""
        return f"{self.model} x {self.task} x {self.protocol} · {self.metric}"

    @property
    def nights(self) -> list[int]:
        """The nights that have a number."""
        return [int(night) for night in np.flatnonzero(np.isfinite(self.values))]

    @property
    def too_few(self) -> str:
        """Why no change can be found however large it is; "" where enough nights have a number."""
        count = len(self.nights)
        return too_few(count) if count < FEWEST else ""

    @property
    def stands_out(self) -> bool:
        """Whether the newest night jumped, and nobody knows yet whether for good."""
        return len(self.values) - 1 in self.outliers


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """All nights of a suite, the oldest first."""

    suite: str
    folder: Path
    nights: tuple[Summary, ...]
    series: tuple[Series, ...]
    damaged: tuple[str, ...] = ()
    """Runs that cannot be read and are left out, with the reason."""

    @property
    def changed(self) -> list[Series]:
        """The series whose level changed."""
        return [series for series in self.series if series.changes]

    @property
    def sentence(self) -> str:
        """What happened, in words."""
        nights = f"{len(self.nights):,} night{'s' * (len(self.nights) != 1)}"
        many = f"{len(self.changed):,} of {len(self.series):,} series changed in {nights}"
        if len(self.nights) < FEWEST:
            many = too_few(len(self.nights))
        if out := sum(series.stands_out for series in self.series):
            many += f", {out:,} stand{'s' * (out == 1)} out in the last"
        points = [(point, series) for series in self.changed for point in series.changes]
        if not points:
            return many
        point, series = max(points, key=lambda pair: pair[0].night)
        night = self.nights[point.night]
        return f"{many}; the last change: {series.title}, {point.words}, in {night.run}"

    @property
    def gate(self) -> str:
        """What the newest gate said, in words, which compares one night with the baseline; "" without one."""
        night = next((night for night in reversed(self.nights) if night.gate is not None), None)
        if night is None:
            return ""
        counts = ", ".join(f"{n:,} {verdict}" for verdict, n in night.verdicts.items())
        said = "passed" if night.gate else "did not pass"
        return f"the gate {said} in {night.run}: {counts or 'no rows'} against {night.against}"


def too_few(nights: int) -> str:
    """Return that so many nights show no change.

    >>> too_few(1), too_few(3)
    ('1 night is too few for changes (8 are needed)', '3 nights are too few for changes (8 are needed)')
    """
    few = "1 night is" if nights == 1 else f"{nights:,} nights are"
    return f"{few} too few for changes ({FEWEST} are needed)"


def read_history(
    folder: Path,
    *,
    metric: str | None = None,
    model: str | None = None,
    task: str | None = None,
    last: int | None = None,
    time: bool = False,
    causes: bool = True,
) -> History:
    """Return the history of the suite whose runs lie in a folder, ``results/<suite>``.

    Args:
        folder: The folder of the suite.
        metric: Only this metric; else the primary one of each task.
        model: Only this model, by its name.
        task: Only this task, by its name.
        last: Only so many nights, the newest.
        time: Seconds instead of scores, of the nights in which every seed was measured anew.
        causes: Whether to look for what changed about each change point.

    Raises `UsageError` where no run lies there, or none has such a series.
    """
    folders = run_folders(folder)[:last][::-1]
    if not folders:
        raise UsageError(f"{folder} holds no runs; give the folder of a suite, results/<suite>")
    nights, kept, damaged = _nights(folders)
    if not nights:
        raise UsageError(f"no run in {folder} can be read: {damaged[0]}")
    rows = _rows(nights, metric, time, lambda e: model in (None, e.model) and task in (None, e.task))
    if not rows and (metric or model or task):
        asked = {"metric": metric, "model": model, "task": task}
        told = ", ".join(f"{name} '{value}'" for name, value in asked.items() if value)
        raise UsageError(f"{folder}: no run has a score of {told}; `ptbench history` without shows all")
    found = _segmented(np.array([numbers[0] for _, numbers in rows.values()]), time) if rows else []
    why = Causes(kept, nights) if causes else None
    series = []
    for (entry, name), (higher, numbers), parts in zip(rows, rows.values(), found, strict=True):
        values, low, high = numbers
        points = tuple(_points(parts, values, higher, partial(why, entry) if why else _unknown))
        series.append(Series(*entry, name, higher, values, low, high, points, parts.outliers))
    return History(nights[-1].suite, folder, tuple(nights), tuple(series), tuple(damaged))


def _segmented(values: Floats, time: bool) -> list[Segmentation]:
    """Return the stretches of each series; of seconds those of the logarithms, as their noise is a share."""
    if not time:
        return segment(values)
    logs = np.log(values, out=np.full_like(values, math.nan), where=values > 0)
    return [replace(one, levels=tuple(map(math.exp, one.levels))) for one in segment(logs)]


def _nights(folders: Sequence[Path]) -> tuple[list[Summary], list[Path], list[str]]:
    """Return the summaries of runs, their folders, and what cannot be read."""
    nights, kept, damaged = [], [], []
    for folder in folders:
        try:
            nights.append(read_summary(folder))
        except Exception as error:  # a run may be damaged in any way; the others are shown
            damaged.append(f"{folder.name}: {one_line(error)}")
        else:
            kept.append(folder)
    return nights, kept, damaged


def _rows(
    nights: Sequence[Summary], metric: str | None, time: bool, wanted: Callable[[EntrySummary], bool]
) -> dict[tuple[Entry, str], tuple[bool, Floats]]:
    """Return direction and float[3, nights] (value, low, high) of each series, the newest first."""
    rows: dict[tuple[Entry, str], tuple[bool, Floats]] = {}
    for night in reversed(range(len(nights))):
        for entry in filter(wanted, nights[night].entries):
            for name, higher, *numbers in _numbers(entry, metric, time):
                key = entry.key, name
                if key not in rows:
                    rows[key] = higher, np.full((3, len(nights)), math.nan)
                rows[key][1][:, night] = numbers
    return rows


def _numbers(
    entry: EntrySummary, metric: str | None, time: bool
) -> Iterator[tuple[str, bool, float, float, float]]:
    if time:
        if entry.seconds is not None:
            yield SECONDS, False, entry.seconds, math.nan, math.nan
        return
    for score in entry.scores:
        if score.metric == (metric or entry.primary):
            yield score.metric, score.higher_is_better, score.value, score.low, score.high


def _points(
    parts: Segmentation, values: Floats, higher: bool, why: Callable[[int, int], Sequence[str]]
) -> Iterator[ChangePoint]:
    """Yield the change points of a series."""
    counted = np.isfinite(values)
    counted[list(parts.outliers)] = False
    for night, before, after in zip(parts.starts, parts.levels, parts.levels[1:], strict=False):
        last = int(np.flatnonzero(counted[:night])[-1])
        yield ChangePoint(night, last, before, after, (after > before) is higher, tuple(why(last, night)))


def _unknown(before: int, after: int) -> Sequence[str]:
    return ()

"""The gate: what got worse against a baseline, at a stated rate of false alarms over the whole suite."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ptbench.catalog import Catalog
from ptbench.comparison import TIME, Change, Compared, Comparison, Difference
from ptbench.errors import PtbenchError, UsageError
from ptbench.offers import Protocol
from ptbench.records import Report
from ptbench.runner.asked import Asked
from ptbench.runner.comparing import check, paired, surroundings
from ptbench.runner.luck import with_luck
from ptbench.runner.noise import (
    REPEATS,
    SHORTEST,
    Night,
    beside_hiccups,
    earlier_seconds,
    find_nights,
    hiccups,
    repeats,
    seconds,
    timed,
)
from ptbench.runner.rows import asks, compare_pair, questions
from ptbench.runner.sides import Entry, checked_names, numeric_metrics, title, unfinished
from ptbench.statistics.multiple import holm
from ptbench.statistics.paired import seen_at, worse

MARGINS: Mapping[str, float] = {TIME: 0.05}
"""What counts as no difference where nobody says: nothing of a score, a twentieth of a time."""


def gate(
    run: Report,
    baseline: Report,
    catalog: Catalog,
    *,
    alpha: float = 0.05,
    margins: Mapping[str, float] | None = None,
    allow: Collection[str] = frozenset(),
    nights: Sequence[Report] = (),
) -> Comparison:
    """Compare a run with a baseline, and ask of every row only: is it worse, by more than the margin?

    Scores and times are one family (`decided`): with nothing worse, the chance of any alarm in the whole
    suite is at most ``alpha``. A row that had a score and should have one now is an alarm too, without a
    test (`Change.GONE` with a reason): its record is missing, or its predictions are lost or not those that
    were scored.

    Args:
        run: B.
        baseline: A.
        catalog: What is installed; both sides are scored by it.
        alpha: The rate of false alarms.
        margins: What counts as no difference: by metric, in its own unit, and ``time`` as a share.
        allow: As in `comparing.compare_runs`.
        nights: Earlier runs of the suite. Times are judged only against the noise of repeats among them, and
            so is the luck of a training of which there is one seed (`noise`).

    Raises:
        UsageError: A name of a margin or allowance is not known, or a number makes no sense.
    """
    check(catalog, allow, (), alpha)
    margins = {**MARGINS, **(margins or {})}
    checked_names(list(margins), (*numeric_metrics(catalog), TIME), "the margin of")
    for name, margin in margins.items():
        if not 0 <= margin < math.inf:
            raise UsageError(f"the margin of '{name}' must be 0 or more; got {margin}")
    asked, earlier = Asked(run, catalog), find_nights(run, baseline, nights)
    rows, times = [], []
    for a, b in paired(baseline, run):
        row, before = compare_pair(a, b, catalog, allow, None, asked.lacking(a, b), strict=True), []
        if a is not None and b is not None and row.verdict is Change.SAME:
            row, before = _retrained(row, a, b, catalog, earlier), earlier_seconds(a, b, earlier)
            if before:
                row = replace(row, timing=timed(seconds(b) or math.nan, before, margins[TIME]))
        rows.append(row)
        times.append(before)
    known = hiccups(times, margins[TIME])
    rows = [
        replace(row, timing=row.timing and beside_hiccups(row.timing, known, margins[TIME])) for row in rows
    ]
    return Comparison(
        title(baseline),
        title(run),
        decided(rows, alpha, margins),
        alpha,
        gate=True,
        margins=margins,
        environment=surroundings(baseline, run, "the baseline", "the run"),
        notes=tuple(filter(None, (unfinished(run.run), _untimed(rows)))),
    )


def decided(rows: Sequence[Compared], alpha: float, margins: Mapping[str, float]) -> tuple[Compared, ...]:
    """Return rows with their verdicts: one-sided, after Holm's correction over all scores and times at once.

    ``better`` is a family of its own: good news is no alarm, and must not make alarms rarer. The p of a time
    already has its margin. What could have been seen of a loss is that of one alarm of so
    many, beyond the margin.
    """
    scores = [_worse(row, margins) for row in rows]
    times = [row.timing.p if row.timing else math.nan for row in rows]
    alarms = holm([*scores, *times])
    level = 2 * alpha / questions([*scores, *times])  # one-sided
    rows = [_seen(row, level, margins) for row in rows]
    news = holm([_worse(_mirrored(row), margins) for row in rows])
    found = zip(rows, alarms[: len(rows)], alarms[len(rows) :], news, strict=True)
    return tuple(_decided(*one, alpha) for one in found)


def _decided(row: Compared, score: float, time: float, news: float, alpha: float) -> Compared:
    if row.timing is not None:
        row = replace(row, timing=replace(row.timing, adjusted=time, slower=time <= alpha))
    primary = row.primary
    if primary is None:
        return row
    if score <= alpha:
        row = replace(row, verdict=Change.WORSE)
    elif news <= alpha:
        row, score = replace(row, verdict=Change.BETTER), news
    return replace(row, differences=(replace(primary, adjusted=score), *row.differences[1:]))


def _seen(row: Compared, level: float, margins: Mapping[str, float]) -> Compared:
    if row.primary is None:
        return row
    found = seen_at(row.primary, level)
    found = replace(found, detectable=margins.get(found.metric, 0.0) + found.detectable)
    return replace(row, differences=(found, *row.differences[1:]))


def _worse(row: Compared, margins: Mapping[str, float]) -> float:
    """Return the one-sided p of a row's score being no worse; NaN where there is no question."""
    if row.primary is None or not asks(row):
        return math.nan
    return worse(row.primary, margins.get(row.primary.metric, 0.0))


def _mirrored(row: Compared) -> Compared:
    """Return the row with A and B in each other's place."""
    return replace(row, differences=tuple(map(_swapped, row.differences[:1])))


def _swapped(d: Difference) -> Difference:
    return replace(d, a=d.b, b=d.a, change=-d.change, low=-d.high, high=-d.low, gained=d.lost, lost=d.gained)


def _retrained(row: Compared, a: Entry, b: Entry, catalog: Catalog, nights: Sequence[Night]) -> Compared:
    """Return the row with the luck of training in its error, where the sides were trained by luck."""
    if row.primary is None or not (_by_luck(a, catalog) or _by_luck(b, catalog)):
        return row
    metric = numeric_metrics(catalog)[row.primary.metric]
    width = metric.bounds[1] - metric.bounds[0]
    found = with_luck(
        row.primary,
        a.values(metric.name),
        b.values(metric.name),
        [entry.values(metric.name) for entry in repeats(a, nights) if entry.run is not a.run],
        width if math.isfinite(width) else abs(row.primary.a),
    )
    return replace(row, differences=(found, *row.differences[1:]))


def _by_luck(side: Entry, catalog: Catalog) -> bool:
    """Whether each seed of a side is one training, of which another seed would make another one."""
    record = side.records[0]
    score = record.score(side.primary)
    if score is not None and score.interval == "draws":  # of training rows: their spread is in the error
        return False
    try:
        return catalog.get(Protocol, record.protocol, usable=False).stochastic
    except PtbenchError:  # its plugin is not installed here
        return False


def _untimed(rows: Sequence[Compared]) -> str:
    few = sum(row.timing is not None and row.timing.repeats < REPEATS for row in rows)
    short = sum(row.timing is not None and row.timing.a < SHORTEST for row in rows)
    said = [
        f"{few} for want of {REPEATS} earlier runs of exactly the same" if few else "",
        f"{short} shorter than {SHORTEST * 1000:.0f} ms" if short else "",
    ]
    return f"times that are not judged: {'; '.join(filter(None, said))}" if any(said) else ""

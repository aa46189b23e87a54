"""The rows of a comparison: what two sides differ by, or why nobody can say."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from ptbench.catalog import Catalog
from ptbench.comparison import Change, Compared, Difference
from ptbench.errors import one_line
from ptbench.runner.comparability import (
    differing_parts,
    refusal_of_digests,
    refusal_of_examples,
    refusal_of_metrics,
    refusal_of_version,
)
from ptbench.runner.sides import Entry, Loaded, load, numeric_metrics
from ptbench.statistics.averages import average_difference
from ptbench.statistics.multiple import holm
from ptbench.statistics.paired import compare


def compare_pair(
    a: Entry | None,
    b: Entry | None,
    catalog: Catalog,
    allow: Collection[str] = frozenset(),
    metrics: Sequence[str] | None = (),
    lacking: str = "",
    *,
    kept: dict[Entry, Loaded] | None = None,
) -> Compared:
    """Return a row before it is judged: its differences, or why there are none.

    ``metrics``: those beside the primary one; empty: all; None: no other. ``lacking`` is why B may lack a row
    that it was to have, and ``kept`` what was read before.
    """
    row = _unscored(a, b, lacking)
    if a is None or b is None:
        return row
    row = replace(row, differs=differing_parts(a, b), reused=b.reused)
    if row.verdict is not Change.SAME:
        return row
    try:
        reason = refusal_of_metrics(a, b)
        if not reason:
            before, now = (_loaded(side, catalog, metrics, {} if kept is None else kept) for side in (a, b))
            catalog.metric(a.primary)  # or say that it is not installed
            reason, found, left_out = _differences(before, now, catalog, allow)
            row = replace(row, differences=tuple(found), differs=(*row.differs, *left_out))
    except Exception as error:  # a metric is a plugin's, and files may hold anything: the other rows go on
        reason = one_line(error)
    if reason:
        return replace(row, verdict=Change.NOT_COMPARABLE, reason=reason)
    return _undefined(row)


def judged(rows: Sequence[Compared], alpha: float) -> tuple[Compared, ...]:
    """Return rows with their verdicts, two-sided, corrected over all that ask a question."""
    adjusted = holm([row.primary.p if row.primary and asks(row) else math.nan for row in rows])
    return tuple(_judged(row, p, alpha) for row, p in zip(rows, adjusted, strict=True))


def averaged(rows: Sequence[Compared], catalog: Catalog) -> Difference | None:
    """Return the difference of the averages over tasks; None where it would mean nothing.

    That is where a task is there twice (its examples would count twice) or was not compared, and where the
    metrics have no common scale: of each 1 must be the most.
    """
    found = [row.primary for row in rows if row.primary is not None]
    metrics = numeric_metrics(catalog)
    if len(found) < len(rows) or len({row.task for row in rows}) < len(rows):
        return None
    if any(metrics[one.metric].bounds[1] != 1 for one in found):
        return None
    return average_difference(found)


def asks(row: Compared) -> bool:
    """Whether there is anything to be decided about a row.

    Not where the two sides predict the same for every example: no test says yes there, whatever else is
    asked. All tests used here keep their rate for any given number of examples that differ, and so leaving
    the other rows out costs nothing; that of all together is kept too.
    """
    return row.verdict is Change.SAME and row.primary is not None and row.primary.differing > 0


def _judged(row: Compared, adjusted: float, alpha: float) -> Compared:
    primary = row.primary
    if primary is None:
        return row
    if adjusted <= alpha and primary.gain:
        row = replace(row, verdict=Change.BETTER if primary.gain > 0 else Change.WORSE)
    return replace(row, differences=(replace(primary, adjusted=adjusted), *row.differences[1:]))


def _unscored(a: Entry | None, b: Entry | None, lacking: str) -> Compared:
    """Return the row with the verdict that follows from what is there alone; else "same"."""
    there = a or b
    assert there is not None
    row = Compared(there.task, (a or there).side, (b or there).side, Change.SAME)
    before, now = ("" if side is None else side.problem for side in (a, b))
    if b is None and not before:
        return replace(row, verdict=Change.GONE, reason=lacking)
    if a is None and not now:
        return replace(row, verdict=Change.NEW)
    if a is None or b is None:
        reason = (
            f"only A has it, and no score: {before}" if b is None else f"only B has it, and no score: {now}"
        )
        return replace(row, verdict=Change.NOT_COMPARABLE, reason=reason)
    missing = sorted({r.seed for r in a.records} - {r.seed for r in b.records}) if lacking else []
    if missing and not now:
        now = f"{lacking}: seed {', '.join(map(str, missing))} is not there"
    if before and now:
        reason = f"neither has a score (A: {before}; B: {now})"
        return replace(row, verdict=Change.NOT_COMPARABLE, reason=reason)
    if now:
        return replace(row, verdict=Change.GONE, reason=now)
    return replace(row, verdict=Change.NEW, reason=f"before, {before}") if before else row


def _undefined(row: Compared) -> Compared:
    """Return the row as gone or new where the primary metric is undefined on one side only."""
    primary = row.primary
    assert primary is not None
    before, now = math.isnan(primary.a), math.isnan(primary.b)
    if not before and not now:
        return row
    verdict = Change.NOT_COMPARABLE if before and now else Change.NEW if before else Change.GONE
    where = "both sides" if before and now else "A" if before else "B"
    return replace(row, verdict=verdict, reason=f"{primary.metric} is undefined for {where}")


def _wanted(entry: Entry, catalog: Catalog, metrics: Sequence[str] | None) -> list[str]:
    """Return the metrics to compare of those that an entry has, the primary one first."""
    others = () if metrics is None else metrics or entry.metrics
    there = numeric_metrics(catalog)
    return [name for name in entry.metrics if name in there and (name == entry.primary or name in others)]


def _loaded(
    entry: Entry, catalog: Catalog, metrics: Sequence[str] | None, kept: dict[Entry, Loaded]
) -> Loaded:
    if entry not in kept:
        kept[entry] = load(entry, catalog, _wanted(entry, catalog, metrics))
    return kept[entry]


def _differences(
    a: Loaded, b: Loaded, catalog: Catalog, allow: Collection[str]
) -> tuple[str, list[Difference], list[str]]:
    """Return why two sides are not compared, their differences, and why some metrics are left out."""
    there = numeric_metrics(catalog)
    found: list[Difference] = []
    left_out: list[str] = []
    for metric in (there[name] for name in a.metrics if name in b.metrics):
        if not found:
            reason = refusal_of_examples(metric, a, b) or refusal_of_digests(a.entry, b.entry, allow)
            if reason:
                return reason, [], []
        reason = ""
        if "metrics" not in allow:
            reason = refusal_of_version(metric, a, "A") or refusal_of_version(metric, b, "B")
        if reason and not found:
            return reason, [], []
        if reason:  # the row still has its primary metric
            left_out.append(reason)
        else:
            found.append(compare(metric, a.runs, b.runs, a_names=a.names, b_names=b.names))
    return "", found, left_out

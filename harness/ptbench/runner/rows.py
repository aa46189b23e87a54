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
    refusal_of_examples,
    refusal_of_metrics,
    refusal_of_version,
    refusals_of_digests,
    with_allowed,
)
from ptbench.runner.sides import Entry, Loaded, load, numeric_metrics
from ptbench.statistics.averages import average_difference, shares_data
from ptbench.statistics.multiple import holm
from ptbench.statistics.paired import compare, seen_at


def compare_pair(
    a: Entry | None,
    b: Entry | None,
    catalog: Catalog,
    allow: Collection[str] = frozenset(),
    metrics: Sequence[str] | None = (),
    lacking: str = "",
    *,
    kept: dict[Entry, Loaded] | None = None,
    strict: bool = False,
) -> Compared:
    """Return a row before it is judged: its differences, or why there are none.

    ``metrics``: those beside the primary one; empty: all; None: no other. ``lacking`` is why B may lack a row
    that it was to have, and ``kept`` what was read before. ``strict``: a score of B that its predictions do
    not give, as they are lost or changed, is gone.
    """
    row = _unscored(a, b, lacking)
    if a is None or b is None:
        return row
    row = replace(row, differs=differing_parts(a, b), reused=b.reused)
    if row.verdict is not Change.SAME:
        return row
    refused = Change.NOT_COMPARABLE
    kept = {} if kept is None else kept
    try:
        reason = refusal_of_metrics(a, b)
        if not reason:
            catalog.metric(a.primary)  # or say that it is not installed
            before = _loaded(a, catalog, metrics, kept)
            reason = _unproven(before, catalog, allow, "A")
        if not reason:
            refused = Change.GONE if strict else refused
            now = _loaded(b, catalog, metrics, kept)
            reason = _unproven(now, catalog, allow, "B")
        if not reason:
            refused = Change.NOT_COMPARABLE
            reason, found, differs = _differences(before, now, catalog, allow, row.differs)
            row = replace(row, differences=tuple(found), differs=differs)
    except Exception as error:  # a metric is a plugin's, and files may hold anything: the other rows go on
        reason = one_line(error)
    if reason:
        return replace(row, verdict=refused, reason=reason)
    return _undefined(row)


def judged(rows: Sequence[Compared], alpha: float) -> tuple[Compared, ...]:
    """Return rows with their verdicts, two-sided, corrected over all that ask a question.

    What could have been seen is then that of one question of so many, at ``alpha`` over their number.
    """
    asked = [row.primary.p if row.primary and asks(row) else math.nan for row in rows]
    level = alpha / questions(asked)
    return tuple(_judged(row, p, alpha, level) for row, p in zip(rows, holm(asked), strict=True))


def questions(p: Sequence[float]) -> int:
    """Return how many questions are asked at once, at least one: p of those that are none is NaN."""
    return max(1, sum(not math.isnan(one) for one in p))


def averaged(
    rows: Sequence[Compared], pairs: Sequence[tuple[Entry | None, Entry | None]], catalog: Catalog
) -> Difference | None:
    """Return the difference of the averages over tasks, of rows and their sides; None where it means nothing.

    That is where a task is there twice, or two are on the very same data (examples would count twice; that
    tasks share only some is not noticed), where one was not compared, and where the metrics have no common
    scale: of each 1 must be the most.
    """
    found = [row.primary for row in rows if row.primary is not None]
    metrics = numeric_metrics(catalog)
    if len(found) < len(rows) or len({row.task for row in rows}) < len(rows):
        return None
    if any(metrics[one.metric].bounds[1] != 1 for one in found):
        return None
    if shares_data(record for pair in pairs for side in pair if side for record in side.records):
        return None
    return average_difference(found)


def asks(row: Compared) -> bool:
    """Whether there is anything to be decided about a row.

    Not where the two sides predict the same for every example: no test says yes there, whatever else is
    asked. All tests used here keep their rate for any given number of examples that differ, and so leaving
    the other rows out costs nothing; that of all together is kept too.
    """
    return row.verdict is Change.SAME and row.primary is not None and row.primary.differing > 0


def _judged(row: Compared, adjusted: float, alpha: float, level: float) -> Compared:
    primary = row.primary
    if primary is None:
        return row
    if adjusted <= alpha and primary.gain:
        row = replace(row, verdict=Change.BETTER if primary.gain > 0 else Change.WORSE)
    primary = replace(seen_at(primary, level), adjusted=adjusted)
    return replace(row, differences=(primary, *row.differences[1:]))


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


def _unproven(side: Loaded, catalog: Catalog, allow: Collection[str], name: str) -> str:
    """Return why the predictions of a side do not give the score that decides; empty where they do."""
    primary = side.entry.primary
    if primary not in side.metrics:
        return f"{primary} of {name} has no value that can be compared"
    return "" if "metrics" in allow else refusal_of_version(numeric_metrics(catalog)[primary], side, name)


def _differences(
    a: Loaded, b: Loaded, catalog: Catalog, allow: Collection[str], differs: Sequence[str]
) -> tuple[str, list[Difference], tuple[str, ...]]:
    """Return why two sides are not compared, their differences, and what else differs."""
    there = numeric_metrics(catalog)
    first, *others = (there[name] for name in a.metrics if name in b.metrics)
    digests = refusals_of_digests(a.entry, b.entry)
    refused = [reason for name, reason in digests.items() if name not in allow]
    if reason := refusal_of_examples(first, a, b) or "".join(refused[:1]):
        return reason, [], tuple(differs)
    metrics, left_out = [first], []
    for metric in (first, *others) if "metrics" in allow else others:
        reason = refusal_of_version(metric, a, "A") or refusal_of_version(metric, b, "B")
        if reason:  # if it is not allowed, the row still has its primary metric
            left_out.append(f"{reason}, allowed" if "metrics" in allow else reason)
        if metric is not first and (not reason or "metrics" in allow):
            metrics.append(metric)
    found = [compare(metric, a.runs, b.runs, a_names=a.names, b_names=b.names) for metric in metrics]
    return "", found, (*with_allowed(differs, list(digests)), *left_out)

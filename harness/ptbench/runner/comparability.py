"""Whether two sides are about the same thing, and what else is not the same about them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from ptbench.cellidentity import changes
from ptbench.offers import SumMetric, TableMetric
from ptbench.records import Record
from ptbench.report import halved
from ptbench.runner.sides import Entry, Loaded
from ptbench.statistics.examples import same_examples
from ptbench.statistics.intervals import values_of
from ptbench.statistics.resampling import narrow

ALLOWANCES = ("data", "preprocessing", "metrics")
"""What a caller may ask to be compared all the same: other digests of the data or of the preprocessing, and
scores that another version of a metric gave."""
SAME = 1e-9
"""Relative; the sums of a metric may be added in another order on another machine."""
OF_MODEL = ("model", "weights", "preprocessing", "code of provider")
OF_PROTOCOL = ("protocol", "code of protocol")


def refusal_of_metrics(a: Entry, b: Entry) -> str:
    """Return why the metrics of two sides forbid to compare them; empty where they do not."""
    if a.primary != b.primary:
        return f"the primary metric changed ({a.primary or 'none'} -> {b.primary or 'none'})"
    if not a.primary:
        return "the task has no metric that is a number"
    before, now = _directions(a), _directions(b)
    if turned := [name for name in before if name in now and before[name] != now[name]]:
        return f"the direction of {turned[0]} changed"
    return ""


def refusals_of_digests(a: Entry, b: Entry) -> dict[str, str]:
    """Return why the digests of data and preprocessing do, by what must be allowed (`ALLOWANCES`)."""
    found = {}
    if _differ(a, b, "data"):
        found["data"] = "the data changed: inputs, or rows to train on, are not those of before"
    same_model = a.model == b.model and {r.reference for r in a.records} == {r.reference for r in b.records}
    if same_model and not _differ(a, b, "weights") and _differ(a, b, "preprocessing"):
        found["preprocessing"] = "the preprocessing changed, of the same weights"
    return found


def refusal_of_examples(metric: SumMetric | TableMetric, a: Loaded, b: Loaded) -> str:
    """Return why the predictions of two sides forbid to compare them; empty where they do not."""
    first, other = narrow(metric, a.runs[0]), narrow(metric, b.runs[0])
    if first.labels != other.labels:
        return f"the labels differ ({len(first.labels)} and {len(other.labels)}, or in another order)"
    before, now = set(first.ids), set(other.ids)
    if before != now or len(first) != len(other):
        return (
            f"other examples: {len(before & now)} in common, {len(before - now)} only in A, "
            f"{len(now - before)} only in B"
        )
    if not same_examples([narrow(metric, run) for run in (*a.runs, *b.runs)]):
        return "other examples: the same ids have other targets"
    if list(first.clusters or ()) != list(other.clusters or ()):
        return "other clusters of examples: run A again with the `cluster` of B"
    return ""


def refusal_of_version(metric: SumMetric | TableMetric, side: Loaded, name: str) -> str:
    """Return that the installed metric does not reproduce what the records of a side say, or nothing."""
    for record, tables in zip(side.entry.records, side.tables, strict=True):
        score = record.score(metric.name)
        values = values_of(metric, tables)
        value = math.fsum(values) / len(values)
        if score is None or (math.isnan(score.value) and math.isnan(value)):
            continue
        if not math.isclose(value, score.value, rel_tol=SAME, abs_tol=1e-12):
            return (
                f"{metric.name} of {name} was scored by another version of the metric, or its predictions "
                f"were changed ({_value(score.value)} then, {_value(value)} by the one installed)"
            )
    return ""


def differing_parts(a: Entry, b: Entry) -> tuple[str, ...]:
    """Return what else is not the same about two sides, a few words each.

    What belongs to the model is left out where the models are two, and so it is with protocols.
    """
    skipped = (OF_MODEL if a.model != b.model else ()) + (OF_PROTOCOL if a.label != b.label else ())
    told = [text for before, now in _pairs(a, b) for text in _changes(before, now, skipped)]
    seeds = [[record.seed for record in side.records] for side in (a, b)]
    return tuple(dict.fromkeys((*told, *_change("seeds", *seeds))))


def with_allowed(differs: Sequence[str], allowed: Collection[str]) -> tuple[str, ...]:
    """Return what differs with that first which was compared only because somebody allowed it."""
    used = [f"{name} changed, allowed" for name in allowed]
    rest = [text for text in differs if not text.startswith(tuple(f"{name} changed" for name in allowed))]
    return (*used, *rest)


def _directions(entry: Entry) -> dict[str, bool]:
    return {s.metric: s.higher_is_better for record in entry.records for s in record.scores}


def _differ(a: Entry, b: Entry, name: str) -> bool:
    """Whether both sides have digests of this, and they are not the same."""
    before, now = ({record.fingerprints.get(name, "") for record in side.records} for side in (a, b))
    return before != now and "" not in before | now


def _pairs(a: Entry, b: Entry) -> Iterator[tuple[Record, Record]]:
    """Yield records of equal seeds; where none are, each with any."""
    seeds = {record.seed: record for record in a.records}
    both = [(seeds[record.seed], record) for record in b.records if record.seed in seeds]
    yield from both or zip_longest(a.records[:1], b.records[:1])


def _changes(before: Record, now: Record, skipped: Sequence[str]) -> Iterator[str]:
    old, new = (
        {part: value for part, value in record.identity.items() if part not in skipped}
        for record in (before, now)
    )
    found = changes(old, new) if old and new else []
    yield from found
    for name in ("device", "precision"):
        if not any(text.startswith(f"{name} changed") for text in found):
            pair = getattr(before, name), getattr(now, name)
            yield from _change(name, *pair) if all(pair) else ()  # what was skipped has none
    if halved(before) != halved(now):
        yield f"memory was short in {'A' if halved(before) else 'B'}, where batches are smaller"


def _change(name: str, before: Any, now: Any) -> list[str]:
    return [] if before == now else [f"{name} changed ({_told(before)} -> {_told(now)})"]


def _value(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.6g}"


def _told(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return str(value) if value not in (None, "") else "none"

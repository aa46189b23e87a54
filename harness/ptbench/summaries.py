"""What a run came to, in one small file: the history of many nights and their index read nothing else.

``summary.json`` is made when a run ends, and anew where it is absent or where another file of the run
changed since.
It holds nothing that is not in them, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ptbench.comparison import Comparison
from ptbench.durable import PART
from ptbench.journal import RECORDS
from ptbench.pareto import Entry
from ptbench.plain import to_json
from ptbench.records import Record, Report, Standing, Status
from ptbench.report import grouped, ordered
from ptbench.store import COMPARISON, RUN, STANDINGS, read_report
from ptbench.surroundings import environment_of

SUMMARY = "summary.json"
SOURCES = (RUN, RECORDS, STANDINGS, COMPARISON)
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """One metric of an entry: the mean over its seeds. NaN: undefined."""

    metric: str
    value: float
    low: float
    high: float
    higher_is_better: bool


@dataclass(frozen=True, slots=True)
class EntrySummary:
    """A model under a protocol on a task, seeds together."""

    task: str
    model: str
    protocol: str
    status: str
    """``ok``, or what became of the first cell that did not end well."""
    primary: str
    seeds: int
    seconds: float | None
    """Of all seeds; None where not every one was measured in this very run."""
    identity: str
    """Digest of what its scores depend on: where it is the same, nothing changed that is known of."""
    scores: tuple[ScoreSummary, ...]

    @property
    def key(self) -> Entry:
        """What names it: the task, the model, the protocol."""
        return self.task, self.model, self.protocol


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in short."""

    suite: str
    run: str
    started: str
    finished: str
    status: str
    cells: int
    """Cells of the suite, also where the run did not come to them."""
    statuses: Mapping[str, int]
    """How many cells ended how."""
    environment: Mapping[str, str]
    """What the run was made with, item by item: versions, machine, commit, suite."""
    entries: tuple[EntrySummary, ...]
    gate: bool | None = None
    """Whether the comparison with the baseline found nothing worse; None where nobody compared."""
    verdicts: Mapping[str, int] = field(default_factory=dict)
    """How many rows of that comparison came out how."""
    against: str = ""
    """What it was compared with."""


def read_summary(folder: Path) -> Summary:
    """Return the summary of a run, which is kept in its folder where that can be written to.

    Raises `UsageError` where the folder holds no run, or a damaged one.
    """
    stamp = _stamp(folder)
    try:
        data = json.loads((folder / SUMMARY).read_bytes())
        if data["schema"] == SCHEMA and data["sources"] == stamp:
            return _from_json(data["summary"], folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    summary = summarise(read_report(folder))
    _keep(folder, stamp, summary)
    return summary


def keep_summary(report: Report) -> None:
    """Keep the summary of a run that has just ended, so that a history of many nights need not make it."""
    _keep(report.folder, _stamp(report.folder), summarise(report))


def summarise(report: Report) -> Summary:
    """Return a report in short."""
    run = report.run
    stand: dict[Entry, list[Standing]] = {}
    for standing in report.standings:
        stand.setdefault((standing.task, standing.model, standing.protocol), []).append(standing)
    groups = grouped(replace(report, records=tuple(ordered(report))))
    entries = [_entry(entry, records, stand.get(entry, ())) for entry, records in groups.items()]
    return Summary(
        suite=str(run.get("suite", "")),
        run=report.folder.resolve().name,
        started=str(run.get("started", "")),
        finished=str(run.get("finished", "")),
        status=str(run.get("status", "")),
        cells=run["cells"] if isinstance(run.get("cells"), int) else len(report.records),
        statuses=dict(Counter(record.status.value for record in report.records)),
        environment=environment_of(run),
        entries=tuple(entries),
        **_verdict(report.comparison),
    )


def missing_records(run: Report | Summary) -> str:
    """Return that a finished run has fewer records than it had cells, in words; "" where it has not."""
    if isinstance(run, Report):
        run = summarise(run)
    count = sum(run.statuses.values())
    if run.status != "finished" or count >= run.cells:
        return ""
    return f"{RECORDS} has {count:,} of the {run.cells:,} cells of this finished run; the others are lost"


def _keep(folder: Path, stamp: object, summary: Summary) -> None:
    with suppress(OSError):
        _write(folder / SUMMARY, {"schema": SCHEMA, "sources": stamp, "summary": _to_json(summary)})


def identity_digest(records: Iterable[Record]) -> str:
    """Return what stands for the identities of records, seed by seed; "" where they have none."""
    told = sorted((record.seed, sorted(record.identity.items())) for record in records if record.identity)
    return _digest([json.dumps(told)]) if told else ""


def _entry(entry: Entry, records: Sequence[Record], standings: Sequence[Standing]) -> EntrySummary:
    task, model, protocol = entry
    bad = [record.status for record in records if record.status is not Status.OK]
    spent = [None if record.reused else record.cost.seconds for record in records]
    primary = next((record.primary for record in records if record.primary), "")
    return EntrySummary(
        task=task,
        model=model,
        protocol=protocol,
        status=(bad[0] if bad else Status.OK).value,
        primary=primary,
        seeds=len(records),
        seconds=None if bad or None in spent else math.fsum(s for s in spent if s is not None),
        identity=identity_digest(records),
        scores=() if bad else tuple(_scores(records, {s.metric: s for s in standings}, primary)),
    )


def _scores(records: Sequence[Record], stand: Mapping[str, Standing], primary: str) -> Iterator[ScoreSummary]:
    """Yield the scores of an entry, the primary one first; those of a run that was killed nobody averaged."""
    for score in sorted(records[0].scores, key=lambda score: score.metric != primary):
        if standing := stand.get(score.metric):
            numbers = standing.value, standing.ci_low, standing.ci_high
        elif len(records) == 1:
            numbers = score.value, score.ci_low, score.ci_high
        else:
            found = [one.value for record in records if (one := record.score(score.metric))]
            numbers = math.fsum(found) / len(found), math.nan, math.nan
        yield ScoreSummary(score.metric, *numbers, score.higher_is_better)


def _verdict(comparison: Comparison | None) -> dict[str, Any]:
    """Return what a comparison with the baseline came to; nothing where there is none."""
    if comparison is None:
        return {}
    verdicts = Counter(row.verdict.value for row in comparison.rows)
    passed = comparison.comparable and not comparison.regressed
    return {"gate": passed, "verdicts": dict(verdicts), "against": comparison.a}


def _to_json(summary: Summary) -> dict[str, Any]:
    """Return a summary as JSON data: entries and scores are rows, in the order of their fields."""
    told: dict[str, Any] = to_json(replace(summary, entries=()))
    rows = [[*_row(entry)[:-1], [_row(score) for score in entry.scores]] for entry in summary.entries]
    return {**told, "entries": to_json(rows)}


def _row(value: EntrySummary | ScoreSummary) -> list[Any]:
    return [getattr(value, one.name) for one in fields(value)]


def _from_json(data: Mapping[str, Any], folder: Path) -> Summary:
    entries = []
    for *row, scores in data["entries"]:
        found = [
            ScoreSummary(metric, _number(value), _number(low), _number(high), higher)
            for metric, value, low, high, higher in scores
        ]
        entries.append(EntrySummary(*[*row, tuple(found)]))
    return Summary(**{**data, "run": folder.resolve().name, "entries": tuple(entries)})  # it may be a copy


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _stamp(folder: Path) -> dict[str, list[int]]:
    """Return sizes and times of what a summary is made from."""
    found = {}
    for name in SOURCES:
        with suppress(OSError):
            facts = os.stat(folder / name)
            found[name] = [facts.st_size, facts.st_mtime_ns]
    return found


def _write(path: Path, data: Any) -> None:
    """Replace a file at once; two processes may do so together. What a power cut spoils is made again."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        part.write_text(json.dumps(data, separators=(",", ":"), allow_nan=False), "ascii")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:16]

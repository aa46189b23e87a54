"""A report as event files for TensorBoard: a run of TensorBoard per model, protocol and seed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ptbench import Record, Report, markdown_text, ordered, printable, shortened, slug
from ptbench_trackers.events import Events
from ptbench_trackers.numbers import costs_of, curves_of, milliseconds, scores_of

FOLDER = "tensorboard"
MAX_NAME = 100
"""Characters of each part of a tag."""
Entry = tuple[str, str, int]
"""Model, protocol with its options, seed."""


def write_boards(report: Report, folder: Path) -> list[Path]:
    """Write event files below ``tensorboard/``: one per model, protocol and seed, and one for the report.

    Tags are ``task/metric`` with ``task/metric/ci_low`` and ``…/ci_high``, ``task/cost/seconds`` and others,
    and for curves ``task/shots/accuracy (test)``, ``task/epoch/loss (train, head)`` and the like, whose steps
    are shots or epochs. A record without numbers has settings only.
    """
    root = folder / FOLDER
    groups: dict[Entry, list[Record]] = {}
    for record in ordered(report):
        groups.setdefault((record.model, record.label, record.seed), []).append(record)
    names = _names(list(groups))
    written = [_write(root / names[entry], entry, records) for entry, records in groups.items()]
    times = [milliseconds(record.finished) or 0 for record in report.records]
    with Events(root, max(times, default=0) / 1000) as events:
        events.text("report", markdown_text(report))
    return [events.path, *written]


def _write(folder: Path, entry: Entry, records: Sequence[Record]) -> Path:
    model, protocol, seed = entry
    began = min((milliseconds(record.started) or 0 for record in records), default=0)
    taken: Counter[str] = Counter()
    with Events(folder, began / 1000) as events:
        told = {"model": model, "reference": records[0].reference, "protocol": protocol}
        events.settings({name: _plain(text) for name, text in told.items()} | {"seed": seed})
        for record in records:
            for parts, points in _series(record):
                tag = "/".join(map(_plain, parts))
                taken[tag] += 1  # names that are cut, or have a slash, may meet
                mark = f" ({taken[tag]})" if taken[tag] > 1 else ""
                for step, value in points:
                    events.scalar(tag + mark, value, step)
    return events.path


def _series(record: Record) -> Iterator[tuple[tuple[str, ...], Sequence[tuple[int, float]]]]:
    """Yield the parts of a tag, and its values by step."""
    for metric, end, value in scores_of(record):
        yield (record.task, metric, end) if end else (record.task, metric), [(0, value)]
    for name, value in costs_of(record).items():
        yield (record.task, "cost", name), [(0, value)]
    for curve in curves_of(record):
        name = f"{curve.name} ({curve.of})" if curve.of else curve.name
        yield (record.task, curve.x, name), curve.points


def _plain(text: str) -> str:
    return printable(shortened(text, MAX_NAME))


def _names(entries: Sequence[Entry]) -> dict[Entry, str]:
    """Return a folder for each entry; where names that differ would become one, a digest tells them apart."""
    words = {entry: " ".join((*entry[:2], f"s{entry[2]}")) for entry in entries}
    short = {entry: slug(f"{slug(' '.join(entry[:2]))}-s{entry[2]}") for entry in entries}
    times = Counter(name.lower() for name in short.values())
    return {
        entry: name if times[name.lower()] == 1 else f"{name}-{_digest(words[entry])}"
        for entry, name in short.items()
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]

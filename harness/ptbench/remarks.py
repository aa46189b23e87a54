"""What a reader must know beside the numbers: why cells failed, and which notes are about what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ptbench.records import Record, Report, Status
from ptbench.report import ordered

Reason = tuple[Status, str]
"""What became of cells, and the error."""


def reasons_of(report: Report) -> dict[Reason, list[Record]]:
    """Return the records that did not end well by the reason, in the order of the suite.

    Reasons are one where they differ in nothing but the titles of their cells, which are then left out.
    """
    found: dict[Reason, list[Record]] = {}
    bad = tuple(record for record in report.records if record.status is not Status.OK)
    for record in ordered(replace(report, records=bad)):
        found.setdefault((record.status, _untitled(record)), []).append(record)
    return {
        (status, error if len(records) > 1 else records[0].error): records
        for (status, error), records in found.items()
    }


def _untitled(record: Record) -> str:
    return record.error.removeprefix(f"{record.title}: ").replace(record.title, "this cell")


def notes_of(records: Sequence[Record]) -> dict[str, dict[str, dict[str, None]]]:
    """Return each note with the models and, in order, the tasks of each that it is about."""
    notes: dict[str, dict[str, dict[str, None]]] = {}
    for record in records:
        primary = record.score(record.primary)
        caveats = primary.caveat.split("; ") if primary and primary.caveat else []
        allowed = [f"the suite allowed {word}" for word in record.trust]
        for note in (*record.notes, *caveats, *allowed):
            notes.setdefault(note, {}).setdefault(record.model, {})[record.task] = None
    return notes


def where_of(places: dict[str, dict[str, None]], everyone: set[str]) -> str:
    """Return what a note is about, in words; models are named where it is not about every one of them.

    >>> where_of({"a": {"t": None}, "b": {"t": None, "u": None}}, {"a", "b"})
    't, u'
    >>> where_of({"a": {"t": None}}, {"a", "b"})
    'a: t'
    """
    if set(places) == everyone:
        return ", ".join(dict.fromkeys(task for found in places.values() for task in found))
    return "; ".join(f"{model}: {', '.join(found)}" for model, found in places.items())

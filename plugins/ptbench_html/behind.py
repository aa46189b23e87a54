"""What lies behind a score, from the predictions that are kept: labels that are confused, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from ptbench import DataError, Predictions, Status, confusion, read_runs, reliability
from ptbench_html.view import Entry, View

MOST_PLACES = 300
"""Files of predictions that are read."""
MOST_BYTES = 2**28
"""Bytes of them, together."""
MOST_LABELS = 30
"""With more labels, the page names the most frequent mistakes and draws no matrix."""
MISTAKES = 20


@dataclass
class Behind:
    """Of the places that were looked behind, what was found; JSON data."""

    places: dict[str, Any] = field(default_factory=dict)
    """``"task,entry"`` to the confusions and the bins."""
    labels: list[tuple[str, ...]] = field(default_factory=list)
    left_out: int = 0
    """Places whose predictions were not read, since there are so many."""
    unreadable: int = 0


def look_behind(view: View) -> Behind:
    """Read predictions of the best on each task first, until there are enough."""
    found = Behind()
    tasks = {task: i for i, task in enumerate(view.tasks)}
    entries = {entry: i for i, entry in enumerate(view.entries)}
    seen, read = 0, 0
    for task, entry in _best_first(view):
        record = next((r for r in view.groups[(task, *entry)] if r.status is Status.OK), None)
        name = next((name for name in record.files if name.endswith(".parquet")), None) if record else None
        if record is None or name is None:
            continue
        path = view.file(name)
        if path is None:
            found.unreadable += 1
            continue
        size = path.stat().st_size
        if seen >= MOST_PLACES or read + size > MOST_BYTES:
            found.left_out += 1
            continue
        seen, read = seen + 1, read + size
        try:
            runs = read_runs(path, ("target", "prediction", "scores"))
            told = _told(runs[0], found)
        except (DataError, ValueError, IndexError):
            found.unreadable += 1
            continue
        if told:
            several = len(runs) > 1 or len(view.groups[(task, *entry)]) > 1
            about = f"seed {record.seed}" + (", first draw" if len(runs) > 1 else "") if several else ""
            found.places[f"{tasks[task]},{entries[entry]}"] = {**told, "about": about}
    return found


def _told(table: Predictions, found: Behind) -> Mapping[str, Any]:
    """Return confusions and bins of one table as JSON data; empty where it has no labels."""
    matrix = confusion(table)
    if matrix is None:
        return {}
    told: dict[str, Any] = {}
    if len(matrix.labels) <= MOST_LABELS:
        if matrix.labels not in found.labels:
            found.labels.append(matrix.labels)
        told |= {"labels": found.labels.index(matrix.labels), "counts": matrix.counts.tolist()}
    else:
        right = int(matrix.counts.trace())
        told |= {"right": right, "n": len(table), "mistakes": matrix.mistakes(MISTAKES)}
    bins = [
        [_short(b.confidence), _short(b.accuracy), _short(b.accuracy_low), _short(b.accuracy_high), b.n]
        for b in reliability(table)
    ]
    return {**told, "bins": bins} if bins else told


def _best_first(view: View) -> Iterator[tuple[str, Entry]]:
    """Yield the best of every task, then the second of every task, and so on."""
    ranked = [[(task, entry) for entry in view.ranked(task)] for task in view.tasks]
    for some in zip_longest(*ranked):
        yield from filter(None, some)


def _short(value: float) -> float:
    return round(value, 4)

"""Flips: the examples that went from right to wrong and back, or whose error grew or shrank most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.catalog import Catalog
from ptbench.comparison import Compared, Side
from ptbench.data import Predictions
from ptbench.details import is_labelled, is_numbers
from ptbench.errors import DataError
from ptbench.records import Report, Status
from ptbench.runner.inputs import Row, TaskData
from ptbench.store import read_runs

COLUMNS = ("target", "prediction", "scores")


@dataclass(frozen=True, slots=True)
class Flip:
    """One example, before and after; over several seeds: the most frequent label, the mean of numbers."""

    id: str
    target: str | float
    a: str | float
    b: str | float
    error_a: float
    """Labels: the share of the runs that are wrong (one run: 0 or 1); numbers: the mean absolute error."""
    error_b: float
    inputs: Row = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flips:
    """The flips of one row of a comparison; in either direction the largest change of the error first."""

    task: str
    a: Side
    b: Side
    n: int = 0
    """Examples that both sides predicted."""
    labelled: bool = True
    runs: int = 1
    """Seeds and draws of the side that has more of them."""
    lost: tuple[Flip, ...] = ()
    """B is wrong, or further off."""
    gained: tuple[Flip, ...] = ()
    """B is right, or nearer."""
    lost_count: int = 0
    gained_count: int = 0
    """How many there are in all."""
    note: str = ""
    """Why there are none, or no inputs."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the runs of one side say of the same examples."""

    runs: Sequence[Predictions]

    @property
    def table(self) -> Predictions:
        return self.runs[0]

    def take(self, ids: Sequence[str]) -> _Seen:
        """Return these examples, in this order."""
        return _Seen([_ordered(run, ids) for run in self.runs])

    def errors(self) -> NDArray[np.float64]:
        """Return the mean error over the runs: float64[n]."""
        return np.asarray(np.mean([_error(run) for run in self.runs], axis=0), np.float64)

    def prediction(self, i: int) -> str | float:
        """Return what they predict for an example: the most frequent label, or the mean of the numbers."""
        values = [run["prediction"][i] for run in self.runs]
        if self.table.labels:
            return self.table.labels[int(Counter(values).most_common(1)[0][0])]
        return float(np.mean(values))


def find_flips(
    rows: Sequence[Compared], a: Report, b: Report, catalog: Catalog, most: int | None = None
) -> list[Flips]:
    """Return the flips of rows of a comparison of two runs, or of models of one, with their inputs.

    ``most``: at most so many in either direction; None: all. What cannot be told is in `Flips.note`, and
    nothing is raised for it: predictions that are gone, data that cannot be read.
    """
    data = TaskData(a, catalog), TaskData(b, catalog)
    by_task = sorted(range(len(rows)), key=lambda i: rows[i].task)  # the data of each is then read once
    found = {i: _flips_of(rows[i], data, most) for i in by_task}
    return [found[i] for i in range(len(rows))]


def _flips_of(row: Compared, data: tuple[TaskData, TaskData], most: int | None) -> Flips:
    empty = Flips(row.task, row.a, row.b)
    try:
        a, b = (read_side(one.report, row.task, side) for one, side in zip(data, (row.a, row.b), strict=True))
        found = _found(empty, _Seen(a), _Seen(b), most)
    except DataError as error:
        return replace(empty, note=str(error))
    return _with_inputs(found, (a[0], b[0]), data)


def read_side(report: Report, task: str, side: Side) -> list[Predictions]:
    """Return what a model under a protocol predicted on a task: a table per seed and draw of training rows.

    Raises `DataError` where there is none, or where a file is damaged.
    """
    records = [
        record
        for record in sorted(report.records, key=lambda record: record.seed)
        if (record.task, record.model, record.label) == (task, *side) and record.status is Status.OK
    ]
    files = [record.files[0] for record in records if record.files]
    if not files:
        raise DataError(f"there are no predictions of {side[0]} x {task} x {side[1]}")
    return [run for name in files for run in read_runs(report.folder / name, COLUMNS)]


def _found(row: Flips, a: _Seen, b: _Seen, most: int | None) -> Flips:
    there = set(b.table.ids)
    ids = [name for name in a.table.ids if name in there]
    a, b = a.take(ids), b.take(ids)
    labelled = all(is_labelled(run) for run in (*a.runs, *b.runs))
    if not labelled and not all(is_numbers(run) for run in (*a.runs, *b.runs)):
        raise DataError("no example is right or wrong alone here, and so none flips")
    before, after = a.errors(), b.errors()
    change = after - before
    lost, gained = np.flatnonzero(change > 0), np.flatnonzero(change < 0)

    def told(i: int) -> Flip:
        target = a.table["target"][i]
        right = a.table.labels[int(target)] if labelled else float(target)
        return Flip(ids[i], right, a.prediction(i), b.prediction(i), float(before[i]), float(after[i]))

    def first(places: NDArray[np.intp], sure: NDArray[np.float64]) -> tuple[Flip, ...]:
        """Of equal changes those come first that the side in the wrong is most sure of."""
        order = np.lexsort((-sure[places], -np.abs(change[places])))
        return tuple(told(int(i)) for i in places[order][:most])

    return replace(
        row,
        n=len(ids),
        labelled=labelled,
        runs=max(len(a.runs), len(b.runs)),
        lost=first(lost, _confidence(b.table)),
        gained=first(gained, _confidence(a.table)),
        lost_count=len(lost),
        gained_count=len(gained),
    )


def _ordered(table: Predictions, ids: Sequence[str]) -> Predictions:
    if list(table.ids) == list(ids):
        return table
    place = {name: i for i, name in enumerate(table.ids)}
    try:
        return table.take([place[name] for name in ids])
    except KeyError:
        raise DataError("the seeds of a side have other examples each, and so none flips") from None


def _error(table: Predictions) -> NDArray[np.float64]:
    target, prediction = table["target"], table["prediction"]
    if table.labels:
        return np.asarray(target != prediction, np.float64)
    return np.abs(np.asarray(prediction, np.float64) - np.asarray(target, np.float64))


def _confidence(table: Predictions) -> NDArray[np.float64]:
    if "scores" in table and np.ndim(table["scores"]) == 2:
        top: NDArray[Any] = np.asarray(table["scores"]).max(axis=1)
        return top.astype(np.float64)
    return np.zeros(len(table))


def _with_inputs(found: Flips, tables: Sequence[Predictions], data: Sequence[TaskData]) -> Flips:
    """Return flips with their inputs, from the data of B where it is there, else from that of A."""
    ids = [flip.id for flip in (*found.lost, *found.gained)]
    if not ids:
        return found
    inputs = data[1].inputs(found.task, tables[1], ids)
    if inputs.why_not:
        earlier = data[0].inputs(found.task, tables[0], ids)
        if earlier.why_not:
            return replace(found, note=f"without inputs: {inputs.why_not}")
        inputs = earlier

    def told(flips: tuple[Flip, ...]) -> tuple[Flip, ...]:
        return tuple(replace(flip, inputs=inputs.rows.get(flip.id, {})) for flip in flips)

    return replace(found, lost=told(found.lost), gained=told(found.gained))

"""The inputs of examples that a finished run predicted, as far as the source can still give them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, SupportsBytes

import numpy as np

from ptbench.catalog import Catalog
from ptbench.data import Predictions, Split, Task
from ptbench.errors import DataError, PtbenchError, one_line
from ptbench.loading import load_task
from ptbench.records import Report, TaskSpec
from ptbench.runner.asked import suite_of
from ptbench.runner.resolve import resolve_tasks

Row = Mapping[str, str]
"""Input column to what is in it, as text."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a model got to see of some examples."""

    rows: Mapping[str, Row] = field(default_factory=dict)
    """By the id of the example."""
    why_not: str = ""
    """Why there are none, in one line."""


class TaskData:
    """The data of the tasks of a run, as its suite has them; that of the last one asked for is kept."""

    def __init__(self, report: Report, catalog: Catalog) -> None:
        self.report = report
        self.catalog = catalog
        self._name = ""
        self._task: Task | PtbenchError = DataError("nothing was read")

    def inputs(self, task: str, table: Predictions, ids: Collection[str]) -> Inputs:
        """Return the inputs of the examples of a task that have these ids.

        ``table`` has predictions of the run for this task: where the data that is there now has other ids or
        targets, its inputs would be those of other examples, and none is given. Nothing is raised for data
        that cannot be read: `Inputs.why_not` says so.
        """
        if task != self._name:
            self._name, self._task = task, self._load(task)
        try:
            if isinstance(self._task, PtbenchError):
                raise self._task
            test = self._task.split("test")
            places = _places(test, self._task, table)
            wanted = [(name, places[name]) for name in dict.fromkeys(ids) if name in places]
            columns = test.examples.columns
            return Inputs(
                {name: {column: text_of(columns[column][i]) for column in columns} for name, i in wanted}
            )
        except PtbenchError as error:
            return Inputs(why_not=one_line(error))
        except Exception as error:  # a source is somebody else's code, and the inputs are an extra
            return Inputs(why_not=f"the data of task '{task}' cannot be read: {one_line(error)}")

    def _load(self, name: str) -> Task | PtbenchError:
        try:
            return load_task(*_spec(self.report, name, self.catalog), self.catalog)
        except PtbenchError as error:
            return error
        except Exception as error:  # likewise
            return DataError(f"the data of task '{name}' cannot be read: {one_line(error)}")


def text_of(value: Any) -> str:
    """Return an input as text: texts and numbers as they are, names of files, the size of all else.

    >>> text_of("a film"), text_of(1.5), text_of(None), text_of(bytes(1000)), text_of(np.zeros((2, 3)))
    ('a film', '1.5', '', '1,000 bytes', 'array of 2 x 3')
    """
    match value:
        case None:
            return ""
        case str():
            return value
        case PurePath():
            return str(value)
        case bytes():
            return f"{len(value):,} bytes"
        case np.ndarray():
            return f"array of {' x '.join(map(str, value.shape))}"
        case SupportsBytes() if not isinstance(value, np.generic):
            return f"{len(bytes(value)):,} bytes"
    return str(value)


def _spec(report: Report, name: str, catalog: Catalog) -> tuple[TaskSpec, Path]:
    """Return a task as the text of a run's suite has it, and where its relative paths start."""
    suite = suite_of(report.run)
    if name not in suite.tasks:
        raise DataError(f"the suite of the run has no task '{name}'")
    entry = suite.tasks[name]
    suite = replace(suite, tasks={name: entry}, mistakes=suite.mistakes if entry.broken else ())
    specs, mistakes = resolve_tasks(suite, catalog)
    if mistakes or not specs:
        raise DataError("; ".join(mistakes) or f"task '{name}' cannot be made here")
    return specs[0], suite.path.parent


def _places(test: Split, task: Task, table: Predictions) -> dict[str, int]:
    """Return where each example stands in the test split. Raises `DataError` where it is not that of then."""
    places = {str(name): i for i, name in enumerate(test.examples.ids)}
    found = [places.get(name, -1) for name in table.ids]
    if min(found, default=0) < 0 or not _same(test.targets[found], task.labels, table):
        raise DataError(f"the data of task '{task.name}' is no longer what the run saw; inputs are not shown")
    return places


def _same(targets: Any, labels: tuple[str, ...], table: Predictions) -> bool:
    if "target" not in table or np.ndim(targets) != 1:
        return True  # nothing by which to tell
    if not labels:
        return bool(np.array_equal(targets, table["target"]))
    return bool(np.array_equal(_named(targets, labels), _named(table["target"], table.labels)))


def _named(positions: Any, labels: tuple[str, ...]) -> Any:
    return np.asarray(labels, object)[np.asarray(positions, np.intp)]

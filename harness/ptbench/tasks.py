"""From rows to a task: the part of an adapter that is the same for every kind, with its checks.

Every complaint names the task, the split, the row and the column, because whoever reads it has the
file open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsBytes

import numpy as np
from numpy.typing import NDArray

from ptbench.cut import UNCUT
from ptbench.data import Examples, Rows, Split, Task
from ptbench.errors import DataError, nearest
from ptbench.labels import check_no_lists, check_trained, label_positions, label_space, short
from ptbench.offers import Kind, TaskRequest


def build_task(
    kind: Kind,
    rows: Mapping[str, Rows],
    request: TaskRequest,
    *,
    inputs: Mapping[str, str],
    target: str,
    id_column: str | None = None,
    labels: Sequence[str] | Mapping[str, str] | None = None,
) -> Task:
    """Build a task from splits of rows and check every row of it.

    Args:
        kind: The kind of the task; it says which target is expected.
        rows: Splits named train, validation and test (any of them), as a source gave them.
        request: The task's name, metrics and provenance.
        inputs: Input column of the kind to column of the data, such as ``{"text": "review"}``.
        target: The column of the data that holds the target.
        id_column: The column that holds ids; without one a row's id is its split and number, or, where
            the data was cut, its number before that (`ptbench.cut.UNCUT`).
        labels: The label space in order; a mapping renames, from the value in the data to the label.
            Without it, the labels are the values that occur in train, sorted (numbers by size).

    Raises:
        DataError: A column or the cluster of a row is missing, a split is empty, a text or target is
            missing, a target is not a finite number, a label is not in the label space, two rows have one id.
    """
    where = f"task '{request.name}'" + (f" ({request.where})" if request.where else "")
    splits = {name: columns for name, columns in rows.items() if columns}
    if not splits:
        raise DataError(f"{where}: there are no rows at all")
    for split, columns in splits.items():
        others = [column for column in (id_column, request.cluster) if column]
        for column in [*inputs.values(), target, *others]:
            if column not in columns:
                raise DataError(f"{where}: {split} has no column '{column}'; {nearest(column, columns)}")
        if not len(columns[target]):
            raise DataError(f"{where}: {split} is empty")
    if kind.target.type == "label":
        check_no_lists(splits, target, where)
    if id_column is None and all(UNCUT in columns for columns in splits.values()):
        id_column = UNCUT
    space, renamed = label_space(kind, splits, target, labels, where)
    built = {}
    owner: dict[str, str] = {}
    for split, columns in splits.items():
        here = f"{where}: {split}"
        ids = _ids(columns, id_column, split, here, owner)
        values = columns[target]
        examples = Examples(
            ids,
            {
                column.name: _inputs(columns[inputs[column.name]], column.type, here, inputs[column.name])
                for column in kind.inputs
                if column.name in inputs
            },
        )
        if kind.target.type == "label":
            if labels is None and "train" in splits:
                check_trained(splits, target, here, values, space)
            targets: NDArray[Any] = label_positions(values, space, renamed, here, target)
        elif kind.target.type == "number":
            targets = _numbers(values, here, target)
        else:
            targets = np.asarray(values, dtype=object)
        built[split] = Split(examples, targets, _clusters(columns, request.cluster, here))
    note = request.options.get("note", "")
    return Task(request.name, kind.name, built, request.metrics, space, str(note))


def _ids(columns: Rows, id_column: str | None, split: str, here: str, owner: dict[str, str]) -> list[str]:
    if id_column is None:
        return [f"{split}-{i}" for i in range(len(next(iter(columns.values()))))]
    ids = [str(value) for value in columns[id_column]]
    for row, example_id in enumerate(ids, start=1):
        place = f"{here}, row {row}"
        if example_id in owner:
            raise DataError(
                f"{place}: id '{short(example_id)}' is that of {owner[example_id]} too; "
                f"ids in '{id_column}' must differ"
            )
        owner[example_id] = f"{split}, row {row}"
    return ids


def _clusters(columns: Rows, column: str, here: str) -> list[str] | None:
    if not column:
        return None
    clusters = []
    for row, value in enumerate(columns[column], start=1):
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            raise DataError(f"{here}, row {row}: '{column}' is missing; every row needs its cluster")
        clusters.append(str(value))
    return clusters


def _inputs(values: Sequence[Any], column_type: str, here: str, column: str) -> Sequence[Any]:
    if column_type != "text":
        return values
    texts = []
    for row, value in enumerate(values, start=1):
        if value is None or (isinstance(value, float) and math.isnan(value)):
            raise DataError(f"{here}, row {row}: '{column}' is missing; fill it or take the row out")
        if isinstance(value, SupportsBytes | list | tuple | dict):  # bytes, or what stands for an image
            raise DataError(f"{here}, row {row}: '{column}' is a {type(value).__name__}, not a text")
        texts.append(str(value))
    return texts


def _numbers(values: Sequence[Any], here: str, column: str) -> NDArray[np.float64]:
    targets = np.empty(len(values), dtype=np.float64)
    for row, value in enumerate(values):
        try:
            targets[row] = float(value)
        except (TypeError, ValueError):
            targets[row] = math.nan
        if not math.isfinite(targets[row]):
            raise DataError(
                f"{here}, row {row + 1}: '{column}' is '{short(str(value))}', not a finite number"
            )
    return targets

"""From rows to a task: the part of an adapter that is the same for every kind, with its checks.

Every complaint names the task, the split, the row and the column, because whoever reads it has the
file open.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, SupportsBytes

import numpy as np
from numpy.typing import NDArray

from ptbench.cut import UNCUT
from ptbench.data import Examples, Rows, Split, Task
from ptbench.errors import DataError, nearest
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
        DataError: A column is missing, a split is empty, a text or target is missing, a target is
            not a finite number, a label is not in the label space, two rows have one id.
    """
    where = f"task '{request.name}'" + (f" ({request.where})" if request.where else "")
    splits = {name: columns for name, columns in rows.items() if columns}
    if not splits:
        raise DataError(f"{where}: there are no rows at all")
    for split, columns in splits.items():
        for column in [*inputs.values(), target, *([id_column] if id_column else [])]:
            if column not in columns:
                raise DataError(f"{where}: {split} has no column '{column}'; {nearest(column, columns)}")
        if not len(columns[target]):
            raise DataError(f"{where}: {split} is empty")
    if kind.target.type == "label":
        _no_lists(splits, target, where)
    if id_column is None and all(UNCUT in columns for columns in splits.values()):
        id_column = UNCUT
    space, renamed = _label_space(kind, splits, target, labels, where)
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
                _trained(splits, target, here, values, space)
            targets: NDArray[Any] = _labels(values, space, renamed, here, target)
        elif kind.target.type == "number":
            targets = _numbers(values, here, target)
        else:
            targets = np.asarray(values, dtype=object)
        built[split] = Split(examples, targets)
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
                f"{place}: id '{_short(example_id)}' is that of {owner[example_id]} too; "
                f"ids in '{id_column}' must differ"
            )
        owner[example_id] = f"{split}, row {row}"
    return ids


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


def _no_lists(splits: Mapping[str, Rows], target: str, where: str) -> None:
    """Check that no label is a row of numbers, as one-hot labels are."""
    for split, columns in splits.items():
        for row, value in enumerate(columns[target], start=1):
            if isinstance(value, list | tuple | dict) or (isinstance(value, np.ndarray) and value.ndim):
                what = "table" if isinstance(value, dict) else "list"
                text = _short(" ".join(str(value).split()))
                raise DataError(
                    f"{where}: {split}, row {row}: '{target}' is a {what} ({text}); a label was expected, "
                    "such as the position of the one in a one-hot list"
                )


def _trained(
    splits: Mapping[str, Rows], target: str, here: str, values: Sequence[Any], space: Sequence[str]
) -> None:
    """Check that train, which says what labels there are, has those of another split."""
    new = {_label(value): row for row, value in reversed(list(enumerate(values, start=1)))}
    lost = sorted(new.keys() - {"", *space}, key=lambda one: new[one])
    if not lost:
        return
    name = lost[0]
    total = sum(_label(value) == name for columns in splits.values() for value in columns[target])
    known = f"; train has {', '.join(map(_short, space))}" if len(space) <= 12 else ""
    others = f", and so it is with {len(lost) - 1} more" if len(lost) > 1 else ""
    raise DataError(
        f"{here}, row {new[name]}: label '{_short(name)}' has no row in train ({total} in all{known})"
        f"{others}; name the labels with labels = [...], or, if the data is cut, take another cut_seed or a "
        "smaller share"
    )


def _label_space(
    kind: Kind,
    splits: Mapping[str, Rows],
    target: str,
    labels: Sequence[str] | Mapping[str, str] | None,
    where: str,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the labels in order and what each value of the data is called."""
    if kind.target.type != "label":
        if labels:
            raise DataError(f"{where}: 'labels' makes no sense, since {kind.name} has no labels")
        return (), {}
    first = splits.get("train") or next(iter(splits.values()))
    if labels is None:
        space = _ordered({_label(value) for value in first[target]} - {""})
    else:
        space = _named(labels, where)
    if len(space) < 2:
        there = f"only '{_short(space[0])}'" if space else "none"
        column = target if labels is None else "labels"
        raise DataError(f"{where}: '{column}' has {there} as label; two are the least")
    if labels is None and len(space) > 100 and len(space) > len(first[target]) / 2:
        raise DataError(
            f"{where}: '{target}' has {len(space)} different values in {len(first[target])} rows; "
            "it looks like a number or a text, not a label (name the labels to insist)"
        )
    return space, {**{label: label for label in space}, **(labels if isinstance(labels, Mapping) else {})}


def _named(labels: Sequence[str] | Mapping[str, str], where: str) -> tuple[str, ...]:
    """Return the labels that a suite names, in its order."""
    if isinstance(labels, str):
        raise DataError(
            f"{where}: 'labels' is the text {_short(labels)!r}; a list of labels was expected, as in "
            '["a", "b"]'
        )
    named = list(labels.values()) if isinstance(labels, Mapping) else list(labels)
    for label in named:
        if not isinstance(label, str):
            hint = f'; write "{_label(label)}"' if isinstance(label, int | float) else ""
            raise DataError(f"{where}: 'labels' has {label!r}; texts in quotes were expected{hint}")
    space = tuple(dict.fromkeys(named))
    if len(space) < len(named) and not isinstance(labels, Mapping):
        raise DataError(f"{where}: 'labels' names one label twice")
    return space


def _ordered(found: Collection[str]) -> tuple[str, ...]:
    """Return labels sorted, numbers by size; a function of the set, so the same in every process."""
    try:
        sizes = {label: float(label) for label in found}
    except ValueError:
        return tuple(sorted(found))
    if not all(map(math.isfinite, sizes.values())):  # nan has no place among numbers
        return tuple(sorted(found))
    return tuple(sorted(sizes, key=lambda label: (sizes[label], label)))  # "1", "01" and "1.0" are one size


def _labels(
    values: Sequence[Any],
    space: tuple[str, ...],
    renamed: Mapping[str, str],
    here: str,
    column: str,
) -> NDArray[np.int64]:
    position = {label: i for i, label in enumerate(space)}
    known = {value: position[label] for value, label in renamed.items()}
    targets = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        name = _label(value)
        if name not in known:
            what = f"'{column}' is missing" if not name else f"unknown label '{_short(name)}'"
            raise DataError(f"{here}, row {row + 1}: {what}; {nearest(name, known)}")
        targets[row] = known[name]
    return targets


def _numbers(values: Sequence[Any], here: str, column: str) -> NDArray[np.float64]:
    targets = np.empty(len(values), dtype=np.float64)
    for row, value in enumerate(values):
        try:
            targets[row] = float(value)
        except (TypeError, ValueError):
            targets[row] = math.nan
        if not math.isfinite(targets[row]):
            raise DataError(
                f"{here}, row {row + 1}: '{column}' is '{_short(str(value))}', not a finite number"
            )
    return targets


def _label(value: Any) -> str:
    """Return a label as text: 1, 1.0 and "1" are one label; a missing value is ""."""
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return ""
        return str(int(value)) if float(value).is_integer() else str(value)
    return str(value).strip()


def _short(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"

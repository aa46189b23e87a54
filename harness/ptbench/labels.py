"""The labels of a task: which there are, in which order, and what the values of the data are called."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Rows
from ptbench.errors import DataError, nearest
from ptbench.offers import Kind


def label_space(
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
        space = _ordered({label_text(value) for value in first[target]} - {""})
    else:
        space = _named(labels, where)
    if len(space) < 2:
        there = f"only '{short(space[0])}'" if space else "none"
        column = target if labels is None else "labels"
        raise DataError(f"{where}: '{column}' has {there} as label; two are the least")
    if labels is None and len(space) > 100 and len(space) > len(first[target]) / 2:
        raise DataError(
            f"{where}: '{target}' has {len(space)} different values in {len(first[target])} rows; "
            "it looks like a number or a text, not a label (name the labels to insist)"
        )
    return space, {**{label: label for label in space}, **(labels if isinstance(labels, Mapping) else {})}


def check_no_lists(splits: Mapping[str, Rows], target: str, where: str) -> None:
    """Check that no label is a row of numbers, as one-hot labels are."""
    for split, columns in splits.items():
        for row, value in enumerate(columns[target], start=1):
            if isinstance(value, list | tuple | dict) or (isinstance(value, np.ndarray) and value.ndim):
                what = "table" if isinstance(value, dict) else "list"
                text = short(" ".join(str(value).split()))
                raise DataError(
                    f"{where}: {split}, row {row}: '{target}' is a {what} ({text}); a label was expected, "
                    "such as the position of the one in a one-hot list"
                )


def check_trained(
    splits: Mapping[str, Rows], target: str, here: str, values: Sequence[Any], space: Sequence[str]
) -> None:
    """Check that train, which says what labels there are, has those of another split."""
    new = {label_text(value): row for row, value in reversed(list(enumerate(values, start=1)))}
    lost = sorted(new.keys() - {"", *space}, key=lambda one: new[one])
    if not lost:
        return
    name = lost[0]
    total = sum(label_text(value) == name for columns in splits.values() for value in columns[target])
    known = f"; train has {', '.join(map(short, space))}" if len(space) <= 12 else ""
    others = f", and so it is with {len(lost) - 1} more" if len(lost) > 1 else ""
    raise DataError(
        f"{here}, row {new[name]}: label '{short(name)}' has no row in train ({total} in all{known})"
        f"{others}; name the labels with labels = [...], or, if the data is cut, take another cut_seed or a "
        "smaller share"
    )


def label_positions(
    values: Sequence[Any],
    space: tuple[str, ...],
    renamed: Mapping[str, str],
    here: str,
    column: str,
) -> NDArray[np.int64]:
    """Return the position of each value in the labels. Raises `DataError` for one that is none of them."""
    position = {label: i for i, label in enumerate(space)}
    known = {value: position[label] for value, label in renamed.items()}
    targets = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        name = label_text(value)
        if name not in known:
            what = f"'{column}' is missing" if not name else f"unknown label '{short(name)}'"
            raise DataError(f"{here}, row {row + 1}: {what}; {nearest(name, known)}")
        targets[row] = known[name]
    return targets


def label_text(value: Any) -> str:
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


def short(text: str, length: int = 60) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _named(labels: Sequence[str] | Mapping[str, str], where: str) -> tuple[str, ...]:
    """Return the labels that a suite names, in its order."""
    if isinstance(labels, str):
        raise DataError(
            f"{where}: 'labels' is the text {short(labels)!r}; a list of labels was expected, as in "
            '["a", "b"]'
        )
    named = list(labels.values()) if isinstance(labels, Mapping) else list(labels)
    for label in named:
        if not isinstance(label, str):
            hint = f'; write "{label_text(label)}"' if isinstance(label, int | float) else ""
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

"""The border between models and the harness: what a model returned is checked against its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Columns, Predictions, Task
from ptbench.errors import ModelError
from ptbench.offers import Column, Kind


def checked_features(features: Any, n: int, who: str) -> NDArray[np.float32]:
    """Return embeddings as float32[n, d]. Raises `ModelError` where they are anything else."""
    array = np.asarray(features)
    if array.ndim != 2 or len(array) != n:
        raise ModelError(f"{who}: embed returned an array of shape {array.shape} for {n} examples")
    if not np.issubdtype(array.dtype, np.floating):
        raise ModelError(f"{who}: embed returned {array.dtype}; floating-point numbers were expected")
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise ModelError(f"{who}: embed returned NaN or infinity for {bad.sum()} of {n} examples")
    return np.ascontiguousarray(array, dtype=np.float32)


def checked_predictions(columns: Columns, kind: Kind, task: Task, who: str) -> Predictions:
    """Return predictions with the columns of their kind, target first.

    Where a kind has labels and a model returned ``scores`` alone, the prediction is the largest score
    (the first of equals). Raises `ModelError` that names the column and the first bad example.
    """
    split = task.split("test")
    n, ids = len(split), split.examples.ids
    known = {column.name: column for column in kind.outputs}
    for name in columns:
        if name not in known:
            raise ModelError(f"{who}: returned a column '{name}'; {kind.name} has {', '.join(known)}")
    checked = {"target": split.targets}
    for column in kind.outputs:
        if column.name in columns:
            checked[column.name] = _checked(columns[column.name], column, n, task.labels, ids, who)
    if "prediction" in known and "prediction" not in checked and "scores" in checked:
        checked["prediction"] = checked["scores"].argmax(axis=1)
    for column in kind.outputs:
        if column.required and column.name not in checked:
            raise ModelError(f"{who}: returned no column '{column.name}', which {kind.name} needs")
    return Predictions(ids, checked, task.labels)


def _checked(
    values: Any, column: Column, n: int, labels: tuple[str, ...], ids: Any, who: str
) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim == 0 or len(array) != n:
        rows = "no rows" if array.ndim == 0 else f"{len(array)} rows"
        raise ModelError(f"{who}: column '{column.name}' has {rows} for {n} examples")
    wrong = np.zeros(n, dtype=bool)
    what = ""
    match column.type:
        case "label":
            what = f"is no position in the {len(labels)} labels"
            if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
                raise ModelError(
                    f"{who}: column '{column.name}' must be integers [n], positions in the labels, not "
                    f"{array.dtype}{list(array.shape)}"
                )
            wrong = (array < 0) | (array >= len(labels))
        case "number":
            what = "is not a finite number"
            if array.ndim != 1 or not np.issubdtype(array.dtype, np.number):
                raise ModelError(
                    f"{who}: column '{column.name}' must be numbers [n], not {array.dtype}{list(array.shape)}"
                )
            array = array.astype(np.float64)
            wrong = ~np.isfinite(array)
        case "scores":
            what = "is no row of probabilities"
            if array.shape != (n, len(labels)):
                raise ModelError(
                    f"{who}: column '{column.name}' has the shape {array.shape}; "
                    f"{(n, len(labels))} was expected: one probability per label"
                )
            array = array.astype(np.float32)
            with np.errstate(invalid="ignore"):
                off = np.abs(array.sum(axis=1, dtype=np.float64) - 1) > 1e-3
                wrong = ~np.isfinite(array).all(axis=1) | (array < -1e-6).any(axis=1) | off
        case _:
            pass
    if wrong.any():
        first = int(wrong.argmax())
        raise ModelError(
            f"{who}: column '{column.name}' {what} for {wrong.sum()} of {n} examples, "
            f"first for id '{ids[first]}': {np.array2string(array[first], precision=4, threshold=6)}"
        )
    return array

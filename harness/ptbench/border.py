"""The border between plugins and the harness: what models and protocols return is checked here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Columns, Predictions, Task
from ptbench.errors import ModelError, ProtocolError, one_line
from ptbench.model import ModelFacts
from ptbench.offers import Column, Kind, Outcome


def checked_facts(model: Any, who: str) -> ModelFacts:
    """Return the facts of a model. Raises `ModelError` where it has none."""
    facts = getattr(model, "facts", None)
    if not isinstance(facts, ModelFacts):
        kind = type(model).__name__
        raise ModelError(f"{who}: {kind} has no facts; give it an attribute facts = ptbench.ModelFacts()")
    return facts


def checked_features(features: Any, n: int, who: str) -> NDArray[np.float32]:
    """Return embeddings as float32[n, d]. Raises `ModelError` where they are anything else."""
    array = _array(features, "what embed returned", who)
    if array.ndim == 0:
        raise ModelError(f"{who}: embed returned a {type(features).__name__}; an array [n, d] was expected")
    if array.ndim != 2 or len(array) != n:
        raise ModelError(f"{who}: embed returned an array of shape {array.shape} for {n} examples")
    if array.shape[1] == 0:
        raise ModelError(f"{who}: embed returned no features: an array of shape {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        raise ModelError(f"{who}: embed returned {array.dtype}; floating-point numbers were expected")
    with np.errstate(over="ignore"):
        features32 = np.ascontiguousarray(array, dtype=np.float32)
    bad = ~np.isfinite(features32).all(axis=1)  # after the cast, for which a float64 may be too large
    if bad.any():
        some = f"{bad.sum()} of {n} examples"
        raise ModelError(f"{who}: embed returned NaN or infinity for {some} (as float32)")
    return features32


def checked_columns(columns: Any, who: str) -> Columns:
    """Return what a model predicted, if it is a mapping. Raises `ModelError` where it is anything else."""
    if not isinstance(columns, Mapping):
        kind = type(columns).__name__
        raise ModelError(f"{who}: returned a {kind}; a mapping of column names to arrays was expected")
    return columns


def checked_predictions(columns: Columns, kind: Kind, task: Task, who: str) -> Predictions:
    """Return predictions with the columns of their kind, target first.

    Where a kind has labels and a model returned ``scores`` alone, the prediction is the largest score
    (the first of equals). Raises `ModelError` that names the column and the first bad example.
    """
    split = task.split("test")
    n, ids = len(split), split.examples.ids
    known = {column.name: column for column in kind.outputs}
    for name in checked_columns(columns, who):
        if name not in known:
            raise ModelError(f"{who}: returned a column '{name}'; {kind.name} has {', '.join(known)}")
    checked = {"target": split.targets}
    for column in kind.outputs:
        if column.name in columns:
            checked[column.name] = checked_column(columns[column.name], column, n, task.labels, ids, who)
    if "prediction" in known and "prediction" not in checked and "scores" in checked:
        checked["prediction"] = checked["scores"].argmax(axis=1)
    for column in kind.outputs:
        if column.required and column.name not in checked:
            raise ModelError(f"{who}: returned no column '{column.name}', which {kind.name} needs")
    return Predictions(ids, checked, task.labels, split.clusters)


def checked_outcome(outcome: Any, who: str) -> Outcome:
    """Return what a protocol returned, its notes as a tuple; the columns are for `checked_predictions`.

    Raises `ProtocolError` where it is no outcome, or where its notes or facts cannot go into a record.
    """
    if not isinstance(outcome, Outcome):
        kind = type(outcome).__name__
        raise ProtocolError(f"{who}: the protocol returned a {kind}; return ptbench.Outcome(columns)")
    notes: Any = (outcome.notes,) if isinstance(outcome.notes, str) else outcome.notes
    if not isinstance(notes, tuple | list):
        kind = type(notes).__name__
        raise ProtocolError(
            f"{who}: the notes of the outcome are of type {kind}; a tuple of texts was expected"
        )
    for note in notes:
        if not isinstance(note, str):
            kind = type(note).__name__
            raise ProtocolError(f"{who}: the notes of the outcome hold the type {kind}; texts were expected")
    if not isinstance(outcome.facts, Mapping):
        kind = type(outcome.facts).__name__
        raise ProtocolError(f"{who}: the facts of the outcome are of type {kind}; a mapping was expected")
    for name, value in outcome.facts.items():
        if not isinstance(name, str):
            raise ProtocolError(f"{who}: the facts of the outcome have the key {name!r}; a text was expected")
        if not _is_plain(value):
            raise ProtocolError(
                f"{who}: fact '{name}' is no plain data ({type(value).__name__}); numbers, texts, lists, "
                "maps with texts as keys, or NumPy arrays were expected"
            )
    return replace(outcome, notes=tuple(notes))


def _is_plain(value: Any) -> bool:
    match value:
        case np.ndarray() | np.generic():  # before float, which np.float64 is, too
            return value.dtype.kind in "biufU"
        case None | bool() | int() | float() | str():
            return True
        case Mapping():
            return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
        case list() | tuple():
            return all(map(_is_plain, value))
    return False


def _array(values: Any, what: str, who: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists, tensors on a GPU
        raise ModelError(f"{who}: {what} is no array: {one_line(error)}") from None


def checked_column(
    values: Any, column: Column, n: int, labels: tuple[str, ...], ids: Any, who: str
) -> NDArray[Any]:
    """Return a column of n rows of its type. Raises `ModelError` that names the first bad example."""
    array = _array(values, f"column '{column.name}'", who)
    if array.ndim == 0 or len(array) != n:
        rows = "no rows" if array.ndim == 0 else f"{len(array)} rows"
        raise ModelError(f"{who}: column '{column.name}' has {rows} for {n} examples")
    wrong = np.zeros(n, dtype=bool)
    what = ""
    match column.type:
        case "label":
            what = f"is no position in the {len(labels)} labels"
            if array.ndim != 1 or array.dtype.kind not in "iu":
                raise ModelError(
                    f"{who}: column '{column.name}' must be integers [n], positions in the labels, not "
                    f"{array.dtype}{list(array.shape)}"
                )
            wrong = (array < 0) | (array >= len(labels))
        case "number":
            what = "is not a finite number"
            if array.ndim != 1 or array.dtype.kind not in "iuf":
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
            if array.dtype.kind not in "biuf":
                raise ModelError(f"{who}: column '{column.name}' must be numbers, not {array.dtype}")
            with np.errstate(invalid="ignore", over="ignore"):
                array = array.astype(np.float32, copy=False)
                off = np.abs(array.sum(axis=1, dtype=np.float64) - 1) > 1e-3
                # NaN and infinity come through the extremes: no copy of a large table is made
                wrong = ~np.isfinite(array.max(axis=1, initial=0)) | off
                wrong |= ~(array.min(axis=1, initial=0) >= -1e-6)
        case _:
            pass
    if wrong.any():
        first = int(wrong.argmax())
        raise ModelError(
            f"{who}: column '{column.name}' {what} for {wrong.sum()} of {n} examples, "
            f"first for id '{ids[first]}': {np.array2string(array[first], precision=4, threshold=6)}"
        )
    return array

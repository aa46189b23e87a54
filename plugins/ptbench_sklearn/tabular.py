"""Kinds and adapters for tabular tasks: a vector of numbers with a label or a number as target."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import (
    UNCUT,
    Adapter,
    Column,
    DataError,
    Examples,
    Kind,
    Option,
    Rows,
    Task,
    TaskRequest,
    build_task,
    exact_copies,
    nearest,
)

FEATURES = Column("features", "vector")


def copies(train: Examples, test: Examples) -> NDArray[np.int8]:
    """Return which rows of numbers stand in train already; none is near: nobody knows their scales."""
    return exact_copies(*([tuple(row) for row in split[FEATURES.name]] for split in (train, test)))


TABULAR_CLASSIFICATION = Kind(
    name="tabular-classification",
    description="A vector of numbers has one label out of a fixed set.",
    inputs=(FEATURES,),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"), Column("scores", "scores", required=False)),
    copies=copies,
)
TABULAR_REGRESSION = Kind(
    name="tabular-regression",
    description="A vector of numbers has a number as target.",
    inputs=(FEATURES,),
    target=Column("target", "number"),
    outputs=(Column("prediction", "number"),),
    copies=copies,
)
KINDS = (TABULAR_CLASSIFICATION, TABULAR_REGRESSION)

INPUT = Option(
    "input",
    (str, list),
    "The column that holds vectors, or a list of columns of numbers.",
    default="features",
)
TARGET = Option("target", (str,), "The column of the target.", default="target")
ID = Option("id", (str,), "The column of ids; without one, rows are numbered.")
LABELS = Option(
    "labels",
    (list, dict),
    "The labels in order, the last of two being the positive one; a table renames those of the data.",
)

VECTORS = "input vectors"
"""The column that the adapter adds; a space keeps it apart from names that anyone uses."""


def _columns(options: Mapping[str, Any]) -> tuple[str, ...]:
    given = options.get("input", INPUT.default)
    names = [given] if isinstance(given, str) else list(given)
    target = options.get("target", TARGET.default)
    if not names or not all(isinstance(name, str) for name in names):
        raise DataError(f"key 'input' is {given!r}; a column or a list of columns was expected")
    if target in names:
        raise DataError(f"key 'input' names the target '{target}'; what is to be predicted is no input")
    ids = [options["id"]] if options.get("id") else []
    return (*names, target, *ids)


def _vectors(columns: Rows, given: str | Sequence[str], here: str) -> list[list[float]]:
    """Return a vector for each row. Raises `DataError` with row and column."""
    if isinstance(given, str):
        return [_vector(row, given, f"{here}, row {i}") for i, row in enumerate(columns[given], start=1)]
    numbers = [
        [_number(cell, f"{here}, row {i}: '{name}'") for i, cell in enumerate(columns[name], start=1)]
        for name in given
    ]
    return [list(row) for row in zip(*numbers, strict=True)]


def _vector(row: Any, column: str, place: str) -> list[float]:
    values = row.tolist() if hasattr(row, "tolist") else row
    if not isinstance(values, list | tuple) or not values:
        raise DataError(
            f"{place}: '{column}' is no vector but {type(row).__name__}; write columns of numbers as a list: "
            f'input = ["{column}"]'
        )
    return [_number(value, f"{place}: '{column}', number {i}") for i, value in enumerate(values, start=1)]


def _number(value: Any, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        what = (
            "is missing" if value is None or value == "" else f"is '{str(value)[:60]}', not a finite number"
        )
        raise DataError(f"{place} {what}; fill it or take the row out")
    return number


def _builder(kind: Kind) -> Callable[[Mapping[str, Rows], TaskRequest], Task]:
    def build(rows: Mapping[str, Rows], request: TaskRequest) -> Task:
        options = request.options
        where = f"task '{request.name}'" + (f" ({request.where})" if request.where else "")
        wanted = _columns(options)
        given = options.get("input", INPUT.default)
        width = None
        prepared: dict[str, Rows] = {}
        for split, columns in rows.items():
            here = f"{where}: {split}"
            for name in wanted:
                if name not in columns:
                    raise DataError(f"{here} has no column '{name}'; {nearest(name, columns)}")
            vectors = _vectors(columns, given, here)
            for row, vector in enumerate(vectors, start=1):
                width = width or len(vector)
                if len(vector) != width:
                    raise DataError(
                        f"{here}, row {row}: {len(vector)} numbers where the first row has {width}"
                    )
            kept = [*wanted, UNCUT] if UNCUT in columns else wanted
            prepared[split] = {**{name: columns[name] for name in kept}, VECTORS: vectors}
        return build_task(
            kind,
            prepared,
            request,
            inputs={FEATURES.name: VECTORS},
            target=options.get("target", TARGET.default),
            id_column=options.get("id"),
            labels=options.get("labels"),
        )

    return build


ADAPTERS = (
    Adapter(
        name="tabular-classification",
        description="Vectors of numbers with a label each.",
        kind="tabular-classification",
        metrics=("accuracy", "macro_f1"),
        options=(INPUT, TARGET, ID, LABELS),
        build=_builder(TABULAR_CLASSIFICATION),
        columns=_columns,
    ),
    Adapter(
        name="tabular-regression",
        description="Vectors of numbers with a number each.",
        kind="tabular-regression",
        metrics=("r2", "rmse"),
        options=(INPUT, TARGET, ID),
        build=_builder(TABULAR_REGRESSION),
        columns=_columns,
    ),
)

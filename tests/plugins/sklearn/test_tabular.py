"""Tabular tasks: columns of numbers, or one of vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ptbench import DataError, Rows, Task, TaskRequest, testing
from ptbench_sklearn.tabular import ADAPTERS, KINDS

CLASSIFY, REGRESS = ADAPTERS
ROWS = {
    "width": ["1", "2.5", "007"],
    "height": [1, 2, 3],
    "features": [[0.5, 1], (2, 3), np.array([4.0, 5.0])],
    "sort": ["b", "a", "b"],
    "price": [1.5, "2", 3],
    "name": ["x", "y", "z"],
}


def build(adapter: Any = CLASSIFY, rows: Rows = ROWS, **options: Any) -> Task:
    train = {**rows, "name": [f"train {i}" for i in range(3)]} if "id" in options else rows
    task: Task = adapter.build(
        {"train": train, "test": rows}, TaskRequest("t", ("m",), options, "file:a.csv")
    )
    return task


def test_a_column_of_vectors() -> None:
    task = build(target="sort")
    assert task.kind == "tabular-classification"
    assert task.labels == ("a", "b")
    test = task.split("test")
    assert test.examples["features"] == [[0.5, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert test.targets.tolist() == [1, 0, 1]
    assert task.inputs == ("features",)
    assert len(task.fingerprint()) == 16


def test_a_list_of_columns_in_their_order() -> None:
    task = build(REGRESS, input=["height", "width"], target="price", id="name")
    assert task.kind == "tabular-regression"
    assert task.split("train").examples["features"] == [[1, 1], [2, 2.5], [3, 7]]
    assert task.split("train").targets.tolist() == [1.5, 2, 3]
    assert REGRESS.columns({"input": ["height", "width"], "target": "price", "id": "name"}) == (
        "height", "width", "price", "name"
    )  # fmt: skip
    assert CLASSIFY.columns({}) == ("features", "target")


def test_ids_and_labels() -> None:
    task = CLASSIFY.build(
        {"test": ROWS},
        TaskRequest("t", (), {"target": "sort", "id": "name", "labels": {"b": "big", "a": "able"}}),
    )
    assert list(task.split("test").examples.ids) == ["x", "y", "z"]
    assert task.labels == ("big", "able")


def test_the_target_may_be_named_like_the_input_of_the_kind() -> None:
    task = build(REGRESS, {"features": [1, 2], "x": [3, 4]}, input=["x"], target="features")
    assert task.split("test").examples["features"] == [[3.0], [4.0]]
    assert task.split("test").targets.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ({"width": ["1", ""]}, {"input": ["width"]}, "train, row 2: 'width' is missing; fill it"),
        ({"width": [1, None]}, {"input": ["width"]}, "train, row 2: 'width' is missing"),
        (
            {"width": [math.nan, 1]},
            {"input": ["width"]},
            "train, row 1: 'width' is 'nan', not a finite number",
        ),
        (
            {"width": ["wide", 1]},
            {"input": ["width"]},
            "train, row 1: 'width' is 'wide', not a finite number",
        ),
        ({"width": [[1], [math.inf]]}, {"input": "width"}, "train, row 2: 'width', number 1 is 'inf'"),
        ({"width": [[1], [1, 2]]}, {"input": "width"}, "train, row 2: 2 numbers where the first row has 1"),
        ({"width": [[], []]}, {"input": "width"}, "train, row 1: 'width' is no vector but list"),
        (
            {"width": [1, 2]},
            {"input": "width"},
            "'width' is no vector but int; write columns of numbers as a list",
        ),
        ({"width": [1, 2]}, {"input": ["widht"]}, "train has no column 'widht'; did you mean 'width'?"),
        ({"width": [1, 2]}, {"input": []}, "key 'input' is []; a column or a list of columns was expected"),
        ({"width": [1, 2]}, {"input": ["width", "sort"]}, "key 'input' names the target 'sort'"),
    ],
)
def test_complaints(rows: Rows, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        build(rows={**rows, "sort": ["a", "b"]}, target="sort", **options)
    assert message in str(error.value)


def test_kinds_and_adapters_have_the_same_names() -> None:
    assert [adapter.kind for adapter in ADAPTERS] == [kind.name for kind in KINDS]
    assert [adapter.name for adapter in ADAPTERS] == [kind.name for kind in KINDS]


def test_the_adapters_conform() -> None:
    testing.check_adapter(CLASSIFY, {"train": ROWS, "test": ROWS}, {"target": "sort"})
    testing.check_adapter(REGRESS, {"test": ROWS}, {"input": ["height", "width"], "target": "price"})

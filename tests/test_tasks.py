"""From rows to a task: which labels there are, and in which order."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from ptbench import Column, DataError, Kind, TaskRequest, build_task

KIND = Kind(
    name="k",
    description="A text has a label.",
    inputs=(Column("text", "text"),),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"),),
)


def labels(*values: Any, given: Any = None) -> tuple[str, ...]:
    """Return the labels of a task whose training rows have these values."""
    rows = {"train": {"text": ["x"] * len(values), "y": values}}
    request = TaskRequest("t", (), {})
    return build_task(KIND, rows, request, inputs={"text": "text"}, target="y", labels=given).labels


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["10", "9", "-1.5"], ("-1.5", "9", "10")),
        ([10, 9.0, "9"], ("9", "10")),
        (["2", "1.0", "1", "01"], ("01", "1", "1.0", "2")),
        (["2", "nan", "10"], ("10", "2", "nan")),
        (["2", "inf", "10"], ("10", "2", "inf")),
        (["b", "10", "9"], ("10", "9", "b")),
    ],
)
def test_labels_are_in_order(values: list[Any], expected: tuple[str, ...]) -> None:
    assert labels(*values) == labels(*values[::-1]) == expected


def test_the_order_is_the_same_in_every_process() -> None:
    code = "from ptbench.labels import _ordered; print(_ordered({'1', '01', '1.0', '001', '%s'}))"
    for other in ("nan", "2"):
        found = {
            subprocess.run(
                [sys.executable, "-c", code % other],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
            ).stdout
            for seed in "1234"
        }
        assert len(found) == 1


def test_labels_may_be_named_or_renamed() -> None:
    assert labels("a", "b", given=["b", "a"]) == ("b", "a")
    assert labels("0", "1", "2", given={"1": "yes", "0": "no", "2": "no"}) == ("yes", "no")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["pos"], "'labels' has only 'pos' as label; two are the least"),
        ([], "'labels' has none as label; two are the least"),
        ({}, "'labels' has none as label; two are the least"),
        ({"pos": "same", "neg": "same"}, "'labels' has only 'same' as label; two are the least"),
        (None, "'y' has only 'pos' as label; two are the least"),
        ("cat", "'labels' is the text 'cat'; a list of labels was expected, as in [\"a\", \"b\"]"),
        (["pos", "pos"], "'labels' names one label twice"),
        ([1, 2], "'labels' has 1; texts in quotes were expected; write \"1\""),
        ([True, False], "'labels' has True; texts in quotes were expected; write \"true\""),
        ([["a"]], "'labels' has ['a']; texts in quotes were expected"),
        ({"pos": 1, "neg": [2]}, "'labels' has 1; texts in quotes were expected; write \"1\""),
        ({"pos": "1", "neg": [2]}, "'labels' has [2]; texts in quotes were expected"),
    ],
)
def test_labels_that_are_no_labels(given: Any, message: str) -> None:
    with pytest.raises(DataError) as error:
        labels("pos", "pos", given=given)
    assert str(error.value) == f"task 't': {message}"


def test_a_label_without_a_row_in_train_is_told_as_that() -> None:
    rows = {
        "train": {"text": ["x"] * 3, "y": ["c0307", "c0001", "c0001"]},
        "test": {"text": ["x"] * 4, "y": ["c0001", "c0007", "c0007", "c0008"]},
    }
    request = TaskRequest("t", (), {})
    with pytest.raises(DataError) as error:
        build_task(KIND, rows, request, inputs={"text": "text"}, target="y")
    assert str(error.value) == (
        "task 't': test, row 2: label 'c0007' has no row in train (2 in all; "
        "train has c0001, c0307), and so it is with 1 more; "
        "name the labels with labels = [...], or, if the data is cut, take another cut_seed or a "
        "smaller share"
    )


@pytest.mark.parametrize("value", [[1.0, 0.0], (0, 1), {"a": 1}])
def test_labels_are_no_lists(value: Any) -> None:
    with pytest.raises(DataError, match=r"train, row 2: 'y' is a (list|table) .*; a label was expected"):
        labels("a", value)

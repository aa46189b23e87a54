"""Loading a task: what the harness asks of source and adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ptbench import DataError
from ptbench.catalog import load_catalog
from ptbench.data import Task
from ptbench.loading import load_task
from ptbench.records import TaskSpec
from tests.conftest import Written

CATALOG = load_catalog()


def load(base: Path, data: str, adapter: str = "text-classification", **more: Any) -> Task:
    """Load a task over a source."""
    return load_task(TaskSpec("mine", adapter, data, **more), base, CATALOG)


def leaked(task: Task, column: str) -> set[str]:
    """Return the inputs that stand in two splits."""
    train, test = ({str(x) for x in task.split(name).examples[column]} for name in ("train", "test"))
    return train & test


def test_equal_texts_are_not_cut_apart(tmp_path: Path, written: Written) -> None:
    rows = [f"{5 * i + k},text {i},{'ab'[(i + k) % 2]}" for i in range(60) for k in range(5)]
    written("a.csv", "\n".join(["id,text,label", *rows]))
    cut = {"cut": {"test": 0.3}}
    assert not leaked(load(tmp_path, "file:a.csv", options={"id": "id"}, data_options=cut), "text")
    by_id = {**cut, "cut_by": ["id"]}  # who asks for another cut gets it
    assert leaked(load(tmp_path, "file:a.csv", options={"id": "id"}, data_options=by_id), "text")


def test_equal_pairs_are_not_cut_apart(tmp_path: Path, written: Written) -> None:
    rows = [f"one {i % 40},two {i % 3},{i}" for i in range(600)]
    written("a.csv", "\n".join(["one,two,label", *rows]))
    task = load(
        tmp_path,
        "file:a.csv",
        "sentence-similarity",
        options={"input": ["one", "two"]},
        data_options={"cut": {"test": 0.3}},
    )
    pairs = [
        set(zip(task.split(split).examples["text"], task.split(split).examples["text_pair"], strict=True))
        for split in ("train", "test")
    ]
    assert not pairs[0] & pairs[1]


def test_a_wrong_input_is_told_before_it_is_cut_by(tmp_path: Path, written: Written) -> None:
    written("a.csv", "text,label\n" + "a,1\nb,2\n" * 9)
    with pytest.raises(DataError, match="there is no column 'txt' to cut by; did you mean 'text'"):
        load(tmp_path, "file:a.csv", options={"input": "txt"}, data_options={"cut": {"test": 0.3}})


@pytest.mark.parametrize("options", [{}, {"input": ["alcohol", "hue"]}])
@pytest.mark.parametrize("cut", [{}, {"cut": {"test": 0.2, "validation": 0.1}}])
def test_vectors_are_cut_too(tmp_path: Path, options: dict[str, Any], cut: dict[str, Any]) -> None:
    pytest.importorskip("sklearn")
    task = load(tmp_path, "sklearn:wine", "tabular-classification", options=options, data_options=cut)
    assert sum(map(len, task.splits.values())) == 178
    assert not leaked(task, "features")


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (("f1",), "metric 'f1' is for two labels, this task has 3; use macro_f1 or take it out of"),
        (("accuracy", "roc_auc"), "metric 'roc_auc' is for two labels, this task has 3; use roc_auc_ovr or"),
        (
            ("f1", "average_precision"),
            "metrics 'f1', 'average_precision' are for two labels, this task has 3; "
            "use macro_f1, average_precision_ovr or take them out of 'metrics'",
        ),
    ],
)
def test_a_binary_metric_is_answered_with_one_that_there_is(
    tmp_path: Path, metrics: tuple[str, ...], message: str
) -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(DataError) as error:
        load(tmp_path, "sklearn:wine", "tabular-classification", metrics=metrics)
    assert message in str(error.value)

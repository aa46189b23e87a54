"""Loading a task: what the harness asks of source and adapter."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptbench import DataDescription, DataError, DataRequest, Source
from ptbench.catalog import Catalog, Plugin, load_catalog
from ptbench.data import Task
from ptbench.loading import _chosen, describe_data, load_task
from ptbench.records import TaskSpec
from ptbench.testing import png
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


def three(seen: list[DataRequest], *, leaves_out: bool = True) -> Catalog:
    """Return a catalog with a source of three splits, which notes what it is asked."""
    rows = {split: {"text": ["a", "b"], "label": ["x", "y"]} for split in ("dev", "test", "train")}

    def names(request: DataRequest) -> list[str]:
        seen.append(request)
        return request.wanted(rows) if leaves_out else list(rows)

    source = Source(
        name="three",
        description="Three splits.",
        describe=lambda request: DataDescription(("text", "label"), dict.fromkeys(names(request), 2)),
        load=lambda request: {split: rows[split] for split in names(request)},
    )
    return Catalog([*CATALOG.plugins, Plugin("acme", "acme", "1", offers=(source,))])


@pytest.mark.parametrize("leaves_out", [True, False])
def test_a_source_is_told_which_splits_and_columns_will_be_used(leaves_out: bool) -> None:
    seen: list[DataRequest] = []
    catalog = three(seen, leaves_out=leaves_out)
    spec = TaskSpec("mine", "text-classification", "three:x", splits={"test": "dev"})
    assert load_task(spec, Path(), catalog).labels == ("x", "y")
    # a plan asks which splits a task has, not which ones the data has
    assert describe_data(spec, Path(), catalog).splits == {"test": 2}
    assert {(request.splits, request.columns) for request in seen} == {(("dev",), ("text", "label"))}
    named_as_they_are = replace(spec, splits={})
    assert set(load_task(named_as_they_are, Path(), catalog).splits) == {"train", "test"}
    assert seen[-1].splits == ()


@pytest.mark.parametrize("leaves_out", [True, False])
@pytest.mark.parametrize("split", ["dve", "validation"])
def test_a_split_that_is_not_there_is_told_with_those_that_are(leaves_out: bool, split: str) -> None:
    catalog = three([], leaves_out=leaves_out)
    spec = TaskSpec("mine", "text-classification", "three:x", splits={"train": "train", "test": split})
    hint = "did you mean 'dev'" if split == "dve" else "known: dev, test, train"
    for function in (load_task, describe_data):
        with pytest.raises(DataError, match=rf"split.*'{split}'.*{re.escape(hint)}"):
            function(spec, Path(), catalog)


def test_only_the_files_of_splits_that_are_used_are_read(tmp_path: Path, written: Written) -> None:
    for split in ("train", "dev"):
        written(f"glue/{split}.csv", "text,label\na,1\nb,2\n")
    written("glue/test.csv", "one,two\n")  # GLUE's have no labels
    splits = {"train": "train", "test": "validation"}
    spec = TaskSpec("mine", "text-classification", "file:glue", splits=splits)
    assert describe_data(spec, tmp_path, CATALOG).columns == ("text", "label")
    assert len(load_task(spec, tmp_path, CATALOG).split("test")) == 2
    with pytest.raises(DataError, match="there is no split 'dev'; known: test, train, validation"):
        load_task(replace(spec, splits={"test": "dev"}), tmp_path, CATALOG)
    cut = replace(spec, data="file:glue/train.csv", data_options={"cut": {"test": 0.5}}, splits={"test": "a"})
    with pytest.raises(DataError, match=r"splits\.test = 'a': no such split; known: test, train"):
        load_task(cut, tmp_path, CATALOG)


def test_copies_of_an_image_are_not_cut_apart(tmp_path: Path, written: Written) -> None:
    pytest.importorskip("PIL")
    lines = []
    for i in range(40):
        image = png(np.full((4, 4), i % 20, np.uint8))  # each picture has two names
        (tmp_path / f"{i}.png").write_bytes(image)
        lines.append(f"{i}.png,{'ab'[i % 2]}")
    lines += ["gone.png,a", "gone too.png,b"]
    written("list.csv", "\n".join(["image,label", *lines]))
    cut: dict[str, Any] = {"cut": {"test": 0.4}}
    task = load(tmp_path, "file:list.csv", "image-classification", data_options=cut)
    train, test = ({x.read_bytes() for x in task.split(name).examples["image"]} for name in ("train", "test"))
    assert not train & test
    assert len(train | test) == 20
    assert sum(sum(reasons.values()) for reasons in task.unread.values()) == 2
    before = task.fingerprint()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ["list.csv", *(f"{i}.png" for i in range(40))]:
        (tmp_path / name).rename(moved / name)
    again = load(moved, "file:list.csv", "image-classification", data_options=cut)
    assert again.fingerprint() == before


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ("train validation", 'name one: splits = { train = "train", test = "validation" }'),
        ("all", 'cut one with cut = { test = 0.2 } or name one with splits = { test = "all" }'),
        ("train", "let 'data' name the one file or folder to be cut, with cut = "),
    ],
)
def test_what_is_advised_for_a_test_split_can_be_done(there: str, told: str) -> None:
    spec = TaskSpec("mine", "text-classification", "file:a")
    with pytest.raises(DataError) as error:
        _chosen(dict.fromkeys(there.split()), spec, "here")
    assert told in str(error.value)

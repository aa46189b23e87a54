"""Archives of arrays: columns by their length, splits by their names, nothing unpickled."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import Ptbench, Written
from tests.plugins.vision.pictures import noise, write

from ptbench import DataDescription, DataError, DataRequest, Reference, Rows, testing
from ptbench_vision.archive import SOURCE

IMAGES = np.stack([noise(8, 8, seed) for seed in range(40)])
LABELS = np.arange(40) % 4


def ask(base: Path, options: Mapping[str, Any], name: str = "a.npz") -> DataRequest:
    return DataRequest(Reference.parse(f"npz:{name}", revisions=False), SOURCE.filled(options), base)


def load(base: Path, **options: Any) -> Mapping[str, Rows]:
    return SOURCE.load(ask(base, options))


def describe(base: Path, **options: Any) -> DataDescription:
    return SOURCE.describe(ask(base, options))


def complaint(base: Path, name: str = "a.npz", **options: Any) -> str:
    with pytest.raises(DataError) as error:
        SOURCE.load(ask(base, options, name))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_one_length_are_columns(tmp_path: Path, save: Any) -> None:
    save(tmp_path / "a.npz", images=IMAGES, labels=LABELS, labels_all=np.arange(90), scale=np.float32(2))
    rows = load(tmp_path)["all"]
    assert list(rows) == ["images", "labels"]
    assert np.array_equal(np.stack(rows["images"]), IMAGES)
    assert rows["labels"] == LABELS.tolist()
    assert all(image.base is rows["images"][0].base for image in rows["images"])  # views, no copies
    assert describe(tmp_path) == DataDescription(("images", "labels"), {"all": 40}, quick=True)


def test_a_column_that_was_left_out_is_told_of(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS, labels_all=np.arange(90))
    told = "no column '{}'; {}; left out, since most arrays have 40 rows: 'labels_all' has 90"
    for column, hint in (
        ("labels_all", "did you mean 'labels'?"),
        ("target", "known: images, labels"),
    ):
        request = replace(ask(tmp_path, {}), columns=("images", column))
        for function in (SOURCE.load, SOURCE.describe):
            with pytest.raises(DataError, match=re.escape(told.format(column, hint))):
                function(request)
    assert SOURCE.load(replace(ask(tmp_path, {}), columns=("images", "labels")))


@pytest.mark.parametrize("pattern", ["{column}_{split}", "{split}_{column}"])
def test_splits_by_name(tmp_path: Path, pattern: str) -> None:
    arrays = {}
    for split, n in (("test", 5), ("train", 30), ("val", 4)):
        arrays[pattern.format(column="x", split=split)] = IMAGES[:n]
        arrays[pattern.format(column="y", split=split)] = LABELS[:n, None]  # as MedMNIST keeps them
    np.savez(tmp_path / "a.npz", **arrays)
    splits = load(tmp_path)
    assert {split: len(rows["y"]) for split, rows in splits.items()} == describe(tmp_path).splits
    assert list(splits) == ["train", "validation", "test"]
    assert list(splits["train"]) == ["x", "y"]
    assert splits["test"]["y"] == [0, 1, 2, 3, 0]
    some = replace(ask(tmp_path, {}), splits=("validation",))
    assert list(SOURCE.load(some)) == ["validation"]
    assert SOURCE.describe(some).splits == {"validation": 4}
    assert "has splits (train, validation, test), and is not cut" in complaint(tmp_path, cut={"test": 0.1})


def test_texts(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", u=np.array(["ä", "b"]), s=np.array(["ä".encode(), b"b"]))
    assert load(tmp_path)["all"] == {"u": ["ä", "b"], "s": ["ä", "b"]}


def test_a_cut(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.concatenate([IMAGES, IMAGES]), labels=np.arange(80))
    splits = load(tmp_path, cut={"test": 0.4}, cut_by=["images"])
    assert list(splits) == list(describe(tmp_path, cut={"test": 0.4}).splits or ()) == ["train", "test"]
    train, test = ({image.tobytes() for image in rows["images"]} for rows in splits.values())
    assert len(train) + len(test) == 40


def test_a_cut_that_is_none_is_told_by_the_plan_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=np.arange(40))
    with pytest.raises(DataError, match=r"cut is 0\.3; write cut"):
        describe(tmp_path, cut=0.3)


class Trap:
    """What must never run."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("trapped",)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=np.array([Trap()] * 40, dtype=object))
    assert "array 'labels' holds pickled Python objects, which could run code" in complaint(tmp_path)
    assert not (tmp_path / "trapped").exists()


def test_complaints(tmp_path: Path) -> None:
    assert f"there is no file {tmp_path}/a.npz; in {tmp_path}: none is known" in complaint(tmp_path)
    np.savez(tmp_path / "a.npz", x=np.zeros(3), y=np.zeros(4))
    assert "must have equally many rows; 'x' has 3, 'y' has 4" in complaint(tmp_path)
    assert "did you mean 'a.npz'?" in complaint(tmp_path, "b.npz")
    assert "is a folder" in complaint(tmp_path, ".")
    assert "cannot be read" in complaint(tmp_path, "~nobody-of-this-name/a.npz")
    write(tmp_path / "no.npz", b"no zip")
    assert "cannot be read as an archive of arrays: File is not a zip file" in complaint(tmp_path, "no.npz")
    np.savez(tmp_path / "scalar.npz", x=np.float64(1))
    assert "has no array with rows" in complaint(tmp_path, "scalar.npz")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_spoilt_archive_is_an_error_of_data(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    np.savez(folder / "good.npz", images=IMAGES[:2], labels=LABELS[:2])
    bad = bytearray((folder / "good.npz").read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    write(folder / "a.npz", bytes(bad[: data.draw(st.one_of(st.just(len(bad)), st.integers(0, len(bad))))]))
    try:
        rows = load(folder)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 (many are read all the same)
    else:
        assert rows


def test_the_source_conforms(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    testing.check_source(SOURCE, "npz:a.npz", {}, tmp_path)
    testing.check_source(SOURCE, "npz:a.npz", {"cut": {"validation": 0.2, "test": 0.3}}, tmp_path)


SUITE = """
[suite]
name = "cifar"
[models]
majority = "baseline:majority"
random = "baseline:random"
[tasks.cifar10]
adapter = "image-classification"
data = "npz:{truth}/cifar10/cifar10_test_first_1017.npz"
input = "images"
target = "labels"
{splits}
metrics = ["accuracy"]
[[grid]]
protocols = ["linear_probe"]
"""


@pytest.mark.truth
def test_the_first_images_of_cifar10(ptbench: Ptbench, written: Written, tmp_path: Path, truth: Path) -> None:
    request = ask(truth, {}, "cifar10/cifar10_test_first_1017.npz")
    assert SOURCE.describe(request) == DataDescription(("images", "labels"), {"all": 1017}, quick=True)
    rows = SOURCE.load(request)["all"]
    assert rows["images"][0].shape == (32, 32, 3)
    assert rows["labels"][:10] == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    whole = SUITE.format(truth=truth, splits='splits = { test = "all" }')
    planned = ptbench("plan", written("a.toml", whole))
    assert "1,017" in planned.out
    assert "linear_probe learns from a train split, and the task has none" in planned.out
    suite = written("b.toml", SUITE.format(truth=truth, splits="cut = { test = 0.5 }"))
    called = ptbench("run", suite, "--output", tmp_path, "--json")
    assert called.code == 0, called.err
    for record in json.loads(called.out)["records"]:
        assert record["scores"][0]["value"] == pytest.approx(0.1, abs=0.05)

"""Rows of images to a task: what is left out, what is counted, and that ids stay where they were."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.conftest import Ptbench, Written
from tests.plugins.vision.pictures import bad_files, classes, encoded, jpeg, noise, write

import ptbench_vision
from ptbench import DataError, DataRequest, Reference, Rows, Task, TaskRequest, cut_rows, testing
from ptbench.files import SOURCE as FILE
from ptbench_sklearn.data import SOURCE as SKLEARN
from ptbench_torch.images import read_image
from ptbench_vision.classification import ADAPTER, KIND


def build(splits: Mapping[str, Rows], root: Path = Path(), **options: Any) -> Task:
    return ADAPTER.build(splits, TaskRequest("t", ADAPTER.metrics, options, "file:a.csv", root))


def complaint(splits: Mapping[str, Rows], root: Path = Path(), **options: Any) -> str:
    with pytest.raises(DataError) as error:
        build(splits, root, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def rows(*images: Any, labels: str = "ababababababababab") -> Rows:
    return {"image": list(images), "label": list(labels[: len(images)])}


def test_every_sort_of_cell(tmp_path: Path) -> None:
    pixels = noise()
    data = encoded(pixels)
    path = write(tmp_path / "a.png", data)
    cells = [
        "a.png", Path("a.png"), path, str(path), data, bytearray(data), {"bytes": data, "path": "x.png"},
        {"bytes": None, "path": "a.png"}, pixels, pixels.tolist(), pixels.astype(np.int64),
        Image.fromarray(pixels),
    ]  # fmt: skip
    task = build({"test": rows(*cells)}, tmp_path)
    assert not any(task.unread.values())
    given = task.split("test").examples["image"]
    assert {type(cell) for cell in given} <= {type(path), bytes, np.ndarray}
    assert all(np.array_equal(np.asarray(read_image(cell)), pixels) for cell in given)
    assert len(task.fingerprint()) == 16


def test_grey_lists_are_images() -> None:
    grey = noise()[..., 0]
    task = build({"test": rows(grey.tolist(), noise())})
    assert np.array_equal(task.split("test").examples["image"][0], grey)


def test_what_cannot_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    bad = bad_files(tmp_path)
    write(tmp_path / "good.jpg", jpeg())
    good = ["good.jpg"] * 3
    train = rows(*good, *bad, labels="abababababab")
    test = rows(
        "good.jpg", "half.jpg", None, 7, [[1, 2], [3]], np.zeros((2, 2)), "good.jpg", labels="ababaab"
    )
    task = build({"train": train, "test": test}, tmp_path)
    assert task.unread == {
        "train": {
            "corrupt": 1, "empty": 1, "missing": 1, "not a file": 1, "not an image": 1, "too large": 1,
            "truncated": 2,
        },
        "test": {"missing": 1, "not an image": 3, "truncated": 1},
    }  # fmt: skip
    assert list(task.split("train").examples.ids) == ["train-0", "train-1", "train-2"]
    assert list(task.split("test").examples.ids) == ["test-0", "test-6"]
    assert task.split("test").targets.tolist() == [0, 1]


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    write(tmp_path / "good.jpg", jpeg())
    names = ["good.jpg", "good.jpg", "no.jpg", "x.nef"]
    write(tmp_path / "x.nef", encoded(noise(), "TIFF"))
    task = build({"test": {**rows(*names), "n": [4, 5, 6, 7]}}, tmp_path, id="n")
    first, second = task.left_out
    assert (first.split, first.id, first.reason) == ("test", "6", "missing")
    assert (second.id, second.reason) == ("7", "not an image")
    assert "x.nef is a raw file of a camera; convert it" in second.message


def test_rows_of_a_cut_keep_their_numbers() -> None:
    uncut = rows(*(noise(seed=i) for i in range(16)))
    cut = cut_rows(uncut, {"test": 0.4}, by=["image"], content={"image": lambda value: value})
    task = build(cut)
    ids = [example for split in task.splits.values() for example in split.examples.ids]
    assert sorted(ids) == sorted(f"all-{i}" for i in range(16))
    for split in task.splits.values():
        for example, cell in zip(split.examples.ids, split.examples["image"], strict=True):
            assert np.array_equal(cell, uncut["image"][int(example.removeprefix("all-"))])


def test_names_in_messages_are_short_and_urls_are_told(tmp_path: Path) -> None:
    assert len(complaint({"test": rows("iVBOR" * 2000, "AAAA" * 100)}, tmp_path)) < 400 + len(str(tmp_path))
    assert "(URLs are not fetched: " in complaint({"test": rows("https://a.org/x/y.jpg")}, tmp_path)


def test_ids_stay_when_a_file_breaks(tmp_path: Path) -> None:
    root = classes(tmp_path / "data", "a b", each=3)
    paths = [f"{name}/{i:02}.jpg" for name in "ab" for i in range(3)]
    before = build({"test": {**rows(*paths, labels="aaabbb"), "path": paths}}, root)
    assert list(before.split("test").examples.ids) == paths
    numbered = build({"test": rows(*paths, labels="aaabbb")}, root)
    (root / paths[1]).write_bytes(b"broken")
    after = build({"test": {**rows(*paths, labels="aaabbb"), "path": paths}}, root)
    assert list(after.split("test").examples.ids) == [path for path in paths if path != paths[1]]
    again = build({"test": rows(*paths, labels="aaabbb")}, root)
    kept = [example for example in numbered.split("test").examples.ids if example != "test-1"]
    assert list(again.split("test").examples.ids) == kept
    assert before.fingerprint() != after.fingerprint()


def test_paths_serve_as_ids_only_where_they_can() -> None:
    some = {**rows(noise(), noise(seed=1)), "path": ["x", "y"]}
    twice = {**some, "path": ["x", "x"]}
    without = rows(noise(), noise(seed=1))
    assert list(build({"test": some}).split("test").examples.ids) == ["x", "y"]
    assert list(build({"test": twice}).split("test").examples.ids) == ["test-0", "test-1"]
    assert list(build({"train": without, "test": some}).split("test").examples.ids) == ["test-0", "test-1"]
    assert list(build({"test": {**some, "n": [5, 6]}}, id="n").split("test").examples.ids) == ["5", "6"]


def test_odd_images_are_images(tmp_path: Path) -> None:
    task = build({"test": rows(noise(1, 1), encoded(noise(1, 3000)), noise(2000, 1))})
    assert not any(task.unread.values())
    assert len(task.split("test")) == 3


TWO = rows(noise(), noise(seed=1))
GONE = rows("no.jpg", "nor.jpg")


@pytest.mark.parametrize(
    ("splits", "options", "message"),
    [
        ({"test": GONE}, {}, "test: none of its 2 images can be read; row 1: "),
        ({"test": GONE}, {}, "no.jpg does not exist (relative paths are read from {root})"),
        ({"test": rows(b"", b"x")}, {}, "can be read; row 1: an image of 0 bytes is empty"),
        (
            {"test": rows(noise(), noise(), b"x", b"")},
            {"on_unread": "error"},
            "test, row 3: an image of 1 bytes is no image of a known format; 2 of 4 images cannot be read; "
            'mend them, or write on_unread = "leave_out"',
        ),
        ({"test": rows(noise(), b"x", noise(), labels="aba")}, {}, "test: no image of label 'b' can be read"),
        ({"test": TWO}, {"input": "imag"}, "test has no column 'imag'; did you mean 'image'?"),
        ({"test": TWO}, {"target": "lable"}, "no column 'lable'; did you mean 'label'?"),
        ({"test": TWO}, {"id": "key"}, "test has no column 'key'"),
        ({"test": TWO}, {"id": "label", "labels": ["a"]}, "'labels' has only 'a'"),
        (
            {"test": {**TWO, "label": list("aa")}},
            {"id": "label", "labels": ["a", "b"]},
            "; ids in 'label' must differ",
        ),
        ({"test": {**TWO, "label": np.eye(2)}}, {}, "test, row 1: 'label' is a list ([1. 0.]); a label was"),
        ({}, {}, "there are no rows at all"),
        ({"test": rows()}, {}, "test is empty"),
    ],
)  # fmt: skip
def test_complaints(
    splits: Mapping[str, Rows], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    assert message.format(root=tmp_path) in complaint(splits, tmp_path, **options)


def test_with_labels_named_a_label_may_lose_its_images() -> None:
    task = build({"test": rows(noise(), b"x", noise(), labels="aba")}, labels=["a", "b"])
    assert task.unread == {"test": {"not an image": 1}}


def test_labels_and_names() -> None:
    task = build({"test": {"image": [noise(), noise()], "label": [0, 1]}}, labels={"0": "cat", "1": "dog"})
    assert task.labels == ("cat", "dog")
    assert ADAPTER.columns({}) == ("image", "label")
    assert ADAPTER.columns({"input": "x", "target": "y", "id": "z"}) == ("x", "y", "z")
    assert KIND.name == ADAPTER.kind == task.kind == "image-classification"


def test_the_adapter_conforms() -> None:
    examples = testing.images(10)
    splits = {split: {**rows(*examples["image"], labels="ab" * 5)} for split in ("train", "test")}
    testing.check_adapter(ADAPTER, splits)


def file_rows(path: Path) -> tuple[Mapping[str, Rows], Path]:
    request = DataRequest(Reference.parse(f"file:{path.name}", revisions=False), FILE.filled({}), path.parent)
    return FILE.load(request), FILE.root(request)


def test_paths_in_a_file_are_read_from_its_folder(tmp_path: Path) -> None:
    classes(tmp_path / "pictures", "cat dog", each=2)
    lines = "".join(f"pictures/{name}/0{i}.jpg,{name}\n" for name in ("cat", "dog") for i in (0, 1))
    table = write(tmp_path / "list.csv", f"image,label\n{lines}".encode())
    splits, root = file_rows(table)
    task = build({"test": splits["all"]}, root)
    assert not any(task.unread.values())
    assert task.split("test").examples["image"][0] == tmp_path / "pictures/cat/00.jpg"
    folder = tmp_path / "splits"
    write(folder / "test.csv", b"image,label\nx.jpg,a\n")
    assert file_rows(folder)[1] == folder


def test_encoded_images_in_parquet(tmp_path: Path) -> None:
    plain = [jpeg(seed=i) for i in range(4)]
    nested = [{"bytes": data, "path": f"{i}.jpg"} for i, data in enumerate(plain)]
    pd.DataFrame({"image": plain, "nested": nested, "label": list("abab")}).to_parquet(tmp_path / "a.parquet")
    splits, root = file_rows(tmp_path / "a.parquet")
    for column in ("image", "nested"):
        task = build({"test": splits["all"]}, root, input=column)
        assert list(task.split("test").examples["image"]) == plain


def test_images_of_the_hub_stay_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    from datasets.arrow_writer import ArrowWriter

    from ptbench_hf.hub import SOURCE as HUB

    plain = [jpeg(seed=i) for i in range(4)]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    commit = "a" * 40
    folder = tmp_path / "org___pets" / "default" / "0.0.0" / commit
    folder.mkdir(parents=True)
    images = [{"bytes": data, "path": None} for data in plain]
    table = datasets.Dataset.from_dict({"image": images, "label": [0, 1, 0, 1]}, features=features)
    with ArrowWriter(path=str(folder / "pets-test.arrow"), features=features) as writer:
        writer.write_table(table.data.table)
        n, size = writer.finalize()
    splits = datasets.SplitDict()
    splits.add(datasets.SplitInfo("test", size, n, dataset_name="pets"))
    datasets.DatasetInfo(
        features=features, splits=splits, config_name="default", dataset_name="pets"
    ).write_to_directory(str(folder))
    rows = HUB.load(DataRequest(Reference.parse(f"hub:org/pets@{commit}"), HUB.filled({}), tmp_path))
    task = build(rows)
    assert list(task.split("test").examples["image"]) == plain
    assert task.labels == ("cat", "dog")


def test_digits_cut() -> None:
    options = SKLEARN.filled({"cut": {"test": 0.2}, "cut_by": ["image"]})
    splits = SKLEARN.load(DataRequest(Reference.parse("sklearn:digits"), options))
    task = build(splits, target="target")
    assert task.labels == tuple("0123456789")
    assert sum(map(len, task.splits.values())) == 1797


def test_the_plugin_conforms_and_loads_no_framework() -> None:
    assert len(testing.check_plugin(ptbench_vision).offers) >= 5
    code = "import sys, ptbench_vision; print({'PIL', 'torch', 'torchvision', 'timm'} & set(sys.modules))"
    called = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert called.stdout.strip() == "set()"


SUITE = """
[suite]
name = "pets"
[models]
majority = "baseline:majority"
[tasks.pets]
adapter = "image-classification"
data = "folder:pets"
cut = { test = 0.4 }
metrics = ["accuracy", "balanced_accuracy"]
[[grid]]
protocols = ["linear_probe"]
"""


def test_a_suite_with_broken_images(ptbench: Ptbench, written: Written, tmp_path: Path) -> None:
    root = classes(tmp_path / "pets", each=10)
    bad_files(root / "dog")
    suite = written("pets.toml", SUITE)
    planned = ptbench("plan", suite)
    assert planned.code == 0, planned.err
    assert "inputs could not be read, left out: " in planned.out
    called = ptbench("run", suite, "--output", tmp_path / "out", "--json")
    assert called.code == 0, called.err
    (record,) = json.loads(called.out)["records"]
    assert record["kind"] == "image-classification"
    assert 0 < record["n"] < 30
    (listed,) = tmp_path.glob("out/*/*/unread/*.csv")
    assert record["files"][-1] == "unread/pets.csv"
    assert "what could not be read is listed in unread/pets.csv" in record["notes"]
    lines = pd.read_csv(listed)
    assert list(lines) == ["split", "id", "reason", "message"]
    assert sorted(lines["id"])[0].startswith("dog/")
    (told,) = json.loads(ptbench("plan", suite, "--json").out)["tasks"].values()
    assert sum(sum(reasons.values()) for reasons in told["unread"].values()) == len(lines)


def test_what_images_are_not_quite_is_told(tmp_path: Path) -> None:
    rotated = Image.new("RGB", (8, 4))
    exif = rotated.getexif()
    exif[0x0112] = 6
    rotated.save(tmp_path / "rotated.jpg", exif=exif)
    Image.new("RGBA", (4, 4)).save(tmp_path / "alpha.png")
    Image.new("I;16", (4, 4)).save(tmp_path / "deep.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    task = build({"test": rows(*sorted(tmp_path.iterdir()))})
    assert set(task.notes) == {
        "1 of the images: EXIF rotation not applied, as in torchvision and timm",
        "1 of the images: more than 8 bits, scaled to 8",
        "1 of the images: alpha channel dropped",
    }

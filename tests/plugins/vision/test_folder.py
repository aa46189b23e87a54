"""A folder for each class: what is an image, what is a split, and what is a mistake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.vision.pictures import bad_files, classes, jpeg, write

from ptbench import DataDescription, DataError, DataRequest, Reference, Rows, testing
from ptbench_vision.folder import SOURCE


def ask(base: Path, options: Mapping[str, Any], name: str = "data") -> DataRequest:
    return DataRequest(Reference.parse(f"folder:{name}", revisions=False), SOURCE.filled(options), base)


def load(base: Path, **options: Any) -> Mapping[str, Rows]:
    return SOURCE.load(ask(base, options))


def describe(base: Path, **options: Any) -> DataDescription:
    return SOURCE.describe(ask(base, options))


def complaint(base: Path, name: str = "data", **options: Any) -> str:
    with pytest.raises(DataError) as error:
        SOURCE.load(ask(base, options, name))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_folder_of_classes(tmp_path: Path) -> None:
    root = classes(tmp_path / "data", "b a", each=2)
    assert load(tmp_path) == {
        "all": {
            "image": tuple(root / path for path in ("a/00.jpg", "a/01.jpg", "b/00.jpg", "b/01.jpg")),
            "label": ["a", "a", "b", "b"],
            "path": ("a/00.jpg", "a/01.jpg", "b/00.jpg", "b/01.jpg"),
        }
    }
    assert describe(tmp_path) == DataDescription(("image", "label", "path"), {"all": None}, quick=True)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        ("train test", ["train", "test"]),
        ("TRAIN val testing", ["train", "validation", "test"]),
        ("training valid", ["train", "validation"]),
    ],
)
def test_splits(tmp_path: Path, names: str, splits: list[str]) -> None:
    for name in names.split():
        classes(tmp_path / "data" / name, "cat dog", each=2)
    loaded = load(tmp_path)
    assert list(loaded) == list(describe(tmp_path).splits or ()) == splits
    assert loaded[splits[0]]["label"] == ["cat", "cat", "dog", "dog"]
    assert loaded[splits[0]]["path"][0] == f"{names.split(maxsplit=1)[0]}/cat/00.jpg"
    assert "has splits" in complaint(tmp_path, cut={"test": 0.2})
    some = replace(ask(tmp_path, {}), splits=(splits[1],))
    assert list(SOURCE.load(some)) == list(SOURCE.describe(some).splits or ()) == splits[1:2]
    with pytest.raises(DataError, match="no split 'dev'; known: "):
        SOURCE.load(replace(some, splits=("dev",)))


def test_classes_may_be_named_like_splits(tmp_path: Path) -> None:
    classes(tmp_path / "data", "test train bus")
    assert list(load(tmp_path)) == ["all"]
    assert sorted(set(load(tmp_path)["all"]["label"])) == ["bus", "test", "train"]


def test_what_is_skipped_and_what_is_not(tmp_path: Path) -> None:
    root = classes(tmp_path / "data", "cat dog", each=1)
    for name in (
        "cat/Thumbs.db",
        "cat/notes.txt",
        "cat/.hidden.jpg",
        ".git/x.jpg",
        "__MACOSX/cat/x.jpg",
        "labels.csv",
    ):
        write(root / name, jpeg())
    write(root / "cat/deep/er/B.JPEG", jpeg())
    write(root / "dog/page.jpg", b"<html>")
    (root / "cat/folder.jpg").mkdir()
    (root / "cat/loop").symlink_to(root / "cat")
    (root / "dog/up").symlink_to(root / "dog" / "..")
    linked = classes(tmp_path / "elsewhere", "eel", each=1)
    (root / "eel").symlink_to(linked / "eel")
    paths = load(tmp_path)["all"]["path"]
    assert [path for path in paths if "up" not in path] == [
        "cat/00.jpg", "cat/deep/er/B.JPEG", "dog/00.jpg", "dog/page.jpg", "eel/00.jpg"
    ]  # fmt: skip


def test_a_cut_goes_by_what_a_file_says(tmp_path: Path) -> None:
    root = classes(tmp_path / "data", each=20)
    for i in range(20):
        write(root / "cat" / f"copy {i}.jpg", (root / "cat" / f"{i:02}.jpg").read_bytes())
    bad_files(root / "dog")
    splits = load(tmp_path, cut={"test": 0.3}, cut_by=["image"])
    assert list(splits) == list(describe(tmp_path, cut={"test": 0.3}).splits or ()) == ["train", "test"]
    assert sum(len(rows["path"]) for rows in splits.values()) == 60 + 20 + 8
    assert set(splits["test"]) == {"image", "label", "path"}
    contents = [
        {image.read_bytes() for image in rows["image"] if image.is_file()} for rows in splits.values()
    ]
    assert not contents[0] & contents[1]
    by_label = load(tmp_path, cut={"test": 0.5}, cut_by=["label"], cut_seed=3)
    assert not set(by_label["train"]["label"]) & set(by_label["test"]["label"])


def test_thousands_of_classes(tmp_path: Path) -> None:
    data = jpeg()
    for i in range(2000):
        write(tmp_path / "data" / f"n{i:08}" / "a.jpg", data)
    assert len(load(tmp_path)["all"]["label"]) == 2000
    assert not describe(tmp_path).quick


def test_names_that_are_no_text(tmp_path: Path) -> None:
    root = classes(tmp_path / "data", "cat dog", each=1)
    try:
        write(root / "cat" / b"\xff.jpg".decode(errors="surrogateescape"), jpeg())
    except OSError:
        pytest.skip("this disk has names in UTF-8 only")
    rows = load(tmp_path)["all"]
    assert rows["path"][:2] == ("cat/00.jpg", "cat/\\xff.jpg")
    assert rows["image"][1].read_bytes() == jpeg()


def test_complaints(tmp_path: Path) -> None:
    assert f"there is no folder {tmp_path}/data; in {tmp_path}: none is known" in complaint(tmp_path)
    root = classes(tmp_path / "data", "cat dog", each=1)
    assert "did you mean 'data'?" in complaint(tmp_path, "dta")
    assert "~nobody-of-this-name/x cannot be read" in complaint(tmp_path, "~nobody-of-this-name/x")
    assert "data/cat/00.jpg is a file" in complaint(tmp_path, "data/cat/00.jpg")
    assert "image '00.jpg' lies in no folder of a class" in complaint(tmp_path, "data/cat")
    (root / "eel").mkdir()
    assert f"{root}/eel has no image (as .jpg, " in complaint(tmp_path)
    (root / "eel").rmdir()
    write(root / "x.png", jpeg())
    write(root / "y.png", jpeg())
    assert "image 'x.png' and 1 more lies in no folder of a class" in complaint(tmp_path)
    (tmp_path / "empty").mkdir()
    classes(tmp_path / "more", "cat dog", each=1)
    assert "empty has no folders of classes" in complaint(tmp_path, "empty")
    assert "cut has an unknown split 'dev'" in complaint(tmp_path, "more", cut={"dev": 0.1})


def test_splits_and_something_else(tmp_path: Path) -> None:
    for name in ("train", "val", "validation"):
        classes(tmp_path / "data" / name, "cat dog", each=1)
    assert "'val' and 'validation' are both validation; join them" in complaint(tmp_path)
    classes(tmp_path / "data" / "extra", "cat", each=1)
    assert "and 'extra' beside them; rename or move one of them" in complaint(tmp_path)


def test_pictures_that_are_not_read_are_rows_all_the_same(tmp_path: Path) -> None:
    root = classes(tmp_path / "data", "cat dog", each=1)
    for name in (
        "cat/x.HEIC",
        "cat/without",
        "dog/y.svg",
        "dog/z.nef",
        "dog/notes.txt",
        "README",
        "dog/a.json",
    ):
        write(root / name, b"other")
    write(root / "cat/jpeg", jpeg())
    assert load(tmp_path)["all"]["path"] == (
        "cat/00.jpg", "cat/jpeg", "cat/without", "cat/x.HEIC", "dog/00.jpg", "dog/y.svg", "dog/z.nef"
    )  # fmt: skip


@pytest.mark.parametrize("names", [("cat ", "cat"), ("train/cat", "test/cat ")])
def test_two_folders_are_not_one_label(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in (*names, *(name.replace("cat", "dog").strip() for name in names)):
        write(tmp_path / "data" / name / "a.jpg", jpeg())
    told = complaint(tmp_path)
    assert "'cat'" in told
    assert "'cat '" in told
    assert "are one label, 'cat'; join or rename them" in told


def test_a_split_may_be_named_as_its_folder(tmp_path: Path) -> None:
    for name in ("train", "val"):
        classes(tmp_path / "data" / name, "cat dog", each=2)
    some = replace(ask(tmp_path, {}), splits=("train", "val"))
    assert set(SOURCE.load(some)) == set(SOURCE.describe(some).splits or ()) == {"train", "val"}
    with pytest.raises(DataError, match="two of these are one folder"):
        SOURCE.load(replace(some, splits=("val", "validation")))


def test_a_cut_that_is_none_is_told_by_the_plan_too(tmp_path: Path) -> None:
    classes(tmp_path / "data", "cat dog", each=9)
    for options in ({"cut": 0.3}, {"cut": {"tset": 0.3}}):
        with pytest.raises(DataError, match=r"cut is 0\.3; write cut|did you mean 'test'"):
            describe(tmp_path, **options)
    for by, told in ((["text"], "known: image, label, path "), ("image", r'a list .* cut_by = \["image"\]')):
        with pytest.raises(DataError, match=told):
            load(tmp_path, cut={"test": 0.3}, cut_by=by)


def test_the_source_conforms(tmp_path: Path) -> None:
    classes(tmp_path / "data", each=8)
    testing.check_source(SOURCE, "folder:data", {}, tmp_path)
    testing.check_source(SOURCE, "folder:data", {"cut": {"test": 0.3}}, tmp_path)

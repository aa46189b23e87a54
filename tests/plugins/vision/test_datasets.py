"""Data sets of torchvision, from files in the formats that lie on a disk; no test has a network."""

from __future__ import annotations

import hashlib
import pickle
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from tests.plugins.vision.pictures import classes, write

from ptbench import DataDescription, DataError, DataRequest, Reference, Rows, testing
from ptbench_vision.datasets import SOURCE

torchvision = pytest.importorskip("torchvision")


def ask(base: Path, name: str, options: Mapping[str, Any]) -> DataRequest:
    return DataRequest(Reference.parse(f"torchvision:{name}"), SOURCE.filled(options), base)


def load(base: Path, name: str, **options: Any) -> Mapping[str, Rows]:
    return SOURCE.load(ask(base, name, options))


def describe(base: Path, name: str, **options: Any) -> DataDescription:
    return SOURCE.describe(ask(base, name, options))


def complaint(base: Path, name: str) -> str:
    with pytest.raises(DataError) as error:
        load(base, name)
    assert "\n" not in str(error.value)
    return str(error.value)


def cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write CIFAR-10 with two images in each file, and tell torchvision their digests.

    The format is the published one: rows of 3072 bytes, channels first.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
    folder = root / "cifar-10-batches-py"

    def put(name: str, content: Any) -> list[str]:
        data = pickle.dumps(content, protocol=2)
        write(folder / name, data)
        return [name, hashlib.md5(data, usedforsecurity=False).hexdigest()]

    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    lists = [
        put(name, {"data": pixels[2 * i : 2 * i + 2].reshape(2, 3072), "labels": [i, 9]})
        for i, name in enumerate(names)
    ]
    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    meta = put("batches.meta", {"label_names": classes})
    data_set = torchvision.datasets.CIFAR10
    monkeypatch.setattr(data_set, "train_list", lists[:5])
    monkeypatch.setattr(data_set, "test_list", lists[5:])
    monkeypatch.setattr(data_set, "meta", {"filename": meta[0], "key": "label_names", "md5": meta[1]})
    return pixels.transpose(0, 2, 3, 1)


def mnist(root: Path, name: str) -> Any:
    """Write MNIST's idx files, with three images to train on and two to test."""
    pixels = np.random.default_rng(1).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    for part, some, labels in (("train", pixels[:3], [5, 0, 9]), ("t10k", pixels[3:], [7, 2])):
        folder = root / name / "raw"
        header = struct.pack(">IIII", 0x803, len(some), 28, 28)
        write(folder / f"{part}-images-idx3-ubyte", header + some.tobytes())
        write(folder / f"{part}-labels-idx1-ubyte", struct.pack(">II", 0x801, len(some)) + bytes(labels))
    return pixels


def test_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = cifar10(tmp_path / "data", monkeypatch)
    splits = load(tmp_path, "CIFAR10")
    assert np.array_equal(np.stack([*splits["train"]["image"], *splits["test"]["image"]]), pixels)
    assert splits["train"]["label"][:4] == ["airplane", "truck", "automobile", "truck"]
    assert splits["test"]["label"] == ["dog", "truck"]
    test_only = replace(ask(tmp_path, "CIFAR10", {}), splits=("test",))
    assert SOURCE.load(test_only).keys() == {"test"}
    assert SOURCE.describe(test_only).splits == {"test": 10_000}
    assert not describe(tmp_path, "CIFAR10").downloads


def test_a_file_that_is_not_the_published_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar10(tmp_path / "data", monkeypatch)
    write(tmp_path / "data/cifar-10-batches-py/test_batch", b"a pickle that nobody published")
    told = complaint(tmp_path, "CIFAR10")
    assert "cannot be read: Dataset not found or corrupted" in told
    assert "remove it, and it is brought anew" in told


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("MNIST", ["5 - five", "0 - zero", "9 - nine"]),
        ("FashionMNIST", ["Sandal", "T-shirt/top", "Ankle boot"]),
    ],
)
def test_mnist(tmp_path: Path, name: str, labels: list[str]) -> None:
    pixels = mnist(tmp_path / "elsewhere", name)
    splits = load(tmp_path, name, root="elsewhere")
    assert splits["train"]["label"] == labels
    assert np.array_equal(np.stack([*splits["train"]["image"], *splits["test"]["image"]]), pixels)
    assert not describe(tmp_path, name, root="elsewhere").downloads
    assert splits["test"]["image"][0].dtype == np.uint8


def test_imagenet_is_paths(tmp_path: Path) -> None:
    root = tmp_path / "data"
    classes(root / "val", "n01440764 n01443537", each=2)
    splits = load(tmp_path, "ImageNet")
    assert list(splits) == list(describe(tmp_path, "ImageNet").splits or ()) == ["validation"]
    assert splits["validation"]["label"] == ["n01440764"] * 2 + ["n01443537"] * 2
    assert splits["validation"]["image"][0] == root / "val/n01440764/00.jpg"
    assert splits["validation"]["path"][0] == "val/n01440764/00.jpg"
    testing.check_source(SOURCE, "torchvision:ImageNet", {}, tmp_path)
    with pytest.raises(DataError, match="ImageNet: there is no split 'train'; known: validation"):
        SOURCE.load(replace(ask(tmp_path, "ImageNet", {}), splits=("train", "validation")))


def test_only_splits_of_imagenet_that_are_used_are_listed(tmp_path: Path) -> None:
    classes(tmp_path / "data" / "val", "n01440764 n01443537", each=2)
    write(tmp_path / "data" / "train" / "loose.jpg", b"")  # listing it would fail
    request = replace(ask(tmp_path, "ImageNet", {}), splits=("validation",))
    assert list(SOURCE.describe(request).splits or ()) == list(SOURCE.load(request)) == ["validation"]


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST"])
def test_what_has_to_be_brought_is_said_before(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (download,) = describe(tmp_path, name).downloads
    assert download.what == f"{name} of torchvision, to {tmp_path}/data"
    assert download.bytes is not None
    assert download.bytes > 1e7
    assert list(describe(tmp_path, name).splits or ()) == ["train", "test"]
    assert not list(tmp_path.iterdir())

    def unreachable(*arguments: Any, **options: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    told = complaint(tmp_path, name)
    assert told.startswith(f"torchvision:{name} is not in {tmp_path}/data, and could not be brought: ")
    assert "copy" in told


def test_complaints(tmp_path: Path) -> None:
    assert "no data set 'CIFAR11' that this source knows; did you mean 'CIFAR10" in complaint(
        tmp_path, "CIFAR11"
    )
    assert "did you mean 'CIFAR10'?" in complaint(tmp_path, "cifar10")
    told = complaint(tmp_path, "ImageNet")
    assert "no program may bring it: get ILSVRC2012 from image-net.org" in told
    with pytest.raises(DataError, match="ImageNet is not in"):
        describe(tmp_path, "ImageNet")

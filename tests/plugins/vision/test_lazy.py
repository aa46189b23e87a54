"""Images of a hub's data set stay on the disk: a run holds few of them, and comes to the same as with all."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from tests.conftest import Ptbench, Written
from tests.plugins.vision.pictures import encoded, jpeg, noise

from ptbench import DataError, Task, TaskRequest
from ptbench.catalog import load_catalog
from ptbench.data import feed
from ptbench.loading import load_task
from ptbench.records import TaskSpec
from ptbench_torch.images import UnreadableImage, check_image, read_image
from ptbench_vision.checking import check_images
from ptbench_vision.classification import ADAPTER

datasets = pytest.importorskip("datasets")

COMMIT = "a" * 40
DATA = f"hub:org/pets@{COMMIT}"


class Lazy:
    """Stands for bytes, and counts how often they are asked for."""

    def __init__(self, data: bytes | Exception) -> None:
        self.data = data
        self.asked = 0

    def __bytes__(self) -> bytes:
        self.asked += 1
        if isinstance(self.data, Exception):
            raise self.data
        return self.data

    def __str__(self) -> str:
        return "a picture"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of datasets, empty."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def fill(cache: Path, splits: dict[str, Sequence[bytes]]) -> None:
    """Write what `load_dataset` leaves of images and labels in its cache."""
    from datasets.arrow_writer import ArrowWriter

    labels = datasets.ClassLabel(names=["cat", "dog"])
    features = datasets.Features({"image": datasets.Image(), "label": labels})
    folder = cache / "org___pets" / "default" / "0.0.0" / COMMIT
    folder.mkdir(parents=True)
    known = datasets.SplitDict()
    for name, images in splits.items():
        path = str(folder / f"pets-{name}.arrow")
        with ArrowWriter(path=path, features=features, writer_batch_size=20) as writer:
            for i, data in enumerate(images):
                writer.write({"image": {"bytes": data, "path": f"{i}.jpg"}, "label": i % 2})
            n, size = writer.finalize()
        known.add(datasets.SplitInfo(name, size, n, dataset_name="pets"))
    info = datasets.DatasetInfo(features=features, splits=known, config_name="default", dataset_name="pets")
    info.write_to_directory(str(folder))


def load(base: Path, **more: Any) -> Task:
    return load_task(TaskSpec("pets", "image-classification", DATA, **more), base, load_catalog())


SUITE = f"""
[suite]
name = "pets"
[models]
grey = {{ ref = "pixels:grey", size = 4 }}
[tasks.pets]
adapter = "image-classification"
data = "{DATA}"
splits = {{ train = "train", test = "validation" }}
metrics = ["accuracy"]
LIMIT
[[grid]]
protocols = ["linear_probe"]
"""


def test_a_run_never_holds_all_images(
    ptbench: Ptbench, written: Written, cache: Path, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    draw = np.random.default_rng(0)
    sizes = {"train": 120, "validation": 120, "test": 60}

    def some(n: int) -> list[bytes]:
        return [encoded(draw.integers(0, 256, (200, 300, 3), dtype=np.uint8), "BMP") for _ in range(n)]

    fill(cache, {name: some(n) for name, n in sizes.items()})
    used = 240 * 180_000

    def run(name: str, limit: str) -> int:
        suite = written(f"{name}.toml", SUITE.replace("LIMIT", limit))
        called = ptbench("run", suite, "--output", tmp_path / name, "--json")
        assert called.code == 0, called.err
        (record,) = json.loads(called.out)["records"]
        n: int = record["n"]
        return n

    assert run("few", "limit = { train = 20, test = 12 }") == 12  # and everything is imported
    tracemalloc.start()
    try:
        assert run("all", "") == sizes["validation"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < used / 4, f"{peak:,} of {used:,} bytes"


def test_a_task_is_the_same_as_one_of_plain_bytes(cache: Path, tmp_path: Path) -> None:
    plain = {"train": [jpeg(seed=i) for i in range(8)], "test": [jpeg(seed=9 + i) for i in range(5)]}
    plain["test"][3] = plain["test"][3][:400]
    fill(cache, plain)
    rows = {
        split: {"image": images, "label": ["cat" if i % 2 == 0 else "dog" for i in range(len(images))]}
        for split, images in plain.items()
    }
    lazy, held = load(tmp_path), ADAPTER.build(rows, TaskRequest("pets", (), {}))
    assert lazy.unread == held.unread == {"train": {}, "test": {"truncated": 1}}
    assert lazy.fingerprint() == held.fingerprint()
    assert not any(isinstance(cell, bytes) for cell in lazy.split("train").examples["image"])
    assert len(load(tmp_path, limit={"train": 3}).split("train")) == 3


def test_what_stands_for_bytes_is_read_once_a_call() -> None:
    cell = Lazy(encoded(noise()))
    assert np.array_equal(np.asarray(read_image(cell)), noise())
    assert cell.asked == 1
    assert not check_image(cell).reason
    assert cell.asked == 2
    assert [one.reason for one in check_images([Lazy(b""), Lazy(b"x"), cell])] == [
        "empty",
        "not an image",
        "",
    ]


def test_what_stands_for_bytes_counts_as_these(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")

    def digest(value: Any) -> str:
        found = hashlib.sha256()
        feed(found, value)
        return found.hexdigest()

    assert digest([Lazy(b"content")]) == digest([b"content"])
    # these have bytes too: a file counts by its content, wherever it lies, and a mere name not at all
    assert digest(tmp_path / "a") not in (digest(bytes(tmp_path / "a")), digest(b"content"))
    assert digest(np.frombuffer(b"content", np.uint8)) != digest(b"content")
    with pytest.raises(DataError, match="PurePosixPath has no fingerprint"):
        digest(PurePosixPath("a"))


def test_what_cannot_be_read_after_all_is_unread() -> None:
    broken = Lazy(OSError("the disk is gone"))
    with pytest.raises(UnreadableImage, match="a picture cannot be read: the disk is gone"):
        read_image(broken)
    assert check_image(broken).reason == "closed"

"""`fetch` of data sets from the hub: only the splits that are wanted, large files so that they can go on."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

datasets = pytest.importorskip("datasets")

from tests.plugins.hf.test_hub import NEW, Hub, cache, parquet, wanted  # noqa: E402, F401
from tests.serving import serving  # noqa: E402

from ptbench import DataError  # noqa: E402
from ptbench_hf.hub import SOURCE  # noqa: E402
from ptbench_torch import hubfiles  # noqa: E402

assert SOURCE.fetch is not None


def ignore(what: str, done: int, total: int | None) -> None:
    """Nobody wants to know."""


def test_only_splits_that_are_wanted_are_brought(
    cache: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Hub(monkeypatch, cache)
    brought: list[str] = []
    parquet(tmp_path, {"train": 9, "validation": 4}, brought, monkeypatch)
    request = wanted(f"set@{NEW}", "validation")
    assert SOURCE.fetch is not None
    files = SOURCE.fetch(request, ignore)
    assert brought == ["validation"]
    assert "dataset_info.json" in {file.name for file in files}
    assert all(file.is_file() for file in files)
    assert SOURCE.describe(request).downloads == ()
    monkeypatch.setattr("datasets.load_dataset_builder", None)  # what is there is not brought again
    assert SOURCE.fetch(request, ignore) == files
    assert list(SOURCE.load(request)["validation"]) == ["text", "label"]


def test_large_files_are_brought_so_that_they_can_go_on(
    cache: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They come into the hub's cache by their digest, where its client looks for them."""
    data = bytes(range(256)) * 2**13
    digest = hashlib.sha256(data).hexdigest()
    asked: list[Any] = []

    def get_paths_info(_: Any, name: str, paths: Sequence[str], **options: Any) -> list[Any]:
        asked.append((name, list(paths), options))
        lfs = SimpleNamespace(sha256=digest, size=len(data))
        small = SimpleNamespace(path=paths[1], size=3, lfs=None)
        return [SimpleNamespace(path=paths[0], size=len(data), lfs=lfs), small]

    Hub(monkeypatch, cache)
    builder = SimpleNamespace(
        repo_id="org/set",
        hash=NEW,
        config=SimpleNamespace(
            data_files={
                "validation": [f"hf://datasets/org/set@{NEW}/{name}" for name in ("large.parquet", "small")],
                "train": [f"hf://datasets/org/set@{NEW}/not-wanted"],
            }
        ),
        cache_dir=str(cache / "org___set" / "default" / "0.0.0" / NEW),
        download_and_prepare=lambda *_, **__: None,
    )
    monkeypatch.setattr("datasets.load_dataset_builder", lambda *_, **__: builder)
    monkeypatch.setattr("huggingface_hub.HfApi.get_paths_info", get_paths_info)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    blob = tmp_path / "hub" / "datasets--org--set" / "blobs" / digest
    blob.parent.mkdir(parents=True)
    blob.with_name(f"{digest}.part").write_bytes(data[:1000])
    with serving() as served:
        path = f"/dataset/org/set/{NEW}/large.parquet"

        def hf_hub_url(name: str, file: str, *, repo_type: str, revision: str) -> str:
            return f"{served.url}/{repo_type}/{name}/{revision}/{file}"

        monkeypatch.setattr("huggingface_hub.hf_hub_url", hf_hub_url)
        served.files[path] = data
        assert SOURCE.fetch is not None
        SOURCE.fetch(wanted(f"org/set@{NEW}", "validation"), ignore)
        assert served.asked == [(path, "bytes=1000-")]
    assert blob.read_bytes() == data
    assert asked == [("org/set", ["large.parquet", "small"], {"repo_type": "dataset", "revision": NEW})]


def test_a_full_disk_is_told(
    cache: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Hub(monkeypatch, cache)

    def full(*arguments: Any, **options: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("datasets.load_dataset_builder", full)
    assert SOURCE.fetch is not None
    with pytest.raises(DataError, match="does not fit on the disk of "):
        SOURCE.fetch(wanted(f"org/set@{NEW}"), ignore)


def test_how_far_it_has_come_is_seen_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hubfiles, "EVERY", 0.001)
    blobs = tmp_path / "models--org--m" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "earlier").write_bytes(bytes(50))
    (blobs / "half.incomplete").write_bytes(bytes(20))
    told: list[tuple[int, int | None]] = []
    with hubfiles.watched("org/m", "models", 100, lambda *far: told.append(far)):
        while (20, 100) not in told:
            pass
        (blobs / "half.incomplete").rename(blobs / "half")
        (blobs / "half").write_bytes(bytes(500))
        while (100, 100) not in told:  # never more than all
            pass
    assert {far for far in told if far[0] not in (20, 100)} <= {(0, 100)}

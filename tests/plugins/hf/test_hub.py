"""The source `hub:`, without a network: from a real local cache, and with the hub stood in for."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

datasets = pytest.importorskip("datasets")
huggingface_hub = pytest.importorskip("huggingface_hub")

from ptbench import DataDescription, DataError, DataRequest, Reference, Rows, cut_rows  # noqa: E402
from ptbench.data import feed  # noqa: E402
from ptbench_hf.hub import SOURCE  # noqa: E402
from ptbench_hf.hubrows import Stored  # noqa: E402

OLD, NEW = "a" * 40, "b" * 40
FEATURES = datasets.Features(
    {
        "sentence": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["negative", "positive"]),
        "score": datasets.Value("float32"),
        "tags": datasets.Sequence(datasets.ClassLabel(names=["O", "PER"])),
        "day": datasets.Value("date32"),
    }
)


def rows(text: str) -> dict[str, list[Any]]:
    return {
        "sentence": [text, None],
        "label": [1, -1],
        "score": [0.5, None],
        "tags": [[0, 1], []],
        "day": [date(2024, 10, 4), None],
    }


PLAIN = {
    "label": ["positive", None],
    "score": [0.5, None],
    "tags": [["O", "PER"], []],
    "day": ["2024-10-04", None],
}


def ask(name: str, options: Mapping[str, Any]) -> DataRequest:
    return DataRequest(Reference.parse(f"hub:{name}", revisions=SOURCE.revisions), options)


def load(name: str, **options: Any) -> Mapping[str, Rows]:
    return SOURCE.load(ask(name, options))


def describe(name: str, **options: Any) -> DataDescription:
    return SOURCE.describe(ask(name, options))


def complaint(name: str, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        load(name, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of datasets."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("HF_DATASETS_CACHE", str(folder))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def fill(cache: Path, commit: str, config: str = "main_part") -> Path:
    """Write what `load_dataset` leaves in its cache: Arrow files and dataset_info.json."""
    from datasets.arrow_writer import ArrowWriter

    folder = cache / "org___my_data" / config / "0.0.0" / commit
    folder.mkdir(parents=True)
    splits = datasets.SplitDict()
    for name in ("train", "test"):
        table = datasets.Dataset.from_dict(rows(f"{name} {commit[0]}"), features=FEATURES)
        with ArrowWriter(path=str(folder / f"my_data-{name}.arrow"), features=FEATURES) as writer:
            writer.write_table(table.data.table)
            examples, size = writer.finalize()
        splits.add(datasets.SplitInfo(name, size, examples, dataset_name="my_data"))
    info = datasets.DatasetInfo(features=FEATURES, splits=splits, config_name=config, dataset_name="my_data")
    info.write_to_directory(str(folder))
    return folder


def test_a_pinned_commit_is_read_from_the_cache(cache: Path) -> None:
    newest = fill(cache, NEW)
    fill(cache, OLD)
    os.utime(newest)  # datasets itself would take the newest, whatever was asked for
    for revision in (OLD, OLD[:8]):
        splits = load(f"org/MyData#main_part@{revision}")
        assert list(splits) == ["train", "test"]
        assert splits["test"] == {"sentence": ["test a", None], **PLAIN}
    assert load(f"org/MyData@{NEW}")["train"]["sentence"] == ["train b", None]


def test_the_cache_tells_columns_and_rows(cache: Path) -> None:
    unknown = describe(f"org/MyData@{OLD}")
    assert unknown.columns is unknown.splits is None
    assert [download.what for download in unknown.downloads] == [f"data set hub:org/MyData@{OLD}"]
    fill(cache, OLD)
    known = describe(f"org/MyData@{OLD}")
    assert known == DataDescription(tuple(FEATURES), {"train": 2, "test": 2}, state=f"hub:org/MyData@{OLD}")
    assert describe(f"org/MyData@{NEW}").downloads
    assert describe(f"org/MyData#other@{OLD}").downloads


def test_an_open_configuration_must_be_the_only_one(cache: Path) -> None:
    fill(cache, OLD)
    fill(cache, OLD, "second")
    assert complaint(f"org/MyData@{OLD}") == (
        f"hub:org/MyData@{OLD}: which configuration? hub:org/MyData#… with one of: main_part, second"
    )
    assert load(f"org/MyData#second@{OLD}")["test"]["label"] == ["positive", None]


def test_offline_is_one_line_at_once(cache: Path) -> None:
    started = time.perf_counter()
    text = complaint(f"nyu-mll/glue#sst2@{OLD}")
    assert time.perf_counter() - started < 10
    assert text.startswith(f"hub:nyu-mll/glue#sst2@{OLD} is not in the local cache ({cache}), and https://")
    assert "cannot be reached (HF_HUB_OFFLINE is set): " in text


def test_unpinned_and_offline_takes_what_is_cached(cache: Path) -> None:
    fill(cache, OLD)
    assert load("org/MyData", allow_unpinned=True)["test"]["sentence"] == ["test a", None]
    fill(cache, NEW)
    assert "cannot be reached" in complaint("org/MyData", allow_unpinned=True)  # which of the two?


def builder_of(name: str, folder: Path) -> Any:
    """Return a real builder, which has nothing left to build."""
    from datasets.packaged_modules.cache.cache import Cache

    config, version, commit = folder.parts[-3:]
    return Cache(
        cache_dir=str(folder.parents[3]),
        dataset_name=name.partition("/")[2],
        repo_id=name,
        config_name=config,
        version=version,
        hash=commit,
    )


class Hub:
    """Stands in for the hub: one data set at one commit."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: Path, read: str = NEW) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        folder = fill(cache, read)

        def dataset_info(_: Any, name: str, *, revision: str | None, timeout: float) -> Any:
            if self.error is not None:
                raise self.error
            return SimpleNamespace(sha=NEW)

        def load_dataset_builder(*arguments: Any, **options: Any) -> Any:
            self.asked.append((*arguments, options))
            return builder_of("org/my_data", folder)

        monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", dataset_info)
        monkeypatch.setattr("datasets.load_dataset_builder", load_dataset_builder)


def test_what_is_asked_of_datasets(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, cache)
    splits = load("org/MyData#main_part", allow_unpinned=True)
    assert hub.asked == [("org/MyData", "main_part", {"revision": NEW})]  # and nothing is trusted
    assert splits["test"] == {"sentence": ["test b", None], **PLAIN}
    load("other/set@" + NEW[:7])
    assert hub.asked[1:] == [("other/set", None, {"revision": NEW})]


def test_another_revision_than_asked_for_is_an_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Hub(monkeypatch, cache, read=OLD)
    assert f"datasets found revision {OLD} instead of {NEW}" in complaint(f"other/set@{NEW}")


def test_a_folder_of_that_name_does_not_stand_in_for_the_hub(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Hub(monkeypatch, cache)
    Path("other/set").mkdir(parents=True)
    assert "the folder 'other/set' here would be read instead" in complaint(f"other/set@{NEW}")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("RevisionNotFoundError", f"the hub has no revision '{NEW}' of data set other/set"),
        ("RepositoryNotFoundError", "the hub has no data set 'other/set' (or it is private, and you are not"),
        ("GatedRepoError", "is gated: ask for access at"),
        ("HfHubHTTPError", "cannot be reached (HfHubHTTPError: broken)"),
    ],
)
def test_what_the_hub_says(kind: str, message: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, cache)
    error = getattr(huggingface_hub.errors, kind)
    hub.error = error.__new__(error, "broken")
    hub.error.args = ("broken",)
    monkeypatch.setattr(error, "__str__", lambda self: "broken")
    assert message in complaint(f"other/set@{NEW}")


def test_what_datasets_says_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Hub(monkeypatch, cache)

    def load_dataset_builder(*arguments: Any, **options: Any) -> Any:
        raise ValueError("Config name is missing.\nPlease pick one: ['cola', 'sst2']")

    monkeypatch.setattr("datasets.load_dataset_builder", load_dataset_builder)
    assert complaint(f"other/set@{NEW}") == (
        f"hub:other/set@{NEW} cannot be read: "
        "ValueError: Config name is missing. Please pick one: ['cola', 'sst2']"
    )


def parquet(folder: Path, sizes: Mapping[str, int], seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub have a data set of Parquet files, and note which of them are brought."""
    from datasets.packaged_modules.parquet.parquet import Parquet

    names = datasets.ClassLabel(names=["no", "yes"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    files = {}
    for split, n in sizes.items():
        files[split] = str(folder / f"{split}.parquet")
        columns = {"text": [f"{split} {i}" for i in range(n)], "label": [i % 2 for i in range(n)]}
        datasets.Dataset.from_dict(columns, features=features).to_parquet(files[split])

    def load_dataset_builder(name: str, config: str | None, *, revision: str) -> Any:
        return Parquet(dataset_name=name, hash=revision, data_files=files, config_id="default")

    def download(_: Any, urls: Mapping[str, Any]) -> Any:
        seen.extend(urls)
        return urls

    monkeypatch.setattr("datasets.load_dataset_builder", load_dataset_builder)
    monkeypatch.setattr("datasets.DownloadManager.download", download)


def wanted(name: str, *splits: str) -> DataRequest:
    return replace(ask(name, {}), splits=splits)


def test_only_splits_that_are_wanted_are_brought(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Hub(monkeypatch, cache)
    brought: list[str] = []
    parquet(tmp_path, {"train": 9, "validation": 4, "test": 3}, brought, monkeypatch)
    one, two, name = ("validation",), ("validation", "train"), f"set@{NEW}"
    (download,) = SOURCE.describe(wanted(name, *one)).downloads
    assert download.what == f"validation of data set hub:{name}"
    splits = SOURCE.load(wanted(name, *one))
    assert {split: rows["label"] for split, rows in splits.items()} == {"validation": ["no", "yes"] * 2}
    assert brought == ["validation"]

    monkeypatch.setattr("datasets.load_dataset_builder", None)  # from here on the cache is enough
    assert SOURCE.load(wanted(name, *one)) == splits
    assert SOURCE.describe(wanted(name, *one)) == DataDescription(
        ("text", "label"), {"validation": 4}, state=f"hub:{name}"
    )
    for more in (two, ()):  # and it is not taken for what has more
        assert SOURCE.describe(wanted(name, *more)).downloads

    parquet(tmp_path, {"train": 9, "validation": 4, "test": 3}, brought, monkeypatch)
    assert list(SOURCE.load(wanted(name, *two))) == ["train", "validation"]
    assert list(load(name)) == ["train", "validation", "test"]
    assert brought == ["validation", "train", "validation", "train", "validation", "test"]
    assert SOURCE.describe(wanted(name, "test")).splits == {"test": 3}
    assert list(SOURCE.load(wanted(name, "test"))) == ["test"]


def test_a_split_that_is_not_there_brings_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Hub(monkeypatch, cache)
    brought: list[str] = []
    parquet(tmp_path, {"train": 2, "validation": 2}, brought, monkeypatch)
    request = wanted(f"set@{NEW}", "validatoin")
    with pytest.raises(DataError, match="there is no split 'validatoin'; did you mean 'validation'"):
        SOURCE.load(request)
    assert not brought
    fill(cache, OLD)
    for function in (SOURCE.load, SOURCE.describe):
        with pytest.raises(DataError, match="there is no split 'dev'; known: test, train"):
            function(wanted(f"org/MyData@{OLD}", "dev"))


def images(cache: Path, stored: Sequence[Any]) -> Rows:
    """Return images as the source gives them, out of the cache."""
    from datasets.arrow_writer import ArrowWriter

    folder = cache / "org___pets" / "default" / "0.0.0" / OLD
    folder.mkdir(parents=True)
    features = datasets.Features({"image": datasets.Image(), "n": datasets.Value("int32")})
    path = str(folder / "pets-test.arrow")
    with ArrowWriter(path=path, features=features, writer_batch_size=7) as writer:
        for n, image in enumerate(stored):
            writer.write({"image": image, "n": n})
        examples, size = writer.finalize()
    splits = datasets.SplitDict()
    splits.add(datasets.SplitInfo("test", size, examples, dataset_name="pets"))
    datasets.DatasetInfo(
        features=features, splits=splits, config_name="default", dataset_name="pets"
    ).write_to_directory(str(folder))
    return load(f"org/pets@{OLD}")["test"]


def test_images_stay_as_they_are_stored(cache: Path) -> None:
    by_path = {"bytes": None, "path": "/b.png"}
    cells = images(cache, [{"bytes": b"no picture", "path": "a.png"}, None, by_path])["image"]
    assert list(cells) == [b"no picture", None, by_path]
    assert isinstance(cells[0], Stored)
    assert pickle.loads(pickle.dumps(cells[0])) == b"no picture"  # our own


def test_many_threads_may_read_images(cache: Path) -> None:
    plain = [random.Random(i).randbytes(5000 + i) for i in range(60)]
    cells = images(cache, [{"bytes": data, "path": None} for data in plain])["image"]
    order = [i % 60 for i in range(6000)]
    random.Random(0).shuffle(order)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda i: bytes(cells[i]), order))
    assert read == [plain[i] for i in order]


def test_an_image_is_cut_and_hashed_as_its_bytes(cache: Path) -> None:
    plain = [random.Random(i % 50).randbytes(2000) for i in range(100)]
    rows = images(cache, [{"bytes": data, "path": f"{i}.jpg"} for i, data in enumerate(plain)])
    digests = [hashlib.sha256(), hashlib.sha256()]
    for digest, cells in zip(digests, (plain, list(rows["image"])), strict=True):
        feed(digest, cells)
    assert digests[0].digest() == digests[1].digest()
    cut, as_bytes = (
        cut_rows(given, {"test": 0.3}, by=["image"]) for given in (rows, {**rows, "image": plain})
    )
    assert {split: part["n"] for split, part in cut.items()} == {
        split: part["n"] for split, part in as_bytes.items()
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nyu-mll/glue#sst2",
            "hub:nyu-mll/glue#sst2 is not pinned: it has no revision; write the commit, as in",
        ),
        ("nyu-mll/glue@main", "hub:nyu-mll/glue@main is not pinned: revision 'main' can change"),
        ("../glue@1234567", "'../glue' is no name on the hub; write hub:org/name#config@commit"),
        ("/data/glue@1234567", "'/data/glue' is no name on the hub"),
        ("a/b/c@1234567", "'a/b/c' is no name on the hub"),
    ],
)
def test_complaints(name: str, message: str) -> None:
    assert message in complaint(name)
    with pytest.raises(DataError):
        describe(name)


def test_nothing_like_trust_is_offered() -> None:
    assert [option.name for option in SOURCE.options] == ["allow_unpinned"]

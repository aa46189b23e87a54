"""The cache: entries are whole or not there, checked when they are read, and shared by processes."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ptbench import UsageError
from ptbench.cache import GIB, Cache, find_cache
from tests.cache_worker import KEYS
from tests.conftest import Ptbench

KEY = KEYS[0]
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
DTYPES = st.sampled_from([np.dtype(code) for code in ("<f4", ">f4", "<i4", "u1", "?", "<f8")])


class Warned(list[str]):
    """What a cache told."""

    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def warned() -> Warned:
    return Warned()


@pytest.fixture
def cache(tmp_path: Path, warned: Warned) -> Cache:
    return Cache(tmp_path / "cache", GIB, warned)


def again(cache: Cache) -> Cache:
    """Return the same cache as another process sees it."""
    return Cache(cache.root, cache.max_bytes, cache.warned)


@settings(max_examples=40, deadline=None)
@given(array=hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)), number=st.floats(0, 9))
def test_what_is_put_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, array: NDArray[Any], number: float
) -> None:
    cache = Cache(tmp_path_factory.mktemp("cache"), GIB)
    assert cache.put("features", KEY, {"rows": array, "others": ROWS}, {"seconds": number, "words": "a\x1b€"})
    stored = cache.get("features", KEY)
    assert stored is not None
    assert stored.about == {"seconds": number, "words": "a\x1b€"}
    read = stored.arrays["rows"]
    assert (read.dtype, read.shape, read.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert not stored.arrays["others"].flags.writeable
    assert isinstance(stored.arrays["others"].base, np.memmap)


def test_who_comes_second_finds_what_the_first_left(cache: Cache, warned: Warned) -> None:
    assert cache.put("features", KEY, {"rows": ROWS}, {})
    assert again(cache).put("features", KEY, {"rows": ROWS + 1}, {})
    stored = again(cache).get("features", KEY)
    assert stored is not None
    assert stored.arrays["rows"].tolist() == ROWS.tolist()
    assert sorted(path.name for path in (cache.root / "features").iterdir()) == [KEY]
    assert cache.get("features", KEYS[1]) is None
    assert cache.get("copies", KEY) is None
    assert warned == []


def flip(path: Path, where: float) -> None:
    data = bytearray(path.read_bytes())
    data[min(int(where * len(data)), len(data) - 1)] ^= 1
    path.write_bytes(data)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(["rows.npy", "meta.json"]), where=st.floats(0, 1))
def test_no_flipped_bit_is_ever_read(
    tmp_path_factory: pytest.TempPathFactory, name: str, where: float
) -> None:
    warned = Warned()
    cache = Cache(tmp_path_factory.mktemp("cache"), GIB, warned)
    cache.put("features", KEY, {"rows": ROWS}, {"seconds": 1.5})
    flip(cache.root / "features" / KEY / name, where)
    stored = cache.get("features", KEY)
    if stored is not None:  # white space in meta.json says nothing
        assert name == "meta.json"
        assert (stored.about, stored.arrays["rows"].tolist()) == ({"seconds": 1.5}, ROWS.tolist())
    else:
        assert len(warned) == 1


DAMAGES: dict[str, Callable[[Path], object]] = {
    "rows.npy is not what was written": lambda entry: os.truncate(entry / "rows.npy", 140),
    "rows.npy is missing": lambda entry: (entry / "rows.npy").unlink(),
    "meta.json is missing": lambda entry: (entry / "meta.json").unlink(),
    "meta.json cannot be read": lambda entry: (entry / "meta.json").write_text("[]"),
    "meta.json was changed": lambda entry: (entry / "meta.json").write_text(
        (entry / "meta.json").read_text().replace("1.5", "2.5")
    ),
    "it belongs elsewhere": lambda entry: (
        shutil.rmtree(entry),
        shutil.copytree(entry.with_name(KEYS[1]), entry),
    ),
    "it is no folder": lambda entry: (shutil.rmtree(entry), entry.write_text("")),
}


@pytest.mark.parametrize("problem", DAMAGES)
def test_what_is_damaged_is_told_removed_and_made_anew(cache: Cache, warned: Warned, problem: str) -> None:
    for key in KEYS[:2]:
        cache.put("features", key, {"rows": ROWS}, {"seconds": 1.5})
    DAMAGES[problem](cache.root / "features" / KEY)
    assert cache.get("features", KEY) is None
    (text,) = warned
    assert f"{KEY} is damaged ({problem}): it is not used and removed" in text
    assert not (cache.root / "features" / KEY).exists()
    assert cache.put("features", KEY, {"rows": ROWS}, {})
    assert cache.get("features", KEY) is not None
    assert len(warned) == 1


def test_an_entry_is_read_through_once_per_process(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    from ptbench import entries

    read: list[str] = []
    whole = entries.hashlib.file_digest

    def counted(file: Any, name: str) -> Any:
        read.append(Path(file.name).name)
        return whole(file, name)

    cache.put("features", KEY, {"rows": ROWS}, {})
    monkeypatch.setattr(entries.hashlib, "file_digest", counted)
    for _ in range(3):
        cache.get("features", KEY)
    assert read == ["rows.npy"]
    again(cache).get("features", KEY)
    assert read == ["rows.npy", "rows.npy"]


def worker(work: str, root: Path, seed: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).with_name("cache_worker.py")), work, str(root), str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_write_read_and_prune_the_same_keys_see_whole_entries(tmp_path: Path) -> None:
    workers = [worker("hammer", tmp_path, seed) for seed in range(4)]
    told = [json.loads(one.communicate(timeout=240)[0]) for one in workers]
    assert [(one["wrong"], one["warned"]) for one in told] == [(0, [])] * 4
    assert sum(one["hits"] for one in told) > 0
    cache = Cache(tmp_path, GIB)
    assert [cache.problem(entry) for entry in cache.entries()] == [None] * len(cache.entries())
    assert not [path for path in (tmp_path / "features").iterdir() if path.name.startswith(".")]


def used(cache: Cache, key: str, ago: float) -> None:
    moment = time.time() - ago
    for path in (cache.root / "features" / key).iterdir():
        os.utime(path, (moment, moment))


def test_who_was_first_and_is_gone_again_is_in_nobodys_way(
    cache: Cache, warned: Warned, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, refused = Path.rename, [OSError(errno.ENOTEMPTY, "Directory not empty")]

    def late(path: Path, target: Path) -> Path:
        if refused:
            raise refused.pop()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)
    assert cache.put("features", KEY, {"rows": ROWS}, {})
    assert (cache.get("features", KEY) is not None, warned) == (True, [])


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    rows = np.zeros((100, 100), np.float32)
    cache = Cache(tmp_path, 3 * (rows.nbytes + 1500))
    for i, key in enumerate(KEYS[:3]):
        cache.put("features", key, {"rows": rows}, {})
        used(cache, key, 100 - i)
    assert cache.get("features", KEYS[0]) is not None  # now the last that was used
    cache.put("features", KEYS[3], {"rows": rows}, {})
    assert {entry.key for entry in cache.entries()} == {KEYS[0], KEYS[2], KEYS[3]}
    assert [entry.key for entry in cache.prune(older_than=50)] == [KEYS[2]]
    assert len(cache.prune(max_bytes=0)) == 2


def test_what_is_larger_than_the_cache_is_told_and_not_kept(tmp_path: Path, warned: Warned) -> None:
    cache = Cache(tmp_path, 1000, warned)
    assert not cache.put("features", KEY, {"rows": np.zeros(1000)}, {})
    assert "PTBENCH_CACHE_GIB says how much" in warned[0]
    assert cache.entries() == []


@pytest.mark.parametrize(("below", "why"), [("cache", "Not a directory"), ("", "File exists")])
def test_a_folder_that_cannot_be_made_costs_a_warning(
    tmp_path: Path, warned: Warned, below: str, why: str
) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / below, GIB, warned)
    assert not cache.put("features", KEY, {"rows": ROWS}, {})
    assert not cache.put("features", KEY, {"rows": ROWS}, {})
    assert cache.scratch(KEY) is None
    assert cache.get("features", KEY) is None  # and nothing is damaged that was never there
    (text,) = warned
    assert text.endswith(f"cannot be written ({why}): features are kept in memory only")


def test_a_full_disk_costs_a_warning_and_leaves_no_half_entry(tmp_path: Path) -> None:
    told = json.loads(worker("fill", tmp_path).communicate(timeout=60)[0])
    assert (told["small"], told["large"], len(told["warned"])) == (True, False, 1)
    assert [path.name for path in (tmp_path / "features").iterdir()] == [KEYS[1]]


def test_what_a_dead_process_left_is_swept_away_after_a_day(cache: Cache) -> None:
    cache.put("features", KEY, {"rows": ROWS}, {})
    old, new = (cache.root / "features" / name for name in (".part-1-a", ".part-2-b"))
    for path in (old, new):
        path.mkdir()
    os.utime(old, (0, 0))
    lock = cache.root / "training" / f"{KEY}.lock"
    lock.parent.mkdir()
    lock.write_text("")
    cache.prune(max_bytes=GIB)
    assert (old.exists(), new.exists(), lock.exists()) == (False, True, False)


def test_a_folder_that_is_no_cache_is_left_alone(tmp_path: Path, ptbench: Ptbench) -> None:
    precious = tmp_path / "containers" / KEY
    precious.mkdir(parents=True)
    assert Cache(tmp_path, GIB).entries() == []
    assert ptbench("cache", "clear", "--yes", "--cache", tmp_path).code == 0
    assert precious.is_dir()


# trainings


def test_a_training_is_one_process_at_a_time_and_goes_on_after_it_was_killed(
    cache: Cache, ptbench: Ptbench
) -> None:
    holder = worker("hold", cache.root)
    assert holder.stdout is not None
    folder = Path(json.loads(holder.stdout.readline()))
    assert cache.scratch(KEY) is None
    assert cache.prune(max_bytes=0) == []
    assert ptbench("cache", "clear", "--yes", "--cache", cache.root).code == 0
    assert folder.is_dir()
    holder.kill()
    holder.communicate()
    assert cache.scratch(KEY) == folder
    assert (folder / "state").read_text() == "epoch 3"
    cache.leave(folder, done=False)
    assert cache.scratch(KEY) == folder
    cache.leave(folder, done=True)
    assert list(folder.parent.iterdir()) == []


def test_an_interrupted_training_can_be_pruned(cache: Cache) -> None:
    folder = cache.scratch(KEY)
    assert folder is not None
    assert not folder.exists()
    folder.mkdir()
    (folder / "state").write_bytes(bytes(500))
    cache.leave(folder, done=False)
    (entry,) = cache.entries()
    assert (entry.area, entry.bytes, cache.problem(entry)) == ("training", 500, None)
    assert cache.prune(older_than=60) == []
    assert cache.prune(max_bytes=499) == [entry]


# where it lies


def test_the_environment_says_where_and_how_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PTBENCH_CACHE", "XDG_CACHE_HOME", "PTBENCH_CACHE_GIB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_cache(None).root == tmp_path / ".cache" / "ptbench"
    assert find_cache(None).max_bytes == 20 * GIB
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert find_cache(None).root == tmp_path / "xdg" / "ptbench"
    monkeypatch.setenv("PTBENCH_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("PTBENCH_CACHE_GIB", "0.5")
    assert find_cache(None).root == tmp_path / "own"
    assert find_cache(None).max_bytes == GIB // 2
    assert find_cache(tmp_path / "given").root == tmp_path / "given"
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("PTBENCH_CACHE_GIB", wrong)
        with pytest.raises(UsageError, match=f"PTBENCH_CACHE_GIB is '{wrong}': a number of GiB was expected"):
            find_cache(None)


# the command


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cache:
    """The user's cache, with three entries of which the last has a hostile name."""
    monkeypatch.setenv("PTBENCH_CACHE", str(tmp_path / "cache"))
    cache = Cache(tmp_path / "cache", GIB)
    for i, key in enumerate(KEYS[:3]):
        of = {"model": "hf:a" if i < 2 else "hf:\x1b[31m[bold]", "options": {"pooling": "cls"} if i else {}}
        about = {"task": f"task{i}", "split": "train", "seconds": 2.0, "of": of}
        cache.put("features", key, {"rows": np.zeros((1000 * (i + 1), 4), np.float32)}, about)
        used(cache, key, 86400.0 * (40 - 10 * i) + 60)
    return cache


def test_list_shows_what_is_there(ptbench: Ptbench, filled: Cache) -> None:
    called = ptbench("cache", "list")
    assert called.code == 0
    lines = called.out.splitlines()
    (first,) = [line for line in lines if "task0 train" in line]
    for word in ("features", KEYS[0][:10], "hf:a", "1,000 x 4", "40 d"):
        assert word in first
    assert "hf:a (pooling=cls)" in called.out
    assert "\\x1b[31m[bold]" in called.out
    assert "\x1b" not in called.out
    assert lines[-1].startswith("3 entries, ")
    assert lines[-1].endswith(f" of 20.0 GiB: {filled.root}")
    data = json.loads(ptbench("cache", "list", "--json").out)
    assert data["path"] == str(filled.root)
    assert [entry["shape"] for entry in data["entries"]] == [[1000, 4], [2000, 4], [3000, 4]]
    assert data["bytes"] == sum(entry["bytes"] for entry in data["entries"])
    assert data["entries"][1]["options"] == {"pooling": "cls"}


def test_list_shows_a_dash_where_no_model_is(ptbench: Ptbench, filled: Cache) -> None:
    about = {"task": "task9", "split": "test", "examples": 4}
    filled.put("copies", KEYS[3], {"rows": np.zeros(4, np.int8)}, about)
    training = filled.scratch(KEYS[4])
    assert training is not None
    training.mkdir()
    (training / "state").write_bytes(bytes(500))
    lines = ptbench("cache", "list").out.splitlines()
    (copies,), (kept,) = ([line for line in lines if f" {area} " in line] for area in ("copies", "training"))
    assert "-" in copies.split()
    assert "task9 test" in copies
    assert "-" in kept.split()
    assert not any("?" in line for line in lines)


def test_nothing_was_used_before_it_was_made(ptbench: Ptbench, filled: Cache) -> None:
    used(filled, KEYS[2], 0.0)
    for entry in json.loads(ptbench("cache", "list", "--json").out)["entries"]:
        assert datetime.fromisoformat(entry["made"]) <= datetime.fromisoformat(entry["used"])


def test_an_empty_cache_is_no_error(ptbench: Ptbench) -> None:
    for command in ("list", "prune", "clear", "verify"):
        called = ptbench("cache", command)
        assert (called.code, called.err) == (0, "")


@pytest.mark.parametrize("command", ["list", "prune", "clear", "verify"])
def test_a_file_is_no_cache(
    ptbench: Ptbench, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("")
    monkeypatch.setenv("PTBENCH_CACHE", str(path))
    called = ptbench("cache", command)
    said = (called.code, called.out, called.err)
    assert said == (2, "", f"error: the cache {path} is a file; name a folder\n")
    called = ptbench("cache", command, "--cache", "/dev/full")
    assert (called.code, called.err) == (2, "error: the cache /dev/full is a file; name a folder\n")


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ((), 3),
        (("--older-than", "30d"), 1),
        (("--older-than", "2w"), 0),
        (("--max-size", "90kB"), 2),
        (("--max-size", "0.05 MiB"), 1),
        (("--max-size", "90kB", "--older-than", "5w"), 2),
        (("--max-size", "0"), 0),
    ],
)
def test_prune_takes_what_was_not_used_for_longest(
    ptbench: Ptbench, filled: Cache, options: tuple[str, ...], left: int
) -> None:
    called = ptbench("cache", "prune", "--json", *options)
    assert called.code == 0
    data = json.loads(called.out)
    assert len(data["removed"]) == 3 - left
    assert [entry.key for entry in filled.entries()] == list(KEYS[3 - left : 3])
    assert data["bytes"] == sum(entry.bytes for entry in filled.entries())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-size", "large"), "'large' is no size; write 5GB, 500MB or 20GiB"),
        (("--max-size", "-1GB"), "'-1GB' is no size"),
        (("--older-than", "30"), "'30' is no age; write 30d, 12h or 2w"),
    ],
)
def test_what_cannot_be_read_is_told(
    ptbench: Ptbench, filled: Cache, options: tuple[str, ...], message: str
) -> None:
    called = ptbench("cache", "prune", *options)
    assert called.code == 2
    assert message in called.err
    assert len(filled.entries()) == 3


def test_clear_asks_first(ptbench: Ptbench, filled: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("click.confirm", lambda text, **_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert ptbench("cache", "clear").code == 130
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    called = ptbench("cache", "clear")
    assert (called.code, called.err) == (0, "")
    assert called.out.endswith("nothing was removed\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    called = ptbench("cache", "clear")
    assert (called.code, called.err) == (2, "error: nobody is there to answer; add --yes\n")
    called = ptbench("cache", "clear", "--json")
    assert (called.code, "add --yes" in called.err) == (2, True)
    assert len(filled.entries()) == 3
    assert ptbench("cache", "clear", "--yes").code == 0
    assert filled.entries() == []


def test_verify_names_what_is_damaged(ptbench: Ptbench, filled: Cache) -> None:
    good = ptbench("cache", "verify")
    assert (good.code, good.out) == (0, "3 checked, 0 damaged\n")
    flip(filled.root / "features" / KEYS[1] / "rows.npy", 0.9)
    called = ptbench("cache", "verify")
    assert called.code == 1
    path = filled.root / "features" / KEYS[1]
    assert f"damaged: {path}: rows.npy is not what was written\n3 checked, 1 damaged;" in called.out
    data = json.loads(ptbench("cache", "verify", "--json", "--remove").out)
    assert data["damaged"] == [
        {"path": str(path), "problem": "rows.npy is not what was written", "removed": True}
    ]
    assert ptbench("cache", "verify").code == 0
    assert len(filled.entries()) == 2

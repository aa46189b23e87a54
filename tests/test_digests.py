"""Digests of files: right however often they change, and large files are read once."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from ptbench import digests
from ptbench.digests import file_digest, files_digest, files_state


def large(path: Path, byte: bytes, *, age: float = 100.0) -> str:
    """Write a large file of a certain age; return its sha256."""
    data = byte * digests.LARGE
    path.write_bytes(data)
    then = time.time() - age
    os.utime(path, (then, then))
    return hashlib.sha256(data).hexdigest()


def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    seen: list[Path] = []
    digest = digests._sha256

    def count(path: Path) -> str:
        seen.append(path)
        return digest(path)

    monkeypatch.setattr(digests, "_sha256", count)
    return seen


def test_a_large_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = reads(monkeypatch)
    expected = large(tmp_path / "a", b"1")
    (tmp_path / "b").symlink_to("a")
    assert [file_digest(tmp_path / name) for name in "aab"] == [expected] * 3
    assert len(seen) == 1


def test_a_file_that_changed_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = reads(monkeypatch)
    path = tmp_path / "a"
    for byte, age in ((b"1", 100.0), (b"2", 90.0), (b"3", 80.0)):
        expected = large(path, byte, age=age)
        assert file_digest(path) == expected
    assert len(seen) == 3
    stat = path.stat()
    other = large(tmp_path / "b", b"4")
    os.utime(tmp_path / "b", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (tmp_path / "b").replace(path)  # of the same size and time
    assert file_digest(path) == other


def test_what_has_only_just_changed_may_change_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    first = large(path, b"1", age=0.0)
    stat = path.stat()
    assert file_digest(path) == first
    with path.open("r+b") as file:
        file.write(b"2")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as a coarse clock has it
    assert file_digest(path) != first


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"%s": [1]}'])
def test_a_damaged_store_is_no_obstacle(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a"
    expected = large(path, b"1")
    file_digest(path)
    (store,) = Path(os.environ["PTBENCH_CACHE"]).glob("*.json")
    store.write_text(content.replace("%s", str(path)))
    assert file_digest(path) == expected


def test_a_cache_that_cannot_be_written_costs_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PTBENCH_CACHE", str(tmp_path / "file" / "cache"))
    seen = reads(monkeypatch)
    expected = large(tmp_path / "a", b"1")
    assert [file_digest(tmp_path / "a") for _ in range(2)] == [expected] * 2
    assert len(seen) == 2


def test_several_files_count_with_their_names(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "a").write_text("a")
        (tmp_path / folder / "deep" / "a").write_text("b")
    one, two = ([tmp_path / f / "a", tmp_path / f / "deep" / "a"] for f in ("one", "two"))
    assert files_digest(one) == files_digest(two) == files_digest(reversed(one))  # wherever they lie
    assert len(files_digest(one)) == 16
    one[0].write_text("b")
    one[1].write_text("a")
    assert files_digest(one) != files_digest(two)
    assert files_digest([]) == ""
    with pytest.raises(FileNotFoundError):
        files_digest([tmp_path / "gone"])


def test_the_state_of_files_needs_no_reading(tmp_path: Path) -> None:
    path = tmp_path / "a"
    expected = []
    for data, when in (("aa", 5), ("bb", 5), ("bbb", 5), ("bbb", 6)):
        path.write_text(data)
        os.utime(path, (when, when))
        expected.append(files_state([path], tmp_path))
    assert expected[0] == expected[1]
    assert len(set(expected)) == 3
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / "a"
    path.rename(other)
    os.utime(other, (6, 6))
    assert files_state([other], tmp_path / "b") == expected[3]
    assert files_state([other], tmp_path) != expected[3]

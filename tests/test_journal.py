"""The journal: whatever a crash leaves at its end, whole records come back and the run goes on."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench import Record, Status, UsageError, journal
from ptbench.testing import sample_report

SAMPLE = sample_report(Path()).records[0]


def numbered(count: int) -> list[Record]:
    return [replace(SAMPLE, cell=f"c{i}", error="ä\n" * i) for i in range(count)]


LINES = [(journal.dumps(record) + "\n").encode() for record in numbered(5)]
WHOLE = b"".join(LINES)


def write(folder: Path, data: bytes) -> Path:
    path = folder / journal.RECORDS
    path.write_bytes(data)
    return path


def cells(folder: Path) -> list[str]:
    return [record.cell for record in journal.read_records(folder)]


@given(st.integers(0, len(WHOLE)), st.integers(0, 5000))
def test_cut_anywhere_whole_records_come_back_and_the_journal_goes_on(cut: int, zeros: int) -> None:
    ends = [len(b"".join(LINES[: i + 1])) - 1 for i in range(5)]  # without its newline a record is whole
    expected = [f"c{i}" for i, end in enumerate(ends) if end <= cut]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, WHOLE[:cut] + b"\0" * zeros)
        assert cells(folder) == expected
        journal.mend(folder)
        assert cells(folder) == expected
        journal.append_record(folder, replace(SAMPLE, cell="next"))
        assert cells(folder) == [*expected, "next"]
        assert b"\0" not in (folder / journal.RECORDS).read_bytes()


@given(st.integers(1, 5), st.integers(1, 900))
def test_lines_of_which_the_disk_has_zeros_only_are_cut_off(lost: int, zeros: int) -> None:
    holed = [b"\0" * min(zeros, len(line) - 5) + line[min(zeros, len(line) - 5) :] for line in LINES[-lost:]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, b"".join(LINES[:-lost] + holed))
        expected = [f"c{i}" for i in range(5 - lost)]
        assert cells(folder) == expected
        journal.mend(folder)
        assert (folder / journal.RECORDS).read_bytes() == b"".join(LINES[:-lost])


def test_mending_leaves_a_sound_journal_as_it_is(tmp_path: Path) -> None:
    journal.mend(tmp_path)  # there is none
    path = write(tmp_path, WHOLE)
    before = path.stat().st_mtime_ns
    journal.mend(tmp_path)
    assert path.read_bytes() == WHOLE
    assert path.stat().st_mtime_ns == before


def test_the_last_record_of_a_cell_counts_where_its_first_stood(tmp_path: Path) -> None:
    first, second, third = numbered(3)
    journal.append_records(tmp_path, [first, replace(second, status=Status.FAILED), third])
    journal.append_record(tmp_path, second)
    assert journal.read_records(tmp_path) == [first, second, third]


def test_a_bad_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path) -> None:
    for bad in (
        b'{"cell": 1',
        b"[]",
        b"1],[2",
        b'{"cell": "a"},{"cell": "b"}',
        LINES[0][:-1] + b"," + LINES[1][:-1],
    ):
        path = write(tmp_path, LINES[0] + b"\n" + bad + b"\n" + LINES[1])
        with pytest.raises(UsageError, match="line 3: is no record") as caught:
            journal.read_records(tmp_path)
        assert str(path) in str(caught.value)


def test_more_lines_than_are_parsed_at_once(tmp_path: Path) -> None:
    count = 3 * journal.BLOCK // len(LINES[0])
    journal.append_records(tmp_path, (replace(SAMPLE, cell=f"c{i}") for i in range(count)))
    assert cells(tmp_path) == [f"c{i}" for i in range(count)]
    path = tmp_path / journal.RECORDS
    path.write_bytes(path.read_bytes()[:-9])
    assert len(cells(tmp_path)) == count - 1


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, WHOLE)
    write_bytes, calls = os.write, []

    def full(handle: int, data: Any) -> int:
        if calls:
            raise OSError(28, "No space left on device")
        calls.append(handle)
        return write_bytes(handle, bytes(data)[:100])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        journal.append_record(tmp_path, replace(SAMPLE, cell="next"))
    monkeypatch.undo()
    assert path.read_bytes() == WHOLE


def test_what_is_written_is_flushed_before_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[int, int]] = []
    flush = os.fsync

    def fsync(handle: int) -> None:
        flushed.append((os.fstat(handle).st_ino, os.fstat(handle).st_size))
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    journal.append_record(tmp_path, SAMPLE)
    stat = (tmp_path / journal.RECORDS).stat()
    assert (stat.st_ino, stat.st_size) in flushed
    assert tmp_path.stat().st_ino in {number for number, _ in flushed}  # its name too, the first time

"""Which run the same command continues: one of the same request that did not finish and nobody conducts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ptbench import journal, lock, store
from ptbench.runs import OpenRun, find_run, open_run, run_folders
from ptbench.testing import sample_report

SAME = {"text": "a suite", "device": "cpu", "precision": None}


def make(results: Path, status: str, request: object = SAME, suite: str = "s") -> Path:
    folder = store.create_run(results, suite)
    store.write_json(folder / store.RUN, {"suite": suite, "request": request, "status": status})
    return folder


def opened(results: Path, **options: bool) -> OpenRun:
    run = open_run(results, "s", SAME, **options)
    run.lock.release()
    return run


@pytest.mark.parametrize("status", ["running", "interrupted", "stopped"])
def test_what_did_not_finish_goes_on(tmp_path: Path, status: str) -> None:
    folder = make(tmp_path, status)
    run = opened(tmp_path)
    assert (run.folder, run.continued) == (folder, True)
    assert opened(tmp_path, fresh=True).folder != folder


def test_what_finished_is_left_alone_unless_failures_are_tried_again(tmp_path: Path) -> None:
    older = make(tmp_path, "interrupted")
    newer = make(tmp_path, "finished")
    run = opened(tmp_path)
    assert run.folder not in (older, newer)
    assert not run.continued
    assert opened(tmp_path, retry_failed=True).folder == newer


@pytest.mark.parametrize(
    "request_of",
    [{**SAME, "text": "other"}, {**SAME, "device": "cuda"}, {**SAME, "precision": "bf16"}, {}, None],
)
def test_another_request_goes_on_elsewhere(tmp_path: Path, request_of: object) -> None:
    folder = make(tmp_path, "interrupted", request_of)
    assert opened(tmp_path).folder != folder


def test_suites_whose_names_share_a_folder_are_kept_apart(tmp_path: Path) -> None:
    folder = make(tmp_path, "interrupted", suite="s!")
    run = opened(tmp_path)
    assert run.folder.parent == folder.parent
    assert run.folder != folder


def test_the_newest_is_known_by_its_number_too(tmp_path: Path) -> None:
    names = ["mine", "20260102-000000-2", "20260102-000000-10", "20260102-000000", "20260103-000000"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / store.RUN).write_text("{}")
    (tmp_path / "20270101-000000").mkdir()  # one that has only just been made
    found = [folder.name for folder in run_folders(tmp_path)]
    assert found == [names[4], names[2], names[1], names[3], names[0]]


def test_a_damaged_run_is_passed_over(tmp_path: Path) -> None:
    older, newer = make(tmp_path, "interrupted"), make(tmp_path, "interrupted")
    for damaged in (b"{", b"[]", b"\xff", b""):
        (newer / store.RUN).write_bytes(damaged)
        assert find_run(tmp_path, "s", SAME) == older


def test_a_run_that_goes_on_is_mended_first(tmp_path: Path) -> None:
    folder = make(tmp_path, "running")
    record = sample_report(tmp_path).records[0]
    journal.append_record(folder, record)
    path = folder / journal.RECORDS
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:77] + b"\0\0")
    (folder / "predictions" / "x.parquet.part").write_bytes(b"half")
    opened(tmp_path)
    assert path.read_bytes() == whole
    assert list((folder / "predictions").iterdir()) == []


def test_what_somebody_conducts_is_left_alone(tmp_path: Path) -> None:
    folder = make(tmp_path, "running")
    with open_run(tmp_path, "s", SAME).lock:
        assert opened(tmp_path).folder != folder
        assert opened(tmp_path, retry_failed=True).folder != folder
    assert find_run(tmp_path, "s", SAME) == folder


def test_without_locks_every_run_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path, "interrupted")

    def flock(handle: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    run = opened(tmp_path)
    assert run.folder != folder
    assert not run.lock.works


OPEN = """
import json, sys, time
from pathlib import Path
from ptbench.runs import open_run
run = open_run(Path(sys.argv[1]), "s", json.loads(sys.argv[2]))
print(run.folder, flush=True)
sys.stdin.read()
"""


def test_processes_that_start_at_once_never_share_a_folder(tmp_path: Path) -> None:
    old = [make(tmp_path, "interrupted") for _ in range(2)]
    command = [sys.executable, "-c", OPEN, str(tmp_path), json.dumps(SAME)]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(6)]
    folders = []
    for process in running:
        assert process.stdout is not None
        folders.append(Path(process.stdout.readline().strip()))
    for process in running:
        process.communicate()
    assert len(set(folders)) == 6
    assert old[-1] in folders

"""`ptbench status`: how a run stands, from another terminal, alive or dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ptbench import lock, runlog
from ptbench.cli import following
from ptbench.cli.whichrun import newest_run
from ptbench.records import Status
from ptbench.runlog import RunLog
from tests.conftest import Ptbench
from tests.running import LOCAL, cells, ended, event, knows, titles

COMMAND = [sys.executable, "-c", "from ptbench.cli import main; main()"]


def begun(folder: Path) -> RunLog:
    """Return the log of a run of four cells of which two have ended and one is at work."""
    folder.mkdir(parents=True)
    of = cells(4)
    log = RunLog(folder, titles(of))
    log.run_began(LOCAL, knows(720.0, 540.0, 1020.0), 1)
    log.cell_ended(ended(of[0], reused="20261121-101010"))
    log.told(event("started", "cpu:0", of[1]))
    log.told(event("progress", "cpu:0", of[1], phase="embed", examples=512, memory_mb=900.0))
    log.cell_ended(ended(of[2], Status.OOM, "too [large]", advice="use less", log="logs/c.log"))
    log._write_live("running")
    return log


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A run that this process conducts."""
    folder = tmp_path / "results" / "s" / "20261122-101010"
    log = begun(folder)
    with lock.take(folder) or pytest.fail("the lock is free"):
        yield folder
    log.close("finished")


def written(folder: Path, **facts: Any) -> None:
    """Change what ``live.json`` says."""
    path = folder / "live.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def test_a_run_that_goes_on_is_shown_with_its_slots(ptbench: Ptbench, run: Path) -> None:
    called = ptbench("status", run)
    assert called.code == 0
    lines = called.out.splitlines()
    assert lines[0].startswith(f"{run}: running, 2 of 4 cells (1 oom, 1 reused), for ")
    assert f"(process {os.getpid()} on " in lines[0]
    assert lines[1:5] == [
        "1 of 4 cells is finished already (measured in 20261121-101010): reused",
        "oom     minilm x t2 x as_is  too [large]",
        "        try: use less",
        f"        log: {run}/logs/c.log",
    ]
    words = lines[5].split()
    assert words[:-1] == ["cpu:0", "minilm", "x", "t1", "x", "as_is", "embed", "512", "ex", "900", "MiB"]
    assert lines[6].split() == ["cpu:1", "idle"]
    assert "2/4" in lines[7]
    assert "about 12 min left (9 to 17)" in lines[7]


def test_the_newest_run_of_a_suite_or_of_all_is_meant(
    ptbench: Ptbench, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for older in ("s/20261121-235959", "t/20261122-101009"):
        begun(run.parents[1] / older).close("finished")
    monkeypatch.chdir(run.parents[2])
    for given, expected in (
        ((), run),
        ((run.parent,), run),
        (("results/t",), run.parents[1] / "t/20261122-101009"),
    ):
        told = json.loads(ptbench("status", *given, "--json").out)
        assert (run.parents[2] / told["folder"]).resolve() == expected.resolve()
    later = run.parent / "20261122-101010-10"  # the tenth that began in this second
    begun(run.parent / "20261122-101010-9").close("finished")
    begun(later).close("finished")
    assert newest_run(run.parents[1]) == later


@pytest.mark.parametrize("place", ["", "nowhere", "results"])
def test_that_there_is_no_run_is_told(ptbench: Ptbench, tmp_path: Path, place: str) -> None:
    (tmp_path / "results" / "s" / "empty").mkdir(parents=True)
    called = ptbench("status", tmp_path / place)
    assert called.code == 2
    assert "holds no run" in called.err
    (tmp_path / "results" / "s" / "empty" / "run.json").write_text("{}")
    called = ptbench("status", tmp_path / "results")
    assert called.code == 2
    assert "has no live.json" in called.err


@pytest.mark.parametrize(
    ("state", "said", "code"),
    [
        ("finished", "finished, 2 of 4 cells (1 oom, 1 reused)", 1),
        ("interrupted", "was interrupted, 2 of 4 cells", 1),
        ("stopped", "was stopped at a first failure, 2 of 4 cells", 1),
        ("broken", "ended by an error of ptbench, 2 of 4 cells", 1),
        ("of a later version", "of a later version, 2 of 4 cells", 1),
    ],
)
def test_a_run_that_is_over_says_how_it_ended(
    ptbench: Ptbench, tmp_path: Path, state: str, said: str, code: int
) -> None:
    begun(tmp_path / "r").close(state)
    called = ptbench("status", tmp_path / "r")
    assert said in called.out
    assert called.code == code
    assert ("goes on with it" in called.out) == (state != "finished")
    assert "cpu:0" not in called.out


def test_a_run_that_ended_well_exits_with_0(ptbench: Ptbench, tmp_path: Path) -> None:
    (one,) = cells(1)
    with RunLog(tmp_path, titles([one])) as log:
        log.cell_ended(ended(one))
    called = ptbench("status", tmp_path)
    assert called.code == 0
    assert "finished, 1 of 1 cells (1 ok)" in called.out


def test_without_a_lock_the_process_says_whether_it_lives(ptbench: Ptbench, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    log = begun(folder)
    assert ptbench("status", folder).code == 0
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    log.close("finished")
    written(folder, state="running", pid=gone.pid)
    called = ptbench("status", folder)
    assert called.code == 1
    assert "was killed, 2 of 4 cells" in called.out
    assert "the same `ptbench run` command goes on with it" in called.out
    written(folder, host="elsewhere", written="2026-11-22T10:00:00.000+00:00")
    called = ptbench("status", folder)
    assert called.code == 0
    assert "whether it is alive cannot be told from here" in called.out
    assert "nothing heard for " in called.out


def test_json_says_all_of_it(ptbench: Ptbench, run: Path) -> None:
    told = json.loads(ptbench("status", run, "--json").out)
    assert (told["state"], told["alive"], told["pid"]) == ("running", True, os.getpid())
    assert (told["now"]["total"], told["now"]["reused"], told["now"]["statuses"]) == (4, 1, {"oom": 1})
    assert [slot["title"] for slot in told["now"]["slots"]] == ["minilm x t1 x as_is", ""]
    assert len(told["now"]["left"]) == 3


@pytest.mark.parametrize("as_json", [False, True])
def test_following_ends_with_the_run(
    ptbench: Ptbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    monkeypatch.setattr(following, "EVERY", 0.02)
    monkeypatch.setattr(runlog, "PULSE", 0.02)
    folder = tmp_path / "r"
    log = begun(folder)

    def go_on() -> None:
        time.sleep(0.3)
        log.cell_ended(ended(cells(4)[3]))
        time.sleep(0.3)
        log.close("finished")

    other = threading.Thread(target=go_on)
    other.start()
    called = ptbench("status", folder, "--follow", *["--json"] * as_json)
    other.join()
    assert called.code == 1
    lines = called.out.splitlines()
    if as_json:
        assert [(one["state"], sum(one["now"]["statuses"].values())) for one in map(json.loads, lines)] == [
            ("running", 1), ("running", 2), ("finished", 2),
        ]  # fmt: skip
    else:
        assert ["running, 2 of 4" in lines[0], "running, 3 of 4" in lines[1]] == [True, True]
        assert "about 12 min left (9 to 17)" in lines[0]
        assert "finished, 3 of 4 cells (1 ok, 1 oom, 1 reused)" in lines[2]


def test_a_run_is_seen_alive_and_then_killed(suite: Path, tmp_path: Path) -> None:
    text = suite.read_text().replace("[[grid]]", f"[[grid]]\nseeds = {list(range(300))}")
    suite.write_text(text)
    running = subprocess.Popen(
        [*COMMAND, "run", str(suite), "--output", str(tmp_path / "out"), "--quiet"],
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip

    def status() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "status", str(tmp_path / "out"), "--json"], capture_output=True, text=True, check=False
        )

    try:
        until = time.monotonic() + 120
        while (called := status()).returncode == 2 or not json.loads(called.stdout)["now"]["statuses"]:
            assert running.poll() is None
            assert time.monotonic() < until
        told = json.loads(called.stdout)
        assert (called.returncode, told["state"], told["alive"], told["pid"]) == (
            0,
            "running",
            True,
            running.pid,
        )
        assert told["now"]["total"] == 600
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    called = status()
    assert (called.returncode, json.loads(called.stdout)["state"]) == (1, "dead")

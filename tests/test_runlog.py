"""The log of a run: what is in it, and that it never costs a run anything."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ptbench import runlog
from ptbench.errors import UsageError
from ptbench.records import Status
from ptbench.runlog import RunLog, read_live, seconds_of
from tests.running import LOCAL, cells, ended, event, knows, titles


def events(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a log."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines() if line]


def test_the_log_tells_what_happened_and_thins_progress(tmp_path: Path) -> None:
    of = cells(3)
    with RunLog(tmp_path, titles(of)) as log:
        log.run_began(LOCAL, knows(60.0, 45.0, 90.0), 1)
        log.cell_ended(ended(of[0], reused="20261121-101010"))
        log.told(event("started", "cpu:0", of[1]))
        for n in range(500):
            log.told(event("progress", "cpu:0", of[1], phase="embed", examples=n))
        log.told(event("ended", "cpu:0", of[1]))
        log.cell_ended(ended(of[1], slot="cpu:0"))
        log.cell_ended(ended(of[2], Status.CRASHED, "bad \ud800 \x1b[31m"))
        log.warned("look out")
    told = events(tmp_path)
    assert [one["what"] for one in told] == [
        "run began", "started", "ended", "cell ended", "cell ended", "warning", "run ended",
    ]  # fmt: skip
    assert told[3] == {
        "time": told[3]["time"], "what": "cell ended", "slot": "cpu:0", "cell": of[1].id, "status": "ok",
        "seconds": 3.2,
    }  # fmt: skip
    assert told[4]["text"] == "bad \ud800 \x1b[31m"
    assert told[-1]["status"] == "finished"
    assert all(one["time"].endswith("+00:00") for one in told)


def test_progress_is_logged_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "THINNED", 0.0)
    (one,) = cells(1)
    with RunLog(tmp_path, titles([one])) as log:
        log.told(event("started", "cpu:0", one))
        log.told(event("progress", "cpu:0", one, phase="embed", examples=7, memory_mb=12.5))
    told = events(tmp_path)[1]
    assert {key: told[key] for key in ("what", "phase", "examples", "memory_mb")} == {
        "what": "progress", "phase": "embed", "examples": 7, "memory_mb": 12.5,
    }  # fmt: skip


def test_what_is_written_is_read_back_while_it_runs_and_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runlog, "PULSE", 0.02)
    of = cells(3)
    assert read_live(tmp_path) is None
    with RunLog(tmp_path, titles(of)) as log:
        log.run_began(LOCAL, knows(600.0, 450.0, 900.0), 1)
        log.cell_ended(ended(of[0], reused="20261121-101010"))
        log.told(event("started", "cpu:1", of[1]))
        log.told(event("progress", "cpu:1", of[1], phase="embed", examples=7, memory_mb=12.5))
        log.cell_ended(ended(of[2], Status.OOM, "too large", advice="less", log="logs/a.log"))
        until = time.monotonic() + 20
        while (live := read_live(tmp_path)) is None or live.now.ended < 2:
            assert time.monotonic() < until
        assert (live.state, live.pid, live.run) == ("running", os.getpid(), tmp_path.name)
        assert (live.now.total, live.now.reused, dict(live.now.statuses)) == (3, 1, {"oom": 1})
        assert live.now.left is not None
        assert 590 < live.now.left[0] <= 600
        assert live.now.slots[1].title == of[1].title
        assert (live.now.slots[1].phase, live.now.slots[1].memory_mb) == ("embed", 12.5)
        assert live.now.failures[0].advice == "less"
    after = read_live(tmp_path)
    assert after is not None
    assert after.state == "finished"
    assert not (tmp_path / "live.json.part").exists()


@pytest.mark.parametrize(
    ("error", "state"), [(KeyboardInterrupt(), "interrupted"), (RuntimeError("a bug"), "broken")]
)
def test_the_end_says_how_it_came(tmp_path: Path, error: BaseException, state: str) -> None:
    with pytest.raises(type(error)), RunLog(tmp_path):
        raise error
    live = read_live(tmp_path)
    assert live is not None
    assert live.state == state
    assert ("a bug" in events(tmp_path)[-1].get("text", "")) == (state == "broken")


def test_a_state_that_was_told_stays_and_what_comes_later_is_not_heard(tmp_path: Path) -> None:
    (one,) = cells(1)
    warnings: list[str] = []
    with RunLog(tmp_path, warn=warnings.append) as log:
        log.close("stopped")
        log.told(event("ended", "cpu:0", one))
        log.warned("late")
    live = read_live(tmp_path)
    assert live is not None
    assert live.state == "stopped"
    assert [one["what"] for one in events(tmp_path)] == ["run ended"]
    assert warnings == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_full_disk_is_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "PULSE", 0.01)
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    (tmp_path / "live.json.part").symlink_to("/dev/full")
    (one,) = cells(1)
    warnings: list[str] = []
    with RunLog(tmp_path, titles([one]), warnings.append) as log:
        for _ in range(5):
            log.told(event("started", "cpu:0", one))
            log.cell_ended(ended(one))
            time.sleep(0.02)
    (warning,) = warnings
    assert "No space left on device" in warning
    assert "the run goes on" in warning


def test_a_line_after_a_torn_one_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RunLog(tmp_path)
    log.warned("first")
    assert log._events is not None
    whole = log._events.write
    with monkeypatch.context() as patch:
        short = type("Short", (), {"closed": False, "write": lambda self, text: whole(text[:10])})
        patch.setattr(log, "_events", short())
        log.warned("torn")
    log.warned("last")
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["text"] == "first"
    assert json.loads(lines[-1])["text"] == "last"
    log.close("finished")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"now": 3}', '{"now": {"slots": [], "failures": [], "left": [1]}}']
)
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "live.json").write_text(text)
    with pytest.raises(UsageError, match=r"live\.json is damaged"):
        read_live(tmp_path)


def test_fields_of_a_later_version_are_left_out(tmp_path: Path) -> None:
    with RunLog(tmp_path):
        pass
    data = json.loads((tmp_path / "live.json").read_text())
    data["new"] = data["now"]["new"] = 1
    (tmp_path / "live.json").write_text(json.dumps(data))
    assert read_live(tmp_path) is not None


def test_the_seconds_of_a_cell_come_from_its_account_or_its_times() -> None:
    (one,) = cells(1)
    assert seconds_of(ended(one)) == pytest.approx(3.2)
    times = {"started": "2026-11-22T10:00:00.000+00:00", "finished": "2026-11-22T10:00:01.500+00:00"}
    assert seconds_of(ended(one, wall={}, **times)) == 1.5
    assert seconds_of(ended(one, wall={}, started="", finished="")) is None

"""The lock of a run: one process at a time, and gone with it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ptbench import lock

HOLD = """
import sys, time
from pathlib import Path
from ptbench import lock
held = lock.take(Path(sys.argv[1]))
print("held" if held else "refused", flush=True)
time.sleep(60)
"""


def test_one_at_a_time(tmp_path: Path) -> None:
    assert lock.is_running(tmp_path) is False
    with lock.take(tmp_path) as held:  # type: ignore[union-attr]
        assert held.works
        assert lock.take(tmp_path) is None
        assert lock.is_running(tmp_path) is True
        assert (tmp_path / lock.LOCK).read_text().startswith(f"{os.getpid()} on ")
    assert lock.is_running(tmp_path) is False
    again = lock.take(tmp_path)
    assert again is not None
    again.release()
    again.release()


def test_kill_9_releases_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert lock.is_running(tmp_path) is True
        assert lock.take(tmp_path) is None
        process.send_signal(signal.SIGKILL)
    assert lock.is_running(tmp_path) is False
    held = lock.take(tmp_path)
    assert held is not None
    held.release()


def test_who_only_looks_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / lock.LOCK).touch()
    handle = os.open(tmp_path / lock.LOCK, os.O_RDONLY)
    assert lock._locked(handle, exclusive=False)  # as `is_running` does for a moment
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: os.close(handle))
    held = lock.take(tmp_path)
    assert held is not None
    held.release()


def test_without_locks_nobody_can_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(handle: int, operation: int) -> Any:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    held = lock.take(tmp_path)
    assert held is not None
    assert not held.works
    assert lock.is_running(tmp_path) is None
    held.release()

"""The lock of a run: one process at a time conducts what lies in a folder.

It is the kernel's (``flock``), and so gone with the process that held it, however that ended. Where a file
system knows no such locks, a run goes on without one, and what did not finish there is not continued by
itself: nobody could tell whether it still runs.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = "run.lock"
LOOKS = 10
"""Attempts to take a lock, a hundredth of a second apart: who looks whether it is held holds it so long."""


class RunLock:
    """What this process holds until `release`, the end of a ``with`` block or its own end."""

    def __init__(self, handle: int, works: bool) -> None:
        self._handle: int | None = handle
        self.works = works
        """Whether others are kept out: not where the file system knows no locks."""

    def release(self) -> None:
        """Let others have the run."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take(folder: Path) -> RunLock | None:
    """Lock a run's folder; None where another process, or this one, conducts it.

    The file names the process and its machine, for people. It stays: who removed it could lock a new one
    while another process holds the old.
    """
    handle = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o666)
    works = True
    for attempt in range(LOOKS):
        held = _locked(handle, exclusive=True)
        if held is not False:
            works = held is True
            break
        if attempt + 1 == LOOKS:
            os.close(handle)
            return None
        time.sleep(0.01)
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()} on {socket.gethostname()}\n".encode())
    return RunLock(handle, works)


def is_running(folder: Path) -> bool | None:
    """Return whether a process that lives conducts the run in a folder; None where nobody can tell."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        held = _locked(handle, exclusive=False)
        return None if held is None else not held
    finally:
        os.close(handle)


def _locked(handle: int, *, exclusive: bool) -> bool | None:
    """Try to lock an open file; None where the file system knows no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True

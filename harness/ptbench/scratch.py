"""Folders that one process at a time may use: a lock beside each, gone when the process is."""

from __future__ import annotations

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where two processes at one training are not kept apart
    fcntl = None  # type: ignore[assignment]


class Claims:
    """The folders that this process holds."""

    def __init__(self) -> None:
        self._held: dict[Path, int] = {}

    def take(self, folder: Path) -> bool:
        """Hold a folder, which need not be there; False where another process, or this one, does."""
        if folder in self._held:
            return False
        handle = _lock(folder)
        if handle is not None:
            self._held[folder] = handle
        return handle is not None

    def release(self, folder: Path) -> None:
        """Let others have it."""
        handle = self._held.pop(folder, None)
        if handle is not None:
            _beside(folder).unlink(missing_ok=True)
            os.close(handle)


def held(folder: Path) -> bool:
    """Return whether a process that lives holds a folder."""
    if not _beside(folder).exists():
        return False
    handle = _lock(folder)
    if handle is None:
        return True
    _beside(folder).unlink(missing_ok=True)
    os.close(handle)
    return False


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _lock(folder: Path) -> int | None:
    """Lock the file beside a folder, or return None where it is locked.

    The file is unlinked before its lock goes: who locked one that is no longer there has locked nothing.
    """
    path = _beside(folder)
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(path).st_ino == os.fstat(handle).st_ino:
                return handle
        except FileNotFoundError:
            pass
        except OSError:
            os.close(handle)
            return None
        os.close(handle)

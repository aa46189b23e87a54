"""Where a worker writes: standard output and error, those of C and of children too, go to a log."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONGEST = 4 << 20
"""Bytes of a log that are kept when a job has ended."""


class Output:
    """The file descriptors 1 and 2 of this process."""

    def __init__(self) -> None:
        self._own = tuple(os.dup(number) for number in (1, 2))
        self._flush_c = _c_flush()

    @contextmanager
    def to(self, path: Path) -> Iterator[None]:
        """Append to a file inside the block.

        Where the folder is gone or the disk is full, it goes where it went before.
        """
        try:
            path.parent.mkdir(exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError:
            yield
            return
        self._flush()
        self._point(file, file)
        os.close(file)
        try:
            yield
        finally:
            self._flush()
            self._point(*self._own)

    def _point(self, out: int, err: int) -> None:
        os.dup2(out, 1)
        os.dup2(err, 2)

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # a full disk; or a plugin closed it
                stream.flush()
        self._flush_c()


def said(path: Path) -> bool:
    """Whether there is a word in a log."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def shorten(path: Path, most: int = LONGEST) -> None:
    """Leave the beginning and the end of a log that is too long, and say so. Raises `OSError`."""
    size = path.stat().st_size
    if size <= most:
        return
    with path.open("r+b") as file:
        file.seek(size - most // 2)
        end = file.read()
        file.seek(most // 2)
        file.write(f"\n… {size - most:,} bytes were left out …\n".encode() + end)
        file.truncate()


def _c_flush() -> Callable[[], object]:
    """Return what flushes C's own streams, so that no word of a cell lands in the next one's log."""
    try:
        flush = ctypes.CDLL(None).fflush
    except (OSError, AttributeError, TypeError):
        return lambda: None
    return lambda: flush(None)

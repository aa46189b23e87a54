"""Digests of files: which weights were measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file as hex digits; a file that did not change is read once per process."""
    stat = path.stat()
    return _sha256(str(path.resolve()), stat.st_size, stat.st_mtime_ns)


def files_sha256(files: Sequence[Path], root: Path) -> str:
    """Return one digest for files: of one file its sha256, of several that of their `sha256sum` list.

    The list has a line ``digest  path`` per file, with paths relative to ``root``, sorted.
    """
    if len(files) == 1:
        return file_sha256(files[0])
    names = {path.relative_to(root).as_posix(): path for path in files}
    lines = [f"{file_sha256(names[name])}  {name}\n" for name in sorted(names)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@lru_cache(maxsize=1024)
def _sha256(path: str, size: int, mtime: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

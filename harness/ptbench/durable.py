"""Files that are there whole or not at all, also after the power was cut."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

PART = ".part"
"""How the name of a file ends that is still being written; what a process that died left is harmless."""


def part_of(path: Path) -> Path:
    """Return where a file is written before it gets its name."""
    return path.with_name(path.name + PART)


def place(part: Path, path: Path) -> None:
    """Give a written file its name, once it is on the disk; the name then outlives a power cut too."""
    handle = os.open(part, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    part.replace(path)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    with suppress(OSError):
        os.fsync(handle)
    os.close(handle)

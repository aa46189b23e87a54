"""Checking many images: in threads, with one decoded image per thread in memory, and each file once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ptbench_torch.images import Checked, check_image

THREADS = 8
"""The most threads; PIL decodes without Python's lock."""
_PART = 64
_known: dict[tuple[str, int, int], Checked] = {}


def check_images(cells: Sequence[Any]) -> list[Checked]:
    """Check every cell, in order. A file that has not changed since is not read again."""
    parts = [cells[start : start + _PART] for start in range(0, len(cells), _PART)]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, THREADS)) as pool:
        return [checked for part in pool.map(_check_part, parts) for checked in part]


def _check_part(cells: Sequence[Any]) -> list[Checked]:
    return [_check(cell) for cell in cells]


def _check(cell: Any) -> Checked:
    if not isinstance(cell, Path):
        return check_image(cell)
    try:
        status = cell.stat()
    except (OSError, ValueError):
        return check_image(cell)
    key = (str(cell), status.st_size, status.st_mtime_ns)
    checked = _known.get(key)
    if checked is None:
        checked = _known[key] = check_image(cell)
    return checked

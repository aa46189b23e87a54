"""Files of reporters: there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ptbench.durable import part_of


@contextmanager
def placed(path: Path) -> Iterator[TextIO]:
    """Open a text file that gets its name once it is whole; a lone surrogate is written as its escape."""
    part = part_of(path)
    with part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        yield file
    part.replace(path)

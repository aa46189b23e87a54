"""What workers wrote on other machines comes into the folder of the run."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ptbench import PtbenchError


def bring_home(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into the folder of the run; when this returns they are on the disk.

    Raises `PtbenchError` for a path that leads out of the folder, `OSError` where the disk does not take it.
    """
    for name, content in files.items():
        path = PurePosixPath(name)
        target = folder / path
        inside = target.parent.resolve().is_relative_to(folder.resolve())
        if path.is_absolute() or ".." in path.parts or not path.parts or not inside:
            raise PtbenchError(f"a worker named a file outside of the folder of the run: {name!r}")
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, content)


def _write(target: Path, content: bytes) -> None:
    draft = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    with suppress(OSError):  # some systems do not bring names to the disk
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

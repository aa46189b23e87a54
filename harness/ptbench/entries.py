"""One entry of a cache on the disk: ``.npy`` files, and ``meta.json`` that has their digests."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ptbench.durable import flush_folder
from ptbench.errors import one_line
from ptbench.plain import to_json

META = "meta.json"
SCHEMA = 1


class DamageError(Exception):
    """What is wrong with an entry."""


class _Hashing(io.RawIOBase):
    """Writes on and hashes what it writes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self.file.write(data)


def write_entry(
    part: Path, folder: Path, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]
) -> None:
    """Write an entry into ``part``, which will be ``folder``, and wait until it is on the disk."""
    facts = {}
    for name, array in arrays.items():
        with (part / f"{name}.npy").open("wb") as file:
            hashing = _Hashing(file)
            np.lib.format.write_array(hashing, np.asarray(array, order="C"), allow_pickle=False)
            _flush(file)
        facts[name] = {
            "sha256": hashing.digest.hexdigest(),
            "shape": list(array.shape),
            "dtype": array.dtype.str,
        }
    meta = {
        "schema": SCHEMA,
        "area": folder.parent.name,
        "key": folder.name,
        "made": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "version": metadata.version("ptbench"),
        "arrays": facts,
        "about": to_json(about),
    }
    with (part / META).open("wb") as file:
        file.write(json.dumps({**meta, "sha256": _digest(meta)}, indent=1).encode())
        _flush(file)
    flush_folder(part)


def place_entry(part: Path, folder: Path) -> None:
    """Give a finished entry its name; where somebody was first, theirs stays."""
    for again in (True, True, False):
        try:
            part.rename(folder)
        except OSError as error:
            if folder.is_dir():
                return
            # who was first may have been removed since, and then there is room
            if not again or error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            flush_folder(folder.parent)
            return


def read_meta(folder: Path) -> dict[str, Any]:
    """Return what `write_entry` said. Raises `DamageError`; `FileNotFoundError` where there is no entry."""
    try:
        meta = json.loads((folder / META).read_bytes())
        said = meta.pop("sha256")
        if said != _digest(meta):
            raise DamageError(f"{META} was changed")
        placed = meta["area"], meta["key"]
        names = list(meta["arrays"])
    except FileNotFoundError:
        if not folder.is_dir():
            raise
        raise DamageError(f"{META} is missing") from None
    except NotADirectoryError:
        if not folder.exists():  # what should be the folder of the cache is a file
            raise FileNotFoundError(folder) from None
        raise DamageError("it is no folder") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DamageError(f"{META} cannot be read") from None
    if placed != (folder.parent.name, folder.name):
        raise DamageError("it belongs elsewhere")
    if meta["schema"] != SCHEMA or not all(re.fullmatch(r"\w+", name) for name in names):
        raise DamageError(f"{META} is of another version")
    return {**meta, "sha256": said}


def check_entry(folder: Path, meta: Mapping[str, Any]) -> None:
    """Read all of an entry. Raises `DamageError` where a file is not what was written."""
    for name, facts in meta["arrays"].items():
        try:
            with (folder / f"{name}.npy").open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise DamageError(f"{name}.npy is missing") from None
        if digest != facts["sha256"]:
            raise DamageError(f"{name}.npy is not what was written")


def load_arrays(folder: Path, meta: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the arrays, memory-mapped and not to be written to. Raises `DamageError`."""
    try:
        mapped = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in meta["arrays"]}
    except (FileNotFoundError, ValueError) as error:  # others, such as too many open files, are no damage
        raise DamageError(one_line(error)) from None
    return {name: np.asarray(array) for name, array in mapped.items()}


def discard(folder: Path) -> bool:
    """Remove a folder so that nobody sees half of it."""
    gone = folder.with_name(f".gone-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        folder.rename(gone)
    except OSError:
        return not folder.exists()
    if gone.is_dir():
        shutil.rmtree(gone, ignore_errors=True)
    else:
        gone.unlink(missing_ok=True)
    return True


def _digest(meta: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())

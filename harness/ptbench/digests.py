"""Digests of files, so that a plan notices weights that changed; large files are read once, not each time."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ptbench.cache import find_cache
from ptbench.errors import PtbenchError

KNOWN = "digests.json"
LARGE = 1 << 20
"""Bytes from which on a digest is kept in the user's cache, under path, size, time and inode of the file."""
FRESH = 2.0
"""Seconds after a change in which a file is read anew: its time may not tell a second change yet."""
MOST = 4096
"""Digests that are kept; the oldest go."""


def files_digest(files: Iterable[Path]) -> str:
    """Return a digest of what files say (16 hex digits), with their names below their common folder.

    Empty where there are none. Raises `OSError` where one cannot be read.
    """
    paths = sorted({Path(os.path.abspath(file)) for file in files})
    if not paths:
        return ""
    common = os.path.commonpath([path.parent for path in paths])
    lines = [f"{file_digest(path)}  {path.relative_to(common).as_posix()}\n" for path in paths]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Return the sha256 of a file as hex digits. Raises `OSError` where it cannot be read."""
    stat = path.stat()
    if stat.st_size < LARGE:
        return _sha256(path)
    name, state = str(path.resolve()), [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    store = _store()
    kept = _read(store).get(name)
    if isinstance(kept, list) and kept[:-1] == state:
        return str(kept[-1])
    digest = _sha256(path)
    if time.time() - stat.st_mtime > FRESH:
        _keep(store, name, [*state, digest])
    return digest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _store() -> Path | None:
    try:
        return find_cache(None).root / KNOWN
    except PtbenchError:  # no home folder, say: then files are read each time
        return None


def _read(store: Path | None) -> dict[str, object]:
    try:
        known = json.loads(store.read_bytes()) if store else {}
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _keep(store: Path | None, name: str, entry: list[object]) -> None:
    """Add a digest; where two processes do at once, one of them is lost and computed again."""
    if store is None:
        return
    known = {key: value for key, value in _read(store).items() if key != name}
    known = dict([*known.items(), (name, entry)][-MOST:])
    part = store.with_name(f".{store.name}-{os.getpid()}-{secrets.token_hex(4)}")
    with suppress(OSError):  # a cache that cannot be written costs time
        store.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(known), "utf-8")
        part.replace(store)


def files_state(files: Iterable[Path], root: Path) -> str:
    """Return a digest of names (from ``root`` on), sizes and times of files, none of which is read.

    For `DataDescription.state`. Raises `OSError` where one is not there.
    """
    start, digest = len(str(root)), hashlib.sha256()
    for file in files:
        stat = os.stat(file)
        line = f"{str(file)[start:]}\n{stat.st_size} {stat.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]

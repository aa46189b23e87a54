"""What outlives a process: arrays on the disk, each under a digest of all that it depends on.

`ROOT/AREA/KEY/` holds ``.npy`` files and ``meta.json`` with their digests. An entry appears whole or not
at all, is never changed, and is checked when it is read; any number of processes may share a cache.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ptbench.entries import (
    META,
    DamageError,
    check_entry,
    discard,
    load_arrays,
    place_entry,
    read_meta,
    write_entry,
)
from ptbench.errors import UsageError, one_line, printable
from ptbench.scratch import Claims, held

TAG, SCRATCH = "CACHEDIR.TAG", "training"
TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of ptbench.\n"
"""By it backup programs know a cache (bford.info/cachedir), and we know that a folder is ours to tidy."""
GIB = 2**30
LEFT_OVER = 86400.0
"""Seconds after which what a process that died was just writing is taken away."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What was read of an entry."""

    arrays: Mapping[str, NDArray[Any]]
    """Memory-mapped, and not to be written to."""
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it lies on the disk, or the folder of a training that was interrupted."""

    area: str
    key: str
    path: Path
    bytes: int
    used: float
    """When it was last read or written, in seconds since 1970."""


class Cache:
    """A folder of entries. What goes wrong with the disk costs time, never a cell.

    ``warned`` hears of it: damaged entries are removed, and a disk that cannot be written is left alone.
    """

    def __init__(self, root: Path, max_bytes: int, warned: Callable[[str], None] = lambda text: None) -> None:
        self.root = root.expanduser().absolute()
        self.max_bytes = max_bytes
        self.warned = warned
        self._writable = True
        self._room = 0.0
        self._verified: set[str] = set()
        self._claims = Claims()

    def get(self, area: str, key: str) -> Stored | None:
        """Return an entry, or None where there is none or it is damaged."""
        folder = self.root / area / key
        problem = ""
        for _ in range(2):  # another process may have put a new one in its place while it was being read
            try:
                stored = self._read(folder)
            except FileNotFoundError:
                return None
            except DamageError as error:
                problem = str(error)
            except OSError as error:
                self.warned(f"{printable(str(folder))} cannot be read ({error.strerror}): it is not used")
                return None
            else:
                _touch(folder / META)
                return stored
        gone = "removed" if discard(folder) else "cannot be removed"
        self.warned(
            f"{printable(str(folder))} is damaged ({problem}): it is not used and {gone}; what it held is "
            "computed again"
        )
        return None

    def put(self, area: str, key: str, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> bool:
        """Keep arrays under a key, unless somebody was first; return whether they are there now."""
        size = sum(array.nbytes for array in arrays.values())
        if not self._writable or not self.max_bytes:
            return False
        if size > self.max_bytes:
            self.warned(
                f"{size / GIB:,.1f} GiB of {area} are kept in memory only: the cache holds "
                f"{self.max_bytes / GIB:,.1f} GiB; PTBENCH_CACHE_GIB says how much"
            )
            return False
        folder = self.root / area / key
        part = folder.with_name(f".part-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            self._open()
            part.mkdir(parents=True)
            try:
                write_entry(part, folder, arrays, about)
                place_entry(part, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        except OSError as error:
            self._shut(error)
            return False
        self._room -= size
        if self._room <= 0:
            self._make_room(folder)
        return True

    def scratch(self, key: str) -> Path | None:
        """Return a folder for what a training keeps while it goes on: the same one for the same key.

        It need not be there yet. None: nothing can be kept, or another process is at this very training.
        Call `leave` afterwards.
        """
        folder = self.root / SCRATCH / key
        try:
            self._open()
            folder.parent.mkdir(exist_ok=True)
            return folder if self._claims.take(folder) else None
        except OSError as error:
            self._shut(error)
            return None

    def leave(self, folder: Path, *, done: bool) -> None:
        """Let others have a folder that `scratch` gave; once the training is done it is gone."""
        if done and folder.exists():
            discard(folder)
        self._claims.release(folder)

    def entries(self) -> list[Entry]:
        """Return what lies in the cache, the least recently used first."""
        found = [entry for folder in self._folders() if (entry := _entry(folder)) is not None]
        return sorted(found, key=lambda entry: (entry.used, entry.area, entry.key))

    def about(self, entry: Entry) -> Mapping[str, Any]:
        """Return ``meta.json`` of an entry; empty where it has none that can be read."""
        try:
            return read_meta(entry.path)
        except (OSError, DamageError):
            return {}

    def remove(self, entry: Entry) -> bool:
        """Remove an entry; return whether it is gone. A training that goes on is left alone."""
        return not held(entry.path) and discard(entry.path)

    def prune(
        self, *, max_bytes: int | None = None, older_than: float | None = None, spared: Path | None = None
    ) -> list[Entry]:
        """Remove what was not used for so many seconds, and the least recently used beyond a size."""
        self._sweep()
        entries, now, removed = self.entries(), time.time(), []
        total = sum(entry.bytes for entry in entries)
        for entry in entries:
            old = older_than is not None and now - entry.used > older_than
            over = max_bytes is not None and total > max_bytes
            if (old or over) and entry.path != spared and self.remove(entry):
                total -= entry.bytes
                removed.append(entry)
        return removed

    def problem(self, entry: Entry) -> str | None:
        """Return what is wrong with an entry, all of it read; None where nothing is."""
        if entry.area == SCRATCH:
            return None
        try:
            check_entry(entry.path, read_meta(entry.path))
        except FileNotFoundError:
            return None  # somebody else has just removed it
        except DamageError as error:
            return str(error)
        except OSError as error:
            return one_line(error)
        return None

    def _read(self, folder: Path) -> Stored:
        meta = read_meta(folder)
        if meta["sha256"] not in self._verified:
            check_entry(folder, meta)
            self._verified.add(meta["sha256"])
        return Stored(load_arrays(folder, meta), meta["about"])

    def _make_room(self, spared: Path) -> None:
        """Tidy up, and say when to look again: others write too, so after half of the room."""
        self.prune(max_bytes=self.max_bytes, spared=spared)
        self._room = (self.max_bytes - sum(entry.bytes for entry in self.entries())) / 2

    def _open(self) -> None:
        """Make the folder, and say that it is a cache."""
        self.root.mkdir(parents=True, exist_ok=True)
        if not (self.root / TAG).exists():
            (self.root / TAG).write_text(TAG_TEXT, "utf-8")

    def _shut(self, error: OSError) -> None:
        if self._writable:
            where, why = printable(str(self.root)), error.strerror or one_line(error)
            self.warned(f"the cache {where} cannot be written ({why}): features are kept in memory only")
        self._writable = False

    def _folders(self) -> Iterator[Path]:
        if not (self.root / TAG).is_file():
            return
        for area in _children(self.root):
            yield from (folder for folder in _children(area) if re.fullmatch(r"[0-9a-f]{64}", folder.name))

    def _sweep(self) -> None:
        """Take away what processes that died were writing or removing."""
        if not (self.root / TAG).is_file():
            return
        for area in _children(self.root):
            for folder in _children(area):
                if re.match(r"\.(part|gone)-", folder.name) and _age(folder) > LEFT_OVER:
                    shutil.rmtree(folder, ignore_errors=True)
        for lock in (self.root / SCRATCH).glob("*.lock"):
            held(lock.with_suffix(""))  # which takes away one that nobody holds


def find_cache(given: Path | None, warned: Callable[[str], None] = lambda text: None) -> Cache:
    """Return the cache at a folder, else that of the user, with the size that the environment allows.

    That is PTBENCH_CACHE, else ptbench in XDG_CACHE_HOME or ~/.cache; PTBENCH_CACHE_GIB is its size, 20
    if unset. Raises `UsageError`.
    """
    text = os.environ.get("PTBENCH_CACHE_GIB") or "20"
    try:
        gib = float(text)
    except ValueError:
        gib = -1.0
    if not 0 <= gib < 2**30:
        raise UsageError(
            f"PTBENCH_CACHE_GIB is '{printable(text)}': a number of GiB was expected, such as 20"
        )
    own = os.environ.get("PTBENCH_CACHE")
    root = given or (Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "ptbench")
    try:
        return Cache(root, round(gib * GIB), warned)
    except RuntimeError:  # nobody knows where home is
        raise UsageError("there is no home folder for a cache: use --cache DIR or PTBENCH_CACHE") from None


def _entry(folder: Path) -> Entry | None:
    """Return what a folder holds; None where it has just been removed."""
    try:
        stats = [path.stat() for path in folder.rglob("*")]
        used = max((stat.st_mtime for stat in stats), default=folder.stat().st_mtime)
    except OSError:
        return None
    return Entry(folder.parent.name, folder.name, folder, sum(stat.st_size for stat in stats), used)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _touch(path: Path) -> None:
    with suppress(OSError):  # a disk that is only read: nothing is ever put there, and nothing has to go
        os.utime(path)

"""One file of many, with a manifest of digests: equal content gives equal bytes, and reading trusts nothing.

It is a ZIP file. Its first member, ``manifest.json``, has the sha256 and the size of every other.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Any

from ptbench.durable import part_of, place
from ptbench.errors import UsageError

MANIFEST = "manifest.json"
VERSION = 1
STORED = (".parquet", ".png", ".gz", ".jpg", ".jpeg", ".safetensors")
"""What is compressed already."""
CHUNK = 2**20
MANIFEST_BYTES = 2**28
NAME_BYTES, PATH_BYTES = 255, 1024
"""The longest name of a file, and with its folders, that every file system holds."""
INFLATION, GRACE = 200, 2**28
"""What is unpacked is at most so many times as large as the file, and so many bytes."""
_NAME = re.compile(r"(?!.*(^|/)\.\.?(/|$))[^/\\:\0-\x1f][^\\:\0-\x1f]*")

_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError)
"""What reading a damaged member raises."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def is_inside(name: str) -> bool:
    """Return whether a name, put below a folder, stays there on every system.

    >>> [is_inside(name) for name in ("a/b.txt", "../a", "/a", "a/./b", "C:a")]
    [True, False, False, False, False]
    """
    return bool(_NAME.fullmatch(name))


@dataclass(frozen=True, slots=True)
class Member:
    """What a manifest says of a member."""

    bytes: int
    sha256: str


def write_archive(target: Path, about: Mapping[str, Any], members: Mapping[str, bytes | Path]) -> None:
    """Write members, by name, and what is to be said about them; the same input gives the same bytes.

    Raises `UsageError` where it cannot be written.
    """
    part = part_of(target)
    try:
        known = {name: _measured(content) for name, content in sorted(members.items())}
        listed = {name: {"bytes": one.bytes, "sha256": one.sha256} for name, one in known.items()}
        manifest = json.dumps({**about, "version": VERSION, "members": listed}, indent=1, sort_keys=True)
        with zipfile.ZipFile(part, "w") as archive:
            _add(archive, MANIFEST, manifest.encode())
            for name in known:
                _add(archive, name, members[name])
        place(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"{target} cannot be written: {error.strerror or error}") from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class Archive:
    """An archive whose every member is as its manifest says. Close it, or use it in a ``with``."""

    def __init__(self, path: Path) -> None:
        """Open and check all of it. Raises `UsageError` for a file that is damaged or hostile."""
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise UsageError(f"{path} is no bundle: {error}") from None
        try:
            self.about, self.members = self._check()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def read(self, name: str) -> bytes:
        """Return the content of a member. Raises `UsageError` where there is none of this name."""
        if name not in self.members:
            raise UsageError(f"{self.path} has no {name}: it was made by something else, or cut down")
        return self._zip.read(name)

    def names(self, start: str) -> list[str]:
        """Return the members whose names begin with a text."""
        return [name for name in self.members if name.startswith(start)]

    def extract(self, names: Iterable[str], folder: Path, without: str = "") -> None:
        """Write members below a folder, under their names ``without`` what these begin with.

        Raises `UsageError` where they cannot be written.
        """
        try:
            for name in names:
                path = folder / name.removeprefix(without)
                path.parent.mkdir(parents=True, exist_ok=True)
                with self._zip.open(name) as source, path.open("xb") as target:
                    while chunk := source.read(CHUNK):
                        target.write(chunk)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be unpacked: {error.strerror or error}") from None

    def _check(self) -> tuple[Mapping[str, Any], Mapping[str, Member]]:
        infos = self._zip.infolist()
        self._check_shape(infos)
        try:
            manifest = json.loads(self._zip.read(MANIFEST))
            if manifest["version"] != VERSION:
                made = manifest["version"]
                raise UsageError(f"{self.path} is of version {made}, and this ptbench reads {VERSION}")
            members = {
                str(name): Member(int(one["bytes"]), str(one["sha256"]))
                for name, one in manifest.pop("members").items()
            }
            self._check_content(infos, members)
        except UsageError:
            raise
        except _DAMAGES as error:
            raise UsageError(f"{self.path} is damaged: {error or type(error).__name__}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{self.path}: {MANIFEST} is no manifest: {error}") from None
        return manifest, members

    def _check_shape(self, infos: list[zipfile.ZipInfo]) -> None:
        """Look at names, kinds and sizes, before anything is unpacked."""
        names = [info.filename for info in infos]
        if MANIFEST not in names:
            raise UsageError(f"{self.path} is no bundle: it has no {MANIFEST}")
        for info in infos:
            name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
            if not is_inside(name) or info.orig_filename != name:
                raise UsageError(f"{self.path}: member {name!r} leaves its folder; nothing was unpacked")
            if kind not in (0, stat.S_IFREG) or name.endswith("/"):
                raise UsageError(f"{self.path}: member {name!r} is no plain file; nothing was unpacked")
            if info.flag_bits & 1:
                raise UsageError(f"{self.path}: member {name!r} is encrypted; nothing was unpacked")
        folded = {name.casefold() for name in names}
        if len(folded) < len(names):
            raise UsageError(f"{self.path}: two members have one name; nothing was unpacked")
        for name in names:
            if _is_long(name):
                raise UsageError(
                    f"{self.path}: the name of member '{name[:40]}…' is too long; nothing was unpacked"
                )
            if any(str(above) in folded for above in PurePosixPath(name.casefold()).parents):
                raise UsageError(f"{self.path}: member {name!r} lies below a file; nothing was unpacked")
        size = self.path.stat().st_size
        unpacked = sum(info.file_size for info in infos)
        if sum(info.compress_size for info in infos) > size or unpacked > INFLATION * size + GRACE:
            raise UsageError(f"{self.path} would unpack to {unpacked:,} bytes; nothing was unpacked")
        if self._zip.getinfo(MANIFEST).file_size > MANIFEST_BYTES:
            raise UsageError(f"{self.path}: {MANIFEST} is too large; nothing was unpacked")

    def _check_content(self, infos: list[zipfile.ZipInfo], members: Mapping[str, Member]) -> None:
        there = {info.filename for info in infos} - {MANIFEST}
        for name in sorted(there ^ {*members}):
            what = "is not in its manifest" if name in there else "is missing"
            raise UsageError(f"{self.path}: {name} {what}")
        for info in infos:
            if info.filename == MANIFEST:
                continue
            with self._zip.open(info) as file:
                found = _read(file, info.file_size)
            if found != members[info.filename]:
                raise UsageError(f"{self.path}: {info.filename} is not what its manifest says")


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.create_system = 3
    info.compress_type = zipfile.ZIP_STORED if name.endswith(STORED) else zipfile.ZIP_DEFLATED
    if isinstance(content, bytes):
        archive.writestr(info, content)
        return
    info.file_size = content.stat().st_size
    with content.open("rb") as source, archive.open(info, "w", force_zip64=info.file_size > 2**30) as target:
        while chunk := source.read(CHUNK):
            target.write(chunk)


def _is_long(name: str) -> bool:
    longest = max(len(part.encode("utf-8", "replace")) for part in name.split("/"))
    return longest > NAME_BYTES or len(name.encode("utf-8", "replace")) > PATH_BYTES


def _measured(content: bytes | Path) -> Member:
    if isinstance(content, bytes):
        return Member(len(content), hashlib.sha256(content).hexdigest())
    with content.open("rb") as file:
        return _read(file)


def _read(file: IO[bytes], most: int | None = None) -> Member:
    """Read to the end, or until there is more than there may be."""
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if most is not None and size > most:
            break
    return Member(size, digest.hexdigest())

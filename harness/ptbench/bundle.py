"""A run in one file, ``<suite>-<run>.ptbundle``: all that another machine needs to run and compare it.

``suite.toml`` is the text of the suite; ``lock.json`` says what each cell was made from: the parts of its
identity, fingerprints, versions, plugins, machine, device, seeds, and the digests of local data. Beside them
lie ``run.json``, the records, standings, predictions and logs of the run, and under ``data/`` small local
files that its tasks and models read. Nothing in it tells paths of the machine or secrets of its environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptbench.archive import write_archive
from ptbench.errors import UsageError
from ptbench.journal import RECORDS, read_records
from ptbench.plain import to_json
from ptbench.records import Record
from ptbench.scrub import Scrubber
from ptbench.store import RUN, STANDINGS, UNREAD, slug

FORMAT, SUFFIX = "ptbench bundle", ".ptbundle"
SUITE, LOCK, DATA, FILES = "suite.toml", "lock.json", "data/", "run/"
"""The members: the suite, the lock, local data, and the folder of the run."""
LOGS, EVENTS = "logs", "events.jsonl"
DATA_BYTES = 50_000_000
"""Bytes of local data up to which it goes into a bundle; of larger data the lock has the digests."""
LOCKED = ("seed", "identity", "fingerprints", "plugins", "device", "precision", "version")
"""What the lock has of every cell, besides its names."""


@dataclass(frozen=True, slots=True)
class Local:
    """A file or a folder beside the suite that a task or a model reads."""

    reference: str
    """As the suite names it."""
    path: str
    """From the suite's folder on."""
    files: Mapping[str, Path]
    """Its files by their paths from the suite's folder on."""
    bytes: int
    included: bool
    left_out: tuple[str, ...] = ()
    """What of it is not taken, and why: hidden files, links that leave the suite's folder."""


@dataclass(frozen=True, slots=True)
class Bundled:
    """What was written."""

    path: Path
    bytes: int
    sha256: str
    cells: int
    data: tuple[Local, ...]
    base: Path | None
    """The folder of the suite; None: nobody knows it, and local data was not looked for."""
    unfinished: str
    """How the run stands, where it has not finished."""
    gone: tuple[str, ...]
    """Files that records name and that are not there."""
    unread: str
    """What ``run.json`` says beside how few records can be read; empty where they are as many as it says."""


def bundle(
    folder: Path, target: Path | None = None, *, base: Path | None = None, data: bool = True
) -> Bundled:
    """Write a run into one file; the same run gives the same bytes.

    Args:
        folder: The folder of the run.
        target: The file to write; default: ``<suite>-<run>.ptbundle`` here.
        base: The folder of the suite, where local data lies; default: where the run found it.
        data: Whether small local data goes into it.

    Raises:
        UsageError: The folder holds no run or no records, or the file cannot be written.
    """
    run, records = _read(folder)
    base = base or _base(run)
    base = base.resolve() if base else None
    scrubber = Scrubber(
        {
            "": base,
            "<run>": folder.resolve(),
            "<results>": folder.resolve().parent.parent,
            "<python>": Path(sys.prefix),
            "<home>": Path.home() if Path.home() != Path("/") else None,
            "<tmp>": Path(tempfile.gettempdir()),
        }
    )
    text = str(run.get("text", ""))
    local = tuple(_local(text, base, include=data)) if base else ()
    members: dict[str, bytes | Path] = {
        SUITE: scrubber.text(text).encode(),
        LOCK: _json(_lock(run, records, local), scrubber),
        FILES + RUN: _json({**run, "command": _command(run), "base": None}, scrubber),
        FILES + RECORDS: _json_lines(map(to_json, records), scrubber),
    }
    if (folder / STANDINGS).is_file():
        members[FILES + STANDINGS] = _json(_parsed(folder / STANDINGS), scrubber)
    members |= {FILES + name: (folder / name).resolve() for name in _files(folder, records)}
    members |= {FILES + name: _scrubbed(folder / name, scrubber) for name in _texts(folder)}
    members |= {DATA + name: path for one in local if one.included for name, path in one.files.items()}
    name = f"{slug(str(run.get('suite', '')))}-{slug(str(run.get('run') or folder.resolve().name))}"
    target = target or Path(name + SUFFIX)
    named = {name for record in records for name in record.files}
    about = {
        "format": FORMAT,
        "suite": run.get("suite"),
        "run": run.get("run"),
        "cells": len(records),
    }
    write_archive(target, about, members)
    status = str(run.get("status", ""))
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Bundled(
        target,
        target.stat().st_size,
        digest,
        len(records),
        local,
        base,
        "" if status == "finished" else status or "unknown",
        tuple(sorted(named - {name.removeprefix(FILES) for name in members})),
        _unread(run, len(records)) if status == "finished" else "",
    )


def _read(folder: Path) -> tuple[dict[str, Any], list[Record]]:
    if not (folder / RUN).is_file():
        raise UsageError(f"{folder} holds no run (no {RUN}); give the folder results/<suite>/<run>")
    run = _parsed(folder / RUN)
    if not isinstance(run, dict) or not run.get("text"):
        raise UsageError(f"{folder / RUN} does not hold what a run writes: it has no text of a suite")
    latest = {record.cell: record for record in read_records(folder)}
    if not latest:
        raise UsageError(f"{folder}: {_unread(run, 0)} from {RECORDS}: it is missing or damaged")
    return run, [latest[cell] for cell in sorted(latest)]


def _unread(run: Mapping[str, Any], records: int) -> str:
    """Return in words that a run had more cells than there are records of; empty where it had not."""
    cells = run.get("cells")
    if records and (not isinstance(cells, int) or records >= cells):
        return ""
    told = f"{RUN} says {run.get('status') or 'nothing'}, {cells if isinstance(cells, int) else 'no'} cells"
    return f"{told}; {records} record{'s' * (records != 1)} can be read"


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is damaged: {error}") from None


def _base(run: Mapping[str, Any]) -> Path | None:
    """Return the folder of the suite, as the run tells it, or where its command finds the same text here."""
    told = run.get("base")
    if isinstance(told, str) and Path(told).is_dir():
        return Path(told)
    for word in run.get("command") or ():
        path = Path(str(word))
        try:
            if path.name == run.get("file") and path.read_text("utf-8") == run.get("text"):
                return path.resolve().parent
        except (OSError, ValueError):
            continue
    return None


def _lock(run: Mapping[str, Any], records: Sequence[Record], local: Sequence[Local]) -> dict[str, Any]:
    kept = ("python", "packages", "plugins", "machine", "device", "canonical", "executor", "slots", "commit")
    return {
        **{name: run[name] for name in kept if name in run},
        "seeds": sorted({record.seed for record in records}),
        "cells": {
            record.cell: {
                "model": record.model,
                "reference": record.reference,
                "task": record.task,
                "data": record.data,
                "protocol": record.label,
                **{name: getattr(record, name) for name in LOCKED},
            }
            for record in records
        },
        "data": [
            {
                "reference": one.reference,
                "path": one.path,
                "included": one.included,
                "files": {name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
                          for name, path in one.files.items()},
            }
            for one in local
        ],
    }  # fmt: skip


def _local(text: str, base: Path, *, include: bool) -> Iterator[Local]:
    """Find what a suite's references name in its folder. What rows name, such as images, is not followed."""
    left = DATA_BYTES
    seen = set()
    for reference in references(text):
        name = os.path.expanduser(reference.partition(":")[2])
        path = Path(os.path.normpath(base / name))  # links are looked at one by one
        if not name or path in seen or path == base or not os.path.lexists(path):
            continue
        seen.add(path)
        inside = base in path.parents
        shown = path.relative_to(base).as_posix() if inside else name
        if not inside:
            yield Local(reference, shown, {}, 0, False, (f"{shown} lies outside the suite's folder",))
            continue
        files, left_out = _plain_files(path, base)
        size = sum(file.stat().st_size for file in files.values())
        included = include and bool(files) and size <= left
        left -= size if included else 0
        yield Local(reference, shown, files, size, included, tuple(left_out))


def references(text: str) -> list[str]:
    """Return what the models and tasks of a suite refer to, such as ``file:reviews.csv``."""
    suite = tomllib.loads(text)
    tables = [suite.get(name) for name in ("models", "tasks")]
    entries = [entry for table in tables if isinstance(table, dict) for entry in table.values()]
    found = [entry.get("ref") or entry.get("data") if isinstance(entry, dict) else entry for entry in entries]
    return [reference for reference in found if isinstance(reference, str)]


def _plain_files(path: Path, base: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the plain files at a path by their names from ``base`` on, and what is left out, with why."""
    files, left_out = {}, []
    todo = [path]
    while todo:
        one = todo.pop()
        name = one.relative_to(base).as_posix()
        if why := _why_not(one, base):
            left_out.append(f"{name} {why}")
        elif one.is_dir():
            todo += one.iterdir()
        else:
            files[name] = one.resolve()
    return dict(sorted(files.items())), sorted(left_out)


def _why_not(path: Path, base: Path) -> str:
    """Return why something is nobody else's business; empty: it goes into a bundle."""
    if _hidden(path, base):
        return "is hidden"
    target = Path(os.path.realpath(path))  # which a loop of links does not stop
    if base not in target.parents:
        return "is a link out of the suite's folder"
    if _hidden(target, base):
        return "is a link to what is hidden"
    if path.is_symlink() and path.is_dir():
        return "is a link to a folder"
    return "" if path.is_dir() or path.is_file() else "is no plain file"


def _hidden(path: Path, base: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(base).parts)


def _files(folder: Path, records: Sequence[Record]) -> list[str]:
    """Return the files that records name and that are there, within the folder."""
    names = {name for record in records for name in record.files}
    return sorted(name for name in names if _within(folder, name) and (folder / name).is_file())


def _texts(folder: Path) -> list[str]:
    found = [*(folder / LOGS).rglob("*"), *(folder / UNREAD).rglob("*.csv"), folder / EVENTS]
    names = sorted(path.relative_to(folder).as_posix() for path in found if path.is_file())
    return [name for name in names if _within(folder, name)]


def _within(folder: Path, name: str) -> bool:
    return folder.resolve() in (folder / name).resolve().parents


def _scrubbed(path: Path, scrubber: Scrubber) -> bytes:
    text = path.read_text("utf-8", "replace")
    return _json_lines(_lines(text), scrubber) if path.suffix == ".jsonl" else scrubber.text(text).encode()


def _lines(text: str) -> Iterator[Any]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # cut short
            continue


def _command(run: Mapping[str, Any]) -> list[str]:
    """Return the command of a run, with the last parts of its paths alone."""
    return [Path(word).name if "/" in word else word for word in map(str, run.get("command") or ())]


def _json(data: Any, scrubber: Scrubber) -> bytes:
    return (json.dumps(scrubber.data(to_json(data)), indent=1, sort_keys=True) + "\n").encode()


def _json_lines(lines: Iterable[Any], scrubber: Scrubber) -> bytes:
    return "".join(f"{json.dumps(scrubber.data(line), allow_nan=False)}\n" for line in lines).encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The journal of a run: ``records.jsonl``, append-only, one line of JSON per cell as it ends.

A line counts once it is whole; of several lines about one cell the last one counts. What a power cut leaves
at the end (half a line, zero bytes) is left out in reading and cut off by `mend` before a run goes on.
"""

from __future__ import annotations

import dataclasses
import gc
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ptbench.durable import flush_folder
from ptbench.errors import UsageError
from ptbench.plain import to_json
from ptbench.records import Average, Cost, Record, Score, Standing, Status

RECORDS = "records.jsonl"
BLOCK = 1 << 16
"""Bytes that are parsed at once, which is faster, and lets records share the names of their fields; of more
the processor's cache would not hold what comes of them."""


def append_record(folder: Path, record: Record) -> None:
    """Add a record to the journal and wait until it is on the disk."""
    append_records(folder, [record])


def append_records(folder: Path, records: Iterable[Record]) -> None:
    """Add records to the journal, in one piece, and wait until they are on the disk.

    Raises `OSError` where the disk is full, say; the journal is then as it was.
    """
    data = "".join(dumps(record) + "\n" for record in records).encode("ascii")
    path = folder / RECORDS
    new = not path.exists()
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o666)
    try:
        size = os.fstat(handle).st_size
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, size)
            raise
    finally:
        os.close(handle)
    if new:
        flush_folder(folder)


def mend(folder: Path) -> None:
    """Cut off what a crash left at the end of the journal. Only for who holds the lock of the run."""
    path = folder / RECORDS
    if not path.is_file():
        return
    with path.open("r+b") as file:
        data = file.read()
        whole = data.rstrip(b"\0")
        start = whole.rfind(b"\n") + 1
        if _is_record(whole[start:]):  # all but its newline
            file.truncate(len(whole))
            file.seek(len(whole))
            file.write(b"\n")
        else:
            while start and b"\0" in whole[(before := whole.rfind(b"\n", 0, start - 1) + 1) : start]:
                start = before
            if start == len(data):
                return
            file.truncate(start)
        file.flush()
        os.fsync(file.fileno())


def read_records(folder: Path) -> list[Record]:
    """Read the journal of a run, in the order in which its cells ended first; none where there is none yet.

    A last line that was cut short by a crash is left out. Raises `UsageError` for any other bad line.
    """
    path = folder / RECORDS
    if not path.is_file():
        return []
    found: dict[str, Record] = {}
    shared: dict[Any, Any] = {}
    number = 0
    with path.open("rb") as file, _without_collector():
        while block := file.read(BLOCK):
            block += file.readline()
            for record in _block(block, number, path, shared):
                found[record.cell] = record
            number += block.count(b"\n")
        if len(found) >= MANY:
            gc.freeze()  # they stay as long as the process, and are never looked through again
    return list(found.values())


def dumps(record: Record) -> str:
    """Return a record as one line of JSON, in ASCII: any text is safe in it, lone surrogates too."""
    return json.dumps(to_json(record), allow_nan=False)


def loads(line: str | bytes) -> Record:
    """Read a record from one line of JSON; fields of later versions are left out.

    Raises `ValueError` where the line is no record.
    """
    return _record(json.loads(line), {})


def standing_from_json(data: Mapping[str, Any]) -> Standing:
    """Read a standing from JSON data. Raises `ValueError` where it is none."""
    try:
        return _made(Standing, data)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"this is no standing: {error}") from None


def average_from_json(data: Mapping[str, Any]) -> Average:
    """Read an average over tasks from JSON data. Raises `ValueError` where it is none."""
    try:
        return _made(Average, data)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"this is no average: {error}") from None


def _block(block: bytes, before: int, path: Path, shared: dict[Any, Any]) -> list[Record]:
    """Read lines, ``before`` of which stand others: together, and one by one where not all are records."""
    try:
        parsed = json.loads(b"[" + block.rstrip(b"\n").replace(b"\n", b",") + b"]")
        if len(parsed) == block.count(b"\n"):
            return [_record(data, shared) for data in parsed]
    except ValueError:
        pass
    records = []
    for number, line in enumerate(io.BytesIO(block), start=before + 1):
        text = line.rstrip(b"\0")
        if not text.strip() or b"\0" in text:
            continue
        try:
            records.append(_record(json.loads(text.decode("utf-8", "replace")), shared))
        except ValueError as error:
            if not line.endswith(b"\n"):  # the write was cut short
                continue
            raise UsageError(f"{path}, line {number}: is no record: {error}") from None
    return records


def _is_record(line: bytes) -> bool:
    try:
        return bool(line.strip()) and bool(loads(line))
    except ValueError:
        return False


def _record(data: Any, shared: dict[Any, Any]) -> Record:
    """Make a record; ``shared`` holds what stands in many of them, so that memory holds it once."""
    try:
        known = _known(Record, data)
        known["status"] = STATUSES.get(known["status"]) or Status(known["status"])
        known["cost"] = _made(Cost, known.get("cost") or {})
        known["scores"] = tuple([_made(Score, score) for score in known.get("scores") or ()])
        for name in ("notes", "trust", "files"):
            known[name] = tuple(known.get(name) or ())
        for name in SHARED:
            if (text := known.get(name)) is not None:
                known[name] = shared.setdefault(text, text)
        for name in ("plugins", "fingerprints"):
            if told := known.get(name):
                known[name] = shared.setdefault(tuple(told.items()), told)
        if parts := known.get("identity"):
            known["identity"] = {name: shared.setdefault(text, text) for name, text in parts.items()}
        return Record(**known)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"this line is no record: {error}") from None


MANY = 10_000
"""Records from which on the garbage collector would be busy with them for seconds."""
SHARED = (
    *("suite", "run", "model", "reference", "task", "data", "kind", "protocol", "error", "advice", "primary"),
    *("capability", "split", "device", "precision", "version", "reused", "slot"),
)
"""Texts that are those of many records."""
STATUSES = {status.value: status for status in Status}
READ = (Record, Cost, Score, Standing, Average)
NAMES: dict[type, frozenset[str]] = {cls: frozenset(f.name for f in dataclasses.fields(cls)) for cls in READ}
FLOATS: dict[type, list[str]] = {
    cls: [f.name for f in dataclasses.fields(cls) if f.type == "float"] for cls in READ
}
T = TypeVar("T", Cost, Score, Standing, Average)


def _made(cls: type[T], data: Mapping[str, Any]) -> T:
    """Make it with its numbers as numbers: JSON has no NaN, and so null stands for it."""
    known = _known(cls, data)
    for name in FLOATS[cls]:
        value = known.get(name, 0.0)
        if type(value) is not float and name in known:
            if isinstance(value, str | bool):
                raise TypeError(f"{name} is no number")
            known[name] = math.nan if value is None else float(value)
    return cls(**known)


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has a field; ``data`` itself where all has, since it is nobody else's."""
    names = NAMES[cls]
    if type(data) is dict and data.keys() <= names:
        return data
    return {key: value for key, value in data.items() if key in names}


@contextmanager
def _without_collector() -> Iterator[None]:
    """Look for no cycles meanwhile: there are none, and looking takes longer than reading."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

"""The journal of a run: ``records.jsonl``, append-only, one line of JSON per cell as it ends."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ptbench.errors import UsageError
from ptbench.plain import to_json
from ptbench.records import Cost, Record, Score, Standing, Status

RECORDS = "records.jsonl"


def append_record(folder: Path, record: Record) -> None:
    """Add a record to the journal and wait until it is on the disk."""
    with (folder / RECORDS).open("a", encoding="utf-8") as file:
        file.write(dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_records(folder: Path) -> list[Record]:
    """Read the journal of a run; none where there is none yet.

    A last line that was cut short by a crash is left out. Raises `UsageError` for any other bad line.
    """
    path = folder / RECORDS
    if not path.is_file():
        return []
    lines = path.read_text("utf-8", "replace").split("\n")
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            records.append(loads(line))
        except ValueError as error:
            if number == len(lines):  # no newline after it: the write was cut short
                continue
            raise UsageError(f"{path}, line {number}: is no record: {error}") from None
    return records


def dumps(record: Record) -> str:
    """Return a record as one line of JSON, in ASCII: any text is safe in it, lone surrogates too."""
    return json.dumps(to_json(record), allow_nan=False)


def loads(line: str) -> Record:
    """Read a record from one line of JSON; fields of later versions are left out.

    Raises `ValueError` where the line is no record.
    """
    try:
        data = json.loads(line)
        data["status"] = Status(data["status"])
        data["cost"] = Cost(**_known(Cost, data.get("cost") or {}))
        data["scores"] = tuple(_numbered(Score(**_known(Score, s))) for s in data.get("scores") or ())
        for name in ("notes", "trust", "files"):
            data[name] = tuple(data.get(name) or ())
        return Record(**_known(Record, data))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"this line is no record: {error}") from None


def standing_from_json(data: Mapping[str, Any]) -> Standing:
    """Read a standing from JSON data. Raises `ValueError` where it is none."""
    try:
        return _numbered(Standing(**_known(Standing, data)))
    except (AttributeError, TypeError) as error:
        raise ValueError(f"this is no standing: {error}") from None


T = TypeVar("T", Score, Standing)


def _numbered(made: T) -> T:
    """Return it with its numbers as numbers: JSON has no NaN, and so null stands for it."""
    floats = [f.name for f in dataclasses.fields(made) if f.type == "float"]
    values: dict[str, Any] = {name: getattr(made, name) for name in floats}
    if bad := [name for name, value in values.items() if isinstance(value, str | bool)]:
        raise TypeError(f"{bad[0]} is no number")
    numbers: dict[str, Any] = {n: math.nan if v is None else float(v) for n, v in values.items()}
    return dataclasses.replace(made, **numbers)


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in dataclasses.fields(cls)}
    return {key: value for key, value in data.items() if key in names}

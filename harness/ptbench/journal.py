"""The journal of a run: ``records.jsonl``, append-only, one line of JSON per cell as it ends."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    lines = path.read_text("utf-8").split("\n")
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            records.append(loads(line))
        except (ValueError, KeyError) as error:
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
    data = json.loads(line)
    if not isinstance(data, dict):
        raise ValueError("a record is a JSON object")
    data["status"] = Status(data["status"])
    data["cost"] = Cost(**_known(Cost, data.get("cost") or {}))
    data["scores"] = tuple(Score(**_floats(_known(Score, s))) for s in data.get("scores") or ())
    for name in ("notes", "trust", "files"):
        data[name] = tuple(data.get(name) or ())
    try:
        return Record(**_known(Record, data))
    except TypeError as error:
        raise ValueError(f"this line is no record: {error}") from None


def standing_from_json(data: Mapping[str, Any]) -> Standing:
    """Read a standing from JSON data."""
    return Standing(**_floats(_known(Standing, data)))


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in dataclasses.fields(cls)}
    return {key: value for key, value in data.items() if key in names}


def _floats(data: dict[str, Any]) -> dict[str, Any]:
    return {key: math.nan if value is None else value for key, value in data.items()}

"""Reading one file of rows: CSV, TSV, JSON lines, a JSON list, Parquet. Nothing is guessed.

Cells of CSV and TSV are text exactly as written ("NA", "007"); the other formats keep their types. A
missing value is None. Every complaint names the file, and the line where it has lines.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ptbench.data import Rows
from ptbench.delimited import Dialect, brief, distinct, open_text, read_delimited, read_names
from ptbench.errors import DataError, nearest

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
SEPARATORS = {"csv": ",", "tsv": "\t"}


def split_name(path: Path) -> tuple[str, str]:
    """Return the name without suffixes, and the format ("" where the suffix is unknown).

    >>> split_name(Path("data/train.csv.gz"))
    ('train', 'csv')
    """
    name = path.name.removesuffix(".gz")
    stem, dot, suffix = name.rpartition(".")
    known = FORMATS.get(f".{suffix}".lower(), "") if dot and stem else ""
    if known == "parquet" and name != path.name:
        known = ""
    return (stem or name, known)


def read_header(path: Path, dialect: Dialect) -> tuple[tuple[str, ...] | None, int | None]:
    """Return the columns of a file and its number of rows; None where all of it had to be read."""
    match _format(path, dialect):
        case "parquet":
            with _parquet(path) as file:
                return distinct(file.schema_arrow.names, str(path)), file.metadata.num_rows
        case "json":
            return None, None
        case "jsonl":
            return next(((*row,) for _, row in _json_lines(path, dialect)), None), None
        case "csv" | "tsv" as known:
            return read_names(path, dialect, SEPARATORS[known]), None
    raise AssertionError(path)


def read_rows(path: Path, dialect: Dialect) -> Rows:
    """Read a file. Raises `DataError` in one line for whatever is wrong with it."""
    match _format(path, dialect):
        case "parquet":
            rows = _read_parquet(path)
        case "json":
            rows = _transposed(_json_list(path, dialect), f"{path}, row")
        case "jsonl":
            rows = _transposed(_json_lines(path, dialect), f"{path}, line")
        case known:
            rows = read_delimited(path, dialect, SEPARATORS[known])
    if not rows:
        raise DataError(f"{path} is empty")
    if not len(next(iter(rows.values()))):
        raise DataError(f"{path} has a header and no rows")
    return rows


def _format(path: Path, dialect: Dialect) -> str:
    known = split_name(path)[1]
    if not known:
        raise DataError(f"{path}: its format is not known by its name; {nearest(path.suffix, FORMATS)}")
    if known not in SEPARATORS:
        given = {"columns": dialect.columns, "separator": dialect.separator, "quoting": not dialect.quoting}
        for option, value in given.items():
            if value:
                raise DataError(f"{path}: option '{option}' is for CSV and TSV, this is {known}")
    return known


def _json_lines(path: Path, dialect: Dialect) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with open_text(path, dialect.encoding) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{path}, line {number}: broken JSON: {brief(error)}") from None
                yield number, _object(row, f"{path}, line {number}")


def _json_list(path: Path, dialect: Dialect) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with open_text(path, dialect.encoding) as file:
        text = file.read()
    if not text.strip():
        return
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: broken JSON: {brief(error)}; one object per line is .jsonl") from None
    if not isinstance(rows, list):
        raise DataError(f"{path} holds a {type(rows).__name__}; a list of objects was expected")
    for number, row in enumerate(rows, start=1):
        yield number, _object(row, f"{path}, row {number}")


def _object(row: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{place}: a {type(row).__name__}; an object was expected")
    return row


def _transposed(rows: Iterator[tuple[int, Mapping[str, Any]]], place: str) -> Rows:
    columns: dict[str, list[Any]] | None = None
    for number, row in rows:
        if columns is None:
            columns = {name: [] for name in row}
        if row.keys() != columns.keys():
            odd = ", ".join(f"'{name}'" for name in sorted(row.keys() ^ columns.keys()))
            raise DataError(f"{place} {number}: its keys differ from those of the first row: {odd}")
        for name, value in row.items():
            columns[name].append(_plain(value))
    return columns or {}


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {brief(error)}") from None


def _read_parquet(path: Path) -> Rows:
    import pyarrow as pa

    with _parquet(path) as file:
        table = file.read()
        columns: dict[str, list[Any]] = {}
        for name in distinct(table.column_names, str(path)):
            column = table[name]
            if pa.types.is_temporal(column.type) or pa.types.is_decimal(column.type):
                column = column.cast(pa.string())
            columns[name] = [_plain(value) for value in column.to_pylist()]
    return columns


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value

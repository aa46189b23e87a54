"""Text files of rows: opening any, and reading those whose cells a separator divides (CSV, TSV)."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Literal

from ptbench.data import Rows
from ptbench.errors import DataError

LONGEST_CELL = 2**31 - 1
"""Python's default of 128 KiB is too little: a cell may be a whole document."""

Record = tuple[int, list[str]]
"""The line on which it begins, and its cells."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text file is written; None: as its format usually is."""

    columns: tuple[str, ...] | None = None
    """Names for a CSV or TSV file without a header."""
    separator: str | None = None
    encoding: str = "utf-8"
    quoting: bool = True


@contextmanager
def open_text(path: Path, encoding: str, newline: str | None = None) -> Iterator[IO[str]]:
    """Open a text file, plain or gzipped. Raises `DataError` also for what goes wrong inside the block."""
    # a byte order mark is no part of the first column's name
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding=encoding, newline=newline) as file:
            yield file
    except UnicodeError:
        raise DataError(_undecodable(path, encoding)) from None
    except LookupError:
        raise DataError(f"{path}: encoding '{encoding}' is unknown; utf-8 and latin-1 are usual") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {brief(error)}") from None


def _undecodable(path: Path, encoding: str) -> str:
    """Say where: the error of a stream counts from its last chunk, so decode once more in one piece."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        byte = f"byte 0x{data[error.start]:02x} at offset {error.start}"
        line = data.count(b"\n", 0, error.start) + 1
        return f"{path}, line {line}: {byte} is not {encoding}; name its encoding, such as 'latin-1'"
    return f"{path} is not {encoding}; name its encoding, such as 'latin-1'"


def _records(path: Path, dialect: Dialect, separator: str) -> Iterator[Record]:
    separator = dialect.separator or separator
    if len(separator) != 1 or separator in '\r\n"':
        raise DataError(f"{path}: separator = {separator!r}: it is one character")
    csv.field_size_limit(LONGEST_CELL)
    line = 0
    try:
        with open_text(path, dialect.encoding, newline="") as file:
            quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if dialect.quoting else csv.QUOTE_NONE
            reader = csv.reader(file, delimiter=separator, quoting=quoting, strict=True)
            while True:
                line = reader.line_num + 1
                record = next(reader, None)
                if record is None:
                    return
                if record:
                    yield line, record
    except csv.Error as error:
        hint = "; if quotes are part of the text, write quoting = false" if dialect.quoting else ""
        raise DataError(f"{path}, line {line}: {error}{hint}") from None


def _header(
    records: Iterator[Record], path: Path, dialect: Dialect
) -> tuple[tuple[str, ...], Iterator[Record]]:
    first = next(records, None)
    if first is None:
        raise DataError(f"{path} is empty")
    if dialect.columns is None:
        return distinct(first[1], str(path)), records
    if len(first[1]) != len(dialect.columns):
        raise DataError(f"{path} has {len(first[1])} columns, option 'columns' names {len(dialect.columns)}")
    return distinct(dialect.columns, str(path)), chain([first], records)


def read_names(path: Path, dialect: Dialect, separator: str) -> tuple[str, ...]:
    """Return the names of the columns, from the first line or from the dialect."""
    return _header(_records(path, dialect, separator), path, dialect)[0]


def read_delimited(path: Path, dialect: Dialect, separator: str) -> Rows:
    """Read all rows; every cell is a text. Raises `DataError` with the line."""
    names, records = _header(_records(path, dialect, separator), path, dialect)
    cells = []
    for line, record in records:
        if len(record) != len(names):
            quotes = ", or an unescaped quote" if dialect.quoting else ""
            raise DataError(
                f"{path}, line {line}: {len(record)} cells where the header has {len(names)} "
                f"(a separator inside a text{quotes}?)"
            )
        cells.append(record)
    return {name: [record[i] for record in cells] for i, name in enumerate(names)}


def distinct(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Return the names of columns. Raises `DataError` where two are the same."""
    names = tuple(names)
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{where}: two columns are named '{name}'; names must differ")
        seen.add(name)
    return names


def brief(error: BaseException) -> str:
    """Return the beginning of an error's text, in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__

"""A data set of `datasets` as plain values; images and sounds stay on the disk until they are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ptbench import Rows


class Stored:
    """The bytes of an image or a sound, as they lie in an Arrow file: ``bytes(stored)`` reads them.

    The file is mapped into memory and never changes, so many threads may read at once, and what was read
    is the system's to forget. Equal to what has the same bytes; pickled as these.
    """

    __slots__ = ("_column", "_row")

    def __init__(self, column: Any, row: int) -> None:
        self._column = column
        self._row = row

    def __bytes__(self) -> bytes:
        content: bytes = self._column[self._row].as_py()
        return content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stored | bytes) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __repr__(self) -> str:
        return f"<bytes of row {self._row + 1}>"

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        return bytes, (bytes(self),)  # or the whole column would travel with each of its rows


def plain_rows(split: Any) -> Rows:
    """Return the columns of a split: labels by name, None for what is hidden (-1) or missing.

    What is stored as ``{"bytes", "path"}``, an image or a sound, is a `Stored` where it has bytes.
    """
    table = split.with_format("arrow")[:]  # mapped, not read; and nothing in it is decoded
    return {name: _cells(table.column(name), feature) for name, feature in split.features.items()}


def _cells(column: Any, feature: Any) -> Sequence[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (hasattr(feature, "decode") and pa.types.is_struct(column.type)):
        convert = _converter(feature)
        return [convert(value) for value in column.to_pylist()]
    content = pc.struct_field(column, "bytes")
    there = pc.is_valid(content).to_pylist()
    return [Stored(content, row) if has else column[row].as_py() for row, has in enumerate(there)]


def _converter(feature: Any) -> Callable[[Any], Any]:
    """Return what makes a value plain."""
    names = getattr(feature, "names", None)
    if names is not None:
        return lambda value: None if value is None or value < 0 else names[value]
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    if inner is not None and not isinstance(inner, dict):
        convert = _converter(inner)
        return lambda value: None if value is None else [convert(item) for item in value]
    return _plain


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    known = value is None or isinstance(value, bool | int | float | str | bytes | list | dict)
    return value if known else str(value)

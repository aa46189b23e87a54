"""The source ``npz:``: the arrays of a NumPy archive as columns. Nothing in it is ever unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ptbench import (
    CUT_OPTIONS,
    DataDescription,
    DataError,
    DataRequest,
    Rows,
    Source,
    checked_shares,
    cut_as_asked,
    files_state,
    nearest,
    split_of,
)

ALL = "all"
"""The split of an archive without splits, as of a file."""
ROLES = ("train", "validation", "test")
QUICK_BYTES = 50_000_000

BROKEN = (
    OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error
)  # fmt: skip
"""What zipfile and NumPy raise for a file that is not what it should be."""

Layout = dict[str, dict[str, str]]
"""Split to column to the name of the array."""


def describe(request: DataRequest) -> DataDescription:
    """Read the headers of the arrays only."""
    path = _path(request)
    lengths = _lengths(path)
    layout = _layout(lengths, request, str(path))
    columns = tuple(next(iter(layout.values())))
    splits: dict[str, int | None]
    if (cut := request.options.get("cut")) is not None:
        splits = dict.fromkeys(["train", *checked_shares(cut, str(path))])
    else:
        splits = {split: lengths[next(iter(arrays.values()))] for split, arrays in layout.items()}
    quick = path.stat().st_size < QUICK_BYTES
    state = "" if quick else files_state([path], path.parent)
    return DataDescription(columns, splits, quick=quick, state=state)


def load(request: DataRequest) -> Mapping[str, Rows]:
    """Read the arrays; a cell of an array with several axes is a view into it."""
    path = _path(request)
    layout = _layout(_lengths(path), request, str(path))
    with _reading(path), np.load(path, allow_pickle=False) as archive:
        rows: dict[str, Rows] = {
            split: {column: _cells(archive[name]) for column, name in arrays.items()}
            for split, arrays in layout.items()
        }
    return cut_as_asked(rows, request, str(path))


def _path(request: DataRequest) -> Path:
    try:
        path = request.base / Path(request.reference.name).expanduser()
        if path.is_file():
            return path
        there = [entry.name for entry in path.parent.glob("*.npz")] if path.parent.is_dir() else []
    except (OSError, RuntimeError, ValueError) as error:  # closed to us; "~nobody"; a null byte
        raise DataError(f"npz:{request.reference.name} cannot be read: {error}") from None
    if path.is_dir():
        raise DataError(f"{path} is a folder; npz: wants one archive")
    raise DataError(f"there is no file {path}; in {path.parent}: {nearest(path.name, there)}")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path} cannot be read as an archive of arrays: {reason}") from None


def _lengths(path: Path) -> dict[str, int]:
    """Return the number of rows of every array that has rows, from their headers."""
    lengths = {}
    with _reading(path), zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if not member.endswith(".npy"):
                continue
            with archive.open(member) as file:
                version = npy.read_magic(file)
                read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, _, dtype = read(file)
            name = member.removesuffix(".npy")
            if shape and dtype.hasobject:
                raise DataError(
                    f"{path}: array '{name}' holds pickled Python objects, which could run code; "
                    "save it as numbers or texts"
                )
            if shape:
                lengths[name] = shape[0]
    if not lengths:
        raise DataError(f"{path} has no array with rows")
    return lengths


def _layout(lengths: Mapping[str, int], request: DataRequest, where: str) -> Layout:
    """Return which arrays are the columns of which split: of one length, the one that most have."""
    placed = {name: _split_and_column(name) for name in lengths}
    layout: Layout = {}
    for name, place in placed.items():
        split, column = place if place and all(placed.values()) else (ALL, name)
        layout.setdefault(split, {})[column] = name
    layout = {split: layout[split] for split in (ALL, *ROLES) if split in layout}
    if request.options.get("cut") is not None and ALL not in layout:
        raise DataError(f"{where} has splits ({', '.join(layout)}), and is not cut; leave 'cut' out")
    # a cut makes splits of its own
    wanted = list(layout) if request.options.get("cut") is not None else request.wanted(layout)
    return {split: _columns(layout[split], lengths, request, where) for split in wanted}


def _columns(
    arrays: Mapping[str, str], lengths: Mapping[str, int], request: DataRequest, where: str
) -> dict[str, str]:
    """Return the arrays of one length, the one that most have, by column.

    A column that the task names, and that is not among them, is told of here: nobody after us knows what
    was left out.
    """
    (length, n), *others = Counter(lengths[name] for name in arrays.values()).most_common()
    if others and others[0][1] == n:
        there = ", ".join(f"'{name}' has {lengths[name]}" for name in arrays.values())
        raise DataError(f"{where}: the arrays must have equally many rows; {there}")
    kept = {column: name for column, name in arrays.items() if lengths[name] == length}
    missing = [column for column in request.columns if column not in kept]
    if missing and others:
        left = [name for name in arrays.values() if lengths[name] != length]
        odd = ", ".join(f"'{name}' has {lengths[name]}" for name in left)
        raise DataError(
            f"{where}: no column '{missing[0]}'; {nearest(missing[0], kept)}; left out, since most arrays "
            f"have {length} rows: {odd}"
        )
    return kept


def _split_and_column(name: str) -> tuple[str, str] | None:
    """Return the split and the column that a name says; None where it says no split.

    >>> [_split_and_column(name) for name in ("x_train", "val_images", "labels_all")]
    [('train', 'x'), ('validation', 'images'), None]
    """
    first, _, rest = name.partition("_")
    if rest and split_of(first) in ROLES:
        return split_of(first), rest
    rest, _, last = name.rpartition("_")
    if rest and split_of(last) in ROLES:
        return split_of(last), rest
    return None


def _cells(array: NDArray[Any]) -> Sequence[Any]:
    if array.ndim == 2 and array.shape[1] == 1:  # a column of labels, as some archives keep it
        array = array[:, 0]
    if array.ndim > 1:
        return list(array)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    cells: list[Any] = array.tolist()
    return cells


SOURCE = Source(
    name="npz",
    description="The arrays of a NumPy archive; names such as x_train and test_labels name splits.",
    options=CUT_OPTIONS,
    describe=describe,
    load=load,
)

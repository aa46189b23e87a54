"""Cutting rows into splits, by what a row is and never by where it stands.

Which side a row falls on depends on the seed and the row alone. So equal rows stay together, rows that
are added later move no other row, and neither their order nor their number matters. What a protocol cuts
from train to choose on is cut by example id (`cut_positions`), and equal rows stay together there too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Examples, Rows, Split, feed
from ptbench.errors import DataError, nearest
from ptbench.offers import DataRequest, Option

Positions = NDArray[np.intp]
Content = Callable[[Any], Any]

UNCUT = "row before the cut"
"""The column that a cut adds: ``all-17`` is the eighteenth row of the data. Rows without ids take it."""

CUT_OPTIONS = (
    Option(
        "cut",
        (dict,),
        "Shares to cut off as splits, as in { validation = 0.1, test = 0.2 }; the rest is train.",
    ),
    Option("cut_seed", (int,), "Another seed gives another cut.", default=0),
    Option(
        "cut_by",
        (list,),
        "Columns whose equal values stay in one split; default: the inputs of the task.",
    ),
)
"""The options that a source which cuts has; `cut_as_asked` reads what they say."""


def cut_rows(
    rows: Rows,
    fractions: Mapping[str, float],
    seed: int = 0,
    *,
    by: Sequence[str] = (),
    content: Mapping[str, Content] = MappingProxyType({}),
    where: str = "data",
) -> dict[str, Rows]:
    """Cut rows into train, validation and test; the rows of each keep their order, and get `UNCUT`.

    Each row draws a number in [0, 1) from a hash of the seed and its content: below the share of test
    it is a test row, above one minus the share of validation a validation row. So neither share moves
    a row between the other two splits. The sizes are near the shares, not equal to them.

    Args:
        rows: The columns of the one split there is.
        fractions: ``validation``, ``test`` or both: shares in (0, 1) that leave something for train.
        seed: Another seed gives another cut.
        by: The columns that decide; rows that are equal in these stay together. Empty: all columns.
        content: What the values of a column stand for, where they are names (`DataRequest.content`): a
            path counts as what its file says, or by its name where the file cannot be opened.
        where: Where the rows came from, for error messages.

    Raises:
        DataError: A share is impossible, a column unknown, or a split would have no row.

    >>> {name: len(part["n"]) for name, part in cut_rows({"n": range(1000)}, {"test": 0.25}).items()}
    {'train': 779, 'test': 221}
    """
    shares = checked_shares(fractions, where)
    columns = sorted(checked_columns(by, rows, where) or rows)
    cells = zip(*(_counted(rows[column], content.get(column)) for column in columns), strict=True)
    draws = np.array([_draw((seed, columns, row)) for row in cells])
    test, validation = draws < shares.get("test", 0), draws >= 1 - shares.get("validation", 0)
    chosen = {"train": ~(test | validation), "validation": validation, "test": test}
    cut: dict[str, Rows] = {}
    for split in ("train", *shares):
        positions = np.flatnonzero(chosen[split]).tolist()
        if not positions:
            raise DataError(
                f"{where}: cut leaves no {split} row out of {len(draws)}; choose other shares, or a cut_seed"
            )
        cut[split] = {name: [values[i] for i in positions] for name, values in rows.items()}
        cut[split] = {UNCUT: [f"all-{i}" for i in positions], **cut[split]}
    return cut


def cut_as_asked(rows: Mapping[str, Rows], request: DataRequest, where: str) -> Mapping[str, Rows]:
    """Return splits as they are, or the only one of them cut as the options of a request say.

    Raises `DataError` like `cut_rows`.
    """
    options = request.options
    if options.get("cut") is None:
        return rows
    (whole,) = rows.values()
    return cut_rows(
        whole,
        options["cut"],
        options.get("cut_seed", 0),
        by=options.get("cut_by") or (),
        content=request.content,
        where=where,
    )


def cut_positions(split: Split, fraction: float, seed: int) -> tuple[Positions, Positions]:
    """Cut a split in two by example id and return the positions of (the rest, the cut).

    Rows with equal inputs stay together and fall where the smallest of their ids falls: else what learns
    rows by heart would look best on the cut. Where all are equal, each falls by its own id. The size of
    the cut is near the share, as far as such groups allow. At least one row stays on each side.

    Inputs are equal as `ptbench.data.feed` has it: all columns, arrays by value, a path by what its file
    says. So the files of a split are read once for this; texts are compared as they are.

    Raises `DataError` where there are fewer than two rows, or a file cannot be read.
    """
    n = len(split)
    if n < 2:
        raise DataError(f"validation rows cannot be cut from {n} training rows; two are the least")
    groups = _equal(split.examples)
    if not groups.any():
        groups = np.arange(n)
    smallest: dict[int, str] = {}
    for group, example_id in zip(groups.tolist(), split.examples.ids, strict=True):
        smallest[group] = min(smallest.get(group, example_id), example_id)
    drawn = {group: _draw((seed, example_id)) for group, example_id in smallest.items()}
    draws = np.array([drawn[group] for group in groups.tolist()])
    cut = draws < fraction
    if not cut.any():
        cut[groups == groups[draws.argmin()]] = True
    if cut.all():
        cut[groups == groups[draws.argmax()]] = False
    return np.flatnonzero(~cut), np.flatnonzero(cut)


def cut_validation(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Cut a split in two by example id: (the rest, the cut). See `cut_positions`."""
    rest, cut = cut_positions(split, fraction, seed)
    return split.take(rest), split.take(cut)


def _equal(examples: Examples) -> Positions:
    """Return for each row the position of the first one with equal inputs."""
    first: dict[tuple[str | bytes, ...], int] = {}
    columns = examples.columns.values()
    rows = (tuple(_identity(values[i]) for values in columns) for i in range(len(examples)))
    return np.array([first.setdefault(row, i) for i, row in enumerate(rows)], dtype=np.intp)


def _identity(value: Any) -> str | bytes:
    """Return a text itself, else a digest of what a value says."""
    return value if isinstance(value, str) else _digest(value)


def _counted(values: Sequence[Any], content: Content | None) -> Iterable[Any]:
    return values if content is None else (_opened(value, content(value)) for value in values)


def _opened(value: Any, found: Any) -> Any:
    lost = isinstance(found, Path) and not (os.path.isfile(found) and os.access(found, os.R_OK))
    return value if lost else found


def _draw(key: Any) -> float:
    # 53 bits, what a float holds: with more, a draw could round up to 1
    return (int.from_bytes(_digest(key)[:8], "big") >> 11) / 2**53


def _digest(value: Any) -> bytes:
    digest = hashlib.sha256()
    feed(digest, value)
    return digest.digest()


def checked_columns(by: Sequence[str], rows: Rows, where: str) -> list[str]:
    """Return the columns to cut by. Raises `DataError` where one is not there."""
    if isinstance(by, str):
        raise DataError(f'{where}: cut_by is {by[:80]!r}; a list was expected, as in cut_by = ["{by[:80]}"]')
    for column in by:
        if not isinstance(column, str):
            raise DataError(f"{where}: cut_by has {column!r}; names of columns were expected")
        if column not in rows:
            raise DataError(
                f"{where}: there is no column '{column}' to cut by; {nearest(column, rows)} (it is named by "
                "the key 'input', by 'cluster' or by 'cut_by')"
            )
    return list(by)


def checked_shares(fractions: Any, where: str) -> dict[str, float]:
    """Return the shares of a cut, validation before test. Raises `DataError` where they are impossible."""
    if not isinstance(fractions, Mapping) or not fractions:
        raise DataError(f"{where}: cut is {fractions!r}; write cut = {{ validation = 0.1, test = 0.2 }}")
    for name, share in fractions.items():
        if name not in ("validation", "test"):
            raise DataError(
                f"{where}: cut has an unknown split '{name}'; {nearest(name, ('validation', 'test'))} "
                "(the rest is train)"
            )
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise DataError(f"{where}: cut.{name} is {share!r}; a share between 0 and 1 was expected")
    if sum(fractions.values()) >= 1:
        raise DataError(
            f"{where}: cut takes {sum(fractions.values()):g} of the rows and leaves none for train"
        )
    return {name: fractions[name] for name in ("validation", "test") if name in fractions}

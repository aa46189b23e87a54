"""Examples go through a model in fixed blocks, so that a cell can be split over slots.

Which examples stand in a batch depends on their block alone, never on who computes it or beside what:
however a cell is split, the same blocks go through the same calls, and come out with the same bits.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

from ptbench.border import checked_columns, checked_facts
from ptbench.data import Columns, Examples
from ptbench.errors import ModelError
from ptbench.model import Model

BLOCK = 2048
"""Examples in a block: enough that sorting within it leaves little padding, few enough to be shared out."""

Number = TypeVar("Number", int, float)
Call = Callable[[Examples], Columns]


@dataclass(frozen=True, slots=True)
class Toll:
    """What a call of a model took, and what the model told of it."""

    seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    """What it had to change in its inputs: ``truncated`` texts."""
    spent: Mapping[str, float] = field(default_factory=dict)
    """``seconds`` by what it tells of: ``decode``, ``transfer``, ``compute``."""

    def __add__(self, other: Toll) -> Toll:
        """Return what both took."""
        return Toll(
            self.seconds + other.seconds, _sum(self.counts, other.counts), _sum(self.spent, other.spent)
        )


@dataclass(frozen=True, slots=True)
class Called:
    """What a model gave for examples, and what that took."""

    columns: Columns
    here: Toll = Toll()
    elsewhere: Toll = Toll()
    """What other slots spent on it."""


@dataclass
class Parts:
    """Blocks that several slots compute for one cell: files in the folder of the run."""

    folder: Path
    own: tuple[int, int] | None = None
    """``(2, 8)``: every eighth block from the third on is computed here and kept; None: what others kept
    is taken, and the rest computed."""
    seen: int = 0
    """Blocks that were counted so far, over all calls of the cell."""

    def mine(self) -> bool:
        """Count a block, and return whether it is to be computed here."""
        self.seen += 1
        return self.own is None or (self.seen - 1) % self.own[1] == self.own[0]


def call_in_blocks(
    model: Model, call: Call, examples: Examples, who: str, *, key: str = "", parts: Parts | None = None
) -> Called:
    """Return what ``call`` gives for examples, block by block.

    With ``parts`` what is kept under this key is not computed again. Where parts are computed for others
    (`Parts.own`), what is returned has the own blocks only, and is of no use. Raises `ModelError`.
    """
    done = list(_blocks(model, call, examples, who, key, parts))
    columns = done[0].columns if len(done) == 1 else _joined([one.columns for one in done])
    here, elsewhere = Toll(), Toll()
    for one in done:
        here, elsewhere = here + one.here, elsewhere + one.elsewhere
    return Called(columns, here, elsewhere)


def _blocks(
    model: Model, call: Call, examples: Examples, who: str, key: str, parts: Parts | None
) -> Iterator[Called]:
    total = len(examples)
    for i, start in enumerate(range(0, total, BLOCK) if total else (0,)):
        path = parts.folder / f"{key}-{i}.npz" if parts else None
        mine = parts is None or parts.mine()
        kept = _read(path) if path else None
        if kept is not None:
            yield kept
        elif mine:
            rows = range(start, min(start + BLOCK, total))
            one = _called(model, call, examples if len(rows) == total else examples.take(rows), who)
            if path and parts and parts.own:
                _write(path, one)
            yield one


def _called(model: Model, call: Call, block: Examples, who: str) -> Called:
    before, started = checked_facts(model, who), time.perf_counter()
    columns = checked_columns(call(block), who)
    seconds, after = time.perf_counter() - started, model.facts
    return Called(
        columns,
        Toll(seconds, added(before.counts, after.counts), added(before.seconds, after.seconds)),
    )


def _joined(tables: list[Columns]) -> Columns:
    if not tables:
        return {}
    names = tables[0].keys()
    if any(table.keys() != names for table in tables):
        raise ModelError(f"one block of examples has the columns {', '.join(names)}, another one has others")
    return {name: np.concatenate([np.asarray(table[name]) for table in tables]) for name in names}


def _write(path: Path, one: Called) -> None:
    """Keep a block whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = json.dumps(asdict(one.here))
    arrays: dict[str, Any] = {f"column {name}": np.asarray(values) for name, values in one.columns.items()}
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, about=np.array(about), **arrays)
    part.replace(path)


def _read(path: Path) -> Called | None:
    """Return a kept block; None where there is none, or none that can be read."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            columns = {name.removeprefix("column "): file[name] for name in file.files if name != "about"}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None
    return Called(columns, elsewhere=Toll(**about))


def _sum(a: Mapping[str, Number], b: Mapping[str, Number]) -> dict[str, Number]:
    return {**a, **{name: a[name] + value if name in a else value for name, value in b.items()}}


def added(before: Mapping[str, Number], after: Mapping[str, Number]) -> dict[str, Number]:
    """Return what was counted between two looks at a model's counts or seconds.

    >>> added({"truncated": 2}, {"truncated": 5, "mended": 1})
    {'truncated': 3, 'mended': 1}
    """
    return {name: after[name] - before[name] if name in before else after[name] for name in after}

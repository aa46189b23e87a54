"""The executor that needs no other process: one cell after another, right here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ptbench.offers import Executor
from ptbench.records import Cell, Record


def _serial(cells: Sequence[Cell], evaluate: Callable[[Cell], Record]) -> Iterator[Record]:
    for cell in cells:
        yield evaluate(cell)


SERIAL = Executor(
    name="serial",
    description="One cell after another in this process.",
    run=_serial,
)

"""Batches by a budget of padded tokens: longest first, so that little is padding and memory peaks at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptbench_torch.memory import OutOfMemory, explained, out_of_memory, release

Index = NDArray[np.intp]
Lengths = Sequence[int] | NDArray[np.integer]

GRAIN = {"tokens": 8}
"""Canonical widths are multiples of it: whole vectors of the processor, and few different shapes."""


class Batch(NamedTuple):
    """Rows that go through a model together."""

    rows: Index
    width: int
    """What each of them takes, padding included."""


@dataclass
class Batching:
    """How many examples go through a model at once, and how many did, once memory had its say.

    Canonical batches have shapes that depend on nothing but the length of an example: its width is rounded
    up, the number of rows follows from the width alone, and a batch that lacks rows is filled up with its
    own again. So the bits of a row do not depend on the rows beside it, nor on how many there are (on the
    CPU with one thread, as measured over many models; see tests/benchmarks/canonical.py).
    """

    unit: str
    """What is counted: ``tokens``, ``images``, ``examples``."""
    asked: int
    """The most units in a batch, padding included."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    even: bool = False
    """Whether padding changes what the model gives, so that only rows of one length go together."""
    canonical: bool = False
    longest: int = sys.maxsize
    """The longest example that the model takes."""
    least: int = 1
    """The fewest rows that it can be given."""
    used: int = field(init=False)
    """The budget after memory has been short; it stays so low."""
    shortages: int = field(default=0, init=False)
    """How often memory was short."""

    def __post_init__(self) -> None:
        """Begin with what was asked."""
        self.used = self.asked

    def cut(self, lengths: Lengths) -> list[Batch]:
        """Return every row in exactly one batch, longest first."""
        sizes = np.maximum(np.asarray(lengths, dtype=np.int64), 1)  # an empty row still takes a place
        if not self.canonical:
            return [
                Batch(rows, int(sizes[rows[0]])) for rows in token_batches(sizes, self.used, even=self.even)
            ]
        widths = self._widths(sizes)
        # where no row is padded, attention goes without a mask, by another kernel
        order = np.lexsort((widths == sizes, -widths))
        groups = np.stack([widths, widths == sizes])[:, order]
        starts = 1 + np.flatnonzero((groups[:, 1:] != groups[:, :-1]).any(axis=0))
        return [
            Batch(rows[i : i + self.rows(width)], width)
            for rows in (np.split(order, starts) if len(order) else ())
            for width in [int(widths[rows[0]])]
            for i in range(0, len(rows), self.rows(width))
        ]

    def width(self, lengths: NDArray[np.integer]) -> int:
        """Return the padded length of rows that stand in one batch."""
        longest = np.maximum(lengths.max(keepdims=True), 1)
        return int(self._widths(longest)[0] if self.canonical else longest[0])

    def rows(self, width: int) -> int:
        """Return how many rows of a width go together."""
        rows = max(self.least, self.used // width)
        return 1 << rows.bit_length() - 1 if self.canonical else rows

    def compute(self, data: Any, width: int, step: Callable[[Any], Tensor]) -> Iterator[Tensor]:
        """Yield what ``step`` gives for the rows of an array or tensor, in their order, in pieces.

        Where memory is short the piece is halved and tried again. Raises `OutOfMemory` where it cannot
        be halved any more.
        """
        done = 0
        while done < len(data):
            rows = self.rows(width)
            piece = data[done : done + rows]
            n = len(piece)
            if self.canonical and n < rows:
                piece = piece[np.arange(rows) % n]
            try:
                output = step(piece)[:n]
            except Exception as error:
                if not out_of_memory(error):
                    raise
                told = explained(error, self.device, self._batch_of(len(piece), width))
            else:
                yield output
                done += n
                continue
            self.shrink(len(piece), width, told)  # by now the traceback is gone, and what it held

    def shrink(self, rows: int, width: int, told: str) -> None:
        """Lower the budget until fewer rows of a width go together. Raises `OutOfMemory` where none can."""
        if rows <= self.least:
            raise OutOfMemory(told)
        while self.rows(width) >= rows:
            self.used //= 2
        self.shortages += 1
        release(self.device)

    def facts(self) -> dict[str, Any]:
        """Return the budget that was asked for and the one that was used."""
        return {"unit": self.unit, "asked": self.asked, "used": self.used}

    def notes(self) -> tuple[str, ...]:
        """Return what a reader of any score must know: that memory was short."""
        if not self.shortages:
            return ()
        return (f"out of memory with batches of {self.asked:,} {self.unit}: {self.used:,} were used",)

    def counts(self) -> dict[str, int]:
        """Return how often memory was short, if it was."""
        return {"batch halved": self.shortages} if self.shortages else {}

    def _widths(self, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return canonical widths: four to eight steps from a power of two to the next."""
        grain = GRAIN.get(self.unit, 1)
        if self.even or grain == 1:
            return sizes
        least = sizes + 1  # with a place of padding: all rows but the longest go by the kernel with a mask
        steps = np.maximum(grain, 2.0 ** (np.ceil(np.log2(least)) - 3)).astype(np.int64)
        widths: NDArray[np.int64] = np.maximum(sizes, np.minimum(-(-least // steps) * steps, self.longest))
        return widths

    def _batch_of(self, rows: int, width: int) -> str:
        names = {"tokens": ("text", f" of {width:,} tokens"), "images": ("image", "")}
        name, each = names.get(self.unit, ("example", ""))
        return f"a batch of {rows:,} {name}{'s' if rows > 1 else ''}{each}"


def token_batches(lengths: Lengths, budget: int, *, even: bool = False) -> list[Index]:
    """Cut rows into batches whose padded size (rows times longest) stays within a budget.

    Every row is in exactly one batch. Rows come longest first, equal ones in their order; a row that is
    longer than the budget is a batch of its own. With ``even`` only rows of one length come together,
    so that there is no padding at all.

    >>> [batch.tolist() for batch in token_batches([3, 9, 4, 3], budget=8)]
    [[1], [2, 0], [3]]
    >>> [batch.tolist() for batch in token_batches([3, 9, 4, 3], budget=8, even=True)]
    [[1], [2], [0, 3]]
    """
    if budget < 1:
        raise ValueError(f"a batch needs a budget of at least 1 token, not {budget}")
    sizes = np.maximum(np.asarray(lengths, dtype=np.int64), 1)  # an empty row still takes a place
    order = np.argsort(-sizes, kind="stable")
    shrinking = -sizes[order]
    batches: list[Index] = []
    start = 0
    while start < len(order):
        longest = -int(shrinking[start])  # the first row sets the width
        stop = start + max(1, budget // longest)
        if even:
            stop = min(stop, int(np.searchsorted(shrinking, -longest, side="right")))
        batches.append(order[start:stop])
        start = stop
    return batches

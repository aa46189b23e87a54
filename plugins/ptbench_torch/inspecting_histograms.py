"""Histograms of numbers that pass by once: a fixed number of bins, whatever their range turns out to be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FINE = 8192
"""Bins that are counted in, from -reach to reach, where reach is a power of two that doubles as needed: pairs
of bins then become one, so that no number has to be seen twice."""
SHOWN = 60
"""At most so many bins are told, the two tails among them."""
TAIL = 0.001
"""Share of the numbers that may lie in each tail: a few outliers would leave one bin for all the rest."""
CHUNK = 2**24
"""Numbers counted at once: float32 counts beyond would not be exact."""
DECADES, PER_DECADE = (-14, 4), 4
"""Sizes from 1e-14 to 1e4, four bins to a factor of ten; what is smaller (zeros too) or larger has a bin."""


def pieces(values: Tensor, size: int) -> Iterator[Tensor]:
    """Yield a tensor in pieces of so many rows."""
    yield from (values[start : start + size] for start in range(0, len(values), size))


class Histogram:
    """Counts finite numbers; the rest is in ``lost``."""

    def __init__(self) -> None:
        self.counts = np.zeros(FINE, dtype=np.int64)
        self.reach = 0.0
        self.low, self.high = math.inf, -math.inf

    def add(self, values: Tensor, low: float, high: float) -> None:
        """Count finite numbers of which the smallest and the largest are known."""
        if not values.numel():
            return
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen(max(abs(low), abs(high)))
        for part in pieces(values.reshape(-1), CHUNK):
            counted = torch.histc(part.float(), FINE, -self.reach, self.reach)
            self.counts += counted.cpu().numpy().astype(np.int64)

    def rows(self, part: str, layer: str) -> list[dict[str, Any]]:
        """Return the bins as rows of histograms.csv: even ones, and a tail on each side."""
        total = int(self.counts.sum())
        if not total:
            return []
        passed = np.cumsum(self.counts)
        first = int(np.searchsorted(passed, TAIL * total, side="right"))
        last = int(np.searchsorted(passed, (1 - TAIL) * total, side="left"))
        step = math.ceil((last + 1 - first) / (SHOWN - 2))
        cuts = sorted({0, *range(first, last + 1, step), last + 1, FINE})
        found = [(start, end, int(self.counts[start:end].sum())) for start, end in pairwise(cuts)]
        bins = [
            (max(self._edge(start), self.low), min(self._edge(end), self.high), count)
            for start, end, count in found
            if count or first <= start <= last  # an empty tail is none
        ]
        return _rows(part, layer, bins)

    def _edge(self, bin_number: int) -> float:
        return (2 * bin_number / FINE - 1) * self.reach

    def _widen(self, size: float) -> None:
        needed = 2.0 ** math.ceil(math.log2(size)) if size > 0 else 2.0**-40
        if not self.counts.any():
            self.reach = max(needed, 2.0**-40)
        while self.reach < needed:
            halved = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros(FINE, dtype=np.int64)
            self.counts[FINE // 4 : FINE // 4 + FINE // 2] = halved
            self.reach *= 2


def size_rows(values: Tensor, part: str, layer: str) -> list[dict[str, Any]]:
    """Return a histogram of absolute values by order of magnitude; bins beyond all numbers are left out."""
    low, high = DECADES
    edges = 10.0 ** (np.arange((high - low) * PER_DECADE + 1) / PER_DECADE + low)
    counts = np.zeros(len(edges) + 1, dtype=np.int64)
    inner = torch.tensor(edges, device=values.device, dtype=torch.float32)
    for chunk in pieces(values.reshape(-1), CHUNK):
        where = torch.bucketize(chunk.abs().float(), inner, right=True)
        counts += torch.bincount(where, minlength=len(counts)).cpu().numpy()
    bounds = [0.0, *edges.tolist(), math.inf]
    seen: NDArray[np.intp] = np.flatnonzero(counts)
    found = range(int(seen[0]), int(seen[-1]) + 1) if len(seen) else range(0)
    return _rows(part, layer, [(bounds[i], bounds[i + 1], int(counts[i])) for i in found])


def _rows(part: str, layer: str, bins: Sequence[tuple[float, float, int]]) -> list[dict[str, Any]]:
    return [
        {"part": part, "layer": layer, "bin": i, "low": low, "high": high, "count": count}
        for i, (low, high, count) in enumerate(bins)
    ]

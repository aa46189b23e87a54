"""Features once: what a model embeds is kept, so that protocols, seeds and options share it."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptbench.border import checked_features
from ptbench.data import Examples
from ptbench.model import Embedder
from ptbench.offers import Kind

Sides = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True)
class Features:
    """Features of one split, one array per side of the input, and what it took to compute them."""

    sides: Sides
    seconds: float


class FeatureCache:
    """Keeps features in memory, the least recently used going first.

    A key must hold everything that can change a feature: weights, preprocessing, precision, device,
    data and split.
    """

    def __init__(self, max_bytes: int = 2 << 30) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[tuple[str, ...], Features] = OrderedDict()

    def get(self, key: tuple[str, ...]) -> Features | None:
        """Return what is kept under this key, or None."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: tuple[str, ...], features: Features) -> None:
        """Keep features; others go where there is no room, and these where they alone are too large."""
        self._kept[key] = features
        while self._kept and sum(map(_size, self._kept.values())) > self.max_bytes:
            self._kept.popitem(last=False)


def extract(model: Embedder, examples: Examples, kind: Kind, who: str) -> Features:
    """Embed examples: one side for single inputs, two for pairs.

    Equal inputs are embedded once; in pair tasks one premise often stands in many rows.
    """
    started = time.perf_counter()
    columns = [c for c in kind.pair or () if c in examples.columns] or None
    if columns is None:
        features = checked_features(model.embed(examples), len(examples), who)
        return Features((features,), time.perf_counter() - started)
    positions: dict[object, int] = {}
    ids: list[str] = []
    sides = []
    for column in columns:
        values = examples[column]
        side = np.empty(len(values), dtype=np.intp)
        for i, value in enumerate(values):
            if value not in positions:
                positions[value] = len(positions)
                ids.append(f"{examples.ids[i]}/{column}")
            side[i] = positions[value]
        sides.append(side)
    unique = Examples(ids, {columns[0]: list(positions)})
    embedded = checked_features(model.embed(unique), len(unique), who)
    return Features(tuple(embedded[side] for side in sides), time.perf_counter() - started)


def _size(features: Features) -> int:
    return sum(side.nbytes for side in features.sides)

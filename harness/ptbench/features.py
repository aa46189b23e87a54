"""Features once: what a model embeds is kept, so that protocols, seeds and options share it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ptbench.border import checked_facts, checked_features
from ptbench.data import Examples
from ptbench.model import Embedder, ModelFacts
from ptbench.offers import Kind

Sides = tuple[NDArray[np.float32], ...]
Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Features:
    """Features of one split, one array per side of the input, and what it took to compute them."""

    sides: Sides
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)
    """What the model had to change in its inputs: ``truncated`` texts."""
    spent: Mapping[str, float] = field(default_factory=dict)
    """``seconds`` by what the model tells of: ``decode``, ``transfer``, ``compute``."""


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
    before = checked_facts(model, who)
    columns = [c for c in kind.pair or () if c in examples.columns] or None
    if columns is None:
        features = checked_features(model.embed(examples), len(examples), who)
        return Features((features,), time.perf_counter() - started, *_told(before, model.facts))
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
    seconds = time.perf_counter() - started
    return Features(tuple(embedded[side] for side in sides), seconds, *_told(before, model.facts))


def _told(before: ModelFacts, after: ModelFacts) -> tuple[dict[str, int], dict[str, float]]:
    return added(before.counts, after.counts), added(before.seconds, after.seconds)


def added(before: Mapping[str, Number], after: Mapping[str, Number]) -> dict[str, Number]:
    """Return what was counted between two looks at a model's counts or seconds.

    >>> added({"truncated": 2}, {"truncated": 5, "mended": 1})
    {'truncated': 3, 'mended': 1}
    """
    return {name: after[name] - before[name] if name in before else after[name] for name in after}


def _size(features: Features) -> int:
    return sum(side.nbytes for side in features.sides)

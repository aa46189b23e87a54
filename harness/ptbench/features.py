"""Features once: what a model embeds is kept, so that protocols, seeds and options share it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.blocks import Parts, Toll, call_in_blocks
from ptbench.border import checked_features
from ptbench.cache import Cache
from ptbench.data import Columns, Examples
from ptbench.identity import Identity
from ptbench.model import Embedder
from ptbench.offers import Kind

Sides = tuple[NDArray[np.float32], ...]
AREA = "features"
MAPPED = 16 << 20
"""Bytes that features on the disk count for in memory: each of their files is an open one."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features of examples, and what it took to compute them; not to be written to."""

    rows: NDArray[np.float32]
    """float32[u, d]: one row for each input, in pairs for each that differs from all others."""
    places: NDArray[np.int32] | None = None
    """int32[sides, n]: the row of each example on each side; None: the rows are the examples."""
    seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    """What the model had to change in its inputs: ``truncated`` texts."""
    spent: Mapping[str, float] = field(default_factory=dict)
    """``seconds`` by what the model tells of: ``decode``, ``transfer``, ``compute``."""
    mapped: bool = False
    """Whether they lie on the disk, so that memory is lent to them only."""

    def __post_init__(self) -> None:
        rows = self.rows.view()  # the array itself may be the model's own
        rows.flags.writeable = False
        object.__setattr__(self, "rows", rows)

    @property
    def sides(self) -> Sides:
        """One float32[n, d] per side of the input."""
        if self.places is None:
            return (self.rows,)
        return tuple(_taken(self.rows, side) for side in self.places)

    @property
    def size(self) -> int:
        """Bytes of memory that they take."""
        return MAPPED if self.mapped else self.rows.nbytes


class FeatureStore:
    """Keeps features: in memory, where the least recently used go first, and behind it in a cache.

    The identity of what is kept must hold everything that can change a feature; see `feature_identity`.
    """

    def __init__(self, cache: Cache | None = None, max_bytes: int = 2 << 30) -> None:
        self.cache = cache
        self.max_bytes = max_bytes
        self._kept: OrderedDict[str, Features] = OrderedDict()

    def get(self, identity: Identity) -> Features | None:
        """Return what is kept of this identity, or None."""
        key = identity.key()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        features = self._read(key) if identity.lasting else None
        if features is not None:
            self._keep(key, features)
        return features

    def put(self, identity: Identity, features: Features, about: Mapping[str, Any]) -> None:
        """Keep features; on the disk with a few words about them, if their identity lasts."""
        key = identity.key()
        self._keep(key, features)
        if self.cache is None or not identity.lasting:
            return
        arrays: dict[str, NDArray[Any]] = {"rows": features.rows}
        if features.places is not None:
            arrays["places"] = features.places
        told = {"seconds": features.seconds, "counts": features.counts, "spent": features.spent}
        self.cache.put(AREA, key, arrays, {**about, **told, "of": identity.parts})

    def _read(self, key: str) -> Features | None:
        stored = self.cache.get(AREA, key) if self.cache else None
        if stored is None:
            return None
        about = stored.about
        return Features(
            stored.arrays["rows"],
            stored.arrays.get("places"),
            about["seconds"],
            about["counts"],
            about["spent"],
            mapped=True,
        )

    def _keep(self, key: str, features: Features) -> None:
        """Keep in memory; others go where there is no room, and these where they alone are too large."""
        self._kept[key] = features
        while self._kept and sum(kept.size for kept in self._kept.values()) > self.max_bytes:
            self._kept.popitem(last=False)


def feature_identity(model: Identity, inputs: str, *, pair: bool) -> Identity:
    """Return what the features of examples depend on: the model, and `Examples.fingerprint`.

    The two inputs of a pair are embedded one by one, unlike those of examples of two texts.
    """
    return model.extended(inputs=inputs, pair=pair)


def sides_of(examples: Examples, kind: Kind) -> list[str]:
    """Return the columns that are embedded one by one, in their order; none: all are one input."""
    return [column for column in kind.pair or () if column in examples.columns]


def extract(
    model: Embedder,
    examples: Examples,
    sides: list[str],
    who: str,
    key: str = "",
    parts: Parts | None = None,
) -> tuple[Features, Toll]:
    """Embed examples: each of these columns by itself, or all of them as one input where there are none.

    Equal inputs are then embedded once; in pair tasks one premise often stands in many rows. What other
    slots computed is taken from their ``parts``; returned beside the features is what that took there.
    """
    started = time.perf_counter()
    inputs, places = _unique(examples, sides) if sides else (examples, None)
    called = call_in_blocks(model, _embedding(model, who), inputs, who, key=key, parts=parts)
    both = called.here + called.elsewhere
    seconds = time.perf_counter() - started + called.elsewhere.seconds
    return Features(called.columns["rows"], places, seconds, both.counts, both.spent), called.elsewhere


def extract_part(
    model: Embedder, examples: Examples, sides: list[str], who: str, key: str, parts: Parts
) -> None:
    """Compute the own blocks of what `extract` would, and keep them for whoever calls it."""
    inputs, _ = _unique(examples, sides) if sides else (examples, None)
    call_in_blocks(model, _embedding(model, who), inputs, who, key=key, parts=parts)


def _embedding(model: Embedder, who: str) -> Callable[[Examples], Columns]:
    return lambda block: {"rows": checked_features(model.embed(block), len(block), who)}


def _unique(examples: Examples, sides: list[str]) -> tuple[Examples, NDArray[np.int32]]:
    """Return the inputs that differ, and where each side of each example stands among them."""
    positions: dict[object, int] = {}
    ids: list[str] = []
    places = np.empty((len(sides), len(examples)), dtype=np.int32)
    for side, column in enumerate(sides):
        for i, value in enumerate(examples[column]):
            if value not in positions:
                positions[value] = len(positions)
                ids.append(f"{examples.ids[i]}/{column}")
            places[side, i] = positions[value]
    return Examples(ids, {sides[0]: list(positions)}), places


def _taken(rows: NDArray[np.float32], places: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the rows at these places: a view where they follow each other, else a copy."""
    start = int(places[0]) if len(places) else 0
    if np.array_equal(places, np.arange(start, start + len(places))):
        return rows[start : start + len(places)]
    taken = rows[places]
    taken.flags.writeable = False
    return taken

"""Draws of a few training rows per class: ours, and those of mteb."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.intp]

MTEB_SEED = 42
"""The seed of mteb's tasks."""


def nested_draws(
    ids: Sequence[str], targets: NDArray[np.integer], shots: Sequence[int], resamples: int, seed: int
) -> Iterator[tuple[int, Positions]]:
    """Yield (shots, positions) for each number of shots and each resample, class by class.

    Whether a row is drawn depends on the seed, the resample, and the ids of its class alone: rows are
    ranked by a hash of these, and the first of each class are taken. So the draw of 8 has in it that of 4
    of the same resample, and the order of rows does not matter. Every class must have enough rows.
    """
    hashes = np.array([_hash(example_id) for example_id in ids], dtype=np.uint64)
    orders = [
        np.lexsort((_mixed(hashes ^ np.uint64(_hash(f"{seed}/{resample}"))), targets))
        for resample in range(resamples)
    ]
    starts = np.flatnonzero(np.r_[True, np.diff(np.sort(targets)) > 0])
    for k in shots:
        for order in orders:
            yield k, order[starts[:, None] + np.arange(k)].ravel()


def mteb_draws(
    targets: NDArray[np.integer], shots: int, resamples: int, seed: int
) -> Iterator[tuple[int, Positions]]:
    """Yield (shots, positions) as ``AbsTaskClassification`` of mteb 2 draws its experiments.

    The order of rows, shuffled again for each experiment by a generator that starts anew, is read from
    the front until each class has its shots; a class with fewer rows gives all of them. It depends on
    the order of rows in train, as theirs does.
    """
    order = np.arange(len(targets))
    for _ in range(resamples):
        np.random.RandomState(seed).shuffle(order)
        yield shots, order[_rank_in_class(targets[order]) < shots]


def _rank_in_class(targets: NDArray[np.integer]) -> Positions:
    """Return for each row how many before it have its target."""
    by_class = np.argsort(targets, kind="stable")
    _, counts = np.unique(targets, return_counts=True)
    ranks = np.empty(len(targets), dtype=np.intp)
    ranks[by_class] = np.arange(len(targets)) - np.repeat(counts.cumsum() - counts, counts)
    return ranks


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the numbers mixed as at the end of SplitMix64, so that nothing is left of their order."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))

"""Batches to learn from: shuffled by what an example is, and filled with examples of similar length."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ptbench_torch.batching import Index

Keys = NDArray[np.uint64]

POOL, POOLS = 50, 4
"""Batches in a pool, at most, and how many pools there are at least (as in transformers). Examples are sorted
by length within pools only: within all of train the same few would meet in every epoch."""


def example_keys(ids: Sequence[str], seed: int) -> Keys:
    """Return uint64[n]: a random number for each example, which depends on the seed and its id alone."""
    key = str(seed).encode()
    digests = [hashlib.blake2b(i.encode("utf-8", "surrogatepass"), digest_size=8, key=key) for i in ids]
    return np.frombuffer(b"".join(digest.digest() for digest in digests), dtype="<u8").astype(np.uint64)


def epoch_batches(lengths: NDArray[np.int64], keys: Keys, size: int, epoch: int) -> list[Index]:
    """Return batches of ``size`` rows for one epoch: each row in one of them, in another order each epoch.

    What depends on chance comes from the keys and the epoch alone: where a row stands does not matter. The
    last batch may be smaller; one row alone joins the batch before it, since batch norm has no variance
    of one.
    """
    draws = _mixed(keys, epoch)
    order = np.argsort(draws, kind="stable")
    pool = size * max(1, min(POOL, len(order) // (POOLS * size)))
    pools = [order[i : i + pool] for i in range(0, len(order), pool)]
    order = np.concatenate([rows[np.argsort(-lengths[rows], kind="stable")] for rows in pools])
    batches = cut(order, size)
    turns = np.argsort(_mixed(draws[[batch[0] for batch in batches]], epoch), kind="stable")
    return [batches[turn] for turn in turns]


def cut(rows: Index, size: int) -> list[Index]:
    """Cut rows into pieces of a size; a last one that would be alone joins the piece before it.

    >>> [piece.tolist() for piece in cut(np.arange(5), 2)]
    [[0, 1], [2, 3, 4]]
    """
    starts = list(range(size, len(rows), size))
    if size > 1 and starts and starts[-1] == len(rows) - 1:
        starts.pop()
    return np.split(rows, starts)


def _mixed(keys: Keys, epoch: int) -> Keys:
    """Return other random numbers for the same keys: the finaliser of SplitMix64 (Steele et al., 2014)."""
    with np.errstate(over="ignore"):
        z = keys + np.uint64((epoch + 1) * 0x9E3779B97F4A7C15 % 2**64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

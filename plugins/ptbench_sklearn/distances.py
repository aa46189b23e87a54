"""Distances between rows of features, and the nearest of many rows; NumPy alone.

Both distances are half a squared Euclidean one, so that 0 means equal and 1 unrelated:

- ``cosine``: of rows scaled to length 1, which is 1 minus their cosine. A row of zeros stays one.
- ``euclidean``: of rows standardised by column on train, divided by the number of columns. Of rows that
  were scaled to length 1 it would rank as ``cosine`` does; standardised, it is a second opinion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ptbench_sklearn.probe import standardiser

Float = TypeVar("Float", np.float32, np.float64)
Floats = NDArray[np.float32]

DISTANCES = ("cosine", "euclidean")
QUERIES, ROWS = 1024, 8192
"""Rows of the two sides of one block of distances: 64 MiB, whatever the number of rows."""


def unit(x: NDArray[Float]) -> NDArray[Float]:
    """Return rows of length 1; a row of zeros stays one."""
    lengths = np.sqrt(np.einsum("nd,nd->n", x, x, dtype=np.float64))[:, None]  # float32 would overflow
    scaled: NDArray[Float] = np.divide(x, lengths, out=np.zeros_like(x), where=lengths > 0)
    return scaled


def placement(distance: str, train: Floats) -> Callable[[Floats], Floats]:
    """Return what brings rows to where half their squared difference is the distance."""
    if distance == "cosine":
        return unit
    mean, deviation = standardiser(train)
    scale = deviation * np.float32(train.shape[1] ** 0.5)
    return lambda x: (x - mean) / scale


def between(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> Floats:
    """Return the distances float32[len(a), len(b)] of placed rows.

    Sums are made in float64 and then rounded, so that rows which are equal, or equally far, come out
    equal however the matrices were cut into blocks.
    """
    return _rounded(_unrounded(a, b))


def _unrounded(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    a, b = a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)
    half_a, half_b = (np.einsum("nd,nd->n", x, x) / 2 for x in (a, b))
    d: NDArray[np.float64] = a @ b.T
    np.subtract(half_b, d, out=d)
    d += half_a[:, None]
    return d


def _rounded(d: NDArray[np.float64]) -> Floats:
    with np.errstate(over="ignore"):  # beyond float32 all is equally far
        return np.maximum(np.round(d, 9), 0).astype(np.float32)


def neighbours(
    rows: Floats, queries: Floats, k: int, *, block: tuple[int, int] = (QUERIES, ROWS)
) -> tuple[NDArray[np.intp], Floats]:
    """Return the positions of the k nearest rows and their distances, [len(queries), k], nearest first.

    The search is exact, in blocks. Of equally distant rows the one that stands first in ``rows`` wins.

    Args:
        rows: Placed rows to search among, at least k of them.
        queries: Placed rows to search for.
        k: How many to find.
        block: How many queries and rows are compared at once; it changes memory, and no result.
    """
    positions = np.empty((len(queries), k), dtype=np.intp)
    distances = np.empty((len(queries), k), dtype=np.float32)
    for start in range(0, len(queries), block[0]):
        some = slice(start, start + block[0])
        positions[some], distances[some] = _nearest(rows, queries[some], k, max(k, block[1]))
    return positions, distances


def _nearest(rows: Floats, queries: Floats, k: int, block: int) -> tuple[NDArray[np.intp], Floats]:
    n = len(queries)
    queries64 = queries.astype(np.float64)
    best_at, best = np.empty((n, 0), dtype=np.intp), np.empty((n, 0), dtype=np.float32)
    for start in range(0, len(rows), block):
        d = _unrounded(queries64, rows[start : start + block])
        limit = best[:, -1].astype(np.float64) if start else np.partition(d, k - 1, axis=1)[:, k - 1]
        # a little more than can be among the nearest, so that few have to be rounded and sorted
        query, row = np.nonzero(d <= (limit * (1 + 1e-6) + 1e-8)[:, None])
        value = _rounded(d[query, row])
        if start:  # of equals the first has its place already
            closer = value < limit[query]
            query, row, value = query[closer], row[closer], value[closer]
        owner = np.concatenate([np.repeat(np.arange(n), best.shape[1]), query])
        at = np.concatenate([best_at.ravel(), row + start])
        value = np.concatenate([best.ravel(), value])
        order = np.lexsort((at, value, owner))
        first = np.searchsorted(owner[order], np.arange(n))
        chosen = order[first[:, None] + np.arange(k)]
        best_at, best = at[chosen], value[chosen]
    return best_at, best

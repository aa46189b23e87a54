"""An audit of every classification: would the predictions be right under other names for the labels?

A head whose classes are in another order than the task's labels gives an accuracy near zero, or a
plausible one that is wrong; a permutation that mends it gives it away.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Predictions

LIFT = 0.20
"""How much accuracy must rise for anything to be said."""
SIGMAS = 4
"""By how many standard deviations more rows must be gained than lost."""
SHOWN = 6


def permuted_labels(predictions: Predictions) -> str | None:
    """Say how the labels would have to be permuted, if that lifted accuracy by twenty points.

    The permutation is found on one half of the rows and measured on the other, both ways round: with
    few rows or many labels some permutation always fits the rows that it was found on. What it gains there
    must be beyond luck: with b rows that are right under it alone and c that are right as they are alone,
    b - c >= 4 sqrt(b + c), a sign test at four standard deviations, since the permutation was searched
    for. And it must do better than naming one label for all rows: a majority of train that is no majority
    of test is no mistake.
    """
    if not predictions.labels or "prediction" not in predictions or len(predictions) < 2:
        return None
    target, prediction = predictions["target"], predictions["prediction"]
    size = len(predictions.labels)
    accuracy = float((target == prediction).mean())
    order = np.argsort(np.asarray(predictions.ids, dtype=object), kind="stable")
    halves = order[::2], order[1::2]
    ways = [
        (_confusion(target[fitted], prediction[fitted], size), measured)
        for fitted, measured in (halves, halves[::-1])
    ]

    def hits(give: Callable[[NDArray[np.int64]], NDArray[np.intp]]) -> NDArray[np.bool_]:
        """Return bool[n]: which rows are right under the names that the other half gives."""
        right = np.zeros(len(target), dtype=np.bool_)
        for table, rows in ways:
            right[rows] = give(table)[prediction[rows]] == target[rows]
        return right

    if hits(lambda table: table.argmax(axis=0)).mean() < accuracy + LIFT:  # though two may get one name
        return None
    right = hits(assignment)
    lifted = float(right.mean())
    gained, lost = int((right & (target != prediction)).sum()), int((~right & (target == prediction)).sum())
    if gained - lost < SIGMAS * math.sqrt(gained + lost):
        return None
    constant = float(np.bincount(target).max()) / len(target)  # what knowing nothing but one label gives
    noise = 2 * math.sqrt(constant * (1 - constant) / len(target))
    if lifted < accuracy + LIFT or lifted <= constant + noise:
        return None
    table = _confusion(target, prediction, size)
    return (
        f"permuting the labels would lift accuracy from {accuracy:.3f} to {lifted:.3f}: "
        f"{_told(table, assignment(table), predictions.labels)}; are the labels in the right order?"
    )


def assignment(table: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return for each column of a square table the row that it is given to, so that the sum is largest.

    Kuhn's Hungarian method with potentials (e-maxx's formulation), O(n^3), vectorised over columns. Of
    equal choices the identity is preferred.

    >>> assignment(np.array([[0, 9], [8, 1]])).tolist()
    [1, 0]
    """
    n = len(table)
    costs = -table.astype(np.float64).T  # columns are given to rows
    costs[np.diag_indices(n)] -= 0.5 / max(n, 1)  # less than one row in all: decides between equals only
    u, v = np.zeros(n + 1), np.zeros(n + 1)
    owner = np.full(n + 1, -1)  # of each row; the last place is the start of a search
    for i in range(n):
        owner[n] = i
        at, least = n, np.full(n, np.inf)
        way, used = np.full(n, n), np.zeros(n + 1, dtype=bool)
        while owner[at] >= 0:
            used[at] = True
            reduced = costs[owner[at]] - u[owner[at]] - v[:n]
            free = ~used[:n]
            better = free & (reduced < least)
            least[better], way[better] = reduced[better], at
            step = int(np.where(free, least, np.inf).argmin())
            delta = least[step]
            u[owner[used]] += delta
            v[used] -= delta
            least[free] -= delta
            at = step
        while at != n:
            before = way[at]
            owner[at] = owner[before]
            at = before
    found = np.empty(n, dtype=np.intp)
    found[owner[:n]] = np.arange(n)
    return found


def _confusion(target: NDArray[np.int64], prediction: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return int64[size, size]: rows are targets, columns predictions."""
    pairs = np.bincount(target * size + prediction, minlength=size * size)
    return pairs.reshape(size, size)


def _told(table: NDArray[np.int64], found: NDArray[np.intp], labels: tuple[str, ...]) -> str:
    """Return the mapping in words, the most frequent predictions first."""
    seen = table.sum(axis=0)
    moved = [int(i) for i in np.argsort(-seen, kind="stable") if seen[i] and found[i] != i]
    shown = ", ".join(f"'{labels[i][:40]}' means '{labels[found[i]][:40]}'" for i in moved[:SHOWN])
    return shown + (f" and {len(moved) - SHOWN} more" if len(moved) > SHOWN else "")

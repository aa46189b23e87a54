"""Batches by a budget of padded tokens: longest first, so that little is padding and memory peaks at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]


def token_batches(
    lengths: Sequence[int] | NDArray[np.integer], budget: int, *, even: bool = False
) -> list[Index]:
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

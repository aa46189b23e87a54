"""Copies: test examples that a model may have seen in train, exactly or nearly."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Copy(IntEnum):
    """How far a test example stands in train already."""

    NONE = 0
    NEAR = 1
    EXACT = 2


def exact_copies(train: Iterable[Hashable], test: Iterable[Hashable]) -> NDArray[np.int8]:
    """Return int8[test]: `Copy.EXACT` for what is in train too, else `Copy.NONE`.

    >>> exact_copies(["a", "b"], ["b", "c"]).tolist()
    [2, 0]
    """
    seen = set(train)
    return np.array([Copy.EXACT if key in seen else Copy.NONE for key in test], dtype=np.int8)

"""Copies: test examples that a model may have seen in train, exactly or nearly."""

from __future__ import annotations

from enum import IntEnum


class Copy(IntEnum):
    """How far a test example stands in train already."""

    NONE = 0
    NEAR = 1
    EXACT = 2

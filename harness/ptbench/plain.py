"""Plain JSON data of anything that a record or a plan holds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any


def to_json(value: Any, without: tuple[str, ...] = ()) -> Any:
    """Return plain JSON data; a number that is not finite becomes None (JSON has no NaN)."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case StrEnum():
            return value.value
        case None | bool() | int() | str():
            return value
        case Path():
            return str(value)
        case Mapping():
            return {str(key): to_json(item) for key, item in value.items()}
        case tuple() | list() | set() | frozenset():
            return [to_json(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {
            f.name: to_json(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if f.name not in without
        }
    if hasattr(value, "tolist"):  # a NumPy array or scalar
        return to_json(value.tolist())
    return str(value)

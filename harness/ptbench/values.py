"""The values of a TOML file: their types in words, and those that a suite cannot hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, time
from typing import Any


def odd_values(value: Any, key: str) -> Iterator[str]:
    """Say what is in a value that can neither be compared nor written as JSON: nan, infinity, dates."""
    match value:
        case dict():
            for name, item in value.items():
                yield from odd_values(item, f"{key}.{name}" if key else name)
        case list():
            for item in value:
                yield from odd_values(item, key)
        case float() if not math.isfinite(value):
            yield f"key '{key}' is {value!r}; a finite number was expected"
        case date() | time():
            yield f"key '{key}' is {value}; write a date as a text in quotes"


def has_type(value: Any, types: tuple[type, ...]) -> bool:
    """Whether a TOML value is of one of these types; an integer is a number, true is no integer."""
    if isinstance(value, bool):
        return bool in types
    return isinstance(value, types) or (float in types and isinstance(value, int))


def type_names(types: tuple[type, ...]) -> str:
    """Return TOML's types in words: "a text or a list"."""
    names = {
        str: "a text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        list: "a list",
        dict: "a table",
    }
    return " or ".join(names.get(t, t.__name__) for t in types)

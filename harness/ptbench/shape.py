"""The shape of tables that people write: keys, types, lists of names; every mistake is collected."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptbench.errors import nearest, printable
from ptbench.values import has_type, odd_values, type_names


class Shape:
    """Checks the tables of one file and collects what is wrong with them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mistakes: list[str] = []

    def plain(self, value: Any, where: str, key: str) -> bool:
        """Whether all of a value can be compared and written as JSON; what cannot is a mistake."""
        odd = tuple(odd_values(value, key))
        for what in odd:
            self.wrong(where, what)
        return not odd

    def table(self, value: Any, keys: Mapping[str, tuple[type, ...]], where: str) -> dict[str, Any]:
        """Return those entries of a table whose keys are known and whose values have their types."""
        if not isinstance(value, dict):
            self.wrong(where, f"is {value!r}; a table was expected")
            return {}
        for key in value:
            if key not in keys:
                self.wrong(where, f"key '{key}': unknown; {nearest(key, keys)}")
        return self.typed({k: v for k, v in value.items() if k in keys}, keys, where)

    def typed(
        self, table: Mapping[str, Any], keys: Mapping[str, tuple[type, ...]], where: str
    ) -> dict[str, Any]:
        """Return those entries whose values have the types of their keys."""
        good = {}
        for key, value in table.items():
            if has_type(value, keys[key]):
                good[key] = value
            else:
                self.wrong(where, f"key '{key}' is {value!r}; {type_names(keys[key])} was expected")
        return good

    def strings(self, value: Any, where: str, key: str) -> tuple[str, ...]:
        """Return a list of names, each once; an empty one where it is no such list."""
        if all(isinstance(item, str) for item in value):
            return tuple(dict.fromkeys(value))
        self.wrong(where, f"key '{key}' is {value!r}; a list of names was expected")
        return ()

    def wrong(self, where: str, what: str) -> None:
        """Note a mistake."""
        self.mistakes.append(printable(f"{self.path}: {where} {what}"))

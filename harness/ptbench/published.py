"""Figures that a suite says somebody published, to be verified."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ptbench.errors import nearest
from ptbench.records import Cell
from ptbench.shape import Shape

PUBLISHED_KEYS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("model", "task", "metric", "protocol", "source"), (str,)),
    "value": (str, float),
}


@dataclass(frozen=True, slots=True)
class Published:
    """A figure that somebody published for a cell of the suite, to be verified."""

    where: str
    model: str
    task: str
    metric: str
    protocol: str
    """A protocol, or one with its options as tables show it: ``knn (k=5)``."""
    value: float
    digits: int
    """Decimals that were published."""
    source: str

    def about(self, cell: Cell) -> bool:
        """Whether it is a figure for this cell, whatever its seed."""
        names = (cell.model.name, cell.task.name)
        return names == (self.model, self.task) and self.protocol in (cell.protocol, cell.label)


def read_published(
    shape: Shape, value: Any, number: int, models: Collection[str], tasks: Collection[str]
) -> Published | None:
    """Read one ``[[published]]`` table of a suite; None where a mistake in it was noted."""
    where = "[[published]]" if number == 1 else f"[[published]] number {number}"
    before = len(shape.mistakes)
    table = shape.table(value, PUBLISHED_KEYS, where)
    for key, known in (("model", models), ("task", tasks)):
        if key in table and table[key] not in known:
            hint = nearest(table[key], known)
            shape.wrong(where, f"key '{key}': [{key}s] has no '{table[key]}'; {hint}")
    for key in ("model", "task", "metric", "value", "source"):
        if key not in (value if isinstance(value, dict) else PUBLISHED_KEYS):
            shape.wrong(where, f"key '{key}' is missing; a published figure needs it")
    printed = re.fullmatch(r"(-?\d+(?:\.(\d*))?)\s*(%?)", str(table.get("value", "")).strip())
    if "value" in table and printed is None:
        shape.wrong(
            where, f"key 'value' is {table['value']!r}; write it as it is printed: \"91.73 %\", 0.9173"
        )
    for key in ("metric", "protocol", "source"):
        if isinstance(table.get(key), str) and not table[key].strip():
            shape.wrong(where, f"key '{key}' is empty")
    if len(shape.mistakes) > before or printed is None:
        return None
    if not math.isfinite(float(printed[1])):
        shape.wrong(where, "key 'value' is too large a number")
        return None
    number_text, decimals, percent = printed.groups()
    return Published(
        where=f"{shape.path}: {where}",
        model=table["model"],
        task=table["task"],
        metric=table["metric"],
        protocol=table.get("protocol", "as_is"),
        value=float(number_text) / (100 if percent else 1),
        digits=len(decimals or "") + (2 if percent else 0),
        source=table["source"],
    )

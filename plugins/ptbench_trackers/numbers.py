"""The numbers of a record, as trackers take them: finite, with names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ptbench import Record

COSTS = (
    *("seconds", "load_seconds", "examples_per_s", "parameters", "macs", "weight_bytes"),
    "peak_memory_mb",
)
"""What of `ptbench.Cost` is handed on."""
ENDS = ("ci_low", "ci_high")


def scores_of(record: Record) -> list[tuple[str, str, float]]:
    """Return (metric, "" or the name of an end of its interval, value) of every score that is defined."""
    return [
        (score.metric, end, value)
        for score in record.scores
        for end in ("", *ENDS)
        if math.isfinite(value := getattr(score, end or "value"))
    ]


def costs_of(record: Record) -> dict[str, float]:
    """Return what the cell cost, as far as it could be measured."""
    found = {name: getattr(record.cost, name) for name in COSTS}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


@dataclass(frozen=True, slots=True)
class Curve:
    """A learning curve, or the course of a training: values by step."""

    name: str
    """The metric, or ``loss``."""
    of: str
    """The split, and of which stage of the training."""
    x: str
    """What the steps count: ``shots``, ``epoch``."""
    points: tuple[tuple[int, float], ...]


def curves_of(record: Record) -> list[Curve]:
    """Return the curves of a record; what is malformed is left out, points alike."""
    told = record.facts.get("curves")
    found = []
    for entry in told if isinstance(told, Sequence) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("points"), Sequence):
            points = sorted(point for point in map(_point, entry["points"]) if point)
            name, of, x = (str(entry.get(key, "")) for key in ("name", "of", "x"))
            if points:
                found.append(Curve(name, of, x, tuple(points)))
    return found


def milliseconds(time: str) -> int | None:
    """Return a time of a record since 1970; None where it tells none."""
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000)
    except ValueError:
        return None


def _point(told: Any) -> tuple[int, float] | None:
    """Return step and value of a point: x, y, and perhaps the ends of an interval."""
    if not isinstance(told, Sequence) or len(told) < 2:
        return None
    x, y = told[:2]
    numbers = all(isinstance(v, int | float) and math.isfinite(v) for v in (x, y))
    return (int(x), float(y)) if numbers and x == int(x) else None

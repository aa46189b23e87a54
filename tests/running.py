"""What tests tell watchers: cells, records, a schedule that knows how long the rest takes, a clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from ptbench.failures import new_record
from ptbench.jobs import Event
from ptbench.records import Cell, ModelSpec, Record, Score, Status, TaskSpec
from ptbench.runner.plan import Plan, PlannedCell
from ptbench.schedule import Schedule
from ptbench.slots import Slot
from ptbench.suite import Suite

LOCAL = (Slot("cpu:0"), Slot("cpu:1"))


@dataclass
class Clock:
    """A clock that stands until it is set."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Known:
    """Stands for a schedule that knows the time left."""

    left: tuple[float, float, float] | None = None

    def remaining(self, since: float = 0.0) -> tuple[float, float, float] | None:
        return self.left


def knows(*left: float) -> Schedule:
    """Return a schedule that says so: the estimate, low, high; or nothing."""
    return cast("Schedule", Known(cast("tuple[float, float, float]", left) if left else None))


def cells(n: int, model: str = "minilm") -> list[Cell]:
    """Return cells of one model on so many tasks."""
    return [Cell("s", ModelSpec(model, "x:y"), TaskSpec(f"t{i}", "a", "d:e"), "as_is") for i in range(n)]


def titles(of: list[Cell]) -> dict[str, str]:
    """Return their titles by id."""
    return {cell.id: cell.title for cell in of}


def plan(of: list[Cell]) -> Plan:
    """Return a plan of them."""
    suite = Suite(Path("s.toml"), "s", "", {}, (), {}, {}, ())
    return Plan(suite, tuple(PlannedCell(cell) for cell in of))


def ended(cell: Cell, status: Status = Status.OK, error: str = "", **facts: Any) -> Record:
    """Return the record of a cell, which took 3.2 seconds."""
    facts = {"wall": {"model": 3.0, "metrics": 0.2}, **facts}
    if status is Status.OK:
        score = Score("accuracy", 0.755, 0.73, 0.79, 100, True, "wilson")
        facts = {"scores": (score,), "primary": "accuracy", **facts}
    return replace(new_record(cell, "r", status, error), **facts)


def event(
    what: Literal["started", "progress", "ended", "warning"],
    slot: str,
    cell: Cell,
    part: str = "",
    **facts: Any,
) -> Event:
    """Return what an executor tells of a cell in a slot."""
    return Event(what, slot, cell.id + part, cell.id, **facts)

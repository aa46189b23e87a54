"""How long the cells of a plan will take, before the first of them is started.

Where earlier records have the same model reference, protocol, data and kind of device, a cell is taken to
cost what it cost then. Where they have it on other data, it is scaled by rows. Else the number of parameters
says what a row costs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from ptbench.blocks import BLOCK
from ptbench.jobs import Job
from ptbench.model import Capability
from ptbench.records import Record, Status
from ptbench.runner.plan import Plan, PlannedCell

FIXED_COST = 50.0
"""What a cell costs beyond its rows (metrics, intervals, files), counted in rows."""
PARAMETER_RATES = {"cpu": 1e-10, "cuda": 3e-12}
"""Seconds per row and parameter: an encoder of texts, on two cores (measured) and on a large GPU (from its
peak, at a third of it)."""
LIGHT_RATE = 0.0005
"""Seconds per row of a head, or of a model without known parameters: TF-IDF took 0.00003 to 0.001. On the
high side, since what is thought too short is begun too late."""
EMPTY_RATE = 3e-6
"""Seconds per row of a model that has no parameters at all and answers without features (majority)."""
LOAD_FIXED, LOAD_RATE = 0.1, 1e-8
"""Seconds of loading a model, and for each of its parameters: 0.1 for networks of 5 million, 0.2 for MiniLM,
the import of their framework aside."""
SPLITTABLE = (Capability.PREDICT, Capability.EMBED)
"""What a model does example by example, so that slots can share it out."""


def make_jobs(plan: Plan, earlier: Iterable[Record]) -> list[Job]:
    """Return a job for each cell of a plan that can run, models with few parameters first.

    They answer at once, and their memory is measured before a framework is loaded.
    """
    past = _Past(plan, earlier)
    ready = [planned for planned in plan.cells if not planned.problem]
    parameters = {name: plan.parameters(name) for name in {p.cell.model.name for p in ready}}
    ready.sort(key=lambda planned: parameters[planned.cell.model.name])
    return [_job(planned, plan, past, parameters[planned.cell.model.name]) for planned in ready]


def _job(planned: PlannedCell, plan: Plan, past: _Past, parameters: int) -> Job:
    cell, capability = planned.cell, planned.capability
    task = plan.tasks[cell.task.name]
    embeds = capability is Capability.EMBED
    model = f"{cell.model.name} {capability}" + ("" if embeds else f" {task.kind}")
    device = _device(planned, plan)
    load = past.load(cell.model.reference, str(capability), device)
    shared = past.shared(planned, device) if embeds else (0.0, True)
    own = past.own(planned, device)
    rate = PARAMETER_RATES.get(device, PARAMETER_RATES["cpu"]) * parameters or _light_rate(planned, plan)
    guess_shared = rate * planned.rows if embeds else 0.0
    guess_own = (LIGHT_RATE if embeds else rate) * (planned.rows + FIXED_COST)
    return Job(
        cell=cell,
        kind=task.kind,
        model=model,
        shared=f"{model} {cell.task.name}" if embeds else "",
        load_seconds=LOAD_FIXED + LOAD_RATE * parameters if load is None else load,
        shared_seconds=shared[0] if shared else guess_shared,
        own_seconds=own[0] if own else guess_own,
        measured=bool(shared and shared[1] and own and own[1]),
        blocks=_blocks(planned, plan) if capability in SPLITTABLE else 1,
    )


def _light_rate(planned: PlannedCell, plan: Plan) -> float:
    """Return the seconds per row of a model without parameters, or of which they are not known."""
    described = plan.models[planned.cell.model.name].description
    empty = described is not None and described.parameters == 0
    return EMPTY_RATE if empty and planned.capability is not Capability.EMBED else LIGHT_RATE


@dataclass(slots=True)
class _Spent:
    """What records tell of one thing: seconds, each with the rows that they were spent on (test rows)."""

    seconds: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    _middle: tuple[float, float] | None = None

    def add(self, seconds: float, rows: int | None) -> None:
        self.seconds.append(seconds)
        self.rows.append(rows or 0)

    def scaled(self, rows: int | None) -> float:
        """Return the usual seconds, on so many test rows."""
        if self._middle is None:
            self._middle = median(self.seconds), median(self.rows)
        seconds, usual = self._middle
        return seconds * (rows + FIXED_COST) / (usual + FIXED_COST) if rows and usual else seconds


Key = tuple[str, ...]


class _Past:
    """What earlier cells cost, by reference, protocol, kind of device, and data."""

    def __init__(self, plan: Plan, records: Iterable[Record]) -> None:
        self._plan = plan
        self._load: dict[Key, _Spent] = defaultdict(_Spent)
        self._shared: dict[Key, _Spent] = defaultdict(_Spent)
        self._own: dict[Key, _Spent] = defaultdict(_Spent)
        wanted = {planned.cell.model.reference for planned in plan.cells}
        for record in records:
            if record.status is Status.OK and record.reference in wanted:
                self._add(record)

    def _add(self, record: Record) -> None:
        cost, wall = record.cost, record.wall
        device = record.device.partition(":")[0]
        if cost.load_seconds:  # 0: it was still loaded
            self._load[record.reference, record.capability, device].add(cost.load_seconds, None)
        if cost.seconds is None:
            return
        shared = cost.phases.get("embed", 0.0) if record.capability == Capability.EMBED else 0.0
        if wall:
            model = wall.get("decode", 0.0) + wall.get("model", 0.0)
            gone = model if record.capability == Capability.EMBED else 0.0
            own = sum(wall.values()) - wall.get("load", 0.0) - gone
        else:
            own = cost.seconds - shared + cost.spent.get("metrics", 0.0)
        for key in ((record.data,), ()):
            self._shared[record.reference, device, *key].add(shared, record.n)
            self._own[record.reference, device, record.label, *key].add(max(own, 0.0), record.n)

    def load(self, reference: str, capability: str, device: str) -> float | None:
        """Return the seconds of loading a model, or None.

        The least of those recorded: the first loading in a process imports a framework as well.
        """
        found = self._load.get((reference, capability, device))
        return min(found.seconds) if found else None

    def shared(self, planned: PlannedCell, device: str) -> tuple[float, bool] | None:
        """Return the seconds of a cell's features, and whether they were measured on these data, or None."""
        return self._find(self._shared, (planned.cell.model.reference, device), planned)

    def own(self, planned: PlannedCell, device: str) -> tuple[float, bool] | None:
        """Likewise for the rest of it."""
        cell = planned.cell
        return self._find(self._own, (cell.model.reference, device, cell.label), planned)

    def _find(self, known: dict[Key, _Spent], key: Key, planned: PlannedCell) -> tuple[float, bool] | None:
        here = known.get((*key, planned.cell.task.data))
        found = here or known.get(key)
        if found is None:
            return None
        facts = self._plan.tasks[planned.cell.task.name].facts
        rows = (facts.splits or {}).get("test") if facts else None
        return found.scaled(rows), here is not None


def _blocks(planned: PlannedCell, plan: Plan) -> int:
    """Return into how many parts a cell can be split: blocks of the largest split that its model reads."""
    facts = plan.tasks[planned.cell.task.name].facts
    sizes = [size for size in (facts.splits or {}).values() if size] if facts else []
    largest = min(max(sizes, default=0), planned.rows)  # a protocol that does not train reads test alone
    return max(1, math.ceil(largest / BLOCK))


def _device(planned: PlannedCell, plan: Plan) -> str:
    device = planned.cell.model.settings.device.partition(":")[0]
    return plan.device if device == "auto" else device

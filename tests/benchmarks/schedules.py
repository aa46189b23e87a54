"""Simulated nights: how far the makespan of `ptbench.schedule.Schedule` is from a lower bound.

    python tests/benchmarks/schedules.py [--json PATH] [--nights 10] [--calls 100000]

TODO
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ptbench.jobs import Job
from ptbench.records import Cell, ModelSpec, TaskSpec
from ptbench.schedule import Schedule


@dataclass(frozen=True)
class Truth:
    """What a job takes in fact: as `Job` has it, once nothing is unknown."""

    load: float
    shared: float
    own: float


@dataclass
class Night:
    """Jobs as they are estimated, and what they take in fact."""

    name: str
    jobs: list[Job]
    truths: list[Truth]


class Scheduler(Protocol):
    """What the simulator asks."""

    def next(self, slot: int) -> Job | None: ...
    def ended(self, job: Job, seconds: float, *, lost: bool = False) -> None: ...
    @property
    def over(self) -> bool: ...


def simulate(night: Night, slots: int, schedule: Scheduler) -> tuple[float, int]:
    """Return the makespan and how often a model was loaded, as the executors would have it.

    A slot that changes its model loads it. Features that are not there when a job starts are computed by
    it, whoever else may be doing so; parts leave their share of them, or of the predictions, behind.
    """
    index = {id(job.cell): i for i, job in enumerate(night.jobs)}
    held: dict[int, str] = {}
    done: dict[str, float] = {}
    events: list[tuple[float, int, int, Job, float]] = []
    idle, now, count, loads, handed = list(range(slots)), 0.0, 0, 0, 0
    while True:
        waiting = []
        for slot in idle:
            job = schedule.next(slot)
            if job is None:
                waiting.append(slot)
                continue
            truth = night.truths[index[id(job.cell)]]
            key = job.shared or f"\0{index[id(job.cell)]}"
            seconds = 0.0
            if held.get(slot) != job.model:
                held[slot] = job.model
                loads += 1
                seconds += truth.load
            left = 1 - done.get(key, 0.0)
            divisible = truth.shared if job.shared else truth.own
            if job.part is not None:
                seconds += divisible * blocks_of(job) / job.blocks
            elif job.shared:
                seconds += truth.shared * left + truth.own
            else:
                seconds += truth.own * left
            handed += job.part is None
            count += 1
            heapq.heappush(events, (now + seconds, count, slot, job, seconds))
        if not events:
            break
        now, _, slot, job, seconds = heapq.heappop(events)
        key = job.shared or f"\0{index[id(job.cell)]}"
        done[key] = 1.0 if job.part is None else done.get(key, 0.0) + blocks_of(job) / job.blocks
        schedule.ended(job, seconds)
        idle = [slot, *waiting]
    assert schedule.over
    assert handed == len(night.jobs), (handed, len(night.jobs))
    return now, loads


def blocks_of(job: Job) -> int:
    """Return how many blocks fall to a part."""
    assert job.part is not None
    return len(range(job.part[0], job.blocks, job.part[1]))


def lower_bound(night: Night, slots: int, *, split: bool) -> float:
    """Return seconds that no schedule can beat.

    The larger one of: all work that is necessary (each model loaded once, features computed once) over the
    slots; the longest chain of what must follow each other (load, features, the longest cell with them),
    of which, with ``split``, what blocks can share out counts over as many slots as there are blocks.
    """
    loads, shared, own, chain = {}, {}, 0.0, 0.0
    for job, truth in zip(night.jobs, night.truths, strict=True):
        loads[job.model] = truth.load
        own += truth.own
        if job.shared:
            shared[job.shared] = truth.shared
        ways = min(slots, job.blocks) if split else 1
        if job.shared or job.blocks == 1:
            chain = max(chain, truth.load + truth.shared / ways + truth.own)
        else:
            chain = max(chain, truth.load + truth.own / ways)
    return max((sum(loads.values()) + sum(shared.values()) + own) / slots, chain)


class InOrder:
    """The naive way: jobs in the order of a list, the next one to whoever is free."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = list(jobs)[::-1]
        self.left = len(self.jobs)

    def next(self, slot: int) -> Job | None:
        return self.jobs.pop() if self.jobs else None

    def ended(self, job: Job, seconds: float, *, lost: bool = False) -> None:
        self.left -= 1

    @property
    def over(self) -> bool:
        return self.left == 0


class RoundRobin(InOrder):
    """The naive way without any feedback: the i-th cell to the i-th slot."""

    def __init__(self, jobs: Sequence[Job], slots: int) -> None:
        super().__init__(jobs)
        self.queues = [list(jobs)[i::slots][::-1] for i in range(slots)]

    def next(self, slot: int) -> Job | None:
        return self.queues[slot].pop() if self.queues[slot] else None


def longest_first(jobs: Sequence[Job]) -> InOrder:
    """Longest first, whatever slots hold."""
    return InOrder(sorted(jobs, key=lambda j: -(j.load_seconds + j.shared_seconds + j.own_seconds)))


BLOCK = 2048
ROWS = [1000, 2000, 3000, 6000, 9000, 20000, 60000, 100000, 400000]


def synthetic(seed: int, *, models: int = 24, tasks: int = 8, heavy: float = 1.4) -> Night:
    rng = random.Random(seed)
    jobs, truths = [], []
    rows = [int(math.exp(rng.gauss(math.log(8000), 1.2))) for _ in range(tasks)]
    for m in range(models):
        size = min(math.exp(rng.gauss(math.log(6e7), heavy)), 3e9)  # parameters
        load = 1 + size / 2e8
        light = rng.random() < 0.2
        rate = (2e-12 * size * rng.lognormvariate(0, 0.3)) if not light else 2e-4
        spec = ModelSpec(f"m{m}", f"x:m{m}")
        for t in range(tasks):
            task = TaskSpec(f"t{t}", "a", f"x:t{t}")
            n = rows[t]
            blocks = math.ceil(0.8 * n / BLOCK)
            probes = [("linear_probe", 0), ("knn", 0)] + [("few_shot", 0)]
            for p, s in probes:
                own = n * {"linear_probe": 5e-4, "knn": 1e-4, "few_shot": 2e-4}[p] * rng.lognormvariate(0, 0.3)
                cell = Cell("night", spec, task, p, seed=s)
                if light:
                    jobs.append(Job(cell, "k", f"m{m}", "", load, 0.0, n * rate + own, True))
                    truths.append(Truth(load, 0, n * rate + own))
                else:
                    jobs.append(Job(cell, "k", f"m{m}-embed", f"m{m}-t{t}", load, n * rate, own, True, blocks))
                    truths.append(Truth(load, n * rate, own))
            if not light and size < 4e8 and t % 2 == 0:
                for s in range(3):
                    own = min(n, 20000) * rate * 9 * rng.lognormvariate(0, 0.1)
                    jobs.append(Job(Cell("night", spec, task, "fine_tune", seed=s), "k", f"m{m}-fit", "", load, 0.0, own, True))
                    truths.append(Truth(load, 0, own))
    return Night(f"synthetic {seed}", jobs, truths)


def unknown(night: Night, seed: int, model=0.5, protocol=0.4, cell=0.35, common=0.5) -> Night:
    rng = random.Random(seed)
    off = {}
    g = rng.gauss(0, common)
    jobs = []
    for job in night.jobs:
        fm = off.setdefault(("m", job.cell.model.name), rng.gauss(0, model))
        fp = off.setdefault(("p", job.cell.protocol), rng.gauss(0, protocol))
        fs = math.exp(g + fm + off.setdefault(("s", job.shared), rng.gauss(0, cell)))
        fl = off.setdefault(("l", job.model), rng.gauss(0, 0.5))
        jobs.append(replace(job, load_seconds=job.load_seconds * math.exp(fl), shared_seconds=job.shared_seconds * fs, own_seconds=job.own_seconds * math.exp(g + fm + fp + rng.gauss(0, cell)), measured=False))
    return Night(night.name + " unknown", jobs, night.truths)


import os
LOW=int(os.environ.get('LOW','16'))
KNOWN=eval(os.environ.get('KNOWN','(True,False)'))
def main() -> None:
    for slots in [s for s in (2, 4, 8, 16, 32, 64) if s >= LOW]:
        for known in KNOWN:
            for split in (False, True):
                ratios, rr, lpt = [], [], []
                extra = []
                for seed in range(12):
                    night = synthetic(seed)
                    if not known:
                        night = unknown(night, seed)
                    bound = lower_bound(night, slots, split=split)
                    span, loads = simulate(night, slots, Schedule(night.jobs, slots, split=split))
                    ratios.append(span / bound)
                    extra.append(loads)
                    rr.append(simulate(night, slots, RoundRobin(night.jobs, slots))[0] / bound)
                    lpt.append(simulate(night, slots, longest_first(night.jobs))[0] / bound)
                if slots >= LOW: print(f"{slots:3d} {'known' if known else 'unknown':8s} {'split' if split else 'whole':6s} mean {statistics.mean(ratios):.3f} worst {max(ratios):.3f}  rr {statistics.mean(rr):.2f} lpt {statistics.mean(lpt):.2f} loads {statistics.mean(extra):.0f} jobs {len(night.jobs)} bound {bound:.0f}", [round(r, 3) for r in ratios])


if __name__ == "__main__":
    main()

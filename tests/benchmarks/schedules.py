"""Simulated nights: the makespan of `ptbench.schedule.Schedule` over a lower bound, on 2 to 64 slots.

    python tests/benchmarks/schedules.py [--json PATH] [--nights 12] [--calls 100000]

Nights:

- ``glue_lite``: the 40 cells of that suite with the times of a run on two cores (`GLUE_LITE`).
- synthetic ones, 700 to 800 cells each: 24 models whose sizes are log-normal (median 60 million parameters,
  standard deviation of the logarithm 1.4: one in six above 250 million), a fifth of them without a network;
  8 tasks, rows log-normal around 8,000; three protocols on shared features for each pair, and fine-tuning
  under three seeds for networks below 400 million on half of the tasks. Seconds per row are proportional to
  size within 30 %; loading takes 1 s and 5 s for each billion.

With times known, jobs carry what they take. With times unknown the jobs of ``glue_lite`` carry what
`ptbench.runner.estimates` guessed for them without records (`GUESSES`), and those of synthetic nights what
they take times log-normal errors: 0.5 in common (the machine), 0.5 for a model, 0.4 for a protocol, 0.35 for
features and for a cell (whatever its seed), 0.5 for loading (standard deviations of the logarithm), and
models without a network are guessed too high by a factor of e^1.2, give or take 1. For networks in
``glue_lite`` and ``vision_lite`` (20 cells, 9 models) the logarithm of recorded over guessed time has a
standard deviation of 0.4 in all, between -0.6 and 0.6, fine-tuning 0.6 below probes; for TF-IDF in
``glue_lite`` a mean of -1.2 and 1.1.
The errors here are wider than those of networks, since two suites are few.

Two bounds, neither of which any schedule can beat. `lower_bound`: all necessary work over the slots, each
model loaded once; or the longest chain. `bound_with_loads` also counts that a slot which helps with a model
loads it first. Neither need be reachable: that cells are indivisible, and that those which share features
wait for the first, is counted in chains alone.

Beside it: the cells of the suite dealt out in turn, and longest first without regard to what a slot holds.
Seconds per call are CPU time of this process, measured with 100,000 jobs.
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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from ptbench.blocks import BLOCK
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
    chain = 0.0
    for job, truth in zip(night.jobs, night.truths, strict=True):
        ways = min(slots, job.blocks) if split else 1
        if job.shared or job.blocks == 1:
            chain = max(chain, truth.load + truth.shared / ways + truth.own)
        else:
            chain = max(chain, truth.load + truth.own / ways)
    return max(sum(load + work for load, work in _work(night).values()) / slots, chain)


def bound_with_loads(night: Night, slots: int, *, split: bool) -> float:
    """Return seconds that no schedule can beat either, and mostly more: helping costs a loading.

    A slot that works with a model has loaded it first. In T seconds it can do T - load of that model's
    work, so that work / (T - load) slots, rounded up, must load it. The bound is the least T at which all
    work and all those loadings have room on the slots. That a cell is not divisible, or that some wait
    for features, counts as in `lower_bound` alone.
    """
    models = list(_work(night).values())
    low = lower_bound(night, slots, split=split)

    def fits(span: float) -> bool:
        needed = 0.0
        for load, work in models:
            if span <= load:
                return False
            needed += work + load * max(1, math.ceil(work / (span - load)))
        return needed <= slots * span

    high = low
    while not fits(high):
        high *= 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return low


def _work(night: Night) -> dict[str, tuple[float, float]]:
    """Return of each model the seconds of loading it, and of all its work, features computed once."""
    loads: dict[str, float] = {}
    features: dict[str, dict[str, float]] = {}
    own: dict[str, float] = {}
    for job, truth in zip(night.jobs, night.truths, strict=True):
        loads[job.model] = truth.load
        own[job.model] = own.get(job.model, 0.0) + truth.own
        if job.shared:
            features.setdefault(job.model, {})[job.shared] = truth.shared
    return {m: (load, own[m] + math.fsum(features.get(m, {}).values())) for m, load in loads.items()}


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


GLUE_LITE: dict[str, tuple[float, dict[str, tuple[float, float]]]] = {
    "tfidf": (
        1.17,
        {
            "cola": (0, 0.1),
            "sst2": (0, 0.09),
            "mrpc": (0, 0.25),
            "stsb": (0, 0.34),
            "mnli": (0, 0.44),
            "rte": (0, 0.22),
        },
    ),
    "chars": (
        1.17,
        {
            "cola": (0, 0.34),
            "sst2": (0, 0.41),
            "mrpc": (0, 1.6),
            "stsb": (0, 1.78),
            "mnli": (0, 3.43),
            "rte": (0, 1.81),
        },
    ),
    **{
        name: (0.0, dict.fromkeys(("cola", "sst2", "mrpc", "stsb", "mnli", "rte"), (0, 0.01)))
        for name in ("majority", "random", "oracle")
    },
    "minilm": (
        4.34,
        {
            "cola": (5.1, 0.07),
            "sst2": (7.39, 0.08),
            "mrpc": (10.87, 2.97),
            "stsb": (13.16, 1.19),
            "mnli": (7.89, 5.45),
            "rte": (13.21, 2.64),
        },
    ),
}
"""Recorded seconds: of loading with the import of the framework, and by task of features and of the rest."""
TUNING = (20.16, 19.57, 19.86)
"""Recorded seconds of fine-tuning MiniLM on cola under three seeds."""
GUESSES = {
    "empty": (0.1, 0.0, 0.011),
    "light": (0.1, 0.0, 1.78),
    "linear_probe": (0.33, 7.9, 1.78),
    "zero_shot": (0.33, 2.26, 0.53),
    "fine_tune": (0.33, 0.0, 31.7),
}
"""Guessed seconds of loading, features and the rest in that suite: of models without parameters, of those
without weights, and of MiniLM by protocol."""
PROBES = {"linear_probe": 5e-4, "knn": 1e-4, "few_shot": 2e-4}
"""Seconds per row beyond the features."""


def glue_lite() -> Night:
    """Return the recorded night."""
    jobs, truths = [], []
    for name, (load, tasks) in GLUE_LITE.items():
        for task, (shared, own) in tasks.items():
            jobs.append(_job(name, task, "linear_probe", 0, Truth(load, shared, own), 1))
            truths.append(Truth(load, shared, own))
    tuned = [Truth(4.34, 0, own) for own in TUNING]
    jobs += [_job("minilm", "cola", "fine_tune", seed, truth, 1) for seed, truth in enumerate(tuned)]
    jobs.append(_job("minilm", "stsb", "zero_shot", 0, Truth(4.34, 13.16, 0.05), 1))
    return Night("glue_lite", jobs, [*truths, *tuned, Truth(4.34, 13.16, 0.05)])


def guessed() -> Night:
    """Return the recorded night with what was guessed before anything was recorded."""
    night = glue_lite()
    jobs = []
    for job in night.jobs:
        name = job.cell.model.name
        light = "light" if name in ("tfidf", "chars") else "empty"
        load, shared, own = GUESSES[job.cell.protocol if name == "minilm" else light]
        jobs.append(replace(job, load_seconds=load, shared_seconds=shared, own_seconds=own, measured=False))
    return replace(night, jobs=jobs)


def synthetic(seed: int, models: int = 24, tasks: int = 8) -> Night:
    """Return a night of hundreds of cells; see the top of this file."""
    rng = random.Random(seed)
    jobs, truths = [], []
    rows = [int(math.exp(rng.gauss(math.log(8000), 1.2))) for _ in range(tasks)]
    for m in range(models):
        size = min(math.exp(rng.gauss(math.log(6e7), 1.4)), 3e9)
        load = 1 + size / 2e8
        light = rng.random() < 0.2
        rate = 2e-4 if light else 2e-12 * size * rng.lognormvariate(0, 0.3)
        for t, n in enumerate(rows):
            blocks = math.ceil(0.8 * n / BLOCK)
            found = []
            for protocol, seconds in PROBES.items():
                own = n * seconds * rng.lognormvariate(0, 0.3)
                truth = Truth(load, 0, n * rate + own) if light else Truth(load, n * rate, own)
                found.append((protocol, 0, truth, 1 if light else blocks))
            if not light and size < 4e8 and t % 2 == 0:
                for s in range(3):
                    own = min(n, 20000) * rate * 9 * rng.lognormvariate(0, 0.1)
                    found.append(("fine_tune", s, Truth(load, 0, own), 1))
            for protocol, s, truth, parts in found:
                jobs.append(_job(f"m{m}", f"t{t}", protocol, s, truth, parts))
                truths.append(truth)
    return Night(f"synthetic {seed}", jobs, truths)


def _job(model: str, task: str, protocol: str, seed: int, truth: Truth, blocks: int) -> Job:
    spec, about = ModelSpec(model, f"x:{model}"), TaskSpec(task, "a", f"x:{task}")
    key = f"{model} {'fit' if protocol == 'fine_tune' else 'embed'}"
    shared = f"{key} {task}" if truth.shared else ""
    cell = Cell("night", spec, about, protocol, seed=seed)
    return Job(cell, "kind", key, shared, truth.load, truth.shared, truth.own, measured=True, blocks=blocks)


def unknown(night: Night, seed: int) -> Night:
    """Return the night with guesses in place of times; see the top of this file."""
    rng = random.Random(seed)
    off: dict[tuple[str, str], float] = {}

    def error(what: str, which: str, spread: float) -> float:
        return off.setdefault((what, which), rng.gauss(0, spread))

    heavy = {job.cell.model.name for job in night.jobs if job.shared}
    jobs = []
    for job in night.jobs:
        name = job.cell.model.name
        common = error("machine", "", 0.5)
        common += error("model", name, 0.5) if name in heavy else error("light", name, 1.0) + 1.2
        shared = math.exp(common + error("features", job.shared, 0.35))
        cell = f"{name} {job.cell.task.name} {job.cell.protocol}"  # whatever its seed: a guess knows none
        own = math.exp(common + error("protocol", job.cell.protocol, 0.4) + error("cell", cell, 0.35))
        guess = replace(
            job,
            load_seconds=job.load_seconds * math.exp(error("load", job.model, 0.5)),
            shared_seconds=job.shared_seconds * shared,
            own_seconds=job.own_seconds * own,
            measured=False,
        )
        jobs.append(guess)
    return Night(night.name, jobs, night.truths)


def compare(nights: Sequence[Night], slots: int, *, split: bool) -> dict[str, Any]:
    """Return makespans over the bound, of ours and of the naive orders, and how often models were loaded."""
    names = ("schedule", "schedule, loads counted", "longest first", "in turn")
    ratios: dict[str, list[float]] = {name: [] for name in names}
    loads = []
    for night in nights:
        bound = lower_bound(night, slots, split=split)
        span, loaded = simulate(night, slots, Schedule(night.jobs, slots, split=split))
        loads.append(loaded)
        ratios["schedule"].append(span / bound)
        ratios["schedule, loads counted"].append(span / bound_with_loads(night, slots, split=split))
        ratios["longest first"].append(simulate(night, slots, longest_first(night.jobs))[0] / bound)
        ratios["in turn"].append(simulate(night, slots, RoundRobin(night.jobs, slots))[0] / bound)
    return {
        **{name: _summary(found) for name, found in ratios.items()},
        "loads": round(statistics.mean(loads), 1),
        "models": round(statistics.mean(len({job.model for job in night.jobs}) for night in nights), 1),
    }


def _summary(ratios: list[float]) -> dict[str, float]:
    return {"mean": round(statistics.mean(ratios), 3), "worst": round(max(ratios), 3)}


def calls(count: int, models: int, slots: int) -> dict[str, Any]:
    """Return CPU seconds per call with many jobs, and of `Schedule.remaining`."""
    rng = random.Random(0)
    sizes = [rng.lognormvariate(0, 1) for _ in range(models)]
    jobs = []
    for i in range(count):
        m = i % models
        truth = Truth(1.0, 5 * sizes[m], rng.random() * sizes[m])
        jobs.append(_job(f"m{m}", f"t{i // models // 4}", list(PROBES)[i % 3], i, truth, rng.choice((1, 4))))
    jobs = [replace(job, measured=False) for job in jobs]
    began = time.process_time()
    schedule = Schedule(jobs, slots, split=True)
    made = time.process_time() - began
    spent, called, shown = 0.0, 0, []
    events: list[tuple[float, int, int, Job, float]] = []
    idle, now = list(range(slots)), 0.0
    while idle or events:
        began = time.process_time()
        given = [(slot, schedule.next(slot)) for slot in idle]
        spent += time.process_time() - began
        called += len(idle)
        for slot, job in given:
            if job is not None:
                seconds = (job.own_seconds + job.shared_seconds) * rng.lognormvariate(0, 0.5)
                heapq.heappush(events, (now + seconds, called + slot, slot, job, seconds))
        if not events:
            break
        now, _, slot, job, seconds = heapq.heappop(events)
        began = time.process_time()
        schedule.ended(job, seconds)
        spent += time.process_time() - began
        called += 1
        idle = [slot, *(slot for slot, job in given if job is None)]
        if called % 5000 < 2:
            began = time.process_time()
            schedule.remaining()
            shown.append(time.process_time() - began)
    assert schedule.over
    return {
        "jobs": count,
        "models": models,
        "slots": slots,
        "made_seconds": round(made, 2),
        "microseconds_per_call": round(1e6 * spent / called, 1),
        "remaining_milliseconds": {
            "mean": round(1e3 * statistics.mean(shown), 2),
            "worst": round(1e3 * max(shown), 2),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--nights", type=int, default=12)
    parser.add_argument("--calls", type=int, default=100_000)
    given = parser.parse_args()
    found: dict[str, Any] = {"nights": given.nights, "makespan_over_bound": [], "calls": []}
    sets = {
        "glue_lite": [glue_lite()],
        "synthetic": [synthetic(seed) for seed in range(given.nights)],
    }
    for name, nights in sets.items():
        for known in (True, False):
            seeds = range(len(nights))
            guesses = [guessed()] if name == "glue_lite" else [unknown(nights[i], i) for i in seeds]
            told = nights if known else guesses
            for slots in (2, 4, 8, 16, 32, 64):
                for split in (False, True) if name == "synthetic" else (False,):
                    row = {"nights": name, "known": known, "slots": slots, "split": split}
                    row |= compare(told, slots, split=split)
                    found["makespan_over_bound"].append(row)
                    print(json.dumps(row), flush=True)
    for models in (50, 1000, 20000):
        for slots in (8, 64):
            row = calls(given.calls, models, slots)
            found["calls"].append(row)
            print(json.dumps(row), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

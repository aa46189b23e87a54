"""What worker processes cost: until they are ready, per job, per message; beside a pool of processes.

    python tests/benchmarks/worker_overhead.py [--repeats N] [--json PATH]

Cells do nothing, so that all of their time is overhead. The executors `serial` and `local` (on one and two
slots) and `concurrent.futures.ProcessPoolExecutor` (spawned, fed one job at a time for each process as
`local` is) are timed in turns; medians are shown. Journal and display are not part of it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.executor_workers import jobs, make_evaluator  # noqa: E402

from ptbench import Event, Job, Record, Schedule, Slot, WorkerSpec, Workload  # noqa: E402
from ptbench.executors import SERIAL  # noqa: E402
from ptbench.offers import Executor  # noqa: E402
from ptbench.workers import LOCAL  # noqa: E402

Run = Callable[[list[Job], Path], Iterator[object]]


def executor(one: Executor, slots: int) -> Run:
    """Run jobs with an executor."""

    def run(given: list[Job], folder: Path) -> Iterator[Record]:
        there = tuple(Slot(f"cpu:{i}") for i in range(slots))
        spec = WorkerSpec("tests.executor_workers:make_evaluator", "r1", str(folder))
        return one.run(Workload(Schedule(given, slots), there, spec, folder))

    return run


def pool(processes: int) -> Run:
    """Run jobs with the pool of the standard library, fed one at a time."""

    def run(given: list[Job], folder: Path) -> Iterator[object]:
        spawn = multiprocessing.get_context("spawn")
        waiting = iter(given)
        with ProcessPoolExecutor(processes, spawn, _start, (str(folder),)) as workers:
            running: set[Future[Record | None]] = set()
            while True:
                while len(running) < processes and (job := next(waiting, None)) is not None:
                    running.add(workers.submit(_do, job))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)

    return run


_evaluate = None


def _start(folder: str) -> None:
    global _evaluate  # noqa: PLW0603
    _evaluate = make_evaluator(WorkerSpec("", "r1", folder))


def _do(job: Job) -> Record | None:
    assert _evaluate is not None
    return _evaluate(job)


def timed(run: Run, given: list[Job]) -> tuple[float, float]:
    """Return the seconds to the first record and to the end."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        first = 0.0
        for _ in run(given, Path(folder)):
            first = first or time.perf_counter() - began
        return first, time.perf_counter() - began


def messages_per_second() -> float:
    """Return how many messages a second a worker can send: 20,000 of them, in one job."""
    told: list[Event] = []
    with tempfile.TemporaryDirectory() as folder:
        spec = WorkerSpec("tests.executor_workers:make_evaluator", "r1", folder)
        schedule = Schedule(jobs("", "chatter"), 1)
        running = LOCAL.run(Workload(schedule, (Slot("cpu:0"),), spec, Path(folder), tell=told.append))
        next(running)
        began = time.perf_counter()
        list(running)
        return sum(event.what == "warning" for event in told) / (time.perf_counter() - began)


def main() -> None:
    """Time all in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    sides = {
        "serial": executor(SERIAL, 1),
        "local, 1 slot": executor(LOCAL, 1),
        "local, 2 slots": executor(LOCAL, 2),
        "process pool, 1": pool(1),
        "process pool, 2": pool(2),
    }
    given = [
        Job(job.cell, "kind", f"m{i % 4}", own_seconds=1.0)
        for i, job in enumerate(jobs(*[""] * arguments.jobs))
    ]
    first: dict[str, list[float]] = {name: [] for name in sides}
    whole: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(arguments.repeats + 1):
        for name, run in sides.items():
            seconds = timed(run, given)
            if repeat:  # the first round fills the file cache
                first[name].append(seconds[0])
                whole[name].append(seconds[1])
    figures = {
        name: {
            "first_record_s": median(first[name]),
            "whole_s": median(whole[name]),
            "ms_per_job": median(
                1000 * (w - f) / (arguments.jobs - 1) for f, w in zip(first[name], whole[name], strict=True)
            ),
        }
        for name in sides
    }
    print(f"{arguments.jobs} jobs{'':<12}{'first record s':>15}{'all s':>8}{'ms per job':>12}")
    for name, row in figures.items():
        print(f"{name:<20}{row['first_record_s']:>15.3f}{row['whole_s']:>8.2f}{row['ms_per_job']:>12.2f}")
    messages = median(messages_per_second() for _ in range(arguments.repeats))
    print(f"{messages:,.0f} messages a second from a worker")
    if arguments.json:
        told = {"jobs": arguments.jobs, "executors": figures, "messages_per_s": messages}
        arguments.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()

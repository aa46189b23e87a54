"""The executors of the core: one cell after another in this process, or in worker processes."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ptbench.failures import failure_of, new_record
from ptbench.jobs import Evaluate, Event, Job
from ptbench.meter import resident_mb
from ptbench.offers import Executor
from ptbench.progress import Progress, listening
from ptbench.records import Record
from ptbench.workload import Workload

TICK = 0.25
"""Seconds between two looks at how far a job has come."""


def _serial(workload: Workload) -> Iterator[Record]:
    evaluate = workload.worker.start()
    slot = workload.slots[0].name
    while (job := workload.schedule.next(0)) is not None:
        workload.tell(Event("started", slot, job.name, job.cell.id))
        started = time.perf_counter()
        with listening() as progress, _ticking(workload, job, progress):
            record = _evaluated(evaluate, job, workload.worker.run)
        workload.schedule.ended(job, time.perf_counter() - started)
        workload.tell(Event("ended", slot, job.name, job.cell.id))
        if record is not None:
            yield replace(record, slot=slot)


def _evaluated(evaluate: Evaluate, job: Job, run: str) -> Record | None:
    """Return the record of a job; an error that `evaluate` made no record of itself becomes one here."""
    try:
        return evaluate(job)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        failure = failure_of(error)
        return new_record(job.cell, run, failure.status, failure.error, kind=job.kind, advice=failure.advice)


@contextmanager
def _ticking(workload: Workload, job: Job, progress: Progress) -> Iterator[None]:
    """Tell how far a job has come, from a thread of its own."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(TICK):
            warned()
            told = Event(
                "progress",
                workload.slots[0].name,
                job.name,
                job.cell.id,
                progress.phase,
                progress.examples,
                resident_mb(),
            )
            workload.tell(told)

    def warned() -> None:
        while progress.warnings:
            workload.tell(Event("warning", text=progress.warnings.pop(0)))

    thread = threading.Thread(target=tick, name="ptbench-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        warned()


SERIAL = Executor(
    name="serial",
    description="One cell after another in this process, for debugging: a crash is a crash of the run.",
    run=_serial,
    here=True,
)

"""What comes of a job, whichever process it is given to: an answer by its worker, or a record without one."""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ptbench.errors import one_line
from ptbench.failures import Failure, failure_of, new_record
from ptbench.jobs import Evaluate, Job, WorkerSpec
from ptbench.output import Output, said, shorten
from ptbench.progress import Progress, listening
from ptbench.records import Record, Status

UNSTARTED = "no worker could be started"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a job. Plain data that can be pickled."""

    record: Record | None
    """With its slot and its log; None for a part."""
    seconds: float
    lost: bool = False
    """Whether the job did not end as it should, so that a schedule has to count again (`Schedule.ended`)."""
    spent: bool = False
    """Whether this process is of no more use, such as after a failed assertion on a GPU."""
    warnings: tuple[str, ...] = ()
    """What the person should hear of, and nobody took from `Worker.progress`."""


class Worker:
    """Evaluates the jobs of a slot, in a process that is there for that alone.

    Whatever a job does short of ending the process becomes a record: what a plugin raises, up to
    `KeyboardInterrupt` and `SystemExit`, and a record that cannot be pickled. What is printed, by C libraries
    and children too, goes to `Cell.log` in the folder of the specification, and so do Python's stacks where
    the process crashes or gets SIGUSR1.
    """

    def __init__(self, spec: WorkerSpec, slot: str) -> None:
        """Start what evaluates; where that fails, `broken` says why, and every job is answered with it."""
        self.spec = spec
        self.slot = slot
        self._pid = os.getpid()
        self.broken = self._traceback = ""
        self.job: Job | None = None
        """The job in hand. Another thread may look at it."""
        self.progress = Progress()
        """How far it has come."""
        self._output = Output()
        faulthandler.enable(file=2)
        if hasattr(signal, "SIGUSR1"):
            faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
        self._evaluate: Evaluate | None = None
        try:
            with listening() as self.progress:
                self._evaluate = spec.start()
        except BaseException as error:
            self.broken, self._traceback = one_line(error), traceback.format_exc()

    def evaluate(self, job: Job) -> Answer:
        """Return what came of a job, when its record's files and its log are written."""
        began = time.perf_counter()
        log = Path(self.spec.folder, job.cell.log)
        with self._output.to(log), listening() as self.progress:
            self.job = job
            record, lost = self._evaluated(job)
            self.job = None
        if os.getpid() != self._pid:  # a plugin forked and its child came back: the answer is its parent's
            os._exit(1)
        warnings = tuple(self.progress.warnings.pop(0) for _ in range(len(self.progress.warnings)))
        spent = record is not None and record.status is Status.CRASHED
        if job.part is None and record is not None:
            record = replace(record, slot=self.slot, log=_kept(log, job.cell.log))
        else:
            record = None  # another part may be writing into the log
        return Answer(record, time.perf_counter() - began, lost or spent, spent, warnings)

    def show(self) -> None:
        """Write what each thread is doing into the log, from whichever thread calls it."""
        faulthandler.dump_traceback(file=2, all_threads=True)

    def _evaluated(self, job: Job) -> tuple[Record | None, bool]:
        """Return the record of a job, and whether it is one of a job that is lost.

        `Evaluate` makes a record of what a plugin raises. What it raises itself ends a part, or is beyond it.
        """
        if self._evaluate is None:
            with suppress(OSError):  # a full disk
                sys.stderr.write(self._traceback)
            return _failed(job, self.spec, Failure(Status.FAILED, f"{UNSTARTED}: {self.broken}")), True
        try:
            record = self._evaluate(job)
            if record is None and job.part is None:
                raise TypeError("it was evaluated and gave no record")
            pickle.dumps(record)
        except BaseException as error:
            with suppress(OSError):  # a full disk
                traceback.print_exc()
            return _failed(job, self.spec, failure_of(error, job.cell.log)), True
        return record, False


def lost_record(job: Job, spec: WorkerSpec, slot: str, failure: Failure, **facts: Any) -> Record | None:
    """Return the record of a job that its worker did not answer; None for a part.

    ``facts`` are more fields of the record. Its log is what the job left in the folder of the specification.
    """
    if job.part is not None:
        return None
    log = _kept(Path(spec.folder, job.cell.log), job.cell.log)
    return _failed(job, spec, failure, **{"slot": slot, "log": log, **facts})


def _failed(job: Job, spec: WorkerSpec, failure: Failure, **facts: Any) -> Record:
    about = {"kind": job.kind, "advice": failure.advice, **facts}
    return new_record(job.cell, spec.run, failure.status, failure.error, **about)


def _kept(path: Path, name: str) -> str:
    """Return the name of a log; nothing, and no file, where it has no word."""
    if said(path):
        with suppress(OSError):
            shorten(path)
        return name
    with suppress(OSError):
        path.unlink()
    return ""

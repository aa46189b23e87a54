"""The process of a slot: ``python -m ptbench.worker``, which evaluates the jobs that it is sent.

It is started by `ptbench.workers` with the variables of its slot, so that devices and threads are fixed
before Python starts. What it is sent, and what it answers, goes through two pipes; what a cell prints goes
into the cell's log. It ends when nobody holds the other ends any more.

First it is sent `sys.path` and a `WorkerSpec`, and answers ("ready",) or ("broken", why). Then every `Job` is
answered by any number of ("progress", phase, examples, MiB) and ("warning", text), and at last by ("done",
record or None, seconds, whether it was lost, whether this process is of no more use). It is of none, and
ends, after a record or an error that is `Status.CRASHED`.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ptbench.errors import one_line
from ptbench.failures import failure_of, new_record
from ptbench.jobs import Evaluate, Job, WorkerSpec
from ptbench.meter import resident_mb
from ptbench.progress import Progress, listening
from ptbench.records import Record, Status

TICK = 0.25
"""Seconds between two looks at how far a job has come."""
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_WAYS: tuple[dict[str, bool], ...] = ({"writable": False}, {"readable": False})


def main() -> None:
    """Evaluate jobs until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it decides
    with suppress(OSError):
        _OOM_SCORE.write_text("500", "ascii")  # where memory ends, the kernel is to kill this, not the run
    faulthandler.enable()
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)  # asked where it is before it is ended
    jobs, answers = (Connection(int(number), **way) for number, way in zip(sys.argv[1:3], _WAYS, strict=True))
    for pipe in (jobs, answers):
        os.set_inheritable(pipe.fileno(), False)
    with suppress(EOFError, BrokenPipeError):  # nobody is there any more
        _serve(jobs, answers)


def _serve(jobs: Connection, answers: Connection) -> None:
    sys.path[:] = jobs.recv()
    spec: WorkerSpec = jobs.recv()
    post = _Post(answers)
    try:
        evaluate = spec.start()
    except BaseException as error:
        traceback.print_exc()
        post.send("broken", one_line(error))
        return
    output = _Output(Path(spec.folder))
    post.send("ready")
    poisoned = False
    while not poisoned:
        job: Job = jobs.recv()
        began = time.perf_counter()
        with output.of(job), listening() as progress, post.telling(progress):
            record, lost, poisoned = _evaluated(evaluate, job, spec.run)
        if record is not None:
            record = replace(record, log=job.cell.log if output.kept else "")
        post.send("done", record, time.perf_counter() - began, lost, poisoned)


def _evaluated(evaluate: Evaluate, job: Job, run: str) -> tuple[Record | None, bool, bool]:
    """Return the record of a job, None for a part; whether it was lost; and whether the process is of no use.

    `Evaluate` makes a record of what a plugin raises. What it raises itself ends a part, or is beyond it.
    """
    try:
        record = evaluate(job)
        if job.part is not None:
            return None, False, False
        if record is None:
            raise TypeError("it was evaluated and gave no record")
        pickle.dumps(record)
    except BaseException as error:
        with suppress(OSError):  # a full disk
            traceback.print_exc()
        failure = failure_of(error, job.cell.log)
        facts = {"kind": job.kind, "advice": failure.advice}
        failed = new_record(job.cell, run, failure.status, failure.error, **facts)
        return None if job.part is not None else failed, True, failure.status is Status.CRASHED
    return record, False, record.status is Status.CRASHED


class _Post:
    """What goes back, from two threads: answers, and how far a job has come."""

    def __init__(self, answers: Connection) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        threading.Thread(target=self._tick, name="ptbench-progress", daemon=True).start()

    def send(self, what: str, *more: Any) -> None:
        """Answer the parent. Raises `BrokenPipeError` where it is gone."""
        with self._lock:
            self._answers.send((what, *more))

    @contextmanager
    def telling(self, progress: Progress) -> Iterator[None]:
        """Tell of this progress while the block runs."""
        self._progress = progress
        try:
            yield
        finally:
            self._progress = None
            self._warnings(progress)

    def _tick(self) -> None:
        with suppress(OSError):  # nobody is there any more: the other thread will find out
            while True:
                time.sleep(TICK)
                progress = self._progress
                if progress is not None:
                    self._warnings(progress)
                    self.send("progress", progress.phase, progress.examples, resident_mb())

    def _warnings(self, progress: Progress) -> None:
        while progress.warnings:
            with suppress(IndexError):  # the other thread took it
                self.send("warning", progress.warnings.pop(0))


class _Output:
    """Where standard output and error go, those of C libraries and children too: to the log of the job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = False
        """Whether the last job left a log."""
        self._own = os.dup(2)
        self._flush_c = _c_flush()

    @contextmanager
    def of(self, job: Job) -> Iterator[None]:
        """Send it to the log of the job's cell inside the block; a log without a word is removed."""
        path = self.folder / job.cell.log
        file = self._opened(path)
        self._point(file)
        try:
            yield
        finally:
            self._flush()
            self._point(self._own)
            self.kept = file != self._own and os.fstat(file).st_size > 0
            if file != self._own:
                os.close(file)
                if not self.kept and job.part is None:  # another part may be writing
                    path.unlink(missing_ok=True)

    def _opened(self, path: Path) -> int:
        """Return the log, or where this process writes anyway if the folder is gone or the disk is full."""
        try:
            path.parent.mkdir(exist_ok=True)
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError:
            return self._own

    def _point(self, file: int) -> None:
        os.dup2(file, 1)
        os.dup2(file, 2)

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # a full disk; or a plugin closed it
                stream.flush()
        self._flush_c()


def _c_flush() -> Callable[[], object]:
    """Return what flushes C's own streams, so that no word of a cell lands in the next one's log."""
    import ctypes

    try:
        flush = ctypes.CDLL(None).fflush
    except (OSError, AttributeError, TypeError):
        return lambda: None
    return lambda: flush(None)


if __name__ == "__main__":
    main()

"""The process of a slot: ``python -m ptbench.worker``, which evaluates the jobs that it is sent.

It is started by `ptbench.seats` with the variables of its slot, so that devices and threads are fixed
before Python starts. What it is sent, and what it answers, goes through two pipes; what a cell prints goes
into the cell's log. It ends when nobody holds the other ends any more.

First it is sent `sys.path`, a `WorkerSpec` and the name of its slot, and answers ("ready",) or ("broken",
why). Then every `Job` is answered by any number of ("progress", phase, examples, MiB) and ("warning", text),
and at last by ("done", `Answer`). It ends after an answer that leaves it of no more use.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ptbench.answers import Worker
from ptbench.jobs import Job, WorkerSpec
from ptbench.meter import resident_mb
from ptbench.progress import Progress

TICK = 0.25
"""Seconds between two looks at how far a job has come."""
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_WAYS: tuple[dict[str, bool], ...] = ({"writable": False}, {"readable": False})


def main() -> None:
    """Evaluate jobs until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it decides
    with suppress(OSError):
        _OOM_SCORE.write_text("500", "ascii")  # where memory ends, the kernel is to kill this, not the run
    jobs, answers = (Connection(int(number), **way) for number, way in zip(sys.argv[1:3], _WAYS, strict=True))
    for pipe in (jobs, answers):
        os.set_inheritable(pipe.fileno(), False)
    with suppress(EOFError, BrokenPipeError):  # nobody is there any more
        _serve(jobs, answers)
    atexit._run_exitfuncs()  # as multiprocessing ends its processes
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)  # taking a framework apart piece by piece would take a second


def _serve(jobs: Connection, answers: Connection) -> None:
    sys.path[:] = jobs.recv()
    spec: WorkerSpec = jobs.recv()
    worker = Worker(spec, jobs.recv())
    post = _Post(answers, worker)
    if worker.broken:
        post.send("broken", worker.broken)
        return
    post.send("ready")
    spent = False
    while not spent:
        job: Job = jobs.recv()
        answer = worker.evaluate(job)
        for text in answer.warnings:
            post.send("warning", text)
        post.send("done", answer)
        spent = answer.spent


class _Post:
    """What goes back, from two threads: answers, and how far a job has come."""

    def __init__(self, answers: Connection, worker: Worker) -> None:
        self._answers = answers
        self._worker = worker
        self._lock = threading.Lock()
        threading.Thread(target=self._tick, name="ptbench-progress", daemon=True).start()

    def send(self, what: str, *more: Any) -> None:
        """Answer the parent. Raises `BrokenPipeError` where it is gone."""
        with self._lock:
            self._answers.send((what, *more))

    def _tick(self) -> None:
        with suppress(OSError):  # nobody is there any more: the other thread will find out
            while True:
                time.sleep(TICK)
                progress = self._worker.progress
                if self._worker.job is not None:
                    self._warnings(progress)
                    self.send("progress", progress.phase, progress.examples, resident_mb())

    def _warnings(self, progress: Progress) -> None:
        while progress.warnings:
            with suppress(IndexError):  # the other thread took it
                self.send("warning", progress.warnings.pop(0))


if __name__ == "__main__":
    main()

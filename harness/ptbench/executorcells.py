"""Cells that do what their option ``do`` says: end well, raise, print, hang, crash. For `executorkit`."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ptbench.failures import failure_of, new_record
from ptbench.jobs import Evaluate, Job, WorkerSpec
from ptbench.records import Record, Status

FRAMEWORKS = ("torch", "transformers", "timm", "torchvision", "sklearn", "datasets", "matplotlib")
PINS = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
LONG = 600.0
"""Seconds for which a cell hangs."""


def make_evaluator(spec: WorkerSpec) -> Evaluate:
    """Return an `Evaluate` whose cells do what their option ``do`` says."""
    seen = {
        "host": platform.node(),
        "environment": {name: os.environ.get(name) for name in PINS},
        "frameworks": [name for name in FRAMEWORKS if name in sys.modules],
        "pid": os.getpid(),
    }

    def evaluate(job: Job) -> Record | None:
        cell = job.cell
        do = cell.options.get("do", "")
        parts = Path(spec.folder, "parts", cell.id)
        if job.part is not None:
            parts.mkdir(parents=True, exist_ok=True)
            if do == "lose the first part" and job.part[0] == 0:
                os._exit(3)
            (parts / str(job.part[0])).write_text("done", "ascii")
            return None
        if do == "throw":
            raise RuntimeError("it was thrown")
        try:
            found = _DEEDS.get(do, _nothing)()
        except Exception as error:
            failure = failure_of(error)
            return new_record(cell, spec.run, failure.status, failure.error, advice=failure.advice)
        path = Path(spec.folder, "predictions", f"{cell.id}.txt")
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(cell.seed), "ascii")
        done = [one.name for one in parts.iterdir()] if parts.is_dir() else []
        facts = {**seen, "square": cell.seed**2, "parts": sorted(done), **found}
        return new_record(cell, spec.run, Status.OK, facts=facts, files=(f"predictions/{path.name}",))

    return evaluate


def make_nothing(spec: WorkerSpec) -> Evaluate:
    """Fail, as a plugin does that cannot be set up."""
    raise OSError("there is nothing to start")


def _nothing() -> dict[str, Any]:
    return {}


def _raise() -> dict[str, Any]:
    raise ValueError("it was raised")


def _print() -> dict[str, Any]:
    sys.stdout.write("said by Python\n")
    os.write(2, b"said by C\n")
    return {}


def _bear() -> dict[str, Any]:
    """Start a process that outlives the cell."""
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONG})"])  # noqa: S603
    return {"child": child.pid}


def _hang() -> dict[str, Any]:
    time.sleep(LONG)
    return {}


def _exit() -> dict[str, Any]:
    os._exit(3)


def _segfault() -> dict[str, Any]:
    ctypes.string_at(0)
    return {}


def _be_killed() -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return _hang()


_DEEDS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "raise": _raise,
    "print": _print,
    "bear": _bear,
    "hang": _hang,
    "exit": _exit,
    "segfault": _segfault,
    "be killed": _be_killed,
}

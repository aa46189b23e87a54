"""What the workers of `tests/test_workers.py` evaluate: cells that do what their option ``do`` says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ptbench import Cell, Evaluate, Job, Record, Status, WorkerSpec, advance, new_record
from ptbench.progress import enter, warn
from ptbench.records import ModelSpec, TaskSpec


def cell(seed: int, do: str = "", **options: Any) -> Cell:
    """Return a cell that does so."""
    task = TaskSpec("t", "a", "s:d")
    return Cell("small", ModelSpec(f"m{seed}", "a:b"), task, "as_is", {"do": do, **options}, seed)


def jobs(*deeds: str, **options: Any) -> list[Job]:
    """Return a job for each of these, in an order that a schedule on one slot keeps."""
    return [Job(cell(seed, do, **options), "kind", f"m{seed}") for seed, do in enumerate(deeds)]


def make_evaluator(spec: WorkerSpec) -> Evaluate:
    """Return what does it. It says where it runs in the facts of the record."""
    threads = os.environ.get("OMP_NUM_THREADS")
    if spec.options.get("only_threads", threads) != threads:
        raise RuntimeError("this slot is broken")

    def evaluate(job: Job) -> Record | None:
        facts: dict[str, Any] = {"pid": os.getpid()}
        status, error = Status.OK, ""
        match job.cell.options["do"]:
            case "poison":
                status, error = Status.CRASHED, "device-side assert"
            case "gone":
                shutil.rmtree(spec.folder)
            case "unreadable":
                facts["thing"] = _Unreadable()
            case "unwritable":
                facts["thing"] = lambda: None
            case "nothing":
                return None
            case do:
                facts |= DEEDS.get(do, dict)() or {}
        return new_record(job.cell, spec.run, status, error, facts=facts)

    return evaluate


class _Unreadable:
    def __reduce__(self) -> Any:
        return _explode, ()


def _explode() -> None:
    if "tests.executor_workers" not in sys.argv[0] and os.environ.get("PTBENCH_TEST_PARENT") == str(
        os.getpid()
    ):
        raise RuntimeError("it explodes where it is read")


def _progress() -> None:
    enter("embed")
    for _ in range(100):
        advance(3)
        time.sleep(0.01)
    warn("the cache is full")


def _chatter() -> None:
    for number in range(20_000):
        warn(f"message {number}")


def _bear() -> dict[str, Any]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    return {"child": child.pid}


def _bear_and_hang() -> None:
    pids = _bear()["child"], os.getpid()
    Path(os.environ["PTBENCH_TEST_PIDS"]).write_text(" ".join(map(str, pids)), "ascii")
    time.sleep(600)


def _hold_the_interpreter() -> None:
    """Hang in a library that does not let the interpreter go, deaf to every thread."""
    import ctypes

    pids = _bear()["child"], os.getpid()
    Path(os.environ["PTBENCH_TEST_PIDS"]).write_text(" ".join(map(str, pids)), "ascii")
    ctypes.PyDLL(None).sleep(600)


def _last_words() -> None:
    print("no licence was found", file=sys.stderr, flush=True)
    os._exit(7)


def _bad_alloc() -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def _fetch() -> dict[str, Any]:
    import statistics

    score = Path("/proc/self/oom_score_adj")
    return {
        "statistics": statistics.__file__,
        "oom_score": score.read_text("ascii").strip() if score.exists() else "",
    }


def _close_everything() -> None:
    os.closerange(3, 256)
    time.sleep(600)


def _segfault() -> None:
    import ctypes

    ctypes.string_at(0)


def _interrupt() -> None:
    raise KeyboardInterrupt


def _fork() -> None:
    os.fork()  # and the child goes on as if it were the worker


def _flood() -> None:
    for number in range(12):
        print(f"part {number} ".ljust(1 << 20, "x"))


def _in_embed() -> None:
    enter("embed")
    time.sleep(600)


DEEDS: dict[str, Callable[[], dict[str, Any] | None]] = {
    "progress": _progress,
    "chatter": _chatter,
    "bear": _bear,
    "bear and hang": _bear_and_hang,
    "hold the interpreter": _hold_the_interpreter,
    "last words": _last_words,
    "bad alloc": _bad_alloc,
    "fetch": _fetch,
    "close everything": _close_everything,
    "segfault": _segfault,
    "hang": _in_embed,
    "fork": _fork,
    "flood": _flood,
    "interrupt": _interrupt,
    "wait": lambda: time.sleep(0.7),
    "say": lambda: print("said by Python\n" * 1000),
    "print": lambda: os.system("echo said by a child") and None,
}

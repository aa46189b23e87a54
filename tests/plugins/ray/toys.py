"""Functions that make evaluators for the tests of executors; the model's name says what a cell does."""

from __future__ import annotations

import ctypes
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from ptbench import Cell, Evaluate, Job, Record, Status, WorkerSpec, advance, new_record
from ptbench.progress import enter
from ptbench.records import ModelSpec, TaskSpec

PINNED = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


def make_cell(does: str, n: int = 0, base: str = "/") -> Cell:
    return Cell(
        "toys", ModelSpec(does, f"toy:{does}"), TaskSpec(f"task{n}", "toy", "toy:data"), "as_is", base=base
    )


def make(spec: WorkerSpec) -> Evaluate:
    """What a cell does is the name of its model."""
    folder = Path(spec.folder)
    early = {name: os.environ.get(name, "") for name in PINNED}

    def evaluate(job: Job) -> Record | None:
        does, _, rest = job.cell.model.name.partition("-")
        facts: dict[str, Any] = {
            "pid": os.getpid(), "pinned": early, "folder": spec.folder, "node": os.environ.get("TOY_NODE", "")
        }  # fmt: skip
        files: tuple[str, ...] = ()
        match does:
            case "write":
                path = folder / "predictions" / f"{job.cell.id}.bin"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(job.cell.id.encode() * 1000)
                files = (f"predictions/{job.cell.id}.bin",)
            case "escape":
                (folder.parent / "escaped").write_bytes(b"")
                files = ("../escaped",)
            case "forget":
                files = ("predictions/never-written.bin",)
            case "print":
                print("said out loud")
                print("said to stderr", file=sys.stderr)
                os.system("echo said by a child")
            case "warn":
                warnings.warn("beware", stacklevel=1)
            case "raise":
                raise RuntimeError("broken\nin two lines")
            case "leave":
                sys.exit(3)
            case "exit":
                os._exit(3)
            case "segfault":
                print("last words", flush=True)
                ctypes.string_at(0)
            case "hang":
                enter("embed")
                time.sleep(600)
            case "interrupt":
                raise KeyboardInterrupt
            case "sleep":
                for _ in range(10):
                    advance(7)
                    time.sleep(float(rest) / 10)
            case "fail":
                return new_record(job.cell, spec.run, Status.FAILED, "no file 'a.csv'", kind=job.kind)
        return new_record(job.cell, spec.run, Status.OK, kind=job.kind, facts=facts, files=files)

    return evaluate


def make_nothing(spec: WorkerSpec) -> Evaluate:
    """Cannot be made."""
    raise ValueError(f"no way to make {spec.run}")

"""What the executor `ray` costs beside `local`: until the first cell ends, per cell, and to stop.

    python tests/benchmarks/ray_overhead.py [--repeats N] [--json PATH]

Cells do nothing but write a file of some 30 KB, so that all of their time is overhead. Both executors are
timed in turns, on one slot; `ray` starts a Ray of its own. Medians are shown. Journal and display are left
out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = str(ROOT)

from tests.plugins.ray.toys import make_cell  # noqa: E402

from ptbench import Executor, Job, Schedule, Slot, WorkerSpec, Workload  # noqa: E402
from ptbench.catalog import load_catalog  # noqa: E402

CELLS = 300


def measure(executor: Executor) -> dict[str, float]:
    """Run cells that write; return seconds until the first has ended, per further cell, and of closing."""
    jobs = [Job(make_cell("write", i), kind="toy", model="write") for i in range(CELLS)]
    with tempfile.TemporaryDirectory() as name:
        workload = Workload(
            schedule=Schedule(jobs, 1),
            slots=(Slot("cpu:0"),),
            worker=WorkerSpec("tests.plugins.ray.toys:make", "run", name),
            folder=Path(name),
            options=executor.filled({}),
        )
        began = time.perf_counter()
        times = [time.perf_counter() for _ in executor.run(workload)]
        ended = time.perf_counter()
    return {
        "first_cell_s": times[0] - began,
        "per_cell_ms": 1000 * (times[-1] - times[0]) / (CELLS - 1),
        "closing_s": ended - times[-1],
    }


def main() -> None:
    """Measure both in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    catalog = load_catalog()
    found: dict[str, list[dict[str, float]]] = {"local": [], "ray": []}
    for _ in range(arguments.repeats):
        for name, measured in found.items():
            measured.append(measure(catalog.get(Executor, name)))
    medians = {
        name: {what: round(median(one[what] for one in measured), 3) for what in measured[0]}
        for name, measured in found.items()
    }
    report = {"cells": CELLS, "repeats": arguments.repeats, "cores": os.cpu_count(), **medians}
    print(json.dumps(report, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

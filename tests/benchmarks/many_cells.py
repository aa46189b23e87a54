"""What planning, resuming and reporting cost with very many cells: seconds and peak memory.

    python tests/benchmarks/many_cells.py [--cells 1000 10000 100000] [--json PATH]

Suites of up to 100 models x 100 tasks x 2 protocols x 5 seeds, of baselines and generated sentences, and a
run that was killed when all cells had ended. ``plan`` is ``ptbench plan`` as a whole process; ``resume`` is
all that ``ptbench run`` does before a first cell would start; ``report`` is ``ptbench report`` of that run.
Records are those of one cell that was really run, under other names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

PTBENCH = str(Path(sys.executable).parent / "ptbench")
SHAPES = {1_000: (10, 10), 10_000: (100, 10), 100_000: (100, 100)}
SUITE = """
[suite]
name = "many"
[models]
{models}
[tasks]
{tasks}
[[grid]]
protocols = ["linear_probe", {{ use = "few_shot", shots = [4] }}]
seeds = [0, 1, 2, 3, 4]
"""
SMALL = "{ train = 40, validation = 20, test = 20 }"


def write_suite(folder: Path, models: int, tasks: int) -> Path:
    """Write a suite of so many models and tasks."""
    named = [f'm{i:03} = "{("baseline:random", "sklearn:tfidf")[i % 2]}"' for i in range(models)]
    data = [f't{i:03} = {{ use = "lite/sst2", size = {SMALL}, seed = {i} }}' for i in range(tasks)]
    path = folder / "many.toml"
    path.write_text(SUITE.format(models="\n".join(named), tasks="\n".join(data)))
    return path


def fill(suite: Path, output: Path) -> None:
    """Write a run of which all cells have ended, as a kill would have left it then."""
    from ptbench import journal, store
    from ptbench.cli.looking import look
    from ptbench.records import Standing
    from ptbench.runner.opening import request_of

    looked = look(suite, {}, None)
    plan = looked.plan
    sample_folder, record = _sample(suite.parent)
    folder = store.create_run(output, "many")
    records = []
    parquet = (sample_folder / record.files[0]).read_bytes()
    for planned in plan.cells:
        cell = planned.cell
        names = {"model": cell.model.name, "task": cell.task.name, "seed": cell.seed}
        told = {"protocol": cell.protocol, "options": cell.options, "data": cell.task.data}
        files = (f"predictions/{cell.id}.parquet",)
        about = {**names, **told, "identity": planned.identity, "files": files, "run": folder.name}
        records.append(replace(record, cell=cell.id, suite="many", reference=cell.model.reference, **about))
        (folder / files[0]).write_bytes(parquet)
    journal.append_records(folder, records)
    facts = {"suite": "many", "text": plan.suite.text, "cells": len(plan.cells), "status": "running"}
    request = request_of(plan, looked.execution, None)
    order = {"models": list(plan.models), "tasks": list(plan.tasks)}
    store.write_json(folder / store.RUN, {**facts, "request": request, "order": order, "run": folder.name})
    groups = {(r.task, r.model, r.label): r for r in records}
    standings = [
        Standing(
            task, s.metric, model, label, s.value, s.ci_low, s.ci_high, 5, 0.01, False, True, 0.1, 0.0, 0.2
        )
        for (task, model, label), r in groups.items()
        for s in r.scores
    ]
    store.write_json(folder / store.STANDINGS, standings)


def _sample(folder: Path) -> tuple[Path, Any]:
    from ptbench.journal import read_records

    one = folder / "one"
    one.mkdir()
    suite = write_suite(one, 2, 1)
    suite.write_text(suite.read_text().replace('name = "many"', 'name = "one"').replace(", 1, 2, 3, 4]", "]"))
    _run([PTBENCH, "run", str(suite), "--output", str(one / "out"), "--executor", "serial", "--quiet"])
    (found,) = one.glob("out/one/*/")
    return found, next(r for r in read_records(found) if r.model == "m001" and r.protocol == "linear_probe")


def resume(suite: Path, output: Path) -> int:
    """Do what a run does before its first cell starts; return how many cells need not run again."""
    from ptbench.cli.looking import look
    from ptbench.runner.opening import opened

    looked = look(suite, {}, None)
    with opened(looked.plan, output, looked.execution) as run:
        assert run.continued
        return len(run.finished)


def _run(command: list[str]) -> dict[str, float]:
    """Return the seconds and the peak resident memory, in MiB, of a process and its children."""
    with tempfile.TemporaryFile() as out:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            out.seek(0)
            sys.exit(f"{' '.join(command)}: {out.read().decode()[-2000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }


def measure(cells: int) -> dict[str, Any]:
    """Return seconds and memory of each step with so many cells."""
    models, tasks = SHAPES[cells]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        suite = write_suite(folder, models, tasks)
        output = folder / "out"
        _run([sys.executable, __file__, "--fill", str(suite), str(output)])  # its memory is not ours
        (run,) = output.glob("many/*/")
        plan = _run([PTBENCH, "plan", str(suite), "--output", str(output)])
        resumed = _run([sys.executable, __file__, "--resume", str(suite), str(output)])
        facts = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**facts, "status": "finished"}))
        return {"plan": plan, "resume": resumed, "report": _run([PTBENCH, "report", str(run)])}


def main() -> None:
    """Measure every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--resume", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--fill", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.resume:
        print(resume(*arguments.resume))
        return
    if arguments.fill:
        fill(*arguments.fill)
        return
    figures = {}
    for cells in arguments.cells:
        figures[str(cells)] = measure(cells)
        for step, cost in figures[str(cells)].items():
            seconds = f"{cost['seconds']:>8.2f} s{cost['cpu_seconds']:>8.2f} s of CPU"
            print(f"{cells:>8,} {step:<8}{seconds}{cost['peak_mb']:>8,} MiB", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

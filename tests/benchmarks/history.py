"""What many nights cost: the history of a suite, its site, and all results as one table.

    python tests/benchmarks/history.py [--runs 250 500 1000] [--json PATH]

Runs of 100 cells (10 models x 10 tasks, two metrics each), whose records are as long as real ones; scores
move by chance from night to night, and a tenth of the series change their level somewhere. ``cold`` is before
any summary was made, ``warm`` with them (the median of three). Every figure is of a whole process with its
imports; the pages are opened in Chromium where there is one. False alarms and power of the segmentation are
simulated beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path
from typing import Any

import numpy as np

MODELS, TASKS = 10, 10
LENGTHS = (8, 10, 20, 30, 60, 100, 300, 1000)
Shape = tuple[int, int]
Noise = Callable[[np.random.Generator, Shape], Any]
PTBENCH = str(Path(sys.executable).parent / "ptbench")


def fill(results: Path, runs: int) -> None:
    """Write so many runs."""
    from ptbench import journal, store
    from ptbench.plain import to_json
    from ptbench.records import Cost, Record, Score, Standing, Status

    draw = np.random.default_rng(0)
    values = 0.8 + 0.002 * draw.normal(size=(MODELS * TASKS, runs))
    for series in range(0, MODELS * TASKS, 10):
        values[series, int(draw.integers(runs // 5, runs)) :] -= 0.01
    for night in range(runs):
        stamp = f"2024{night // 28 % 12 + 1:02}{night % 28 + 1:02}-{night // 336:02}0000"
        folder = results / "nights" / stamp
        folder.mkdir(parents=True)
        lines, standings = [], []
        source, release = sha1(stamp.encode()).hexdigest()[:16], f"2.{night // 100}.0"
        for cell in range(MODELS * TASKS):
            model, task = f"model{cell // TASKS}", f"task{cell % TASKS}"
            value = float(values[cell, night])
            scores = tuple(
                Score(name, value, value - 0.02, value + 0.02, 1000, True, "wilson")
                for name in ("accuracy", "f1")
            )
            record = Record(
                cell=f"{model}-{task}-linear_probe-s0-0123abcd", suite="nights", run=stamp, model=model,
                reference=f"hf:org/{model}@0123456789abcdef", task=task, data=f"lite:{task}",
                kind="text-classification", protocol="linear_probe", options={}, seed=0, status=Status.OK,
                scores=scores, primary="accuracy", capability="embed", n=1000, copies={"exact": 0, "near": 0},
                cost=Cost(
                    seconds=1.5, load_seconds=0.2, phases={"embed": 1.0, "fit": 0.4, "predict": 0.1},
                    spent={"compute": 1.0, "fit": 0.4, "metrics": 0.02, "rest": 0.1},
                ),
                facts={
                    "path": [
                        {"strength": s, "accuracy": 0.5, "iterations": 4, "converged": True} for s in range(6)
                    ]
                },
                notes=("generated probe in GLUE's format; not a GLUE score",),
                plugins={f"metric:{i}": "sklearn (ptbench 0.1.0)" for i in range(7)},
                identity={
                    "code of ptbench": f"source of ptbench = {source}",  # which moves every night
                    **{f"code of {i}": f"plugin = hf (ptbench 0.1.0); torch = {release}" for i in range(11)},
                },
                started="2024-01-01T00:00:00Z", finished="2024-01-01T00:00:01Z",
            )  # fmt: skip
            lines.append(journal.dumps(record) + "\n")
            standings += [
                Standing(
                    task, s.metric, model, "linear_probe", s.value, s.ci_low, s.ci_high, 1, float("nan"),
                    False, True, 0.01, -0.01, 0.03,
                )
                for s in scores
            ]  # fmt: skip
        (folder / journal.RECORDS).write_text("".join(lines))
        (folder / store.STANDINGS).write_text(json.dumps(to_json(standings)))
        facts = {
            "suite": "nights", "run": stamp, "status": "finished", "cells": MODELS * TASKS, "text": "[suite]",
            "started": f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:00:00Z",
            "finished": f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:10:00Z",
            "packages": {"torch": release, "numpy": "2.0.0"}, "python": "3.11.7",
            "commit": sha1(stamp.encode()).hexdigest(),
            "order": {
                "models": [f"model{i}" for i in range(MODELS)], "tasks": [f"task{i}" for i in range(TASKS)],
            },
        }  # fmt: skip
        (folder / store.RUN).write_text(json.dumps(facts))


def timed(*command: str) -> dict[str, float]:
    """Return the seconds of a process, and those of the CPU, which other processes hardly change."""
    with tempfile.TemporaryFile() as out:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            out.seek(0)
            sys.exit(f"{' '.join(command)}: {out.read().decode()[-2000:]}")
    return {"seconds": round(seconds, 2), "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2)}


SITE = """
import sys
from pathlib import Path
from ptbench import read_report, run_folders
from ptbench_html.site import write_site
folder = run_folders(Path(sys.argv[1]))[0]
write_site(read_report(folder), folder)
"""
LOAD = "import sys, ptbench; print(len(ptbench.load_results(sys.argv[1])))"
OPEN = """
import json, sys, time
from playwright.sync_api import sync_playwright
with sync_playwright() as driver:
    browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    page = browser.new_page()
    page.goto("about:blank")
    started = time.perf_counter()
    page.goto(sys.argv[1])
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    print(json.dumps(round(time.perf_counter() - started, 2)))
"""


def measure(runs: int) -> dict[str, Any]:
    """Return what each way to look at so many runs costs."""
    with tempfile.TemporaryDirectory() as name:
        results = Path(name)
        fill(results, runs)
        suite = str(results / "nights")
        history = (PTBENCH, "history", suite)
        found: dict[str, Any] = {"history_cold": timed(*history)}
        warm = [timed(*history) for _ in range(3)]
        found["history_warm"] = sorted(warm, key=lambda one: one["seconds"])[1]
        found["site_first"] = timed(sys.executable, "-c", SITE, suite)
        newest = max(path for path in (results / "nights").iterdir())
        for page in (results / "site" / "nights").glob(f"{newest.name}.html"):
            page.unlink()
        (newest / "summary.json").unlink()
        found["site_one_more_night"] = timed(sys.executable, "-c", SITE, suite)
        found["load_results"] = timed(sys.executable, "-c", LOAD, str(results))
        page = results / "site" / "nights" / "history.html"
        found["history_page_kb"] = page.stat().st_size // 1024
        found["summary_kb"] = (newest / "summary.json").stat().st_size // 1024
        if Path("/usr/bin/chromium").exists():
            for title, path in (("history", page), ("index", results / "site" / "index.html")):
                done = subprocess.run(
                    [sys.executable, "-c", OPEN, path.as_uri()], capture_output=True, text=True, check=True
                )
                found[f"{title}_page_opens_s"] = json.loads(done.stdout)
        return found


def flips(share: float) -> Noise:
    """Return scores of which one example is wrong in this share of the nights."""
    return lambda draw, shape: 0.8 + 0.001 * (draw.random(shape) < share)


def hiccups(draw: np.random.Generator, shape: Shape) -> Any:
    """Return logarithms of seconds with noise of 3 %, a tenth of them 30 % longer."""
    return 0.03 * draw.normal(size=shape) + np.log(1.3) * (draw.random(shape) < 0.1)


def dependent(draw: np.random.Generator, shape: Shape) -> Any:
    """Return nights that carry half of the last one's deviation on, AR(1)."""
    values = draw.normal(size=(shape[0], shape[1] + 50))
    for night in range(1, values.shape[1]):
        values[:, night] += 0.5 * values[:, night - 1]
    return values[:, 50:]


NOISE: dict[str, Noise] = {
    "normal": lambda draw, shape: draw.normal(size=shape),
    **{f"flips in {share:.0%}": flips(share) for share in (0.03, 0.05, 0.1, 0.3, 0.5)},
    "rounded to 0.4 of a step": lambda draw, shape: np.round(0.4 * draw.normal(size=shape)),
    "Student's t, 2 degrees": lambda draw, shape: draw.standard_t(2, size=shape),
    "hiccups": hiccups,
    "AR(1) of 0.5": dependent,
}


def simulate() -> dict[str, Any]:
    """Return how often noise alone is a change, and how soon a step of two deviations is found."""
    from ptbench.segmentation import segment

    draw = np.random.default_rng(0)

    def share(series: Any) -> float:
        return round(float(np.mean([bool(one.starts) for one in segment(series)])), 4)

    alarms = {
        kind: {n: share(noise(draw, (2000 if n <= 100 else 500, n))) for n in LENGTHS}
        for kind, noise in NOISE.items()
    }
    power = {}
    for before in (10, 30, 100):
        for after in (3, 4, 5, 6, 8, 10):
            series = draw.normal(size=(1000, before + after))
            series[:, before:] += 2
            power[f"{before} nights, then {after}"] = share(series)
    series = draw.normal(size=(100, 1000))
    started = time.perf_counter()
    segment(series)
    seconds = round(time.perf_counter() - started, 3)
    return {"false_alarms": alarms, "power_two_sigma": power, "seconds_100_series_1000_nights": seconds}


def main() -> None:
    """Measure every size and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"segmentation": simulate()}
    for runs in arguments.runs:
        figures[str(runs)] = measure(runs)
        for step, cost in figures[str(runs)].items():
            print(f"{runs:>6,} {step:<22}{cost}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

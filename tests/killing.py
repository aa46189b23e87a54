"""Kill runs of a small suite at random moments, and look at what is left. For a test and a benchmark."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

SUITE = """
[suite]
name = "small"
[models]
words = "sklearn:tfidf"
majority = "baseline:majority"
random = "baseline:random"
[tasks]
sst2 = { use = "lite/sst2", limit = { train = 800, test = 300 } }
mrpc = { use = "lite/mrpc", limit = { train = 800, test = 300 } }
rte = { use = "lite/rte", limit = { train = 800, test = 300 } }
[[grid]]
protocols = ["linear_probe"]
seeds = [0, 1]
"""
CELLS = 18
MEASURED = (
    *("run", "reused", "log", "slot", "started", "finished", "features_reused", "peak_memory_mb", "pareto"),
    *("seconds", "load_seconds", "embed_seconds", "fit_seconds", "predict_seconds", "examples_per_s"),
    *("decode_share", "transfer_share", "compute_share", "fit_share", "metrics_share", "rest_share"),
)
"""Columns of `report.csv` that no two runs have alike: times, and what is made of them."""


@dataclass
class Killed:
    """What became of a suite whose runs were killed."""

    kills: int = 0
    runs: int = 0
    lost: list[str] = field(default_factory=list)
    """Cells that were finished, and are not any more, or were run again."""
    folder: Path = Path()


def write_suite(folder: Path) -> Path:
    """Write the small suite and return it."""
    path = folder / "small.toml"
    path.write_text(SUITE, "utf-8")
    return path


def start(suite: Path, results: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a run as a user would."""
    command = [sys.executable, "-m", "ptbench", "run", str(suite), "--output", str(results), "--quiet"]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def undisturbed(suite: Path, results: Path, *arguments: str) -> tuple[Path, float]:
    """Run a suite whole; return the folder of the run and how long it took."""
    began = time.perf_counter()
    assert start(suite, results, *arguments).wait(120) == 0
    return newest(results), time.perf_counter() - began


def kill_often(
    suite: Path, results: Path, kills: int, whom: str, longest: float, seed: int, *arguments: str
) -> Killed:
    """Kill the ``main`` process, or a ``worker``, at random moments until it was done so often.

    Each suite that comes to its end is looked at and begun anew in a fresh folder.
    """
    chance, found, attempt = random.Random(seed), Killed(), 0
    while found.kills < kills:
        attempt += 1
        place = results / str(attempt)
        known: dict[str, str] = {}
        while True:
            again = ("--retry-failed",) if whom == "worker" and found.runs else ()
            process = start(suite, place, *again, *arguments)
            found.runs += 1
            killed = False
            if found.kills < kills:
                killed = _kill(process, whom, chance.uniform(0.0, longest))
                found.kills += killed
            process.wait(120)
            found.lost += _lost(place, known)
            if process.returncode == 0 and not (killed and whom == "main"):
                break
        found.folder = newest(place)
        found.lost += _twice(place)
    return found


def _kill(process: subprocess.Popen[bytes], whom: str, after: float) -> bool:
    """Kill after so many seconds; return whether there was something to be killed."""
    until = time.monotonic() + after
    while time.monotonic() < until:
        if process.poll() is not None:
            return False
        time.sleep(0.005)
    pids = [process.pid] if whom == "main" else children(process.pid)
    if process.poll() is not None or not pids:
        return False
    os.kill(pids[0], signal.SIGKILL)
    return True


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in path.read_text().split()]
        except OSError:
            continue
    return found


def newest(results: Path) -> Path:
    """Return the folder of the newest run."""
    return max((path.parent for path in results.glob("*/*/run.json")), key=lambda p: p.name)


def _records(results: Path) -> list[dict[str, object]]:
    found = []
    for path in sorted(results.glob("*/*/records.jsonl")):
        for line in path.read_text("utf-8", "replace").split("\n"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found


def _lost(results: Path, known: dict[str, str]) -> list[str]:
    """Return finished cells that are gone or were measured again; note those finished by now."""
    done = {str(r["cell"]): str(r["started"]) for r in _records(results) if r["status"] == "ok"}
    lost = [cell for cell, started in known.items() if done.get(cell) != started]
    known.update(done)
    return lost


def _twice(results: Path) -> list[str]:
    """Return cells that were measured more than once: finished records that are not copies of each other."""
    starts: dict[str, set[str]] = {}
    for record in _records(results):
        if record["status"] == "ok":
            starts.setdefault(str(record["cell"]), set()).add(str(record["started"]))
    return [cell for cell, times in starts.items() if len(times) > 1]


def scores(folder: Path) -> list[dict[str, str]]:
    """Return the rows of `report.csv` without what no two runs have alike."""
    with (folder / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in MEASURED} for row in rows]


def predictions(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of predictions, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "predictions").iterdir())
    }

"""Simulate how often comparisons are wrong, and how often intervals over seeds hold the truth.

``python tests/benchmarks/paired.py [draws] [file.json]``: false positives of `compare` between models that
are equally good, and coverage of its interval; how often changes of the size ``detectable`` are found;
coverage of `standings` over examples and seeds; and the time of 100 models.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ptbench import Predictions
from ptbench.comparison import Difference
from ptbench.statistics.paired import compare, worse
from ptbench.statistics.standing import standings
from ptbench_sklearn.metrics import METRICS

BY_NAME: dict[str, Any] = {metric.name: metric for metric in METRICS}
NULL = ("accuracy", "f1", "roc_auc", "spearman", "mcc", "pearson", "rmse")


def right(hits: Any) -> Predictions:
    """Return predictions that are right just there."""
    columns = {"target": np.ones(len(hits), dtype=np.int64), "prediction": np.asarray(hits).astype(np.int64)}
    return Predictions([f"{i:07d}" for i in range(len(hits))], columns, ("no", "yes"))


def equals(
    rng: np.random.Generator, name: str, n: int, positive: float, alike: float, count: int = 2
) -> list[Predictions]:
    """Return models that are equally good, with the share ``alike`` of their noise in common."""
    ids = [f"{i:07d}" for i in range(n)]
    noise = math.sqrt(alike) * rng.normal(size=n) + math.sqrt(1 - alike) * rng.normal(size=(count, n))
    if BY_NAME[name].target != "label":
        target = rng.normal(size=n)
        return [Predictions(ids, {"target": target, "prediction": target + one}) for one in noise]
    label = (rng.random(n) < positive).astype(np.int64)
    found = []
    for one in noise:
        chance = 1 / (1 + np.exp(-(2.0 * label - 1 + one)))
        scores = np.stack([1 - chance, chance], axis=1)
        columns = {"target": label, "prediction": (chance > 0.5).astype(np.int64), "scores": scores}
        found.append(Predictions(ids, columns, ("no", "yes")))
    return found


def null(draws: int) -> Iterator[dict[str, Any]]:
    """Yield the share of p below 5 %, two-sided and one-sided, and coverage, case by case."""
    for name, n, positive, alike in product(NULL, (100, 1000), (0.5, 0.05), (0.5, 0.95)):
        if positive < 0.5 and BY_NAME[name].target != "label":
            continue
        rng = np.random.default_rng([n, int(100 * positive), int(100 * alike)])
        found = []
        for _ in range(draws):
            a, b = equals(rng, name, n, positive, alike)
            found.append(compare(BY_NAME[name], [a], [b]))
        known = [one for one in found if not math.isnan(one.p)]
        yield {
            "metric": name,
            "n": n,
            "positive": positive,
            "alike": alike,
            "undefined": len(found) - len(known),
            "two_sided": _share(known, lambda one: one.p <= 0.05),
            "one_sided": _share(known, lambda one: worse(one) <= 0.05),
            "coverage": _share(known, lambda one: one.low <= 0 <= one.high),
        }


def power(draws: int) -> Iterator[dict[str, Any]]:
    """Yield how often a change is found that is as large as what was called detectable."""
    for n in (1000, 10_000):
        rng = np.random.default_rng(n)
        size = float(np.mean([_changed(rng, n, 0.0).detectable for _ in range(50)]))
        found = [_changed(rng, n, size) for _ in range(draws)]
        yield {"n": n, "detectable": size, "found": _share(found, lambda one: one.p <= 0.05)}


def seeds(draws: int) -> Iterator[dict[str, Any]]:
    """Yield coverage of means over seeds, and false positives, of examples and seeds both random."""
    metric = BY_NAME["accuracy"]
    for runs, spread, n, flips in product((3, 10), (0.0, 0.01, 0.03), (100, 1000), (0.0, 0.1)):
        rng = np.random.default_rng([runs, int(100 * spread), n])
        truth = 0.85 * (1 - flips) + 0.15 * flips
        held, apart, by_run = 0, [], []
        for _ in range(draws):
            easy = rng.random(n)
            a, b = (
                [right((easy < rate) ^ (rng.random(n) < flips)) for rate in rng.normal(0.85, spread, runs)]
                for _ in range(2)
            )
            one = standings("t", metric, {("m", "p"): a})[0]
            held += one.ci_low <= truth <= one.ci_high
            apart.append(compare(metric, a, b))
            by_run.append(compare(metric, a, b, a_names=range(runs), b_names=range(runs)))
        yield {
            "runs": runs,
            "seed_sd": spread,
            "n": n,
            "flips": flips,
            "coverage": held / draws,
            "two_sided": _share(apart, lambda one: one.p <= 0.05),
            "two_sided_by_run": _share(by_run, lambda one: one.p <= 0.05),
        }


def speed(count: int = 100, n: int = 2000) -> Iterator[dict[str, Any]]:
    """Yield the seconds that the standings of so many models take."""
    for name in ("accuracy", "f1", "roc_auc", "spearman"):
        made = equals(np.random.default_rng(3), name, n, 0.5, 0.5, count)
        began = time.perf_counter()
        standings("t", BY_NAME[name], {(f"m{i}", "p"): [one] for i, one in enumerate(made)})
        seconds = round(time.perf_counter() - began, 3)
        yield {"metric": name, "models": count, "n": n, "seconds": seconds}


def main(draws: int = 2000, file: str = "") -> None:
    """Simulate, print, and write what was found."""
    parts = {"speed": speed(), "power": power(draws), "seeds": seeds(draws), "null": null(draws)}
    found: dict[str, Any] = {"draws": draws}
    for name, rows in parts.items():
        found[name] = []
        for row in rows:
            print(name, row, flush=True)
            found[name].append(row)
    if file:
        Path(file).write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def _share(found: list[Difference], holds: Callable[[Difference], bool]) -> float:
    return round(float(np.mean([holds(one) for one in found])), 4)


def _changed(rng: np.random.Generator, n: int, change: float) -> Difference:
    """Compare two of which each alone gets about 5 % right, the second more by ``change``."""
    u = rng.random(n)
    gained, lost = u < 0.05 + change / 2, (u > 0.5) & (u < 0.55 - change / 2)
    return compare(BY_NAME["accuracy"], [right(~gained)], [right(~lost)])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, *sys.argv[2:3])

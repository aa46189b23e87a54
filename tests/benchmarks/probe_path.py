"""The regularisation path of a linear probe: ptbench beside scikit-learn run once per strength.

    python tests/benchmarks/probe_path.py [--json PATH] [--repeats 3] [--solvers lbfgs newton-cg]

The data are a mixture of ten Gaussians in 768 dimensions, float32, standardised; the variance of the
j-th direction falls as j^-1 or j^-2, and the directions are turned at random. Each strength of the
default path is solved. Up to three tolerances are given to scikit-learn, which compares the largest entry of
the gradient of the mean loss with it:

- ``default``: 1e-4, its default;
- ``same``: what ptbench asks for at that strength, 1e-4 * strength * |w| / rows, as a norm;
- ``tight``: a hundredth of that, with the features as float64, since on float32 features lbfgs cannot
  tell lower losses from equal ones before it gets there. So coefficients can be compared.

ptbench solves to its own tolerance in both. Repeats are interleaved, and ratios taken within a repeat.
Memory is what NumPy allocates at the peak, features included, as a multiple of the features.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from ptbench_sklearn.logistic import TOLERANCE, logistic_path
from ptbench_sklearn.probe import STRENGTHS
from ptbench_sklearn.solution import Solution

Features = NDArray[np.float32]
Classes = NDArray[np.int64]
MIXTURES = {"variance_falls_as_1/j": (1.0, 0.15), "variance_falls_as_1/j^2": (2.0, 0.15)}
MAX_ITERATIONS = 20_000


def mixture(rows: int, width: int, classes: int, fall: float, apart: float) -> tuple[Features, Classes]:
    """Return standardised features and classes."""
    random = np.random.default_rng(0)
    deviation = np.arange(1, width + 1) ** (-fall / 2)
    means = random.normal(size=(classes, width)) * deviation * apart
    y = random.integers(0, classes, rows)
    x = means[y] + random.normal(size=(rows, width)) * deviation
    x = x @ np.linalg.qr(random.normal(size=(width, width)))[0]
    return ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32), y


def peak(x: Features, y: Classes) -> float:
    """Return the peak of memory in multiples of the features, these included."""
    tracemalloc.start()
    for _ in logistic_path(x, y, STRENGTHS):
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return 1 + most / x.nbytes


def theirs(x: NDArray[Any], y: Classes, solver: str, tolerances: list[float]) -> dict[str, Any]:
    """Fit once per strength, from zero."""
    start, models = time.perf_counter(), []
    for strength, tolerance in zip(STRENGTHS, tolerances, strict=True):
        model = LogisticRegression(C=1 / strength, tol=tolerance, solver=solver, max_iter=MAX_ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it did not reach is measured below
            models.append(model.fit(x, y))
        so_far = time.perf_counter() - start
        print(
            f"    {solver}, {tolerance:.0e}: strength {strength:g}, {model.n_iter_.max()} iterations,",
            end=" ",
        )
        print(f"{so_far:.1f} s so far", flush=True)
    return {"seconds": time.perf_counter() - start, "models": models}


def slope(x: Features, y: Classes, strength: float, coefficients: Any, intercepts: Any) -> float:
    """Return the largest entry of the gradient of the mean loss: scikit-learn's measure."""
    worst = np.zeros_like(coefficients)
    for rows in (slice(i, i + 1024) for i in range(0, len(x), 1024)):
        chunk = x[rows].astype(np.float64)
        logits = chunk @ coefficients.T + intercepts
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        odds[np.arange(len(odds)), y[rows]] -= 1
        worst += odds.T @ chunk
    return float(np.abs(worst + strength * coefficients).max() / len(x))


def compare(x: Features, y: Classes, ours: list[Solution], models: list[Any]) -> list[dict[str, Any]]:
    """Return for each strength how far apart the coefficients are, and whose gradient is how small."""
    return [
        {
            "strength": strength,
            "max_abs_difference": float(np.abs(mine.coefficients - model.coef_).max()),
            "gradient": slope(x, y, strength, mine.coefficients, mine.intercepts),
            "their_gradient": slope(x, y, strength, model.coef_, model.intercept_),
            "their_tolerance": model.tol,
            "newton_steps": mine.iterations,
            "their_iterations": int(model.n_iter_.max()),
        }
        for strength, mine, model in zip(STRENGTHS, ours, models, strict=True)
    ]


def measure(x: Features, y: Classes, solvers: list[str], names: list[str], repeats: int) -> dict[str, Any]:
    """Run everyone in turn, several times."""
    ours = list(logistic_path(x, y, STRENGTHS))  # also warms up
    asked = [
        TOLERANCE * s * float(np.linalg.norm(o.coefficients)) / len(x)
        for s, o in zip(STRENGTHS, ours, strict=True)
    ]
    tolerances = {"default": [1e-4] * len(STRENGTHS), "same": asked, "tight": [t / 100 for t in asked]}
    tolerances = {name: tolerances[name] for name in names}
    seconds: list[float] = []
    runs: dict[str, list[dict[str, Any]]] = {}
    for _ in range(repeats):
        for solver in solvers:
            for name, values in tolerances.items():
                start = time.perf_counter()
                for _solution in logistic_path(x, y, STRENGTHS):
                    pass
                seconds.append(time.perf_counter() - start)
                print(f"    ptbench: {seconds[-1]:.1f} s", flush=True)
                given = x.astype(np.float64) if name == "tight" else x
                run = theirs(given, y, solver, values)
                runs.setdefault(f"{solver}, {name} tolerance", []).append(
                    {**run, "ratio": run["seconds"] / seconds[-1]}
                )
    figures = {}
    for name, several in runs.items():
        path = compare(x, y, ours, several[0]["models"])
        ratios = [run["ratio"] for run in several]
        figures[name] = {
            "seconds": statistics.median(run["seconds"] for run in several),
            "ptbench_is_faster_by": statistics.median(ratios),
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
            "max_abs_difference": max(step["max_abs_difference"] for step in path),
            "path": path,
        }
    return {
        "ptbench_seconds": statistics.median(seconds),
        "ptbench_converged": all(o.converged for o in ours),
        "peak_memory_in_features": peak(x, y),
        "scikit-learn": figures,
    }


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--solvers", nargs="+", default=["lbfgs", "newton-cg"])
    levels = ["default", "same", "tight"]
    parser.add_argument("--tolerances", nargs="+", default=levels, choices=levels)
    parser.add_argument("--mixtures", nargs="+", default=list(MIXTURES), choices=list(MIXTURES))
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    given = parser.parse_args()
    figures: dict[str, Any] = {
        "rows": given.rows,
        "width": given.width,
        "classes": given.classes,
        "strengths": list(STRENGTHS),
        "repeats": given.repeats,
        "scikit_learn": sklearn.__version__,
        "numpy": np.__version__,
        "processors": os.cpu_count(),
        "load_average_before": os.getloadavg(),
        "data": {},
    }
    for name in given.mixtures:
        x, y = mixture(given.rows, given.width, given.classes, *MIXTURES[name])
        result = figures["data"][name] = measure(x, y, given.solvers, given.tolerances, given.repeats)
        print(f"{name}: ptbench {result['ptbench_seconds']:.2f} s, memory", end=" ")
        print(f"{result['peak_memory_in_features']:.2f} times the features")
        for solver, row in result["scikit-learn"].items():
            print(
                f"  {solver:32}{row['seconds']:9.2f} s  ptbench is {row['ptbench_is_faster_by']:.1f} times",
                end="",
            )
            print(f" faster; coefficients differ by up to {row['max_abs_difference']:.1e}", flush=True)
    figures["load_average_after"] = os.getloadavg()
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

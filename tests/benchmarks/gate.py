"""How often the gate cries wolf on nights of one and the same thing, and which true losses it sees.

``python tests/benchmarks/gate.py [suites] [draws per point of the power curve] [file]``

A suite has 20 rows, as large as people have them: accuracy, F1 and Spearman's correlation on 500 to 2,000
examples, of which each night predicts a few percent anew by the toss of a coin, as networks on a GPU do;
fine-tuned models of three seeds and of one, with luck of their own (one point, and 8 % of the predictions);
and for each row seconds with lognormal noise, judged by ten earlier nights. Scores are compared, widened by
luck and decided by the functions that `ptbench gate` calls.

Power: one of the 20 rows is truly worse, and the others are as before.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ptbench import Change, Predictions, SumMetric, TableMetric
from ptbench.comparison import Compared
from ptbench.runner.gating import MARGINS, decided
from ptbench.runner.luck import with_luck
from ptbench.runner.noise import beside_hiccups, hiccups, timed
from ptbench.statistics.intervals import wilson
from ptbench.statistics.paired import compare
from ptbench_sklearn.metrics import METRICS

NIGHTS = 10
ALPHA = 0.05
NOISE = 0.03
"""Of a time: the standard deviation of its logarithm."""
LUCK = 0.01
"""Of a training: the standard deviation of its accuracy."""
UNSURE = 0.04
"""The share of examples that each night predicts by the toss of a coin."""
LOSSES = (0.005, 0.01, 0.02, 0.03, 0.05)
SLOWER = (0.1, 0.2, 0.3, 0.5)

Random = np.random.Generator
Night = Callable[[Random, float], Predictions]
"""One run of a row on its examples, truly worse by so much."""


@dataclass(frozen=True)
class Row:
    """A row of the suite: its metric, how many examples, and how often it is trained."""

    metric: str
    n: int
    seeds: int = 0
    """0: nothing is trained, and so there is no luck."""

    @property
    def name(self) -> str:
        trained = f", {self.seeds} seed{'s' * (self.seeds > 1)}" if self.seeds else ""
        return f"{self.metric}, n = {self.n:,}{trained}"


SUITE = (
    *(Row("accuracy", n) for n in (500, 500, 1000, 1000, 1000, 2000, 2000, 2000)),
    *(Row("f1", n) for n in (500, 1000, 2000, 2000)),
    *(Row("spearman", n) for n in (500, 500)),
    *(Row("accuracy", n, seeds=3) for n in (500, 1000, 2000)),
    *(Row("accuracy", n, seeds=1) for n in (500, 1000, 2000)),
)
BY_NAME = {metric.name: metric for metric in METRICS if isinstance(metric, SumMetric | TableMetric)}


def labels(random: Random, n: int, accuracy: float, positive: float, churn: float, luck: float) -> Night:
    """Return nights of a classifier of two labels on new examples."""
    ids = [f"{i:05}" for i in range(n)]
    target = (random.random(n) < positive).astype(np.int64)
    right, unsure = random.random(n) < accuracy, random.random(n) < churn

    def night(random: Random, loss: float) -> Predictions:
        tossed = random.random(n) < accuracy
        hit = np.where(unsure, tossed, right)
        worse = loss - random.normal(0, luck) if luck else loss
        turned = random.random(n) < abs(worse) / (accuracy if worse > 0 else 1 - accuracy)
        hit = hit & ~turned if worse > 0 else hit | turned
        return Predictions(
            ids, {"target": target, "prediction": np.where(hit, target, 1 - target)}, ("n", "y")
        )

    return night


def rare(random: Random, n: int) -> Night:
    """Return nights of a classifier with one positive in five; a loss is one of F1, by missed hits."""
    accuracy, positive = 0.9, 0.2
    base = labels(random, n, accuracy, positive, UNSURE, 0.0)
    hits, wrong = accuracy * positive, 1 - accuracy

    def night(random: Random, loss: float) -> Predictions:
        table = base(random, 0.0)
        wanted = (
            2 * hits / (2 * hits + wrong) - loss
        )  # 2 h (1 - r) / (2 h (1 - r) + wrong + h r), solved for r
        share = (2 * hits - wanted * (2 * hits + wrong)) / (hits * (2 - wanted))
        both = (table["target"] == 1) & (table["prediction"] == 1)
        missed = both & (random.random(n) < share)
        columns = {**table.columns, "prediction": np.where(missed, 0, table["prediction"])}
        return Predictions(table.ids, columns, table.labels)

    return night


def numbers(random: Random, n: int) -> Night:
    """Return nights of a regression with a correlation of ranks of 0.8 less the loss."""
    ids = [f"{i:05}" for i in range(n)]
    target, error, other = (random.normal(size=n) for _ in range(3))
    jitter = 0.05

    def night(random: Random, loss: float) -> Predictions:
        pearson = 2 * math.sin(math.pi / 6 * (0.8 - loss))  # of normal variables; Pearson (1907)
        spread = 1 / pearson**2 - 1 - jitter**2
        usual = 1 / (2 * math.sin(math.pi / 6 * 0.8)) ** 2 - 1 - jitter**2
        noise = math.sqrt(usual) * error + math.sqrt(max(0.0, spread - usual)) * other
        return Predictions(
            ids, {"target": target, "prediction": target + noise + jitter * random.normal(size=n)}
        )

    return night


def nights_of(row: Row, random: Random) -> Night:
    """Return a function that runs a row once, on examples that are drawn now."""
    if row.metric == "f1":
        return rare(random, row.n)
    if row.metric == "spearman":
        return numbers(random, row.n)
    return labels(random, row.n, 0.85, 0.5, 0.08 if row.seeds else UNSURE, LUCK if row.seeds else 0.0)


def accuracy(table: Predictions) -> float:
    """Return the share that is right, as the records of what is trained have it."""
    return float(np.mean(table["target"] == table["prediction"]))


def scored(row: Row, random: Random, loss: float = 0.0, nights: int = NIGHTS) -> Compared:
    """Return a row with its difference, baseline against a night that is worse by so much."""
    metric, night = BY_NAME[row.metric], nights_of(row, random)
    runs = max(1, row.seeds)
    a, b = ([night(random, one) for _ in range(runs)] for one in (0.0, loss))
    names = list(range(runs))
    found = compare(metric, a, b, a_names=names, b_names=names)
    if row.seeds:
        repeats = [[night(random, 0.0) for _ in range(runs)] for _ in range(nights - 1)]
        before, now, *others = (dict(enumerate(map(accuracy, one))) for one in (a, b, *repeats))
        found = with_luck(found, before, now, others, metric.bounds[1] - metric.bounds[0])
    return Compared(row.name, ("m", "p"), ("m", "p"), Change.SAME, differences=(found,))


def times(random: Random, tail: float = 0.0, nights: int = NIGHTS) -> list[float]:
    """Return seconds with lognormal noise; of a share of the nights (``tail``), half as long again."""
    usual = 10 * np.exp(random.normal(0, NOISE, nights))
    return list((usual * np.where(random.random(nights) < tail, 1.5, 1.0)).tolist())


def with_times(
    rows: Sequence[Compared], random: Random, slower: float = 0.0, tail: float = 0.0, nights: int = NIGHTS
) -> list[Compared]:
    """Return rows with their timings; the first row takes longer by so much."""
    margin = MARGINS["time"]
    before = [times(random, tail, nights) for _ in rows]
    now = [times(random, tail, 1)[0] * (1 + slower * (i == 0)) for i in range(len(rows))]
    known = hiccups(before, margin)
    found = (beside_hiccups(timed(*one, margin), known, margin) for one in zip(now, before, strict=True))
    return [replace(row, timing=timing) for row, timing in zip(rows, found, strict=True)]


def simulated(random: Random, rows: Sequence[Row] = SUITE, nights: int = NIGHTS) -> list[Compared]:
    """Return a whole suite, of which nothing is worse, before it is decided."""
    return with_times([scored(row, random, nights=nights) for row in rows], random, nights=nights)


def alarms(rows: Sequence[Compared]) -> tuple[bool, bool]:
    """Return whether the gate says worse of any score, and slower of any time."""
    found = decided(rows, ALPHA, MARGINS)
    return any(r.verdict is Change.WORSE for r in found), any(r.timing and r.timing.slower for r in found)


def rate(hits: int, n: int) -> dict[str, Any]:
    """Return a share with its interval."""
    return {"share": round(hits / n, 4), "interval": [round(end, 4) for end in wilson(hits, n)], "of": n}


def false_alarms(suites: Sequence[Sequence[Compared]]) -> dict[str, Any]:
    """Return how often the gate cries wolf over suites of which nothing is worse."""
    found = [alarms(rows) for rows in suites]
    better = sum(any(r.verdict is Change.BETTER for r in decided(rows, ALPHA, MARGINS)) for rows in suites)
    return {
        "any": rate(sum(score or slow for score, slow in found), len(found)),
        "worse": rate(sum(score for score, _ in found), len(found)),
        "slower": rate(sum(slow for _, slow in found), len(found)),
        "better": rate(better, len(found)),
    }


def lost(point: tuple[Row, float, int]) -> list[Compared]:
    """Return draws of one row that is truly worse by so much, for processes."""
    row, loss, draws = point
    random = np.random.default_rng([SUITE.index(row), round(loss * 1e4), 20261122])
    return [scored(row, random, loss) for _ in range(draws)]


def seen(row: Row, worse: Sequence[Compared], suites: Sequence[Sequence[Compared]]) -> float:
    """Return the chance that a row of the suite which is truly worse is seen."""
    place, hits = SUITE.index(row), 0
    for draw, one in enumerate(worse):
        rows = list(suites[draw % len(suites)])
        rows[place] = replace(one, timing=rows[place].timing)
        hits += decided(rows, ALPHA, MARGINS)[place].verdict is Change.WORSE
    return round(hits / len(worse), 3)


def seen_slower(slower: float, suites: Sequence[Sequence[Compared]], draws: int, random: Random) -> float:
    """Return the chance that a row which takes longer by so much is seen."""
    hits = 0
    for draw in range(draws):
        timing = decided(with_times(suites[draw % len(suites)], random, slower), ALPHA, MARGINS)[0].timing
        hits += timing is not None and timing.slower
    return round(hits / draws, 3)


def tails(suites: int, random: Random) -> dict[str, Any]:
    """Return false alarms of times alone where some nights are slow, by how many."""
    rows = [Compared("t", ("m", "p"), ("m", "p"), Change.SAME) for _ in SUITE]
    return {
        f"{tail:.0%} of cells take half as long again": rate(
            sum(alarms(with_times(rows, random, tail=tail))[1] for _ in range(suites)), suites
        )
        for tail in (0.01, 0.05)
    }


def one_suite(seed: int) -> list[Compared]:
    """Return `simulated` by a seed, for processes."""
    return simulated(np.random.default_rng([20261122, seed]))


def one_without_nights(seed: int) -> list[Compared]:
    """Return what is trained in the suite, where nothing was run before, by a seed."""
    random = np.random.default_rng([seed, 20261122])
    return [scored(row, random, nights=1) for row in SUITE if row.seeds]


def main(suites: int = 2000, draws: int = 200, file: str = "results/reference/gate.json") -> None:
    """Simulate, print and write."""
    began, random = time.perf_counter(), np.random.default_rng(20261122)
    rows = list(dict.fromkeys(SUITE))
    with ProcessPoolExecutor() as pool:
        points = [(row, loss, draws) for loss in LOSSES for row in rows]
        worse = dict(zip(points, pool.map(lost, points), strict=True))
        drawn = list(pool.map(one_suite, range(suites), chunksize=20))
        alone = list(pool.map(one_without_nights, range(suites), chunksize=20))
    result: dict[str, Any] = {
        "alpha": ALPHA, "suites": suites, "rows": [row.name for row in SUITE], "nights": NIGHTS,
        "noise_of_time": NOISE, "luck_of_training": LUCK, "predicted_anew": UNSURE,
        "false_alarms": false_alarms(drawn),
        "false_alarms_of_trained_rows_without_nights": rate(
            sum(alarms(rows)[0] for rows in alone), suites
        ),
        "false_alarms_of_times_with_slow_nights": tails(suites, random),
        "power": {
            row.name: {f"{100 * loss:g} points": seen(row, worse[row, loss, draws], drawn) for loss in LOSSES}
            for row in rows
        },
    }  # fmt: skip
    result["power_of_times"] = {
        f"{slower:.0%} slower": seen_slower(slower, drawn, draws, random) for slower in SLOWER
    }
    result["draws_of_power"], result["seconds"] = draws, round(time.perf_counter() - began, 1)
    print(json.dumps(result, indent=1))
    Path(file).write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*map(int, given[:2]), *given[2:])

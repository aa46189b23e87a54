"""Reports that were never run: of any size, with everything that a page may show, and with hostile names."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np

from ptbench import (
    Average,
    Change,
    Compared,
    Comparison,
    Cost,
    Difference,
    Predictions,
    Record,
    Report,
    Score,
    Standing,
    Status,
    Timing,
)
from ptbench.store import write_predictions

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "=cmd()|'/C calc'!A0",
    "m" * 300,
    "\u202egpj.exe",
    "\"quotes\" & 'more' `${x}`",
    "two\nlines\u2028three",
    "<!--<script>",
    "]]>&lt;b&gt;",
    "\ud800\x00\x1b[31m",
]
RUN = {
    "suite": "toys", "run": "20260101-000000", "description": "Which toy is best?", "status": "finished",
    "started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T01:02:03Z", "commit": "abc123",
    "python": "3.11.7", "packages": {"numpy": "2.0", "ptbench": "0.1.0"}, "text": "[suite]\nname = 'toys'\n",
    "machine": {"processor": "A processor", "cores": 2, "memory_gb": 4.0}, "command": ["ptbench", "run"],
}  # fmt: skip


def record(
    model: str, task: str, value: float = 0.8, *, protocol: str = "linear_probe", **told: Any
) -> Record:
    """Return a record; its score has an interval of 0.02 to each side."""
    scores = (
        Score("accuracy", value, value - 0.02, value + 0.02, 1000, True, "wilson"),
        Score("ece", 0.05, 0.04, 0.06, 1000, False, "bootstrap"),
    )
    facts: dict[str, Any] = {
        "cell": f"{model}-{task}-{protocol}", "suite": "toys", "run": "r", "model": model, "reference": "p:m",
        "task": task, "data": "d:d", "kind": "text-classification", "protocol": protocol, "options": {},
        "seed": 0, "status": Status.OK, "primary": "accuracy", "scores": scores, "n": 1000,
        "capability": "embed", "device": "cpu", "precision": "fp32", "slot": "cpu:0",
        "cost": Cost(seconds=2.0, examples_per_s=500.0 * (1.01 - value), parameters=10_000_000, macs=10**9),
        "facts": {"pooling": "mean", "batch": {"unit": "tokens", "asked": 1024, "used": 1024}},
        "notes": ("generated probe",), "fingerprints": {"weights": "ab" * 32, "data": "cd" * 8},
        "plugins": {"provider:p": "p (ptbench 0.1.0)"},
    }  # fmt: skip
    return Record(**{**facts, **told})


def failed(model: str, task: str, status: Status = Status.FAILED, **told: Any) -> Record:
    """Return the record of a cell that did not end well."""
    return record(model, task, status=status, scores=(), error="ValueError: it broke", **told)


def standing(found: Record, *, best: float, group: str = "a", rank: tuple[int, int] = (1, 2)) -> Standing:
    """Return where a record stands: those within 0.03 of the best are tied with it."""
    score = found.scores[0]
    apart = best - score.value
    return Standing(
        found.task, score.metric, found.model, found.label, score.value, score.ci_low, score.ci_high, 1,
        math.nan, apart == 0, 0 < apart < 0.03, apart, apart - 0.03, apart + 0.03,
        rank_low=rank[0], rank_high=rank[1], group=group,
    )  # fmt: skip


def ranked(records: list[Record], folder: Path = Path(), **told: Any) -> Report:
    """Return a report of records with their standings, and the averages where there are several tasks."""
    standings = []
    for task in dict.fromkeys(r.task for r in records):
        here = sorted((r for r in records if r.task == task and r.scores), key=lambda r: -r.scores[0].value)
        for i, one in enumerate(here, start=1):
            rank = (max(1, i - 1), min(len(here), i + 1))
            group = "abcdefghijklmnopqrstuvwxyz"[min((i - 1) // 2, 25)]
            standings.append(standing(one, best=here[0].scores[0].value, group=group, rank=rank))
    tasks = len({r.task for r in records})
    means: dict[tuple[str, str], list[float]] = {}
    for one in records:
        if one.scores:
            means.setdefault((one.model, one.label), []).append(one.scores[0].value)
    whole = sorted(((sum(v) / tasks, k) for k, v in means.items() if len(v) == tasks), reverse=True)
    averages = [
        Average(*key, value, value - 0.01, value + 0.01, tasks, i, i + 1, "a" if i < 3 else "b")
        for i, (value, key) in enumerate(whole, start=1)
    ]
    order = {
        "models": list(dict.fromkeys(r.model for r in records)),
        "tasks": list(dict.fromkeys(r.task for r in records)),
    }
    run = {**RUN, "order": order, "cells": len(records)}
    return Report(run, tuple(records), tuple(standings), folder, tuple(averages) if tasks > 1 else (), **told)


def grid(models: int, tasks: int, folder: Path = Path()) -> Report:
    """Return a report of so many models on so many tasks."""
    draw = random.Random(0)
    return ranked([
        record(f"model-{m:03}", f"task-{t:04}", round(0.5 + 0.4 * draw.random(), 4))
        for m in range(models)
        for t in range(tasks)
    ], folder)  # fmt: skip


def hostile(folder: Path = Path()) -> Report:
    """Return a report in which every text is hostile."""
    records = [
        record(
            text, HOSTILE[-1 - i], 0.5 + i / 50, protocol=text, reference=text, data=text, notes=(text,),
            facts={text: text, "curves": [curve(text, text, text, 0.5, 0.6)]}, trust=(text,),
            plugins={text: text}, fingerprints={"weights": text, "data": text}, device=text, slot=text,
            cell=f"c{i}",
            scores=(Score(text, 0.5, 0.4, 0.6, 10, True, text, text),), primary=text,
        )
        for i, text in enumerate(HOSTILE)
    ]  # fmt: skip
    broken = [failed(text, "broken", advice=text, cell=f"b{i}", log=text) for i, text in enumerate(HOSTILE)]
    rows = tuple(
        Compared(text, (text, text), (text, text), Change.GONE, text, differs=(text,)) for text in HOSTILE
    )
    found = Comparison(HOSTILE[0], HOSTILE[1], rows, environment=tuple(HOSTILE), notes=tuple(HOSTILE))
    run = dict.fromkeys((*RUN, "executor", "device"), HOSTILE[1])
    return Report(run, (*records, *broken), (), folder, comparison=found)


def curve(name: str, of: str, x: str, *values: float) -> dict[str, Any]:
    """Return a curve over 1, 2, 4…"""
    points = [[2**i, value, value - 0.05, value + 0.05] for i, value in enumerate(values)]
    return {"name": name, "of": of, "x": x, "points": points}


def rich(folder: Path) -> Report:
    """Return a report with everything, and write the files that belong to it."""
    records = []
    for t, task in enumerate(("cola", "sst2", "mrpc")):
        for m, model in enumerate(("minilm", "bert", "tfidf", "chars")):
            curves = [curve("accuracy", "test", "shots", 0.5, 0.6 + m / 30, 0.7, 0.75 - m / 40)]
            name = f"predictions/{model}-{task}.parquet"
            predict(folder / name, 0.9 - m / 20, t * 10 + m)
            records.append(
                record(
                    model,
                    task,
                    0.9 - m / 50 - t / 10,
                    files=(name,),
                    facts={"curves": curves, "pooling": "mean"},
                )
            )
    records.append(failed("big", "cola", Status.OOM, advice="use a smaller batch", log="logs/big.log"))
    records.append(failed("big", "sst2", Status.SKIPPED))
    (folder / "logs").mkdir()
    (folder / "logs" / "big.log").write_text("line one\nTraceback\nMemoryError: out of memory\n")
    return ranked(records, folder, comparison=comparison())


def comparison() -> Comparison:
    """Return a comparison with every verdict."""

    def difference(change: float, p: float) -> Difference:
        return Difference(
            "accuracy", True, 0.8, 0.8 + change, change, change - 0.01, change + 0.01, p, "mcnemar", 1000,
            1000, 60, 20, 40, detectable=0.02, adjusted=min(1.0, p * 3),
        )  # fmt: skip

    def row(task: str, verdict: Change, *differences: Difference, **told: Any) -> Compared:
        side = ("minilm", "linear_probe")
        return Compared(task, side, side, verdict, differences=differences, **told)

    slow = Timing(1.0, 1.5, 5, 0.03, 0.001, 0.003, slower=True)
    return Comparison(
        "toys/one", "toys/two",
        (
            row("cola", Change.SAME, difference(0.001, 0.9), reused=True),
            row("sst2", Change.WORSE, difference(-0.03, 0.001), timing=slow, differs=("weights",)),
            row("mrpc", Change.BETTER, difference(0.04, 0.0001)),
            row("rte", Change.GONE, reason="ValueError: it broke"),
            row("wnli", Change.NEW),
            row("qqp", Change.NOT_COMPARABLE, reason="other examples"),
        ),
        environment=("torch 2.6 -> 2.7",), notes=("one night",), average=difference(0.003, 0.4),
    )  # fmt: skip


def predict(path: Path, right: float, seed: int, n: int = 400) -> None:
    """Write predictions of two labels, with scores that are surer than right."""
    random = np.random.default_rng(seed)
    target = random.integers(0, 2, n)
    prediction = np.where(random.random(n) < right, target, 1 - target)
    sure = random.uniform(0.5, 1, n)
    scores = np.where(prediction[:, None] == np.arange(2), sure[:, None], 1 - sure[:, None])
    columns = {"target": target, "prediction": prediction, "scores": scores.astype(np.float32)}
    write_predictions(path, Predictions([str(i) for i in range(n)], columns, ("no", "yes")))

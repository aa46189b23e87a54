"""Nights of a suite as files: runs whose records say what a test wants."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptbench.failures import new_record
from ptbench.journal import append_records
from ptbench.plain import to_json
from ptbench.records import Cell, Cost, ModelSpec, Record, Score, Status, TaskSpec

IDENTITY = {"weights": "0123456789abcdef", "code of provider": "plugin = hf (ptbench 0.1.0); torch = 2.6"}


def cell_record(
    value: float | None,
    *,
    model: str = "minilm",
    task: str = "sst2",
    metric: str = "accuracy",
    higher: bool = True,
    seed: int = 0,
    identity: Mapping[str, str] = IDENTITY,
    **facts: Any,
) -> Record:
    """Return the record of a cell with this score; None: it failed."""
    cell = Cell("night", ModelSpec(model, "x:y"), TaskSpec(task, "a", "d:e"), "linear_probe", seed=seed)
    if value is None:
        return replace(new_record(cell, "r", Status.FAILED, "no luck"), identity=identity, **facts)
    score = Score(metric, value, value - 0.05, value + 0.05, 100, higher, "wilson")
    told = {"scores": (score,), "primary": metric, "cost": Cost(seconds=2.0), "identity": identity, **facts}
    return replace(new_record(cell, "r", Status.OK, ""), **told)


def write_night(suite: Path, number: int, records: Sequence[Record], /, **facts: Any) -> Path:
    """Write a run as it lies there when it has ended; nights are numbered from 0."""
    run = f"202601{number + 1:02}-010000"
    folder = suite / run
    folder.mkdir(parents=True)
    append_records(folder, [replace(record, run=run, suite=suite.name) for record in records])
    started = f"2026-01-{number + 1:02}T01:00:00Z"
    told = {
        "suite": suite.name, "run": run, "started": started, "finished": started, "status": "finished",
        "cells": len(records), "text": "[suite]", "packages": {"torch": "2.6"}, "python": "3.11.7",
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(to_json({**told, **facts})))
    return folder


def write_nights(suite: Path, values: Sequence[float | None], **facts: Any) -> list[Path]:
    """Write a run of one cell for each value."""
    return [write_night(suite, number, [cell_record(value, **facts)]) for number, value in enumerate(values)]

"""A small finished run, and copies of it that are worse, or otherwise changed, in a way that is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ptbench import store
from ptbench.catalog import load_catalog
from ptbench.cli import run as call
from ptbench.data import Predictions
from ptbench.offers import SumMetric, TableMetric
from ptbench.statistics.intervals import values_of
from tests.conftest import REVIEWS, SUITE


def small_run(folder: Path, suite: str = SUITE, rows: str = REVIEWS) -> Path:
    """Run the small suite in a folder and return the folder of its run."""
    (folder / "reviews.csv").write_text(rows, "utf-8")
    (folder / "suite.toml").write_text(suite, "utf-8")
    before = set(folder.glob("results/*/*/run.json"))
    arguments = ["run", folder / "suite.toml", "--output", folder / "results", "--executor", "serial"]
    assert call([*map(str, arguments), "--no-cache", "--fresh", "--quiet"]) == 0
    (made,) = set(folder.glob("results/*/*/run.json")) - before
    return made.parent


def copied(run: Path, name: str, **facts: Any) -> Path:
    """Copy a run beside itself under another name, with other ``facts`` in run.json."""
    target = run.parent / name
    shutil.copytree(run, target)
    rewrite(target / store.RUN, lambda told: {**told, "run": name, **facts})
    change_records(target, lambda record: {**record, "run": name})
    return target


def with_wrong(run: Path, name: str, model: str, wrong: int, **facts: Any) -> Path:
    """Copy a run, and let a model be wrong about its first ``wrong`` right examples; scores follow."""
    target = copied(run, name, **facts)
    catalog = load_catalog()

    def worse(record: dict[str, Any]) -> dict[str, Any]:
        if record["model"] != model:
            return record
        path = target / record["files"][0]
        table = store.read_predictions(path)
        prediction = table["prediction"].copy()
        places = np.flatnonzero(prediction == table["target"])[:wrong]
        prediction[places] = 1 - prediction[places]
        columns = {name: prediction if name == "prediction" else table[name] for name in table}
        changed = Predictions(table.ids, columns, table.labels)
        store.write_predictions(path, changed)
        scores = []
        for score in record["scores"]:
            metric = catalog.metric(score["metric"])
            assert isinstance(metric, SumMetric | TableMetric)
            scores.append({**score, "value": values_of(metric, [changed])[0]})
        return {**record, "scores": scores}

    change_records(target, worse)
    return target


def change_records(run: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Write the records of a run anew, each changed."""
    path = run / "records.jsonl"
    lines = [json.dumps(change(json.loads(line))) for line in path.read_text("utf-8").splitlines()]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Write a JSON file anew, changed."""
    path.write_text(json.dumps(change(json.loads(path.read_text("utf-8")))), "utf-8")

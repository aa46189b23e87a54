"""From what a cell predicted to its scores: draws of training rows, and copies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ptbench import Capability, Draw, Outcome, Predictions, Trial, builtin, catalog, offers, store
from ptbench.protocols import AS_IS
from tests.conftest import Ptbench

DRAWS = ((1, 12), (1, 14), (4, 5), (4, 9))
"""Shots, and how many test rows each draw gets wrong."""


def drawn(trial: Trial) -> Outcome:
    targets = trial.task.split("test").targets
    draws = []
    for shots, wrong in DRAWS:
        prediction = targets.copy()
        prediction[:wrong] = 1 - prediction[:wrong]
        draws.append(Draw({"prediction": prediction}, shots))
    return Outcome(draws=tuple(draws), facts={"search": 1})


@pytest.fixture
def run(ptbench: Ptbench, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(function: Any = drawn, **changes: Any) -> Path:
        fake = replace(AS_IS, name="drawn", run=function, needs=(Capability.FIT,), trains=True, **changes)
        monkeypatch.setattr(builtin.protocols, "AS_IS", fake)
        suite.write_text(suite.read_text().replace("linear_probe", "drawn").replace("0.3", "0.6"))
        ptbench("run", suite, "--output", tmp_path / "out")
        (folder,) = tmp_path.glob("out/*/*")
        return folder

    return run


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "records.jsonl").read_text().splitlines()[0])
    return found


def test_scores_are_means_over_the_draws_with_the_most_shots(run: Any) -> None:
    folder = run()
    found = record(folder)
    n = found["n"]
    accuracy = {wrong: 1 - wrong / n for _, wrong in DRAWS}
    (score,) = (s for s in found["scores"] if s["metric"] == "accuracy")
    assert score["value"] == pytest.approx((accuracy[5] + accuracy[9]) / 2)
    assert score["interval"] == "draws"
    assert score["ci_low"] < score["value"] < score["ci_high"]
    (curve,) = (c for c in found["facts"]["curves"] if c["name"] == "accuracy")
    few = [accuracy[12], accuracy[14]]
    (standing,) = (
        s
        for s in json.loads((folder / "standings.json").read_text())
        if s["metric"] == "accuracy" and s["model"] == found["model"]
    )
    first = curve["points"][0]
    assert first[:2] == pytest.approx([1, sum(few) / 2])
    draws_alone, _ = stats.norm.interval(0.95, np.mean(few), stats.sem(few))
    assert 0 <= first[2] <= draws_alone  # wider than draws alone: they are few, and the examples count too
    assert first[1] < first[3] <= 1  # accuracy ends there
    assert curve["points"][1][1:] == [score["value"], score["ci_low"], score["ci_high"]]
    assert (standing["ci_low"], standing["ci_high"]) == (score["ci_low"], score["ci_high"])
    assert [point[0] for point in curve["points"]] == [1, 4]
    assert found["facts"]["draws"]["accuracy"] == pytest.approx([accuracy[5], accuracy[9]])
    runs = store.read_runs(folder / found["files"][0], ("target", "prediction"))
    assert [int((r["target"] != r["prediction"]).sum()) for r in runs] == [5, 9]
    assert standing["seeds"] == 2


def test_columns_and_draws_together_are_an_error(run: Any) -> None:
    def both(trial: Trial) -> Outcome:
        return replace(drawn(trial), columns={"prediction": trial.task.split("test").targets})

    found = record(run(both))
    assert found["status"] == "failed"
    assert "both columns and draws" in found["error"]


def test_three_seeds_are_usual_where_the_seed_matters(run: Any) -> None:
    lines = (run(stochastic=True) / "records.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["seed"] for line in lines) == [0, 0, 1, 1, 2, 2]


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every odd test row be a near copy, and the first one an exact one."""

    def found(learnt: Any, test: Any) -> Any:
        flags = np.arange(len(test)) % 2
        flags[0] = 2
        return flags.astype(np.int8)

    get = catalog.Catalog.get

    def with_copies(self: Any, offer: Any, *arguments: Any, **options: Any) -> Any:
        kind = get(self, offer, *arguments, **options)
        return replace(kind, copies=found) if isinstance(kind, offers.Kind) else kind

    monkeypatch.setattr(catalog.Catalog, "get", with_copies)
    return


@pytest.mark.usefixtures("copies")
def test_copies_are_counted_and_the_score_without_them_stands_beside(run: Any, ptbench: Ptbench) -> None:
    folder = run()
    found = record(folder)
    n = found["n"]
    flags = np.arange(n) % 2
    flags[0] = 2
    assert found["copies"] == {"exact": 1, "near": int((flags == 1).sum())}
    (score,) = (s for s in found["scores"] if s["metric"] == "accuracy")
    apart = flags == 0
    expected = [1 - apart[:wrong].sum() / apart.sum() for wrong in (5, 9)]
    assert score["without_copies"] == pytest.approx(np.mean(expected))
    shown = ptbench("report", folder).out
    assert f"1 exact {(flags == 1).sum()} near of {n}" in shown
    assert f"{np.mean(expected):.3f}" in shown


@pytest.mark.usefixtures("copies")
def test_a_task_may_say_that_nobody_looks_for_copies(run: Any, suite: Path) -> None:
    suite.write_text(suite.read_text().replace('data = "file', 'copies = false\ndata = "file'))
    found = record(run())
    assert found["copies"] is None
    assert found["scores"][0]["without_copies"] is None


def test_a_search_for_copies_that_fails_costs_no_score(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    get = catalog.Catalog.get

    def broken(learnt: Any, test: Any) -> Any:
        raise ValueError("no hash of this")

    def with_copies(self: Any, offer: Any, *arguments: Any, **options: Any) -> Any:
        kind = get(self, offer, *arguments, **options)
        return replace(kind, copies=broken) if isinstance(kind, offers.Kind) else kind

    monkeypatch.setattr(catalog.Catalog, "get", with_copies)
    found = record(run())
    assert found["status"] == "ok"
    assert found["copies"] is None
    assert any("no hash of this" in note for note in found["notes"])


def test_joined_runs_stand_one_below_the_other() -> None:
    one = Predictions(["a", "b"], {"target": np.array([0, 1])}, ("x", "y"))
    both = store.joined([one, one])
    assert (both.ids, both["target"].tolist(), both.labels) == (["a", "b"] * 2, [0, 1, 0, 1], ("x", "y"))

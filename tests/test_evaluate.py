"""One cell: what a plugin raises costs that cell, and says where to look."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ptbench as ptbench_package
from ptbench import baselines, builtin
from tests.conftest import Ptbench


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("it broke\nbadly"), "failed"),
        (MemoryError(), "oom"),
        (SystemExit(3), "failed"),
        (ValueError("x" * 100_000), "failed"),
    ],
)
def test_whatever_a_model_raises_becomes_a_record(
    ptbench: Ptbench,
    suite: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: str,
) -> None:
    def load(request: Any) -> Any:
        raise error

    monkeypatch.setattr(builtin.baselines, "PROVIDER", replace(baselines.PROVIDER, load=load))
    called = ptbench("run", suite, "--output", tmp_path / "out")
    assert called.code == 1
    (path,) = tmp_path.glob("out/*/*/records.jsonl")
    records = {r["model"]: r for r in map(json.loads, path.read_text().splitlines())}
    assert records["words"]["status"] == "ok"
    assert records["majority"]["status"] == status
    assert records["majority"]["error"].startswith(type(error).__name__)
    assert len(records["majority"]["error"]) < 600
    log = path.parent / records["majority"]["log"]
    assert log.name == f"{records['majority']['cell']}.log"
    assert "Traceback" in log.read_text()
    assert "Traceback" not in called.err + called.out
    assert f"{status}: majority x mine x linear_probe: " in called.out


def test_seeds_share_features_and_their_cost(ptbench: Ptbench, suite: Path, tmp_path: Path) -> None:
    text = suite.read_text().replace(
        'protocols = ["linear_probe"]', 'protocols = ["linear_probe"]\nseeds = [0, 1]'
    )
    text = text.replace('words = "sklearn:tfidf"', 'majority2 = "baseline:majority"')
    suite.write_text(text)
    called = ptbench("run", suite, "--output", tmp_path / "out")
    assert called.code == 0
    (path,) = tmp_path.glob("out/*/*/standings.json")
    standings = json.loads(path.read_text())
    assert {row["seeds"] for row in standings} == {2}
    accuracy = [row for row in standings if row["metric"] == "accuracy"]
    assert sorted(row["best"] for row in accuracy) == [False, True]
    assert sum(row["tied"] for row in accuracy) == 1  # the same predictions cannot be told apart


class Odd:
    """A model whose facts or predictions are not what they should be."""

    def __init__(self, facts: Any) -> None:
        self.facts = facts

    def fit(self, train: Any, validation: Any, request: Any) -> Any:
        return self

    def predict(self, examples: Any) -> Any:
        return {"prediction": np.zeros(len(examples), dtype=np.int64)}


@pytest.mark.parametrize("where", ["describe", "load", "array"])
def test_what_a_provider_does_wrong_costs_its_cells_alone(
    ptbench: Ptbench, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def broken(request: Any) -> Any:
        raise TypeError("not like this")

    facts = ptbench_package.ModelFacts(extra={"some": np.arange(3)})
    changes: dict[str, Any] = {
        "describe": {"describe": broken},
        "load": {"load": broken},
        "array": {"load": lambda request: Odd(facts)},
    }
    monkeypatch.setattr(builtin.baselines, "PROVIDER", replace(baselines.PROVIDER, **changes[where]))
    called = ptbench("run", suite, "--output", tmp_path / "out")
    (path,) = tmp_path.glob("out/*/*/records.jsonl")
    records = {r["model"]: r for r in map(json.loads, path.read_text().splitlines())}
    assert records["words"]["status"] == "ok"
    expected = {"describe": "skipped", "load": "failed", "array": "ok"}
    assert records["majority"]["status"] == expected[where]
    assert called.code == (0 if where == "array" else 1)
    if where == "array":
        assert records["majority"]["facts"]["some"] == [0, 1, 2]
    if where == "describe":
        assert "plugin core (ptbench 0.1.0) failed: TypeError: not like this" in records["majority"]["error"]


def test_a_model_with_a_failed_seed_is_not_ranked(
    ptbench: Ptbench, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moody(Odd):
        def fit(self, train: Any, validation: Any, request: Any) -> Any:
            if request.seed:
                raise RuntimeError("not today")
            return self

    monkeypatch.setattr(
        builtin.baselines,
        "PROVIDER",
        replace(baselines.PROVIDER, load=lambda request: Moody(ptbench_package.ModelFacts())),
    )
    text = suite.read_text().replace(
        'protocols = ["linear_probe"]', 'protocols = ["linear_probe"]\nseeds = [0, 1]'
    )
    suite.write_text(text)
    called = ptbench("run", suite, "--output", tmp_path / "out")
    assert called.code == 1
    (path,) = tmp_path.glob("out/*/*/standings.json")
    assert {row["model"] for row in json.loads(path.read_text())} == {"words"}
    board = (path.parent / "leaderboard.csv").read_text().splitlines()
    assert board[1] == "majority,linear_probe,"


def test_a_plugin_that_prints_or_changes_the_folder_disturbs_nothing(
    ptbench: Ptbench, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(request: Any) -> Any:
        print("hello from a plugin")
        os.chdir("/")
        return whole(request)

    whole = baselines.PROVIDER.load
    monkeypatch.setattr(builtin.baselines, "PROVIDER", replace(baselines.PROVIDER, load=load))
    monkeypatch.chdir(tmp_path)
    called = ptbench("run", suite, "--output", "out", "--json")
    assert called.code == 0, called.err
    assert [record["status"] for record in json.loads(called.out)["records"]] == ["ok", "ok"]
    assert "hello from a plugin" in called.err
    assert list(tmp_path.glob("out/*/*/report.csv"))


def test_a_plan_names_every_plugin_that_may_have_failed(
    ptbench: Ptbench, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(request: Any) -> Any:
        raise TypeError("not like this")

    monkeypatch.setattr(builtin.files, "SOURCE", replace(builtin.files.SOURCE, load=broken))
    plan = ptbench("plan", suite, "--json")
    (problem,) = json.loads(plan.out)["problems"]
    assert "plugin core (ptbench 0.1.0) or hf (ptbench 0.1.0) failed: TypeError: not like this" in problem
    assert plan.code == 2


def records_of(folder: Path) -> dict[str, Any]:
    """Return the records of the only run in a folder, by model."""
    (path,) = folder.glob("*/*/records.jsonl")
    return {record["model"]: record for record in map(json.loads, path.read_text().splitlines())}


class Mirror:
    """Knows every answer, and says the other one: labels in another order."""

    def __init__(self) -> None:
        self.facts = ptbench_package.ModelFacts(
            notes=("only for a test",),
            weight_bytes=8,
            operations=ptbench_package.Operations(3, 4, 5, {"sort": 2}, "1 word"),
        )

    def peek(self, split: Any, request: Any) -> Any:
        self.facts = replace(self.facts, seconds={"decode": 1.0, "compute": 2.0}, counts={"resized up": 3})
        return {"prediction": 1 - split.targets}


def test_what_a_model_tells_stands_in_record_and_table(
    ptbench: Ptbench, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def describe(request: Any) -> Any:
        return ptbench_package.ModelDescription(frozenset({ptbench_package.Capability.PEEK}))

    provider = replace(baselines.PROVIDER, describe=describe, load=lambda request: Mirror())
    monkeypatch.setattr(builtin.baselines, "PROVIDER", provider)
    called = ptbench("run", suite, "--output", tmp_path / "out")
    assert called.code == 0, called.err
    record = records_of(tmp_path / "out")["majority"]
    assert "only for a test" in record["notes"]
    assert "3 inputs resized up" in record["notes"]
    (audit,) = (note for note in record["notes"] if note.startswith("permuting the labels"))
    assert "would lift accuracy from 0.000 to 1.000" in audit
    assert audit.split(":")[0] in called.out  # people see it, not only the record
    assert record["facts"]["macs_of"] == "1 word"
    assert record["facts"]["uncounted"] == {"sort": 2}
    cost = record["cost"]
    assert (cost["macs"], cost["fvcore_macs"], cost["activations"], cost["weight_bytes"]) == (3, 4, 5, 8)
    assert (cost["spent"]["decode"], cost["spent"]["compute"]) == (1.0, 2.0)
    assert cost["spent"]["metrics"] > 0
    (report,) = tmp_path.glob("out/*/*/report.csv")
    row = pd.read_csv(report).set_index("model").loc["majority"].iloc[0]
    shares = [f"{name}_share" for name in ("decode", "compute", "metrics", "rest")]
    assert row[shares].sum() == pytest.approx(1)
    assert row["macs"] == 3
    assert np.isnan(row["transfer_share"])  # nobody told of it


def test_an_honest_model_has_no_audit(ptbench: Ptbench, suite: Path, tmp_path: Path) -> None:
    assert ptbench("run", suite, "--output", tmp_path / "out").code == 0
    for record in records_of(tmp_path / "out").values():
        assert not [note for note in record["notes"] if note.startswith("permuting")]

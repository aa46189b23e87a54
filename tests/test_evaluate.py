"""One cell: what a plugin raises costs that cell, and says where to look."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ptbench import baselines, builtin
from tests.conftest import Ptbench


@pytest.mark.parametrize("error", [RuntimeError("it broke\nbadly"), MemoryError(), SystemExit(3)])
def test_whatever_a_model_raises_becomes_a_record(
    ptbench: Ptbench, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def load(request: Any) -> Any:
        raise error

    monkeypatch.setattr(builtin.baselines, "PROVIDER", replace(baselines.PROVIDER, load=load))
    called = ptbench("run", suite, "--output", tmp_path / "out")
    assert called.code == 1
    (path,) = tmp_path.glob("out/*/*/records.jsonl")
    records = {r["model"]: r for r in map(json.loads, path.read_text().splitlines())}
    assert records["words"]["status"] == "ok"
    assert records["majority"]["status"] == "failed"
    assert records["majority"]["error"].startswith(type(error).__name__)
    log = path.parent / "logs" / f"{records['majority']['cell']}.log"
    assert log.name in records["majority"]["error"]
    assert "Traceback" in log.read_text()
    assert "Traceback" not in called.err + called.out
    assert "failed: majority x mine x linear_probe: " in called.out


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

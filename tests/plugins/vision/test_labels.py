"""`as_is` with heads and tasks whose labels differ: a subset is mapped by name or id, all else is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.conftest import Ptbench, Written

from ptbench_vision.categories import imagenet

SUITE = """
[suite]
name = "birds"
[models.net]
ref = "checkpoint:net.safetensors"
architecture = "timm:test_resnet"
label_set = "imagenet-1k"
[tasks.birds]
adapter = "image-classification"
data = "folder:birds"
splits = {{ test = "all" }}
labels = {labels}
[[grid]]
protocols = ["as_is"]
"""
WORDS = ["hen", "goldfinch, Carduelis carduelis", "n01534433"]  # a word, a whole description, an id (junco)
POSITIONS = (8, 11, 13)


@pytest.fixture
def suite(written: Written, tmp_path: Path) -> Any:
    """A thousand-class head beside a folder of three classes; call it with the labels of the task."""
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "net.safetensors")
    numbers = np.random.default_rng(0)
    for name in ("one", "two", "three"):
        for i in range(4):
            path = tmp_path / "birds" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(numbers.integers(0, 256, (170, 180, 3), dtype=np.uint8)).save(path)

    def write(labels: Mapping[str, str]) -> Path:
        table = ", ".join(f"{key} = {json.dumps(value)}" for key, value in labels.items())
        return written("suite.toml", SUITE.format(labels=f"{{ {table} }}"))

    return write


def test_a_known_subset_is_mapped_by_word_description_or_id(
    suite: Any, ptbench: Ptbench, tmp_path: Path
) -> None:
    path = suite(dict(zip(("one", "two", "three"), WORDS, strict=True)))
    said = "scored among 3 of the head's 1,000 classes; matched by other names ('hen' is 'n01514859')"
    planned = ptbench("plan", path)
    assert planned.code == 0, planned.err
    assert f"note: {said} (net x birds)" in planned.out
    called = ptbench("run", path, "--output", tmp_path / "out", "--json")
    assert called.code == 0, called.err
    (record,) = json.loads(called.out)["records"]
    assert set(said.split("; ")) <= set(record["notes"])
    (file,) = tmp_path.glob("out/*/*/predictions/*.parquet")
    table = pd.read_parquet(file)
    scores = np.stack(list(table["scores"]))
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)  # given that it is one of the three

    module = timm.create_model("test_resnet", checkpoint_path=str(tmp_path / "net.safetensors")).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
    images = [Image.open(tmp_path / "birds" / name).convert("RGB") for name in table["id"]]
    with torch.inference_mode():
        logits = module(torch.stack([transform(image) for image in images]))[:, POSITIONS]
    assert np.allclose(scores, logits.softmax(dim=1).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"one": "hen", "two": "dragon", "three": "cock"}, "it does not know 'dragon'"),
        ({"one": "crane", "two": "hen", "three": "cock"}, "has two classes 'crane': name them by id"),
        ({"one": "hen", "two": "n01514859", "three": "cock"}, "'hen' and 'n01514859' are one class"),
        ({"one": "0", "two": "1", "three": "2"}, "the model's head knows the labels"),
    ],
)
def test_what_cannot_be_matched_is_refused_by_the_plan(
    suite: Any, ptbench: Ptbench, labels: Mapping[str, str], said: str
) -> None:
    called = ptbench("plan", suite(labels))
    assert called.code == 2
    assert said in called.out


def test_the_words_stand_at_their_positions() -> None:
    ids, words = imagenet("imagenet-1k")
    assert [ids[i] for i in POSITIONS] == ["n01514859", "n01531178", "n01534433"]
    assert words[8] == "hen"

"""`as_is` and `zero_shot` from suite to table, with checkpoints that are made here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.conftest import Ptbench, Written

from ptbench import Capability, Examples, ModelRequest, Reference
from ptbench_hf.models import PROVIDER

SUITE = """
[suite]
name = "own_head"
[models]
head = "hf:{folder}"
[tasks.mine]
adapter = "text-classification"
data = "file:mine"
input = "text"
target = "label"
labels = {labels}
metrics = ["accuracy", "log_loss", "ece", "roc_auc_ovr", "confusion_matrix"]
[[grid]]
protocols = ["{protocol}"]
"""
TEXTS = ["good film", "bad film", "the plot was dull", "very fun !", "not great", "poor plot ."] * 3
LABELS = ["positive", "negative", "neutral"] * 6


@pytest.fixture
def mine(written: Written) -> None:
    """A folder with a test split alone."""
    rows = [f"{text},{label}" for text, label in zip(TEXTS, LABELS, strict=True)]
    written("mine/test.csv", "\n".join(["text,label", *rows]) + "\n")


@pytest.mark.usefixtures("mine")
def test_labels_are_mapped_by_name_whatever_their_order(
    ptbench: Ptbench, written: Written, tmp_path: Path, made: Callable[[str], Path]
) -> None:
    folder = made("named")  # its head knows negative, neutral, positive in this order
    labels = '["positive", "NEGATIVE", "neutral"]'.replace("NEGATIVE", "negative")
    text = SUITE.format(folder=folder, labels=labels, protocol="as_is")
    called = ptbench("run", written("s.toml", text), "--output", tmp_path / "out")
    assert called.code == 0, called.err
    (records,) = tmp_path.glob("out/*/*/records.jsonl")
    record = json.loads(records.read_text())
    predictions = pd.read_parquet(records.parent / record["files"][0])
    model = PROVIDER.load(
        ModelRequest(Reference("hf", str(folder)), PROVIDER.filled({}), capability=Capability.PREDICT)
    )
    scores = model.predict(Examples([str(i) for i in range(18)], {"text": TEXTS}))["scores"]  # type: ignore[attr-defined]
    expected = np.array(["negative", "neutral", "positive"])[scores.argmax(axis=1)]
    assert predictions["prediction"].tolist() == expected.tolist()
    assert predictions["target"].tolist() == LABELS
    assert np.allclose(np.stack(predictions["scores"])[:, 0], scores[:, 2])
    accuracy = next(score for score in record["scores"] if score["metric"] == "accuracy")
    assert accuracy["value"] == (expected == np.array(LABELS)).mean()
    confusion = (records.parent / record["files"][1]).read_text().splitlines()
    assert len(confusion) == 4
    assert record["capability"] == "predict"


@pytest.mark.usefixtures("mine")
def test_zero_shot_reads_the_names_of_labels(
    ptbench: Ptbench, written: Written, tmp_path: Path, made: Callable[[str], Path]
) -> None:
    folder = made("bert")
    text = SUITE.format(folder=folder, labels=json.dumps(LABELS[:3]), protocol="zero_shot")
    called = ptbench("run", written("s.toml", text), "--output", tmp_path / "out")
    assert called.code == 0, called.err
    (table,) = tmp_path.glob("out/*/*/predictions/*.parquet")
    model: Any = PROVIDER.load(
        ModelRequest(Reference("hf", str(folder)), PROVIDER.filled({}), capability=Capability.EMBED)
    )
    texts, names = (
        model.embed(Examples([str(i) for i in range(len(some))], {"text": some}))
        for some in (TEXTS, LABELS[:3])
    )
    cosines = (texts @ names.T) / np.linalg.norm(texts, axis=1)[:, None] / np.linalg.norm(names, axis=1)
    expected = np.array(LABELS[:3])[cosines.argmax(axis=1)]
    assert pd.read_parquet(table)["prediction"].tolist() == expected.tolist()

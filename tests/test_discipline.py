"""Test rows choose nothing: every protocol of the catalog, and the kit that would catch one that cheats."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ptbench import Capability, Column, Examples, Kind, ModelFacts, Outcome, Protocol, Split, Task, Trial
from ptbench.catalog import load_catalog
from ptbench.testing import check_protocol, make_trial
from tests.conftest import Ptbench, Written

TEXTS = Kind(
    name="toy-texts",
    description="A text with a label.",
    inputs=(Column("text", "text"), Column("text_pair", "text", required=False)),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"), Column("scores", "scores", required=False)),
    pair=("text", "text_pair"),
)
NUMBERS = replace(
    TEXTS, name="toy-numbers", target=Column("target", "number"), outputs=(Column("prediction", "number"),)
)
LABELS = ("even", "odd", "neither")
ELSEWHERE = {"fine_tune": "tests/plugins/torch"}
"""Protocols that need a network to be trained; they go through the same check there."""


class Letters:
    """Embeds a text as how often it has each letter, and predicts from that with a head of its own."""

    facts = ModelFacts(labels=("neither", "even", "odd"))

    def embed(self, examples: Examples) -> Any:
        texts = examples["text"]
        return np.array([[text.count(letter) for letter in "abcdefgh"] for text in texts], np.float32)

    def predict(self, examples: Examples) -> Any:
        odds = np.exp(self.embed(examples)[:, :3])
        return {"scores": odds / odds.sum(axis=1, keepdims=True)}


def toy(*, validation: bool, numbers: bool, pairs: bool) -> Task:
    """Random words; the target depends on their letters, with some noise."""
    random = np.random.default_rng(0)
    splits = {}
    for name, n in {"train": 90, "validation": 40, "test": 30}.items():
        texts = ["".join(random.choice(list("abcdefgh"), size=12)) for _ in range(n)]
        columns = {"text": texts}
        if pairs:
            columns["text_pair"] = ["".join(random.choice(list("abcdefgh"), size=12)) for _ in range(n)]
        count = np.array([text.count("a") - text.count("b") for text in texts]) + random.integers(0, 2, n)
        targets: Any = count.astype(np.float64) if numbers else np.clip(count, 0, 2)
        splits[name] = Split(Examples([f"{name}-{i}" for i in range(n)], columns), targets)
    if not validation:
        del splits["validation"]
    return Task("toy", "toy", splits, (), () if numbers else LABELS)


CATALOG = load_catalog()
PROTOCOLS = {name: CATALOG.get(Protocol, name) for name in CATALOG.names("protocol") if name not in ELSEWHERE}
OPTIONS: dict[str, dict[str, Any]] = {"few_shot": {"shots": [1, 4], "resamples": 3}}
# as_is reads no target; a head that knows labels is all it needs
SINGLE_LABELS = sorted(PROTOCOLS)
NUMBERED = ["knn", "linear_probe"]


@pytest.mark.parametrize("validation", [False, True])
@pytest.mark.parametrize("name", SINGLE_LABELS)
def test_poisoned_test_rows_change_no_label(name: str, validation: bool) -> None:
    task = toy(validation=validation, numbers=False, pairs=False)
    outcome = check_protocol(PROTOCOLS[name], Letters(), task, TEXTS, **OPTIONS.get(name, {}))
    for columns in [draw.columns for draw in outcome.draws] or [outcome.columns]:
        assert columns["scores"].shape == (30, 3)


@pytest.mark.parametrize("validation", [False, True])
@pytest.mark.parametrize("name", NUMBERED)
@pytest.mark.parametrize("pairs", [False, True])
def test_poisoned_test_rows_change_no_number(name: str, validation: bool, pairs: bool) -> None:
    task = toy(validation=validation, numbers=True, pairs=pairs)
    outcome = check_protocol(PROTOCOLS[name], Letters(), task, NUMBERS)
    assert outcome.columns["prediction"].shape == (30,)


@pytest.mark.parametrize("name", ["few_shot", "knn", "linear_probe", "prototypes"])
def test_poisoned_test_rows_change_no_label_of_a_pair(name: str) -> None:
    task = toy(validation=False, numbers=False, pairs=True)
    check_protocol(PROTOCOLS[name], Letters(), task, TEXTS, **OPTIONS.get(name, {}))


def test_a_pair_without_training_has_the_similarity_of_its_inputs() -> None:
    check_protocol(PROTOCOLS["zero_shot"], Letters(), toy(validation=True, numbers=True, pairs=True), NUMBERS)


def chooses_on_test(trial: Trial) -> Outcome:
    """Take the sign that suits the targets of test."""
    (x,) = trial.features("test")
    up = (x[:, 0] > 1).astype(int)
    right = (up == trial.task.split("test").targets).mean()
    return Outcome({"prediction": up if right > 0.5 else 1 - up})


def tells_of_test(trial: Trial) -> Outcome:
    """Predict one label, and write down what only the targets of test tell."""
    targets = trial.task.split("test").targets
    return Outcome({"prediction": np.zeros(len(targets), int)}, {"first": int(targets[0]), "n": 3})


def standardises_on_test(trial: Trial) -> Outcome:
    """Compare a row with the other rows of test."""
    (x,) = trial.features("test")
    return Outcome({"prediction": (x[:, 0] > x[:, 0].mean()).astype(int)})


def counts_test(trial: Trial) -> Outcome:
    """Let the number of test rows be a fact."""
    n = len(trial.task.split("test"))
    return Outcome({"prediction": np.zeros(n, int)}, {"rows": n})


def forgets_the_seed(trial: Trial) -> Outcome:
    """Draw from nowhere."""
    n = len(trial.task.split("test"))
    return Outcome({"prediction": np.random.default_rng().integers(0, 3, n)})


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (chooses_on_test, "the targets of test change predictions"),
        (tells_of_test, "the targets of test change what is chosen"),
        (standardises_on_test, "column 'prediction' of a row depends on the other rows of test"),
        (counts_test, "the rows of test change what is chosen"),
        (forgets_the_seed, "the same seed gives other predictions"),
    ],
)
def test_a_protocol_that_cheats_is_caught(run: Callable[[Trial], Outcome], message: str) -> None:
    # ids that sort the easy rows first, so that the first half of test has another mean
    task = toy(validation=True, numbers=False, pairs=False)
    test = task.split("test")
    order = np.argsort([-text.count("a") for text in test.examples["text"]], kind="stable")
    sorted_test = Split(test.take(order).examples, np.r_[np.zeros(20, int), np.ones(10, int)])
    given = replace(task, splits={**task.splits, "test": sorted_test})
    cheat = Protocol(name="cheat", description="d", needs=(Capability.EMBED,), run=run)
    with pytest.raises(AssertionError, match=f"protocol 'cheat': {message}"):
        check_protocol(cheat, Letters(), given, TEXTS)


SUITE = """
[suite]
name = "{name}"
[models]
raw = "sklearn:features"
majority = "baseline:majority"
[tasks.flowers]
adapter = "tabular-{kind}"
data = "file:{name}"
input = ["a", "b", "c"]
target = "y"
{labels}
[[grid]]
protocols = [{protocols}]
seeds = [1]
"""
EVERY = '"linear_probe", "knn", "prototypes", { use = "few_shot", shots = [1, 4], resamples = 2 }'


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("validation", [False, True])
def test_poisoned_files_change_no_prediction(
    ptbench: Ptbench, written: Written, tmp_path: Path, numbers: bool, validation: bool
) -> None:
    """From files to Parquet, with the targets of test turned round."""
    random = np.random.default_rng(0)
    for split, n in {"train": 80, "validation": 30, "test": 25}.items():
        x = random.normal(size=(n, 3)).round(3)
        target = x[:, 0] + 0.5 * random.normal(size=n)
        y = target.round(3).tolist() if numbers else np.where(target > 0, "up", "down").tolist()
        for name, values in (("clean", y), ("poisoned", y[::-1] if split == "test" else y)):
            lines = [f"{a},{b},{c},{value}" for (a, b, c), value in zip(x.tolist(), values, strict=True)]
            if split != "validation" or validation:
                written(f"{name}/{split}.csv", "\n".join(["a,b,c,y", *lines]) + "\n")
    found = {}
    for name in ("clean", "poisoned"):
        text = SUITE.format(
            name=name,
            kind="regression" if numbers else "classification",
            labels="" if numbers else 'labels = ["down", "up"]',
            protocols='"linear_probe", "knn"' if numbers else EVERY,
        )
        called = ptbench("run", written(f"{name}.toml", text), "--output", tmp_path / "out")
        assert called.code == 0, called.err
        (records,) = tmp_path.glob(f"out/{name}/*/records.jsonl")
        for record in map(json.loads, records.read_text().splitlines()):
            table = pd.read_parquet(records.parent / record["files"][0]).drop(columns="target")
            told = {
                k: v for k, v in record["facts"].items() if k not in ("curves", "draws")
            }  # these are scores
            found[name, record["model"], record["protocol"]] = (table, told, record["scores"][0]["value"])
    cells = [key[1:] for key in found if key[0] == "clean"]
    assert len(cells) == (4 if numbers else 8)
    for cell in cells:
        (before, facts, score), (after, facts_after, other) = found["clean", *cell], found["poisoned", *cell]
        assert facts == facts_after
        assert before.columns.tolist() == after.columns.tolist()
        for column in before:
            a, b = (np.stack(table[column].to_list()) for table in (before, after))
            assert a.tobytes() == b.tobytes() if a.dtype.kind == "f" else (a == b).all()
        if cell[0] == "raw":
            assert score != other  # the poison was there


def test_a_trial_of_the_kit_is_what_the_protocol_would_get() -> None:
    """The kit checks nothing where its trials are not those of a cell: a seed must reach the protocol."""
    task = toy(validation=False, numbers=False, pairs=False)
    few = PROTOCOLS["few_shot"]
    draws = [
        few.run(make_trial(few, Letters(), task, TEXTS, seed=seed, shots=4, resamples=1)).draws
        for seed in (0, 0, 1)
    ]
    a, b, c = (draw[0].columns["scores"] for draw in draws)
    assert (a == b).all()
    assert (a != c).any()

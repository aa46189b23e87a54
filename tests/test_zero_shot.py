"""`zero_shot`: similarities against closed forms, texts for labels, and what the plan refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ptbench import (
    Capability,
    Column,
    Examples,
    Kind,
    ModelDescription,
    ModelFacts,
    Outcome,
    ProtocolError,
    Split,
    Task,
    TaskFacts,
    baselines,
    builtin,
)
from ptbench.testing import check_protocol, make_trial
from ptbench.zeroshot import PROTOCOL, label_texts
from tests.conftest import Ptbench, Written
from tests.test_border import LABELLED

PAIRS = replace(
    LABELLED,
    name="pairs",
    inputs=(Column("text", "text"), Column("text_pair", "text", required=False)),
    pair=("text", "text_pair"),
)
SIMILARITY = replace(
    PAIRS, name="similarity", target=Column("target", "number"), outputs=(Column("prediction", "number"),)
)
PICTURES = replace(LABELLED, name="pictures", inputs=(Column("image", "image"),))
COLOURS = {"red": (3.0, 0, 0), "dark green": (0, 1.0, 0), "blue": (0, 0, 0.5), "navy": (0, 0.5, 0.5)}


class TwoTowers:
    """Sees a picture as its colour; reads the names of colours."""

    facts = ModelFacts()

    def __init__(self) -> None:
        self.read: list[str] = []

    def embed(self, examples: Examples) -> Any:
        if "image" in examples.columns:
            return np.array(examples["image"], dtype=np.float32)
        self.read += examples["text"]
        rows = [[row for name, row in COLOURS.items() if name in text] for text in examples["text"]]
        return np.array([row[0] if row else (1, 1, 1) for row in rows], dtype=np.float32)


def pictures(n: int = 30) -> Task:
    random = np.random.default_rng(0)
    images = random.uniform(0.05, 1, size=(n, 3))
    split = Split(Examples([str(i) for i in range(n)], {"image": images.tolist()}), images.argmax(axis=1))
    return Task("colours", "pictures", {"test": split}, (), ("red", "dark_green", "blue"))


def zero_shot(model: Any, task: Task, kind: Kind, **options: Any) -> Outcome:
    return PROTOCOL.run(make_trial(PROTOCOL, model, task, kind, **options))


def unit(x: Any) -> Any:
    return np.asarray(x) / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.01, 1.0])
def test_pictures_are_classified_by_the_names_of_labels(temperature: float) -> None:
    task, model = pictures(), TwoTowers()
    outcome = zero_shot(model, task, PICTURES, temperature=temperature)
    assert model.read == ["red", "dark green", "blue"]  # an underscore is no word
    cosines = unit(task.split("test").examples["image"])  # the names stand for the axes
    odds = np.exp(cosines / temperature)
    np.testing.assert_allclose(outcome.columns["scores"], odds / odds.sum(axis=1, keepdims=True), rtol=1e-4)
    assert (outcome.columns["prediction"] == task.split("test").targets).all()
    assert outcome.facts == {
        "similarity": "cosine",
        "temperature": temperature,
        "template": "{label}",
        "label_texts": 3,
    }


def test_several_texts_of_a_label_are_averaged_as_rows_of_length_1() -> None:
    task, model = pictures(), TwoTowers()
    texts = {"red": "red", "dark_green": "dark green", "blue": ["blue", "navy"]}
    outcome = zero_shot(model, task, PICTURES, labels=texts, template="a {label} photo", temperature=1.0)
    assert model.read == ["a red photo", "a dark green photo", "a blue photo", "a navy photo"]
    blue = unit([[0, 0, 0.5], [0, 0.5, 0.5]]).mean(axis=0)
    prototypes = unit([[1, 0, 0], [0, 1, 0], blue])
    odds = np.exp(unit(task.split("test").examples["image"]) @ prototypes.T)
    np.testing.assert_allclose(outcome.columns["scores"], odds / odds.sum(axis=1, keepdims=True), rtol=1e-6)
    assert outcome.facts["label_texts"] == 4


def test_a_template_is_no_format_string() -> None:
    assert label_texts(("{0}",), None, "{label} {x} {label}") == [["{0} {x} {0}"]]


def test_a_pair_with_a_number_has_the_cosine_of_its_inputs() -> None:
    texts = {"text": ["red", "blue", "navy"], "text_pair": ["blue", "navy", "navy"]}
    split = Split(Examples(["a", "b", "c"], texts), np.array([0.0, 1.0, 2.0]))
    task = Task("similar", "similarity", {"test": split}, ())
    outcome = check_protocol(PROTOCOL, TwoTowers(), task, SIMILARITY)
    np.testing.assert_allclose(outcome.columns["prediction"], [0, 0.5**0.5, 1], atol=1e-6)


def test_poisoned_test_rows_change_nothing() -> None:
    check_protocol(PROTOCOL, TwoTowers(), pictures(), PICTURES)


def test_an_input_of_zeros_is_like_every_label() -> None:
    split = Split(Examples(["a"], {"image": [[0.0, 0.0, 0.0]]}), np.array([0]))
    outcome = zero_shot(TwoTowers(), replace(pictures(), splits={"test": split}), PICTURES)
    np.testing.assert_allclose(outcome.columns["scores"], 1 / 3)


def test_towers_that_do_not_meet_are_named() -> None:
    class Apart(TwoTowers):
        def embed(self, examples: Examples) -> Any:
            return np.ones((len(examples), 3 if "image" in examples.columns else 5), dtype=np.float32)

    with pytest.raises(
        ProtocolError, match="the model gives 3 features for inputs, 5 for texts: they cannot"
    ):
        zero_shot(Apart(), pictures(), PICTURES)


@pytest.mark.parametrize(
    ("kind", "pair", "refusal"),
    [
        (PICTURES, None, None),
        (LABELLED, False, None),
        (PAIRS, False, None),
        (PAIRS, None, None),  # nobody knows yet
        (PAIRS, True, "zero_shot compares one input with the names of the labels, and this task has pairs"),
        (SIMILARITY, True, None),
        (SIMILARITY, None, None),
        (SIMILARITY, False, "zero_shot gives the similarity of two inputs, or of an input and the names"),
        (
            replace(LABELLED, target=Column("t", "number")),
            None,
            "zero_shot gives the similarity of two inputs",
        ),
        (replace(LABELLED, target=Column("t", "any")), None, "zero_shot gives the similarity of two inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: Kind, pair: bool | None, refusal: str | None) -> None:
    said = PROTOCOL.refuses(TaskFacts(kind, pair))
    assert said is None if refusal is None else str(said).startswith(refusal)


def test_pairs_with_labels_are_refused_when_it_runs_too() -> None:
    split = Split(Examples(["a"], {"text": ["red"], "text_pair": ["blue"]}), np.array([0]))
    with pytest.raises(ProtocolError, match=r"^zero_shot compares one input"):
        zero_shot(TwoTowers(), Task("t", "pairs", {"test": split}, (), ("no", "yes")), PAIRS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            {"red": "r", "dark_gren": "g"},
            "labels names 'dark_gren', which the task has not; did you mean 'dark_green'?",
        ),
        ({"red": "r"}, "labels has no text for 'dark_green' and 1 more; give one for each label"),
        ({"red": "r", "blue": "b"}, "labels has no text for 'dark_green'; give one for each label"),
        (
            {"red": "same", "dark_green": "g", "blue": ["same "]},
            "labels 'red' and 'blue' have the same text 'same'; no input could tell them apart",
        ),
    ],
)
def test_texts_must_be_of_the_tasks_labels(labels: dict[str, Any], message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        zero_shot(TwoTowers(), pictures(), PICTURES, labels=labels)
    assert str(caught.value) == f"zero_shot: {message}"
    facts = TaskFacts(PICTURES, False)
    given = PROTOCOL.filled({"labels": labels})
    assert PROTOCOL.misfit(facts, given) is None  # the plan does not know the labels yet
    assert PROTOCOL.misfit(replace(facts, labels=pictures().labels), given) == f"zero_shot: {message}"


def test_labels_whose_names_read_the_same_need_texts() -> None:
    facts = TaskFacts(PICTURES, False, labels=("top_up", "top up"))
    said = PROTOCOL.misfit(facts, PROTOCOL.filled({}))
    assert said == (
        "zero_shot: labels 'top_up' and 'top up' have the same text 'top up'; no input could tell them apart"
    )
    given = PROTOCOL.filled({"labels": {"top_up": "a top-up", "top up": ["to top up", "a top-up"]}})
    assert PROTOCOL.misfit(facts, given) is None


def test_a_number_has_no_labels() -> None:
    said = PROTOCOL.misfit(TaskFacts(SIMILARITY, True), PROTOCOL.filled({"labels": {"a": "b"}}))
    assert said == "zero_shot: labels has texts for labels, and similarity has none"


def test_a_plan_can_check_the_options() -> None:
    options = {option.name: option for option in PROTOCOL.options}
    assert options["template"].check("a photo") == "it has no {label}, where the text of the label goes"
    said = "it has a control character ('\\x1b'), which no text needs"
    assert options["template"].check("\x1b[31m{label}") == said
    assert options["labels"].check({"no": "\x1b[31m"}) == f"label 'no': {said}"
    assert options["template"].check("{label}\u3000の写真。") is None
    assert options["temperature"].check(0.0) == "a number above 0 was expected"
    for wrong in (1, [], ["a", 1], " ", [""]):
        assert options["labels"].check({"x": wrong}) == "label 'x': a text or a list of texts was expected"
    assert options["labels"].check({"x": "a", "y": ["b", "c"]}) is None


SUITE = """
[suite]
name = "flowers"
[models]
model = "baseline:majority"
[tasks.flowers]
adapter = "tabular-classification"
data = "file:flowers"
input = ["long", "wide"]
target = "kind"
labels = ["rose", "tulip"]
metrics = ["accuracy"]
[[grid]]
protocols = [{ use = "zero_shot", OPTIONS }]
"""


class Flowers:
    """Long ones are roses."""

    facts = ModelFacts()

    def embed(self, examples: Examples) -> Any:
        if "text" in examples.columns:
            return np.array([[1.0, 0.0] if "rose" in t else [0.0, 1.0] for t in examples["text"]], np.float32)
        return np.array(examples["features"], np.float32)


@pytest.fixture
def flowers(written: Written, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A suite whose model reads the given columns."""

    def make(options: str, inputs: set[str]) -> Path:
        can = ModelDescription(frozenset({Capability.EMBED}), inputs=frozenset(inputs))
        provider = replace(baselines.PROVIDER, describe=lambda _: can, load=lambda _: Flowers())
        monkeypatch.setattr(builtin.baselines, "PROVIDER", provider)
        written("flowers/test.csv", "long,wide,kind\n5,1,rose\n6,1,rose\n1,7,tulip\n2,1,tulip\n")
        return written("flowers.toml", SUITE.replace("OPTIONS", options))

    return make


def test_from_suite_to_table(ptbench: Ptbench, flowers: Callable[..., Path], tmp_path: Path) -> None:
    suite = flowers('template = "this is a {label}"', {"features", "text"})
    called = ptbench("run", suite, "--output", tmp_path / "out")
    assert called.code == 0, called.err
    (records,) = tmp_path.glob("out/*/*/records.jsonl")
    record = json.loads(records.read_text())
    assert record["scores"][0]["value"] == 0.75
    assert record["facts"]["template"] == "this is a {label}"
    (table,) = records.parent.glob("predictions/*.parquet")
    assert pd.read_parquet(table)["prediction"].tolist() == ["rose", "rose", "tulip", "rose"]


@pytest.mark.parametrize(
    ("options", "inputs", "problem"),
    [
        (
            "temperature = 0.1",
            {"features"},
            "model x flowers x zero_shot (temperature=0.1): zero_shot embeds text of its own, such as the "
            "names of labels, and the model reads features [1 cell]",
        ),
        ('labels = { rose = "red", tulp = "thin" }', {"features", "text"}, "did you mean 'tulip'?"),
        ('labels = { rose = "red" }', {"features", "text"}, "no text for 'tulip'; give one for each label"),
    ],
)
def test_the_plan_says_what_cannot_be(
    ptbench: Ptbench, flowers: Callable[..., Path], options: str, inputs: set[str], problem: str
) -> None:
    suite = flowers(options, inputs)
    plan = ptbench("plan", suite, "--json")
    assert plan.code == 2
    (said,) = json.loads(plan.out)["problems"]
    assert problem in said


def test_a_sentinel_that_peeks_reads_no_texts(ptbench: Ptbench, written: Written, flowers: Any) -> None:
    suite = flowers("temperature = 0.1", {"features"})
    suite.write_text(suite.read_text().replace("baseline:majority", "baseline:oracle"))
    peeks = ModelDescription(frozenset({Capability.PEEK}), inputs=frozenset({"features"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtin.baselines, "PROVIDER", replace(baselines.PROVIDER, describe=lambda _: peeks))
        assert ptbench("plan", suite).code == 0


@pytest.mark.parametrize(
    "options",
    ['template = "a photo"', 'template = "{label}\\u001b[31m"', "temperature = 0", "labels = { rose = 3 }"],
)
def test_an_impossible_option_is_a_mistake(ptbench: Ptbench, flowers: Any, options: str) -> None:
    called = ptbench("plan", flowers(options, {"features", "text"}))
    assert called.code == 2
    key = options.partition(" ")[0]
    assert f"protocol 'zero_shot' key '{key}' is" in called.err

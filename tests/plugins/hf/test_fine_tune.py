"""Fine-tuning of texts: every architecture in its blocks, pairs read jointly, numbers; and a known answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.torch.toys import state

from ptbench import Capability, Examples, FitRequest, ModelRequest, Outcome, Reference, Settings, Split, Task
from ptbench.testing import check_protocol, check_rows, make_trial
from ptbench_hf.text import SENTENCE_SIMILARITY, TEXT_CLASSIFICATION
from ptbench_sklearn.classical import PROVIDER as SKLEARN
from ptbench_torch.finetuning import PROTOCOL

Folders = Callable[[str], Path]
Load = Callable[..., Any]
NAMES = ["bert", "named", "roberta", "distilbert", "gpt2", "t5", "bart", "xlnet_classifier"]
QUICK = {"rates": [1e-3], "epochs": 1, "head_epochs": 1}
TRAINED = {"rates": [5e-3], "epochs": 12, "head_epochs": 5, "patience": 12}


def rows(name: str, n: int, target: Callable[[list[str]], float], *, pair: bool = False) -> Split:
    draw = np.random.default_rng(len(name))
    words = ["good", "film", "was", "the", "a", "plot", "dull", "!"]
    texts = [list(draw.choice(words, draw.integers(2, 9), replace=False)) for _ in range(n)]
    columns = {"text": [" ".join(text) for text in texts]}
    if pair:
        columns = {"text": ["good " * (i % 4) + "film" for i in range(n)],
                   "text_pair": ["plot" + " dull" * (i // 4 % 4) for i in range(n)]}  # fmt: skip
        texts = [f"{a} {b}".split() for a, b in zip(columns["text"], columns["text_pair"], strict=True)]
    ids = [f"{name}-{i}" for i in range(n)]
    return Split(Examples(ids, columns), np.array([target(text) for text in texts]) * 1)


def exclusive(text: list[str]) -> int:
    """Whether one of two words is there, and not both: no linear head on a bag of words can tell."""
    return ("good" in text) ^ ("dull" in text)


def compared(text: list[str]) -> float:
    return 3.0 + text.count("good") - text.count("dull")


def task(
    target: Callable[[list[str]], float] = exclusive, *, sizes: Any = (200, 60, 60), **more: Any
) -> Task:
    names = ("train", "validation", "test")
    splits = {name: rows(name, n, target, **more) for name, n in zip(names, sizes, strict=True)}
    if target is compared:
        return Task("similar", "sentence-similarity", splits, ())
    return Task("words", "text-classification", splits, (), ("no", "yes"))


def run(model: Any, given: Task, **options: Any) -> Outcome:
    kind = TEXT_CLASSIFICATION if given.labels else SENTENCE_SIMILARITY
    return PROTOCOL.run(make_trial(PROTOCOL, model, given, kind, **options))


@pytest.mark.parametrize("name", NAMES)
def test_blocks_hold_each_parameter_once_in_order(name: str, made: Folders, load: Load) -> None:
    learner = load(made(name), "fit").learner
    held = [id(p) for _, block in learner.blocks for p in block.parameters()]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in learner.backbone.parameters()}
    names = [name for name, _ in learner.blocks]
    layers = [name for name in names if name.rpartition(".")[2].isdigit()]
    assert len(layers) == 2, names
    assert layers == sorted(layers)
    assert names.index(layers[0]) > 0, "embeddings come before"


@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_learns_its_last_block(name: str, made: Folders, load: Load) -> None:
    model = load(made(name), "fit")
    before = state(model.learner.backbone)
    small = task(sizes=(20, 10, 7))
    fitted = model.fit(
        small.split("train"), small.split("validation"),
        FitRequest(small.kind, small.labels, 0, {**QUICK, "stages": ["all"], "unfreeze": 1}),
    )  # fmt: skip
    after = state(model.learner.backbone)
    prefixes = fitted.facts.extra["unfrozen"].split(", ")
    changed = {key.removeprefix("module.") for key in before if not (before[key] == after[key]).all()}
    assert changed
    assert all(key.startswith(tuple(prefixes)) for key in changed), changed
    check_rows(lambda some: fitted.predict(some)["scores"], small.split("test").examples, name)


def test_it_learns_what_a_frozen_random_backbone_cannot(made: Folders, load: Load) -> None:
    given = task(sizes=(800, 60, 80))
    targets = given.split("test").targets
    model = load(made("bert"), "fit")
    frozen = run(model, given, stages=["head"], head_epochs=20, head_rate=1e-2)
    whole = run(model, given, rates=[5e-3, 1e-2], epochs=15, head_epochs=3, patience=15)
    accuracy = [np.mean(o.columns["scores"].argmax(axis=1) == targets) for o in (frozen, whole)]
    assert accuracy[0] < 0.8
    assert accuracy[1] > 0.95
    assert whole.facts["stage"] == "all"


def test_pairs_are_read_jointly_with_numbers_as_targets(made: Folders, load: Load) -> None:
    given = task(compared, pair=True)
    model = load(made("bert"), "fit")
    outcome = run(model, given, **TRAINED)
    targets = given.split("test").targets
    assert np.corrcoef(outcome.columns["prediction"], targets)[0, 1] > 0.95
    tokens = model.learner.read(given.split("test").examples)
    test = given.split("test").examples
    both = [f"{a} {b}".split() for a, b in zip(test["text"], test["text_pair"], strict=True)]
    assert tokens.lengths.tolist() == [len(words) + 3 for words in both], "[CLS] a [SEP] b [SEP]"


@pytest.mark.parametrize("pair", [False, True])
def test_poisoned_test_rows_change_nothing(pair: bool, made: Folders, load: Load) -> None:
    target = compared if pair else exclusive
    kind = SENTENCE_SIMILARITY if pair else TEXT_CLASSIFICATION
    given = task(target, sizes=(40, 20, 20), pair=pair)
    check_protocol(PROTOCOL, load(made("bert"), "fit"), given, kind, **QUICK)


def test_dropout_is_seeded_and_the_checkpoint_is_not_changed(made: Folders, load: Load) -> None:
    given = task(sizes=(40, 20, 20))
    model = load(made("bert"), "fit")
    first, again, other = (run(model, given, seed=seed, **QUICK).columns["scores"] for seed in (0, 0, 1))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    reloaded = run(load(made("bert"), "fit"), given, seed=0, **QUICK).columns["scores"]
    assert reloaded.tobytes() == first.tobytes()


def test_bf16_computes_low_and_learns_in_float32(made: Folders, load: Load) -> None:
    model = load(made("bert"), "fit", settings=Settings(device="cpu", precision="bf16"))
    assert model.facts.precision == "bf16"
    outcome = run(model, task(sizes=(40, 20, 20)), **QUICK)
    assert np.isfinite(outcome.columns["scores"]).all()
    assert {str(p.dtype) for p in model.learner.backbone.parameters()} == {"torch.float32"}


def test_a_description_says_what_it_can_learn(made: Folders, ask: Any, describe: Any) -> None:
    assert describe(made("named"), "fit", kind="sentence-similarity").kinds is None
    assert describe(made("named"), "predict").kinds == {"text-classification"}
    counted = sum(p.numel() for p in _loaded(made("named"), ask).learner.backbone.parameters())
    assert describe(made("named"), "fit").parameters == counted


def _loaded(folder: Path, ask: Any) -> Any:
    from ptbench_hf.models import PROVIDER

    return PROVIDER.load(ask(folder, "fit"))


def test_truncated_texts_are_counted(made: Folders, load: Load) -> None:
    model = load(made("bert"), "fit", max_length=6)
    assert model.facts.counts["truncated"] == 0
    run(model, task(sizes=(20, 10, 10)), **QUICK)
    assert model.facts.counts["truncated"] > 0


def test_tfidf_follows_its_own_recipe() -> None:
    given = task(lambda text: "good" in text, sizes=(100, 40, 40))
    outcome = run(
        SKLEARN.load(ModelRequest(Reference("sklearn", "tfidf"), {}, capability=Capability.FIT)), given
    )
    assert np.mean(outcome.columns["scores"].argmax(axis=1) == given.split("test").targets) == 1


def test_minilm_learns_with_its_last_two_layers(minilm: Path, load: Load) -> None:
    """Its features have a dead column (1e-33), whose gradient must not drown the others."""
    given = task(sizes=(96, 32, 8))
    outcome = run(load(minilm, "fit"), given, unfreeze=2, rates=[3e-4], epochs=3, head_epochs=3)
    assert outcome.facts["unfrozen"] == "encoder.layer.4, encoder.layer.5"
    losses = {c["of"]: [y for _, y in c["points"]] for c in outcome.facts["curves"] if c["name"] == "loss"}
    assert losses["train, all 0.0003"][-1] < 0.9 * losses["train, head"][-1]
    assert outcome.facts["trained_parameters"] == 2 * 1_774_464 + 2 * 384 + 2

"""The linear probe: known answers, and nothing of the test split in what is chosen."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ptbench import (
    Column,
    Examples,
    Kind,
    ModelFacts,
    ModelRequest,
    ProtocolError,
    Reference,
    Split,
    Task,
    TaskFacts,
    cut_positions,
)
from ptbench.baselines import PROVIDER as BASELINE
from ptbench.testing import check_protocol, make_trial
from ptbench_sklearn.classical import PROVIDER
from ptbench_sklearn.probe import PROTOCOL, combined, laid_out, standardiser

KIND = Kind(
    name="toy",
    description="A vector with a label.",
    inputs=(Column("features", "vector"),),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"), Column("scores", "scores", required=False)),
)
RNG = np.random.default_rng(0)


def split(name: str, n: int, *, numbers: bool = False, margin: float = 1.0) -> Split:
    x = RNG.normal(size=(n, 4))
    x[:, 0] += np.sign(x[:, 0]) * margin
    targets = x @ [1.0, 2.0, 0.0, -1.0] + 5 if numbers else (x[:, 0] > 0).astype(int)
    return Split(Examples([f"{name}-{i}" for i in range(n)], {"features": x.tolist()}), targets)


def task(*, validation: bool = True, numbers: bool = False, margin: float = 1.0) -> Task:
    sizes = {"train": 200, **({"validation": 60} if validation else {}), "test": 80}
    splits = {name: split(name, n, numbers=numbers, margin=margin) for name, n in sizes.items()}
    return Task("toy", "toy", splits, (), () if numbers else ("no", "yes"))


def probe(task: Task, model: Any = None, *, seed: int = 0, **options: Any) -> tuple[Any, list[str]]:
    """Run the probe; return its outcome, and what was asked for in which order."""
    model = model or PROVIDER.load(ModelRequest(Reference("sklearn", "features")))
    asked: list[str] = []

    def features(name: str) -> tuple[np.ndarray[Any, Any], ...]:
        asked.append(f"features {name}")
        return (model.embed(task.split(name).examples),)

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        asked.append(name)
        yield

    trial = replace(
        make_trial(PROTOCOL, model, task, KIND, seed=seed, **options), features=features, phase=phase
    )
    return PROTOCOL.run(trial), asked


def same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


def test_a_separable_toy_is_solved() -> None:
    toy = task()
    outcome, asked = probe(toy)
    assert (outcome.columns["prediction"] == toy.split("test").targets).all()
    assert outcome.columns["scores"].shape == (80, 2)
    assert outcome.facts["validation_rows"] == 60
    assert outcome.facts["features"] == 4
    assert outcome.facts["converged"] is True
    assert asked == ["features train", "features validation", "fit", "features test", "predict"]
    assert outcome.notes == ()


def test_numbers_are_regressed() -> None:
    toy = task(numbers=True)
    outcome, _ = probe(toy)
    assert list(outcome.columns) == ["prediction"]
    np.testing.assert_allclose(outcome.columns["prediction"], toy.split("test").targets, atol=0.01)


def test_it_is_logistic_regression_on_standardised_features() -> None:
    toy = task(margin=0)
    outcome, _ = probe(toy, strengths=[0.5])
    x = {name: np.array(s.examples["features"], np.float32) for name, s in toy.splits.items()}
    mean, deviation = x["train"].mean(axis=0), x["train"].std(axis=0)
    every = (np.vstack([x["train"], x["validation"]]) - mean) / deviation
    targets = np.r_[toy.split("train").targets, toy.split("validation").targets]
    theirs = LogisticRegression(C=2, tol=1e-8).fit(every.astype(float), targets)
    expected = theirs.predict_proba((x["test"] - mean) / deviation)
    np.testing.assert_allclose(outcome.columns["scores"], expected, atol=2e-3)


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("validation", [False, True])
def test_poisoned_test_rows_change_nothing_that_is_chosen(*, numbers: bool, validation: bool) -> None:
    toy = task(validation=validation, numbers=numbers, margin=0)
    test = toy.split("test")
    columns = {"features": [*test.examples["features"][:40], *([1e6] * 4 for _ in range(40))]}
    poisoned = Split(Examples(test.examples.ids, columns), test.targets[::-1].copy())
    clean, _ = probe(toy)
    dirty, _ = probe(replace(toy, splits={**toy.splits, "test": poisoned}))
    assert dirty.facts == clean.facts
    assert same(*({k: v[:40] for k, v in o.columns.items()} for o in (clean, dirty)))


def test_validation_is_cut_from_train_by_id_and_seed() -> None:
    toy = task(validation=False, margin=0)
    outcome, asked = probe(toy, seed=3, validation=0.25)
    rest, cut = cut_positions(toy.split("train"), 0.25, 3)
    assert outcome.facts["validation_rows"] == len(cut)
    assert asked == ["features train", "fit", "features test", "predict"]
    train = toy.split("train")
    by_hand = {**toy.splits, "train": train.take(rest), "validation": train.take(cut)}
    expected, _ = probe(replace(toy, splits=by_hand))
    assert expected.facts == outcome.facts
    assert same(expected.columns, outcome.columns)


def test_scale_and_constant_columns_do_not_matter() -> None:
    toy = task(margin=0)

    class Scaled:
        facts = ModelFacts()

        def embed(self, examples: Examples) -> Any:
            x = np.array(examples["features"], np.float32)
            noise = 1e-7 * RNG.normal(size=(len(x), 1)).astype(np.float32)
            return np.hstack([1000 * x - 5, 1 + noise, np.zeros_like(noise)])

    plain, scaled = probe(toy)[0], probe(toy, Scaled())[0]
    assert scaled.facts["strength"] == plain.facts["strength"]
    np.testing.assert_allclose(scaled.columns["scores"], plain.columns["scores"], atol=5e-3)


def test_standardisation_is_fitted_on_train_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = task(margin=0)
    seen: list[Any] = []
    monkeypatch.setattr(
        "ptbench_sklearn.probe.standardiser", lambda x: seen.append(x.copy()) or standardiser(x)
    )
    probe(toy)
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0], np.array(toy.split("train").examples["features"], np.float32))

    def moved(name: str) -> Task:
        """Return the task with rows of a split so far away that they would rule a mean and a deviation."""
        old = toy.split(name)
        far = np.array(old.examples["features"]) * 1e3 + 1e4
        rows = Split(Examples(old.examples.ids, {"features": far.tolist()}), old.targets)
        return replace(toy, splits={**toy.splits, name: rows})

    for name in ("validation", "test"):
        probe(moved(name))
        np.testing.assert_array_equal(seen[-1], seen[0])


def test_three_times_the_features_are_never_needed() -> None:
    n, d = 24_000, 96
    x = RNG.normal(size=(n, d)).astype(np.float32)
    targets = (x[:, 0] > 0).astype(int)
    rows = {"train": slice(0, 18_000), "validation": slice(18_000, 21_000), "test": slice(21_000, n)}

    class Kept:
        facts = ModelFacts()

        def embed(self, examples: Examples) -> Any:
            return x[[int(i) for i in examples.ids]]

    splits = {
        name: Split(Examples([str(i) for i in range(n)[r]], {"features": [0] * len(x[r])}), targets[r])
        for name, r in rows.items()
    }
    toy = Task("toy", "toy", splits, (), ("no", "yes"))
    tracemalloc.start()
    try:
        outcome, _ = probe(toy, Kept(), strengths=[100.0, 1.0])
        peak = tracemalloc.get_traced_memory()[1]  # with the features that embed returned
    finally:
        tracemalloc.stop()
    assert outcome.facts["search"] == 2
    assert peak < 3 * x.nbytes


def test_features_that_are_not_finite_are_refused() -> None:
    class Broken:
        facts = ModelFacts()

        def embed(self, examples: Examples) -> Any:
            x = np.array(examples["features"], np.float32)
            x[-1, 0] = np.nan
            return x

    with pytest.raises(ProtocolError, match="hold values that are not finite"):
        probe(task(), Broken())


@pytest.mark.parametrize("pair", ["concat", "interaction"])
def test_rows_are_laid_out_in_order(pair: str) -> None:
    u, v, w = (RNG.normal(size=(n, 3)).astype(np.float32) for n in (5, 5, 4))
    np.testing.assert_array_equal(laid_out([(u,), (w,)], pair), np.vstack([u, w]))
    at = np.array([3, 0, 4])
    np.testing.assert_array_equal(laid_out([(u, v)], pair, at), combined((u[at], v[at]), pair))


def test_features_of_pairs() -> None:
    u, v = np.float32([[1, 2]]), np.float32([[3, 1]])
    assert combined((u,), "concat") is u
    assert combined((u, v), "concat").tolist() == [[1, 2, 3, 1, 2, 1, 3, 2]]
    assert combined((u, v), "interaction").tolist() == [[2, 1, 3, 2]]


def test_a_deviation_of_rounding_alone_is_none() -> None:
    x = np.float32([[1, 7, 0, 0.0], [3, 7, 0, 1e-9]])
    mean, deviation = standardiser(x)
    np.testing.assert_allclose(mean, [2, 7, 0, 5e-10])
    np.testing.assert_allclose(deviation, [1, 1, 1, 5e-10])
    assert standardiser(np.float32([[1e-45], [0]]))[1].tolist() == [1]  # no float32 holds it


def test_small_columns_are_told_apart_like_large_ones() -> None:
    """MiniLM has columns of 1e-33: float32 holds all their digits."""

    class Model:
        facts = ModelFacts()

        def embed(self, examples: Examples) -> Any:
            return np.asarray(examples["features"], dtype=np.float32) * np.float32([1e-33, 1, 1, 1])

    toy = task(margin=1.0)
    outcome, _ = probe(toy, Model())
    assert (outcome.columns["prediction"] == toy.split("test").targets).mean() > 0.95


@pytest.mark.parametrize("name", ["majority", "random"])
def test_a_model_with_its_own_recipe_follows_it(name: str) -> None:
    toy = task(validation=False)
    model = BASELINE.load(ModelRequest(Reference("baseline", name)))
    outcome, asked = probe(toy, model)
    assert asked == ["fit", "predict"]
    assert outcome.columns["scores"].shape == (80, 2)
    assert outcome.facts == {"validation_rows": len(cut_positions(toy.split("train"), 0.1, 0)[1])}


def test_a_plan_can_check_the_options() -> None:
    options = {option.name: option for option in PROTOCOL.options}
    assert options["validation"].check(7.0) == "a share between 0 and 1 was expected"
    assert options["strengths"].check(["a"]) == "a list of numbers above 0 was expected"
    assert all(option.check(option.default) is None for option in options.values())


def test_a_model_with_its_own_recipe_gets_the_options() -> None:
    texts = {"text": ["a fine day", "a dull day"] * 20}
    rows = Split(Examples([str(i) for i in range(40)], texts), np.array([1, 0] * 20))
    toy = Task("toy", "toy", dict.fromkeys(("train", "validation", "test"), rows), (), ("no", "yes"))

    def tried(model: dict[str, Any], **options: Any) -> list[float]:
        """Return the strengths that TF-IDF tries with these options of its own, and of the protocol."""
        words: Any = PROVIDER.load(ModelRequest(Reference("sklearn", "tfidf"), PROVIDER.filled(model)))
        probe(toy, words, **options)
        return [step["strength"] for step in words.facts.extra["path"]]

    assert tried({}) == [10, 3, 1, 0.3, 0.1, 0.03]
    assert tried({}, strengths=[1, 7.0]) == [7, 1]
    assert tried({"strengths": [2.0]}, strengths=[1, 7.0]) == [2]


def test_the_oracle_peeks() -> None:
    toy = task()
    outcome, asked = probe(toy, BASELINE.load(ModelRequest(Reference("baseline", "oracle"))))
    assert (outcome.columns["prediction"] == toy.split("test").targets).all()
    assert asked == ["predict"]


def test_what_makes_no_sense_is_refused() -> None:
    assert PROTOCOL.refuses(TaskFacts(KIND, pair=False)) is None
    assert PROTOCOL.refuses(TaskFacts(KIND, pair=False, splits={"train": None, "test": None})) is None
    without = PROTOCOL.refuses(TaskFacts(KIND, pair=False, splits={"test": 3}))
    assert without == "linear_probe learns from a train split, and the task has none"
    boxes = replace(KIND, target=Column("target", "any"))
    assert "has neither as target" in str(PROTOCOL.refuses(TaskFacts(boxes, pair=False)))


def test_complaints() -> None:
    for strengths in ([], [0], [1, "a"], [True], [-1.0], [float("inf")]):
        with pytest.raises(ProtocolError, match="a list of numbers above 0 was expected"):
            probe(task(), strengths=strengths)
    for share in (7.0, -1.0, 0.0, 1.0, float("nan")):
        with pytest.raises(ProtocolError, match=f"validation = {share}: a share between 0 and 1"):
            probe(task(), validation=share)

    class Nothing:
        facts = ModelFacts()

    with pytest.raises(ProtocolError, match="linear_probe cannot use a Nothing"):
        probe(task(), Nothing())


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("validation", [False, True])
def test_poisoned_test_rows_change_nothing(numbers: bool, validation: bool) -> None:
    model = PROVIDER.load(ModelRequest(Reference("sklearn", "features")))
    check_protocol(PROTOCOL, model, task(validation=validation, numbers=numbers, margin=0.0), KIND)

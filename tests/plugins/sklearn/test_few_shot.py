"""A few rows per class: nested draws that follow ids, and mteb's experiments to the last bit."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from tests.plugins.sklearn.toys import NUMBERS, PAIRS, VECTORS, Letters, arrays, baseline, raw, task

from ptbench import (
    Examples,
    ModelFacts,
    ModelRequest,
    Outcome,
    ProtocolError,
    Reference,
    Split,
    Task,
    TaskFacts,
)
from ptbench.testing import check_protocol, make_trial
from ptbench_sklearn import few_shot
from ptbench_sklearn.classical import PROVIDER
from ptbench_sklearn.distances import unit
from ptbench_sklearn.draws import mteb_draws, nested_draws
from ptbench_sklearn.few_shot import PROTOCOL
from ptbench_sklearn.prototypes import fit_prototypes

IDS = [f"row-{i}" for i in range(120)]
TARGETS = np.random.default_rng(0).integers(0, 3, size=120)


def shot(toy: Task, model: Any = None, **options: Any) -> Outcome:
    return PROTOCOL.run(make_trial(PROTOCOL, model or raw(), toy, VECTORS, **options))


def drawn(ids: list[str], targets: Any, **options: Any) -> list[tuple[int, list[str]]]:
    given = {"shots": [1, 4, 8], "resamples": 5, "seed": 0, **options}
    return [(k, [ids[i] for i in rows]) for k, rows in nested_draws(ids, targets, **given)]


def test_a_draw_has_its_shots_of_each_class() -> None:
    draws = list(nested_draws(IDS, TARGETS, [1, 4, 8], 5, 0))
    assert [k for k, _ in draws] == [1] * 5 + [4] * 5 + [8] * 5
    for k, rows in draws:
        assert np.bincount(TARGETS[rows]).tolist() == [k] * 3
        assert len(set(rows.tolist())) == 3 * k


def test_draws_are_nested() -> None:
    draws = drawn(IDS, TARGETS)
    for resample in range(5):
        one, four, eight = (set(rows) for _, rows in draws[resample::5])
        assert one < four < eight


def test_resamples_and_seeds_differ() -> None:
    draws = drawn(IDS, TARGETS, shots=[4]) + drawn(IDS, TARGETS, shots=[4], seed=1)
    assert len({frozenset(rows) for _, rows in draws}) == 10


@given(st.permutations(range(60)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    moved = drawn([IDS[i] for i in order], TARGETS[order], shots=[2], resamples=3)
    assert moved == drawn(IDS[:60], TARGETS[:60], shots=[2], resamples=3)


def test_rows_of_another_class_do_not_matter() -> None:
    first = TARGETS == 1
    alone = drawn([IDS[i] for i in np.flatnonzero(first)], TARGETS[first])
    with_others = drawn(IDS, TARGETS)
    assert all(set(a) <= set(b) for (_, a), (_, b) in zip(alone, with_others, strict=True))


def test_every_row_is_as_likely() -> None:
    n = 20
    counts = np.zeros(n)
    for _, rows in nested_draws([str(i) for i in range(n)], np.zeros(n, int), [5], 4000, 7):
        counts[rows] += 1
    expected = 4000 * 5 / n
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 43.8  # the 99.9 % point with 19 degrees; drawn without replacement it is below


def their_draws(labels: list[int], shots: int, experiments: int, seed: int) -> list[list[int]]:
    """`AbsTaskClassification._undersample_data` of mteb 2.26, as it stands there."""
    indices = list(range(len(labels)))
    draws = []
    for _ in range(experiments):
        np.random.RandomState(seed).shuffle(indices)
        counter: dict[int, int] = defaultdict(int)
        sampled = []
        for i in indices:
            if counter[labels[i]] < shots:
                sampled.append(i)
                counter[labels[i]] += 1
        draws.append(sampled)
    return draws


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(1, 9), st.integers(0, 99))
def test_mtebs_draws(labels: list[int], shots: int, seed: int) -> None:
    ours = [rows.tolist() for _, rows in mteb_draws(np.array(labels), shots, 4, seed)]
    assert ours == their_draws(labels, shots, 4, seed)


def test_mtebs_recipe() -> None:
    toy = task(classes=3, margin=0.3)
    outcome = shot(toy, recipe="mteb")
    x, y = arrays(toy)
    draws = their_draws(y["train"].tolist(), 8, 10, 42)
    assert len(outcome.draws) == 10
    for ours, rows in zip(outcome.draws, draws, strict=True):
        theirs = LogisticRegression(max_iter=100, random_state=42).fit(x["train"][rows], y["train"][rows])
        assert ours.shots == 8
        assert (ours.columns["prediction"] == theirs.predict(x["test"])).all()
        np.testing.assert_allclose(ours.columns["scores"], theirs.predict_proba(x["test"]), rtol=1e-6)
    assert outcome.facts["search"] == 1
    other = shot(toy, recipe="mteb", seed=1)
    assert any(
        (a.columns["scores"] != b.columns["scores"]).any()
        for a, b in zip(outcome.draws, other.draws, strict=True)
    )


@pytest.mark.parametrize("learner", ["logistic", "prototypes"])
def test_each_draw_is_learnt_from_rows_of_length_1(learner: str) -> None:
    toy = task(margin=0.3)
    outcome = shot(toy, learner=learner, shots=[2, 8], resamples=3, strength=0.5, seed=5)
    x, y = arrays(toy)
    draws = list(nested_draws(toy.split("train").examples.ids, y["train"], [2, 8], 3, 5))
    assert [draw.shots for draw in outcome.draws] == [2, 2, 2, 8, 8, 8]
    train, test = unit(x["train"]), unit(x["test"])
    for ours, (_, rows) in zip(outcome.draws, draws, strict=True):
        if learner == "logistic":
            head = LogisticRegression(C=2, max_iter=1000).fit(train[rows], y["train"][rows])
            expected = head.predict_proba(test)
        else:
            expected = fit_prototypes(train[rows], y["train"][rows], "cosine", 2).predict(test)["scores"]
        np.testing.assert_allclose(ours.columns["scores"], expected, atol=1e-6)
    assert outcome.facts == {
        "recipe": "ptbench",
        "learner": learner,
        "shots": [2, 8],
        "resamples": 3,
        "search": 1,
        "features": 4,
    }


def test_more_shots_help() -> None:
    toy = task(margin=1, sizes=(400, 60, 400))
    right: dict[int, list[float]] = defaultdict(list)
    for draw in shot(toy).draws:
        right[draw.shots].append(float((draw.columns["prediction"] == toy.split("test").targets).mean()))
    means = [np.mean(right[k]) for k in (1, 4, 16)]
    assert means[0] < means[1] < means[2]


def test_one_row_is_no_rows() -> None:
    toy = task(sizes=(4, 6, 6))
    train = toy.split("train")
    keep = np.r_[np.flatnonzero(train.targets == 0)[:1], np.flatnonzero(train.targets == 1)]
    short = replace(toy, splits={**toy.splits, "train": train.take(keep)})
    with pytest.raises(ProtocolError, match=r"label 'no' has 1 training row$"):
        shot(short, shots=[2])


def test_shots_above_the_smallest_class_are_left_out() -> None:
    toy = task(sizes=(10, 6, 6))
    outcome = shot(toy, resamples=2)
    assert [draw.shots for draw in outcome.draws] == [1, 1, 2, 2, 4, 4]
    assert outcome.notes == (
        "shots left out: 8, 16; label 'no' has 5 training rows",
        "draws of 4 share many rows (label 'no' has 5 training rows): their interval is for this train set",
    )
    with pytest.raises(ProtocolError, match=r"^few_shot: shots = \[8\]: label 'no' has 5 training rows$"):
        shot(toy, shots=8)


def test_only_rows_that_are_drawn_are_embedded() -> None:
    words = [f"{'a' * (i % 7)}{'b' if i % 2 else 'c'} {i}" for i in range(200)]
    train = Split(Examples([str(i) for i in range(200)], {"text": words}), np.arange(200) % 2)
    pairs = {"text": words[:4], "text_pair": words[4:8]}
    test = Split(Examples(["w", "x", "y", "z"], pairs), np.array([0, 1, 0, 1]))
    both = Split(Examples(train.examples.ids, {"text": words, "text_pair": words[::-1]}), train.targets)
    kind = replace(VECTORS, inputs=PAIRS.inputs)
    single = Split(Examples(test.examples.ids, {"text": words[:4]}), test.targets)
    for rows, asked, this in ((train, single, kind), (both, test, PAIRS)):
        toy = Task("toy", this.name, {"train": rows, "test": asked}, (), ("no", "yes"))
        model = Letters()
        given = make_trial(PROTOCOL, model, toy, this, shots=2, resamples=3)
        few = PROTOCOL.run(given)
        assert len(model.seen) <= (3 * 2 * 2 + 4) * len(rows.examples.columns)
        whole = replace(given, embed=lambda examples: pytest.fail("all of train is there"))
        many = replace(whole, options={**given.options, "resamples": 60})
        assert [d.columns["scores"].tolist() for d in PROTOCOL.run(many).draws[:3]] == [
            d.columns["scores"].tolist() for d in few.draws
        ]


def test_a_model_that_fits_itself_learns_from_each_draw() -> None:
    rows = [f"{word} {i}" for i in range(30) for word in ("fine", "dull")]
    split = Split(Examples([str(i) for i in range(60)], {"text": rows}), np.arange(60) % 2)
    toy = Task("toy", "toy", {"train": split, "test": split}, (), ("fine", "dull"))
    words = PROVIDER.load(ModelRequest(Reference("sklearn", "tfidf"), PROVIDER.filled({})))
    outcome = PROTOCOL.run(make_trial(PROTOCOL, words, toy, VECTORS, shots=[1, 8], resamples=3))
    assert [draw.shots for draw in outcome.draws] == [1, 1, 1, 8, 8, 8]
    assert "follows its own recipe, not that of few_shot" in outcome.notes
    accuracy = [(draw.columns["prediction"] == split.targets).mean() for draw in outcome.draws]
    assert min(accuracy[3:]) > 0.95

    class Counts:
        facts = ModelFacts()
        seen: list[tuple[int, int]] = []  # noqa: RUF012

        def fit(self, train: Split, validation: Split, request: Any) -> Any:
            self.seen.append((len(train), len(validation)))
            assert not set(train.examples.ids) & set(validation.examples.ids)
            return baseline("majority").fit(train, validation, request)

    PROTOCOL.run(make_trial(PROTOCOL, Counts(), toy, VECTORS, shots=[1, 8], resamples=2))
    assert [sum(rows) for rows in Counts.seen] == [2, 2, 16, 16]  # never a row beyond the draw


def test_the_oracle_peeks_once() -> None:
    toy = task()
    outcome = shot(toy, baseline("oracle"))
    assert outcome.draws == ()
    assert (outcome.columns["prediction"] == toy.split("test").targets).all()


def test_scores_that_are_too_many_for_memory_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = task()
    before = shot(toy, shots=2, resamples=2)
    monkeypatch.setattr(few_shot, "MAX_SCORES", 80 * 2 * 4 * 2 - 1)
    after = shot(toy, shots=2, resamples=2)
    assert [list(draw.columns) for draw in after.draws] == [["prediction"]] * 2
    assert after.notes == ("few_shot kept no scores: there are too many for memory",)
    assert (after.draws[1].columns["prediction"] == before.draws[1].columns["prediction"]).all()


def test_heads_that_had_not_converged_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(few_shot.ITERATIONS, "mteb", 2)
    assert shot(task(), recipe="mteb").notes == ("10 of 10 heads had not converged",)


@pytest.mark.parametrize("validation", [False, True])
@pytest.mark.parametrize("options", [{}, {"learner": "prototypes"}, {"recipe": "mteb"}])
def test_poisoned_test_rows_change_nothing(validation: bool, options: dict[str, Any]) -> None:
    check_protocol(PROTOCOL, raw(), task(validation=validation, classes=3), VECTORS, **options)


def test_what_makes_no_sense_is_refused() -> None:
    assert PROTOCOL.refuses(TaskFacts(VECTORS)) is None
    numbers = "few_shot draws examples of each class, and toy-numbers has a number as target"
    assert PROTOCOL.refuses(TaskFacts(NUMBERS)) == numbers
    without = PROTOCOL.refuses(TaskFacts(VECTORS, splits={"test": 3}))
    assert without == "few_shot learns from a train split, and the task has none"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shots": []}, "shots = []: whole numbers above 0 were expected, as in [1, 2, 4, 8, 16]"),
        ({"shots": [0]}, "shots = [0]: whole numbers above 0 were expected, as in [1, 2, 4, 8, 16]"),
        ({"shots": True}, "shots = True: whole numbers above 0 were expected, as in [1, 2, 4, 8, 16]"),
        ({"resamples": 0}, "resamples = 0: a number of 1 or more was expected"),
        ({"strength": 0.0}, "strength = 0.0: a number above 0 was expected"),
        (
            {"recipe": "mteb", "shots": [8, 16]},
            "mteb's recipe has one number of shots (8); shots = [8, 16] was",
        ),
        ({"recipe": "mteb", "strength": 2.0}, "mteb's recipe has strength = 1; 2.0 was given"),
        (
            {"recipe": "mteb", "learner": "prototypes"},
            "mteb's recipe is logistic regression; learner = 'proto",
        ),
    ],
)
def test_complaints(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        shot(task(), **options)
    assert str(caught.value).startswith(f"few_shot: {message}")


def test_one_label_alone_cannot_be_learnt() -> None:
    toy = task()
    only = toy.split("train").take(np.flatnonzero(toy.split("train").targets == 1))
    with pytest.raises(ProtocolError, match=r"^few_shot: all training rows have the label 'yes'$"):
        shot(replace(toy, splits={**toy.splits, "train": only}))

"""Nearest neighbours: beside scikit-learn's, by brute force, and nothing of test in what is chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from tests.plugins.sklearn.toys import NUMBERS, PAIRS, VECTORS, Letters, arrays, baseline, of, raw, task

from ptbench import (
    Column,
    Examples,
    ModelFacts,
    Outcome,
    ProtocolError,
    Split,
    Task,
    TaskFacts,
    cut_positions,
)
from ptbench.testing import check_protocol, make_trial
from ptbench_sklearn.distances import between, neighbours, placement, unit
from ptbench_sklearn.knn import PROTOCOL, answer


def knn(toy: Task, model: Any = None, **options: Any) -> Outcome:
    kind = NUMBERS if not toy.labels else VECTORS
    return PROTOCOL.run(make_trial(PROTOCOL, model or raw(), toy, kind, **options))


SMALL = arrays_of.arrays(
    np.float32, st.tuples(st.integers(1, 30), st.just(3)), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0])
)


@given(rows=SMALL, queries=SMALL, k=st.integers(1, 30), block=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_the_search_is_exact_and_blocks_do_not_matter(
    rows: Any, queries: Any, k: int, block: tuple[int, int]
) -> None:
    k = min(k, len(rows))
    half_squares = ((queries[:, None].astype(float) - rows[None]) ** 2).sum(axis=2) / 2
    expected = np.argsort(half_squares, axis=1, kind="stable")[:, :k]  # of equals the first
    at, far = neighbours(rows, queries, k, block=block)
    assert at.tolist() == expected.tolist()
    np.testing.assert_allclose(far, np.take_along_axis(half_squares, expected, axis=1))


def test_copies_of_a_row_are_equally_far_in_every_block() -> None:
    random = np.random.default_rng(0)
    rows = unit(np.tile(random.normal(size=(3, 100)).astype(np.float32), (50, 1)))
    queries = unit(random.normal(size=(40, 100)).astype(np.float32))
    whole = neighbours(rows, queries, 70)
    for block in ((1, 70), (7, 71), (40, 99)):
        at, far = neighbours(rows, queries, 70, block=block)
        assert (at == whole[0]).all()
        assert (far == whole[1]).all()
    assert all(np.unique(far).size <= 3 for far in whole[1])


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_lengths_beyond_the_squares_of_float32_are_none_to_a_cosine(size: float) -> None:
    x = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    np.testing.assert_allclose(unit(x * np.float32(size)), unit(x), rtol=1e-5)
    far = between(x * np.float32(size), x)
    assert (np.isfinite(far) == (size < 1)).all()


def test_both_distances_are_0_of_equals_and_about_1_of_strangers() -> None:
    random = np.random.default_rng(0)
    x = (random.normal(size=(2000, 300)) * random.uniform(0.1, 50, size=300) + 7).astype(np.float32)
    rows = placement("euclidean", x)(x)
    assert between(rows[:1], rows[:1]) == 0
    np.testing.assert_allclose(between(rows[:1000], rows[1000:]).mean(), 1, atol=0.01)
    a, b = random.normal(size=(2, 50, 8)).astype(np.float32)
    cosine = (a @ b.T) / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    place = placement("cosine", x)
    np.testing.assert_allclose(between(place(a), place(b)), 1 - cosine, atol=1e-6)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("numbers", [False, True])
def test_it_is_scikit_learns(distance: str, numbers: bool) -> None:
    toy = task(numbers=numbers, margin=0.5)
    outcome = knn(toy, k=[7], distance=distance)
    x, y = arrays(toy)
    mean, deviation = x["train"].mean(axis=0), x["train"].std(axis=0)
    standard = {
        name: (part - mean) / deviation if distance == "euclidean" else part for name, part in x.items()
    }
    theirs: Any = (KNeighborsRegressor if numbers else KNeighborsClassifier)(7, metric=distance)
    theirs.fit(np.vstack([standard["train"], standard["validation"]]), np.r_[y["train"], y["validation"]])
    expected = (theirs.predict if numbers else theirs.predict_proba)(standard["test"])
    np.testing.assert_allclose(outcome.columns["prediction" if numbers else "scores"], expected)
    assert outcome.facts["search"] == 1
    assert outcome.facts["tried"] == []


def test_what_is_best_on_validation_is_chosen() -> None:
    toy = task(margin=0.5, classes=3)
    facts = knn(toy).facts
    assert [(one["distance"], one["k"]) for one in facts["tried"]] == [
        (distance, k) for distance in ("cosine", "euclidean") for k in (100, 50, 20, 10, 5, 3, 1)
    ]
    assert facts["search"] == 14
    x, y = arrays(toy)
    mean, deviation = x["train"].mean(axis=0), x["train"].std(axis=0)
    for one in facts["tried"]:
        scale = (
            (lambda part: (part - mean) / deviation)
            if one["distance"] == "euclidean"
            else (lambda part: part)
        )
        theirs = KNeighborsClassifier(one["k"], metric=one["distance"]).fit(scale(x["train"]), y["train"])
        assert one["accuracy"] == theirs.score(scale(x["validation"]), y["validation"])
    best = max(one["accuracy"] for one in facts["tried"])
    first = next(one for one in facts["tried"] if one["accuracy"] == best)
    assert (facts["distance"], facts["k"]) == (first["distance"], first["k"])


def test_softmax_weights_are_those_of_dino() -> None:
    far, targets = np.float32([[0.0, 0.1, 0.3]]), np.array([[1, 0, 0]])
    votes = np.exp((1 - far[0].astype(float)) / 0.07)  # exp(cosine / temperature)
    expected = [votes[1] + votes[2], votes[0]] / votes.sum()
    np.testing.assert_allclose(answer(targets, far, 2, "softmax", 0.07), [expected], rtol=1e-6)
    numbers = answer(np.array([[3.0, 4.0, 5.0]]), far, 0, "softmax", 0.07)
    np.testing.assert_allclose(numbers, [votes @ [3, 4, 5] / votes.sum()], rtol=1e-6)
    assert answer(targets, far, 2, "uniform", 0.07).tolist() == [[2 / 3, 1 / 3]]
    tiny = answer(targets, far, 2, "softmax", 1e-6)
    assert tiny.tolist() == [[0, 1]]  # and neither 0 / 0 nor an overflow


def test_the_nearest_itself_is_found() -> None:
    toy = task()
    copied = replace(toy, splits={**toy.splits, "test": toy.split("train")})
    outcome = knn(copied, k=[1])
    assert (outcome.columns["prediction"] == toy.split("train").targets).all()


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("validation", [False, True])
def test_poisoned_test_rows_change_nothing(numbers: bool, validation: bool) -> None:
    check_protocol(PROTOCOL, raw(), task(validation=validation, numbers=numbers), of(numbers))


def test_validation_is_cut_from_train_by_id_and_seed() -> None:
    toy = task(validation=False)
    outcome = knn(toy, seed=3, validation=0.25)
    rest, cut = cut_positions(toy.split("train"), 0.25, 3)
    train = toy.split("train")
    by_hand = {**toy.splits, "train": train.take(rest), "validation": train.take(cut)}
    expected = knn(replace(toy, splits=by_hand))
    assert outcome.facts == expected.facts
    assert (outcome.columns["scores"] == expected.columns["scores"]).all()


def test_numbers_of_neighbours_above_the_rows_are_left_out() -> None:
    toy = task(sizes=(12, 6, 6))
    assert {one["k"] for one in knn(toy).facts["tried"]} == {1, 3, 5, 10}
    with pytest.raises(ProtocolError, match=r"^knn: k = \[50\]: there are only 12 rows to learn from$"):
        knn(toy, k=[50])


def test_numbers_of_neighbours_that_a_suite_named_are_told_when_left_out() -> None:
    toy = task(sizes=(12, 6, 6))
    assert knn(toy).notes == ()
    assert knn(toy, k=[3, 50, 1000]).notes == ("k left out: 50, 1,000; train has 12 rows",)
    cut = knn(task(sizes=(200, 6, 6), validation=False), k=[3, 500], validation=0.25)
    left = 200 - cut.facts["validation_rows"]
    assert cut.notes == (f"k left out: 500; train has {left} rows besides those cut for validation",)


def test_a_plan_refuses_more_neighbours_than_there_are_rows() -> None:
    given = PROTOCOL.filled({"k": [1000, 300]})
    facts = TaskFacts(VECTORS, splits={"train": 200, "test": 50})
    said = "knn: k = [1000, 300]: there are only 200 rows to learn from"
    assert PROTOCOL.misfit(facts, given) == said
    assert PROTOCOL.misfit(facts, PROTOCOL.filled({"k": [1000, 200]})) is None
    assert PROTOCOL.misfit(facts, PROTOCOL.filled({})) is None
    assert PROTOCOL.misfit(TaskFacts(VECTORS, splits={"train": None, "test": 3}), given) is None
    assert PROTOCOL.misfit(TaskFacts(VECTORS), given) is None


def test_pairs_have_their_features() -> None:
    texts = {"text": ["ab", "ab", "cd"] * 10, "text_pair": ["ab", "xy", "cd"] * 10}
    rows = Split(Examples([str(i) for i in range(30)], texts), np.array([1, 0, 1] * 10))
    toy = Task(
        "toy", "toy-pairs", dict.fromkeys(("train", "validation", "test"), rows), (), ("differ", "same")
    )
    outcome = PROTOCOL.run(make_trial(PROTOCOL, Letters(), toy, PAIRS, pair="interaction"))
    assert (outcome.columns["prediction"] == rows.targets).all()
    assert outcome.facts["features"] == 52


@pytest.mark.parametrize("name", ["majority", "random"])
def test_a_model_with_its_own_recipe_follows_it_and_says_so(name: str) -> None:
    outcome = knn(task(), baseline(name))
    assert outcome.columns["scores"].shape == (80, 2)
    assert outcome.notes == ("follows its own recipe, not that of knn",)
    assert outcome.facts == {"validation_rows": 60}


def test_the_oracle_peeks() -> None:
    toy = task()
    outcome = knn(toy, baseline("oracle"))
    assert (outcome.columns["prediction"] == toy.split("test").targets).all()
    assert outcome.notes == ()


def test_what_makes_no_sense_is_refused() -> None:
    assert PROTOCOL.refuses(TaskFacts(VECTORS)) is None
    assert PROTOCOL.refuses(TaskFacts(NUMBERS, splits={"train": None, "test": 3})) is None
    without = PROTOCOL.refuses(TaskFacts(VECTORS, splits={"test": 3}))
    assert without == "knn learns from a train split, and the task has none"
    boxes = replace(VECTORS, target=Column("target", "any"))
    assert "has neither as target" in str(PROTOCOL.refuses(TaskFacts(boxes)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": []}, "knn: k = []: a list of whole numbers above 0 was expected"),
        ({"k": [0]}, "knn: k = [0]: a list of whole numbers above 0 was expected"),
        ({"k": [True]}, "knn: k = [True]: a list of whole numbers above 0 was expected"),
        ({"temperature": 0.0}, "knn: temperature = 0.0: a number above 0 was expected"),
        ({"distance": "manhattan"}, "knn: distance = 'manhattan'; known: ('cosine', 'euclidean')"),
        ({"validation": 2.0}, "knn: validation = 2.0: a share between 0 and 1 was expected"),
    ],
)
def test_complaints(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        knn(task(), **options)
    assert str(caught.value) == message


def test_a_model_that_can_nothing_is_named() -> None:
    class Nothing:
        facts = ModelFacts()

    with pytest.raises(ProtocolError, match=r"^knn cannot use a Nothing: it has no features$"):
        knn(task(), Nothing())

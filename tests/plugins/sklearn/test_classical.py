"""TF-IDF and raw features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from ptbench import (
    Capability,
    Examples,
    FitRequest,
    ModelError,
    ModelRequest,
    Reference,
    Split,
    Task,
    testing,
)
from ptbench_sklearn.classical import PROVIDER

WORDS = {0: ["dull", "poor", "bad"], 1: ["fine", "good", "great"]}
RNG = np.random.default_rng(0)


def request(name: str, **options: Any) -> ModelRequest:
    return ModelRequest(Reference.parse(f"sklearn:{name}", revisions=PROVIDER.revisions), options)


def split(n: int, *, pair: bool = False, numbers: bool = False) -> Split:
    targets = RNG.integers(0, 2, n)
    texts = [f"a {RNG.choice(WORDS[int(y)])} {RNG.choice(['film', 'book', 'play'])}" for y in targets]
    columns: dict[str, Any] = {"text": texts}
    if pair:  # alike or not: the first text alone says nothing
        other = RNG.integers(0, 2, n)
        columns["text_pair"] = [f"{RNG.choice(WORDS[int(y)])} it is" for y in other]
        targets = (targets == other).astype(int)
    ids = [f"id-{i}" for i in range(n)]
    return Split(Examples(ids, columns), targets * 2.5 if numbers else targets)


def fit(
    name: str, train: Split, validation: Split, labels: tuple[str, ...] = ("no", "yes"), **options: Any
) -> Any:
    model: Any = PROVIDER.load(request(name, **options))
    return model, model.fit(train, validation, FitRequest("text-classification", labels, 0))


@pytest.mark.parametrize("name", ["tfidf", "tfidf-char"])
def test_it_learns_words(name: str) -> None:
    test = split(50)
    model, fitted = fit(name, split(200), split(40))
    columns = fitted.predict(test.examples)
    assert (columns["prediction"] == test.targets).all()
    facts = model.facts
    assert facts.parameters == facts.extra["vocabulary"] + 1
    assert facts.extra["converged"]
    assert facts == fitted.facts


def test_it_is_scikit_learns_pipeline() -> None:
    train, validation, test = split(100), split(30), split(20)
    _, fitted = fit("tfidf", train, validation, strengths=[0.5])
    vectorizer = TfidfVectorizer(ngram_range=(1, 2)).fit(train.examples["text"])
    x = vectorizer.transform([*train.examples["text"], *validation.examples["text"]])
    theirs = LogisticRegression(C=2, tol=1e-8).fit(x, np.r_[train.targets, validation.targets])
    expected = theirs.predict_proba(vectorizer.transform(test.examples["text"]))
    np.testing.assert_allclose(fitted.predict(test.examples)["scores"], expected, atol=2e-3)


def test_pairs_stand_side_by_side_over_one_vocabulary() -> None:
    train, validation = split(400, pair=True), split(80, pair=True)
    model, fitted = fit("tfidf", train, validation, ngrams=[1, 1])
    a, b = (fitted.vectorizer.transform(train.examples[side]) for side in ("text", "text_pair"))
    expected = sparse.hstack([a, b, abs(a - b), a.multiply(b)])
    assert abs(fitted.features(train.examples) - expected).max() < 1e-7
    assert model.facts.parameters == 4 * model.facts.extra["vocabulary"] + 1
    words = {word for side in WORDS.values() for word in side}
    assert set(fitted.vectorizer.vocabulary_) == words | {"film", "book", "play", "it", "is"}


def test_numbers_are_regressed() -> None:
    test = split(50, numbers=True)
    _, fitted = fit("tfidf", split(200, numbers=True), split(40, numbers=True), labels=())
    columns = fitted.predict(test.examples)
    assert list(columns) == ["prediction"]
    assert ((columns["prediction"] > 1.25) == (test.targets > 1.25)).all()


def test_each_fit_is_anew() -> None:
    train, validation, test = split(100), split(30), split(20)
    model, first = fit("tfidf", train, validation)
    before = first.predict(test.examples)["scores"]
    other = Split(Examples(train.examples.ids, {"text": ["some other words"] * 100}), train.targets)
    model.fit(other, other, FitRequest("text-classification", ("no", "yes"), 0))
    assert (first.predict(test.examples)["scores"] == before).all()


def test_words_of_test_and_validation_are_not_learnt() -> None:
    train = split(100)
    strange = Split(Examples(["v"], {"text": ["zebra"]}), np.array([1]))
    _, fitted = fit("tfidf", train, strange)
    assert "zebra" not in fitted.vectorizer.vocabulary_


def test_options() -> None:
    train = split(100)
    few, _ = fit("tfidf", train, train, max_features=3)
    assert few.facts.extra["vocabulary"] == 3
    rare, _ = fit("tfidf", train, train, min_df=5, ngrams=[1, 1])
    assert rare.facts.extra["vocabulary"] == 9
    assert few.facts.preprocessing != rare.facts.preprocessing


def test_raw_features() -> None:
    model: Any = PROVIDER.load(request("features"))
    vectors = model.embed(Examples(["a", "b"], {"features": [[1, 2.5], [3, 4]]}))
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[1, 2.5], [3, 4]]
    description = PROVIDER.describe(request("features"))
    assert description.capabilities == {Capability.EMBED}
    assert description.inputs == {"features"}


def test_what_tfidf_can() -> None:
    description = PROVIDER.describe(request("tfidf"))
    assert description.capabilities == {Capability.FIT}
    assert description.inputs == {"text", "text_pair"}
    assert description.parameters is None


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tfdif", {}, "there is no model 'sklearn:tfdif'; did you mean 'tfidf'?"),
        ("tfidf", {"ngrams": [2, 1]}, "sklearn:tfidf: ngrams = [2, 1]: shortest and longest were expected"),
        ("tfidf", {"ngrams": []}, "ngrams = []: shortest and longest were expected, as in [1, 2]"),
        ("tfidf", {"ngrams": [1, "2"]}, "ngrams = [1, '2']"),
        ("tfidf", {"ngrams": [True, True]}, "ngrams = [True, True]"),
        ("tfidf", {"ngrams": [1]}, "ngrams = [1]"),
        ("tfidf", {"min_df": 0}, "min_df = 0: a number of 1 or more was expected"),
        ("tfidf", {"max_features": -1}, "max_features = -1"),
        ("tfidf", {"strengths": [0]}, "strengths = [0]: a list of numbers above 0 was expected"),
        ("tfidf", {"strengths": []}, "strengths = []: a list of numbers above 0 was expected"),
        ("features", {"min_df": 2}, "sklearn:features has no options; got min_df"),
    ],
)
def test_complaints(name: str, options: dict[str, Any], message: str) -> None:
    for call in (PROVIDER.describe, PROVIDER.load):
        with pytest.raises(ModelError) as error:
            call(request(name, **options))
        assert message in str(error.value)


def test_texts_without_a_word() -> None:
    empty = Split(Examples(["a", "b"], {"text": ["", "!"]}), np.array([0, 1]))
    with pytest.raises(ModelError, match="TF-IDF finds nothing to count in train: empty vocabulary"):
        fit("tfidf", empty, empty)


def test_the_provider_conforms() -> None:
    vectors = Examples([f"id-{i}" for i in range(9)], {"features": RNG.normal(size=(9, 3)).tolist()})
    testing.check_provider(PROVIDER, "sklearn:features", vectors)
    splits = {name: split(60) for name in ("train", "validation", "test")}
    task = Task("t", "text-classification", splits, (), ("no", "yes"))
    for name in ("tfidf", "tfidf-char"):
        testing.check_provider(PROVIDER, f"sklearn:{name}", splits["test"].examples, task=task)

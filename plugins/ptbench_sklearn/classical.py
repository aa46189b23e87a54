"""The provider ``sklearn:``: TF-IDF with a linear head, and the raw features of tabular tasks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import (
    Capability,
    Columns,
    Examples,
    FitRequest,
    Model,
    ModelDescription,
    ModelError,
    ModelFacts,
    ModelRequest,
    Option,
    Predictor,
    Provider,
    Split,
    nearest,
)
from ptbench_sklearn import probe
from ptbench_sklearn.heads import Head, fit_head, strengths_problem

ANALYZERS = {"tfidf": ("word", (1, 2)), "tfidf-char": ("char_wb", (2, 5))}
FEATURES = "features"
TEXTS = ("text", "text_pair")
STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""Rows of TF-IDF have length 1, so that far weaker strengths make sense than for standardised features."""


def _ngrams_problem(ngrams: list[Any]) -> str | None:
    """Return what is wrong with the lengths of n-grams, or None."""
    good = len(ngrams) == 2 and all(type(n) is int for n in ngrams) and 1 <= ngrams[0] <= ngrams[1]
    return None if good else "shortest and longest were expected, as in [1, 2]"


def _count_problem(count: int) -> str | None:
    return None if count >= 1 else "a number of 1 or more was expected"


OPTIONS = (
    Option(
        "ngrams",
        (list,),
        "Shortest and longest n-gram; default: [1, 2] words, [2, 5] characters.",
        check=_ngrams_problem,
    ),
    Option(
        "min_df",
        (int,),
        "In how many training texts an n-gram must occur.",
        default=1,
        check=_count_problem,
    ),
    Option("max_features", (int,), "Keep only so many n-grams, the most frequent.", check=_count_problem),
    Option(
        "strengths",
        (list,),
        "Strengths of regularisation to try; default: those of linear_probe where they are not its default, "
        f"else {list(STRENGTHS)}.",
        check=strengths_problem,
    ),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How texts become features, and which strengths of the head are tried."""

    analyzer: str
    ngrams: tuple[int, int]
    min_df: int
    max_features: int | None
    strengths: tuple[float, ...] | None
    """None: those of the protocol where it has some of its own, else `STRENGTHS`."""


class Tfidf:
    """TF-IDF of n-grams and a linear head; vocabulary and weights are learnt from train alone.

    A pair of texts (a, b) is [a, b, |a - b|, a * b] over one vocabulary.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.vectorizer: Any = None
        self.head: Head | None = None

    @property
    def facts(self) -> ModelFacts:
        """Before it is fitted, only how texts become features."""
        digest = hashlib.sha256(repr(self.recipe).encode()).hexdigest()
        if self.head is None:
            return ModelFacts(preprocessing=digest)
        extra = {**self.head.facts, "vocabulary": len(self.vectorizer.vocabulary_)}
        return ModelFacts(parameters=self.head.parameters, preprocessing=digest, extra=extra)

    def fit(self, train: Split, validation: Split, request: FitRequest) -> Predictor:
        """Fit vocabulary and head, anew each time."""
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfVectorizer

        recipe = self.recipe
        fitted = Tfidf(recipe)
        fitted.vectorizer = TfidfVectorizer(
            analyzer=recipe.analyzer,
            ngram_range=recipe.ngrams,
            min_df=recipe.min_df,
            max_features=recipe.max_features,
            dtype=np.float32,
        )
        try:
            fitted.vectorizer.fit([text for side in _sides(train.examples) for text in side])
        except ValueError as error:
            raise ModelError(f"TF-IDF finds nothing to count in train: {error}") from None
        sides = [fitted.features(split.examples) for split in (train, validation)]
        fitted.head = fit_head(
            sparse.vstack(sides, format="csr"),
            np.concatenate([train.targets, validation.targets]),
            len(train),
            labels=len(request.labels),
            strengths=recipe.strengths or _asked(request) or STRENGTHS,
        )
        self.vectorizer, self.head = fitted.vectorizer, fitted.head  # so that the facts tell of it
        return fitted

    def predict(self, examples: Examples) -> Columns:
        """Predict with the head that was fitted."""
        assert self.head is not None
        return self.head.predict(self.features(examples))

    def features(self, examples: Examples) -> Any:
        """Return the sparse features of these examples."""
        from scipy import sparse

        sides = [self.vectorizer.transform(side) for side in _sides(examples)]
        if len(sides) == 1:
            return sides[0]
        a, b = sides
        return sparse.hstack([a, b, abs(a - b), a.multiply(b)], format="csr")


class Raw:
    """The feature vectors of a tabular task as they are."""

    facts = ModelFacts(parameters=0, preprocessing="float32")

    def embed(self, examples: Examples) -> NDArray[np.float32]:
        """Return the input column ``features``."""
        return np.asarray(examples[FEATURES], dtype=np.float32)


def _asked(request: FitRequest) -> list[float] | None:
    """Return the strengths that a suite gave to the protocol, or None.

    A request has them filled in; what differs from the default was given. The default is not for us: it
    is a path for standardised features.
    """
    strengths = request.options.get("strengths")
    return None if strengths == list(probe.STRENGTHS) else strengths


def _sides(examples: Examples) -> list[Any]:
    return [examples[name] for name in TEXTS if name in examples.columns]


def _recipe(request: ModelRequest) -> Recipe | None:
    """Return the recipe of a TF-IDF model, or None for raw features. Raises `ModelError`."""
    name, options = request.reference.name, request.options
    if name == FEATURES:
        given = [o.name for o in OPTIONS if options.get(o.name, o.default) != o.default]
        if given:
            raise ModelError(f"sklearn:{FEATURES} has no options; got {', '.join(given)}")
        return None
    if name not in ANALYZERS:
        raise ModelError(f"there is no model 'sklearn:{name}'; {nearest(name, [*ANALYZERS, FEATURES])}")
    analyzer, usual = ANALYZERS[name]
    for option in OPTIONS:
        value = options.get(option.name)
        if value is not None and (problem := option.check(value)):
            raise ModelError(f"sklearn:{name}: {option.name} = {value}: {problem}")
    shortest, longest = options.get("ngrams") or usual
    strengths = options.get("strengths")
    return Recipe(
        analyzer,
        (shortest, longest),
        options.get("min_df", 1),
        options.get("max_features"),
        None if strengths is None else tuple(strengths),
    )


def describe(request: ModelRequest) -> ModelDescription:
    """Say what the model reads and can; its size is known once it is fitted."""
    if _recipe(request) is None:
        return ModelDescription(
            frozenset({Capability.EMBED}), inputs=frozenset({FEATURES}), parameters=0, files={"weights": ()}
        )
    return ModelDescription(frozenset({Capability.FIT}), inputs=frozenset(TEXTS), files={"weights": ()})


def load(request: ModelRequest) -> Model:
    """Return the model, not fitted yet."""
    recipe = _recipe(request)
    if recipe is None:
        return Raw()
    from sklearn import feature_extraction, linear_model  # noqa: F401  (importing is no part of fitting)

    return Tfidf(recipe)


PROVIDER = Provider(
    name="sklearn",
    description="TF-IDF with a linear head (tfidf, tfidf-char); raw features of tabular tasks (features).",
    requires=("sklearn", "scipy"),
    options=OPTIONS,
    describe=describe,
    load=load,
    revisions=False,
)

"""The provider ``baseline:``: what every model has to beat, and what none can."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Columns, Examples, Split
from ptbench.errors import ModelError, nearest
from ptbench.model import Capability, FitRequest, Model, ModelDescription, ModelFacts, ModelRequest, Predictor
from ptbench.offers import Provider


class _Baseline:
    """A baseline has no weights, and does not look at an input."""

    facts = ModelFacts(parameters=0)


class Majority(_Baseline):
    """Always the most frequent label in train; for numbers the mean of train."""

    def fit(self, train: Split, validation: Split, request: FitRequest) -> Predictor:
        """Count the labels of train. Of equally frequent ones the first in the label order wins."""
        if not request.labels:
            return _Constant({"prediction": np.array([train.targets.mean()])})
        frequencies = np.bincount(train.targets, minlength=len(request.labels)) / len(train)
        return _Constant({"scores": frequencies[None], "prediction": frequencies[None].argmax(axis=1)})


class Random(_Baseline):
    """A label drawn uniformly for each example; for numbers a target drawn from train."""

    def fit(self, train: Split, validation: Split, request: FitRequest) -> Predictor:
        """Keep what is drawn from. A draw depends on the seed and the id of the example alone."""
        return _Draws(request.seed, len(request.labels), np.sort(train.targets))


class Oracle(_Baseline):
    """The target itself: the proof that a task and its metrics can be perfect."""

    def peek(self, split: Split, request: FitRequest) -> Columns:
        """Return the targets as predictions."""
        if not request.labels:
            return {"prediction": split.targets}
        return {"scores": np.eye(len(request.labels))[split.targets], "prediction": split.targets}


class _Constant(_Baseline):
    def __init__(self, row: Columns) -> None:
        self._row = row

    def predict(self, examples: Examples) -> Columns:
        return {name: np.repeat(values, len(examples), axis=0) for name, values in self._row.items()}


class _Draws(_Baseline):
    def __init__(self, seed: int, labels: int, targets: NDArray[np.float64]) -> None:
        self._seed = seed
        self._labels = labels
        self._targets = targets

    def predict(self, examples: Examples) -> Columns:
        draws = [self._generator(example_id) for example_id in examples.ids]
        if not self._labels:
            return {"prediction": np.array([draw.choice(self._targets) for draw in draws])}
        # uniform over all rows of probabilities, so that the largest score is a uniform label too
        scores = np.array([draw.dirichlet(np.ones(self._labels)) for draw in draws])
        return {"scores": scores, "prediction": scores.argmax(axis=1)}

    def _generator(self, example_id: str) -> np.random.Generator:
        key = f"{self._seed}/{example_id}".encode("utf-8", "surrogatepass")
        return np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:16], "big"))


BASELINES: dict[str, tuple[Capability, Callable[[], Model]]] = {
    "majority": (Capability.FIT, Majority),
    "random": (Capability.FIT, Random),
    "oracle": (Capability.PEEK, Oracle),
}


def _find(request: ModelRequest) -> tuple[Capability, Callable[[], Model]]:
    name = request.reference.name
    if name not in BASELINES:
        raise ModelError(f"there is no baseline '{name}'; {nearest(name, BASELINES)}")
    return BASELINES[name]


PROVIDER = Provider(
    name="baseline",
    description="Baselines without weights: majority and random learn from the labels alone, oracle peeks.",
    describe=lambda request: ModelDescription(
        capabilities=frozenset({_find(request)[0]}), parameters=0, files={"weights": ()}
    ),
    load=lambda request: _find(request)[1](),
    revisions=False,
)

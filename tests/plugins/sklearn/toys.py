"""Toy tasks of vectors, for the protocols on frozen features."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptbench import Column, Embedder, Examples, Kind, ModelFacts, ModelRequest, Reference, Split, Task
from ptbench.baselines import PROVIDER as BASELINE
from ptbench_sklearn.classical import PROVIDER

VECTORS = Kind(
    name="toy",
    description="A vector with a label.",
    inputs=(Column("features", "vector"),),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"), Column("scores", "scores", required=False)),
)
NUMBERS = Kind(
    name="toy-numbers",
    description="A vector with a number.",
    inputs=(Column("features", "vector"),),
    target=Column("target", "number"),
    outputs=(Column("prediction", "number"),),
)
PAIRS = Kind(
    name="toy-pairs",
    description="Two texts with a label.",
    inputs=(Column("text", "text"), Column("text_pair", "text", required=False)),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"), Column("scores", "scores", required=False)),
    pair=("text", "text_pair"),
)


def task(
    *,
    validation: bool = True,
    numbers: bool = False,
    margin: float = 0.0,
    classes: int = 2,
    sizes: tuple[int, int, int] = (200, 60, 80),
    seed: int = 0,
) -> Task:
    """A toy of four columns; the label tells in which part of the line the first of them lies."""
    random = np.random.default_rng(seed)
    splits = {}
    for name, n in zip(("train", "validation", "test"), sizes, strict=True):
        x = random.normal(size=(n, 4))
        label = (np.argsort(np.argsort(x[:, 0])) * classes) // n
        x[:, 0] += label * margin
        targets: Any = x @ [1.0, 2.0, 0.0, -1.0] + 5 if numbers else label
        splits[name] = Split(Examples([f"{name}-{i}" for i in range(n)], {"features": x.tolist()}), targets)
    if not validation:
        del splits["validation"]
    names = () if numbers else ("no", "yes", "maybe", "never")[:classes]
    return Task("toy", "toy", splits, (), names)


def of(numbers: bool) -> Kind:
    """The kind of such a task."""
    return NUMBERS if numbers else VECTORS


def raw() -> Embedder:
    """The vectors themselves as features."""
    model: Any = PROVIDER.load(ModelRequest(Reference("sklearn", "features")))
    return model  # type: ignore[no-any-return]


def baseline(name: str) -> Any:
    """A sentinel."""
    return BASELINE.load(ModelRequest(Reference("baseline", name)))


def arrays(toy: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    """Features and targets of each split."""
    x = {name: np.array(split.examples["features"], np.float32) for name, split in toy.splits.items()}
    return x, {name: split.targets for name, split in toy.splits.items()}


class Letters:
    """Embeds a text as how often it has each letter; keeps what it was asked for."""

    facts = ModelFacts()

    def __init__(self) -> None:
        self.seen: list[str] = []

    def embed(self, examples: Examples) -> Any:
        """One column per letter."""
        texts = examples["text"]
        self.seen += texts
        counts = [[text.count(chr(code)) for code in range(ord("a"), ord("z") + 1)] for text in texts]
        return np.array(counts, np.float32)

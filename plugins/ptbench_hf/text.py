"""Kinds and adapters for text: one text or a pair, with a label or a similarity as target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import (
    Adapter,
    Column,
    DataError,
    Examples,
    Kind,
    Option,
    Rows,
    Task,
    TaskRequest,
    build_task,
    text_copies,
)

TEXT = Column("text", "text")
TEXT_PAIR = Column("text_pair", "text", required=False)


def copies(train: Examples, test: Examples) -> NDArray[np.int8]:
    """Return which texts, or pairs in their order, stand in train already."""
    return text_copies(_sides(train), _sides(test))


def copies_either_way(train: Examples, test: Examples) -> NDArray[np.int8]:
    """Return which pairs stand in train already, in whatever order: similarity has none."""
    first, second = _sides(train)
    return text_copies([[*first, *second], [*second, *first]], _sides(test))


def _sides(examples: Examples) -> list[Sequence[str]]:
    return [examples[name] for name in ("text", "text_pair") if name in examples.columns]


TEXT_CLASSIFICATION = Kind(
    name="text-classification",
    description="A text, or a pair of texts, has one label out of a fixed set.",
    inputs=(TEXT, TEXT_PAIR),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"), Column("scores", "scores", required=False)),
    pair=("text", "text_pair"),
    copies=copies,
)
SENTENCE_SIMILARITY = Kind(
    name="sentence-similarity",
    description="A pair of texts has a number that says how similar they are.",
    inputs=(TEXT, Column("text_pair", "text")),
    target=Column("target", "number"),
    outputs=(Column("prediction", "number"),),
    pair=("text", "text_pair"),
    copies=copies_either_way,
)
KINDS = (TEXT_CLASSIFICATION, SENTENCE_SIMILARITY)

INPUT = Option("input", (str, list), "The column of the text, or a list of two for pairs.", default="text")
TARGET = Option("target", (str,), "The column of the target.", default="label")
ID = Option("id", (str,), "The column of ids; without one, rows are numbered.")
LABELS = Option(
    "labels",
    (list, dict),
    "The labels in order, the last of two being the positive one; a table renames those of the data.",
)


def input_columns(options: Mapping[str, Any], sides: tuple[int, ...]) -> dict[str, str]:
    """Return input column of the kind to column of the data. Raises `DataError`."""
    given = options.get("input", INPUT.default)
    names = [given] if isinstance(given, str) else list(given)
    if len(names) not in sides or not all(isinstance(name, str) for name in names):
        expected = " or ".join({1: "one column", 2: "a list of two columns"}[side] for side in sides)
        raise DataError(f"key 'input' is {given!r}; {expected} was expected")
    return dict(zip(("text", "text_pair"), names, strict=False))


def _columns(sides: tuple[int, ...]) -> Callable[[Mapping[str, Any]], tuple[str, ...]]:
    def columns(options: Mapping[str, Any]) -> tuple[str, ...]:
        target = options.get("target", TARGET.default)
        ids = [options["id"]] if options.get("id") else []
        return (*input_columns(options, sides).values(), target, *ids)

    return columns


def _builder(kind: Kind, sides: tuple[int, ...]) -> Callable[[Mapping[str, Rows], TaskRequest], Task]:
    def build(rows: Mapping[str, Rows], request: TaskRequest) -> Task:
        options = request.options
        return build_task(
            kind,
            rows,
            request,
            inputs=input_columns(options, sides),
            target=options.get("target", TARGET.default),
            id_column=options.get("id"),
            labels=options.get("labels"),
        )

    return build


ADAPTERS = (
    Adapter(
        name="text-classification",
        description="Texts or pairs of texts with a label each.",
        kind="text-classification",
        metrics=("accuracy", "macro_f1"),
        options=(INPUT, TARGET, ID, LABELS),
        build=_builder(TEXT_CLASSIFICATION, (1, 2)),
        columns=_columns((1, 2)),
    ),
    Adapter(
        name="sentence-similarity",
        description="Pairs of texts with a number each.",
        kind="sentence-similarity",
        metrics=("spearman", "pearson"),
        options=(INPUT, TARGET, ID),
        build=_builder(SENTENCE_SIMILARITY, (2,)),
        columns=_columns((2,)),
    ),
)

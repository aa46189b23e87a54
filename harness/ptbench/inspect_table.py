"""The table ``[inspect]`` of a suite: which models are looked into, on which tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ptbench.errors import nearest
from ptbench.shape import Shape

PARTS: Mapping[str, str] = {
    "weights": "norms, distributions and spectra of the parameters; needs no task",
    "gradients": "gradients of a fresh head's loss over a sample, layer by layer",
    "activations": "what every layer puts out over a sample, and how alike the layers are (CKA)",
}
"""What can be looked at."""
SAMPLE = 256
"""Examples of a sample where nobody says how many."""
LEAST_SAMPLE = 8
"""Gradients are compared over eight batches."""
INSPECT_KEYS: Mapping[str, tuple[type, ...]] = {
    "models": (list,), "tasks": (list,), "only": (list,), "pairs": (list,), "sample": (int,), "seed": (int,),
}  # fmt: skip
WHERE = "[inspect]"


@dataclass(frozen=True, slots=True)
class InspectTable:
    """What a suite wants to be looked into."""

    where: str
    models: tuple[str, ...] | None = None
    """None: all that can be."""
    tasks: tuple[str, ...] | None = None
    only: tuple[str, ...] = tuple(PARTS)
    sample: int = SAMPLE
    seed: int = 0
    pairs: tuple[tuple[str, str], ...] = ()
    """Models whose layers are compared with each other on every task."""


def read_inspect(
    shape: Shape, value: Any, models: Collection[str], tasks: Collection[str]
) -> InspectTable | None:
    """Read the table ``[inspect]`` of a suite; None where a mistake in it was noted."""
    before = len(shape.mistakes)
    table = shape.table(value, INSPECT_KEYS, WHERE)
    names: dict[str, tuple[str, ...]] = {
        key: shape.strings(table[key], WHERE, key) for key in ("models", "tasks", "only") if key in table
    }
    for key, known in (("models", models), ("tasks", tasks)):
        for name in names.get(key, ()):
            if name not in known:
                shape.wrong(WHERE, f"key '{key}': [{key}] has no '{name}'; {nearest(name, known)}")
    for name in names.get("only", ()):
        if name not in PARTS:
            shape.wrong(WHERE, f"key 'only': there is no part '{name}'; {nearest(name, PARTS)}")
    for key in names:
        if not table[key]:
            shape.wrong(WHERE, f"key '{key}' is empty; leave it out to take all")
    only = tuple(part for part in PARTS if part in names.get("only", PARTS))
    for key, default, least in (("sample", SAMPLE, LEAST_SAMPLE), ("seed", 0, 0)):
        if table.get(key, default) < least:
            shape.wrong(WHERE, f"key '{key}' is {table[key]!r}; a whole number from {least} was expected")
    pairs = [_pair(shape, pair, models) for pair in table.get("pairs", ())]
    if pairs and "activations" not in only:
        shape.wrong(WHERE, "key 'pairs' compares activations; add \"activations\" to 'only'")
    if len(shape.mistakes) > before:
        return None
    return InspectTable(
        where=f"{shape.path}: {WHERE}",
        models=names.get("models"),
        tasks=names.get("tasks"),
        only=only,
        sample=table.get("sample", SAMPLE),
        seed=table.get("seed", 0),
        pairs=tuple(dict.fromkeys(pair for pair in pairs if pair)),
    )


def _pair(shape: Shape, value: Any, models: Collection[str]) -> tuple[str, str] | None:
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) for name in value)):
        shape.wrong(WHERE, f'key \'pairs\': {value!r} is no pair of models; write pairs = [["a", "b"]]')
        return None
    for name in value:
        if name not in models:
            shape.wrong(WHERE, f"key 'pairs': [models] has no '{name}'; {nearest(name, models)}")
    if value[0] == value[1]:
        shape.wrong(WHERE, f"key 'pairs': '{value[0]}' is paired with itself; its own CKA is there anyway")
    return value[0], value[1]

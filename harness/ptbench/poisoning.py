"""Poisoned test rows: the proof that a protocol chooses nothing by them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Columns, Task
from ptbench.model import Model
from ptbench.offers import Kind, Outcome, Protocol
from ptbench.plain import to_json
from ptbench.trials import make_trial

TOLERANCE = 1e-4
"""How far a prediction may move when the same example stands in another batch (float32)."""


def check_protocol(protocol: Protocol, model: Model, task: Task, kind: Kind, **options: Any) -> Outcome:
    """Check that test rows choose nothing, by poisoning them, and that a seed gives the same twice.

    With the targets of test changed, the predictions must be the same bits; with its rows turned round,
    every prediction must follow its row, and all facts stay as they are. Not for models that peek.
    """

    def outcome(given: Task) -> Outcome:
        return protocol.run(make_trial(protocol, model, given, kind, **options))

    test, who = task.split("test"), f"protocol '{protocol.name}'"
    first, again = outcome(task), outcome(task)
    assert _predicted(first) == _predicted(again), f"{who}: the same seed gives other predictions"
    poisons = (
        [(test.targets + 1) % len(task.labels), np.zeros_like(test.targets)]
        if task.labels
        else [test.targets[::-1] * -3.0 + 1.0, np.zeros_like(test.targets)]
    )
    for wrong in poisons:
        poisoned = outcome(replace(task, splits={**task.splits, "test": replace(test, targets=wrong)}))
        assert _predicted(first) == _predicted(poisoned), f"{who}: the targets of test change predictions"
        assert _told(first) == _told(poisoned), f"{who}: the targets of test change what is chosen"
    some = np.arange(len(test))[: max(1, len(test) // 2)][::-1]
    fewer = outcome(replace(task, splits={**task.splits, "test": test.take(some)}))
    assert _told(first) == _told(fewer), f"{who}: the rows of test change what is chosen"
    for name, before, after in _paired_columns(first, fewer):
        near = np.allclose(before[some], after, atol=TOLERANCE)
        assert near, f"{who}: column '{name}' of a row depends on the other rows of test"
    return first


def _columns_of(outcome: Outcome) -> list[Columns]:
    return [draw.columns for draw in outcome.draws] or [outcome.columns]


def _predicted(outcome: Outcome) -> list[dict[str, bytes]]:
    return [{k: np.asarray(v).tobytes() for k, v in c.items()} for c in _columns_of(outcome)]


def _paired_columns(a: Outcome, b: Outcome) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    for ours, theirs in zip(_columns_of(a), _columns_of(b), strict=True):
        for name in ours:
            if name != "prediction" or "scores" not in ours:  # of two equal scores either may be named
                yield name, np.asarray(ours[name]), np.asarray(theirs[name])


def _told(outcome: Outcome) -> str:
    facts = {k: v for k, v in outcome.facts.items() if not k.endswith("_per_s")}  # no two timings are equal
    return json.dumps(to_json([facts, outcome.notes]), sort_keys=True)

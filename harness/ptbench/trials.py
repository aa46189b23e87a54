"""A trial without a cell: what a protocol gets, for the tests of those who write one."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Columns, Examples, Task
from ptbench.errors import ProtocolError
from ptbench.features import Sides, extract, sides_of
from ptbench.model import Embedder, Model, Predictor
from ptbench.offers import Kind, Protocol, Trial


def make_trial(
    protocol: Protocol,
    model: Model,
    task: Task,
    kind: Kind,
    *,
    seed: int = 0,
    scratch: Path | None = None,
    **options: Any,
) -> Trial:
    """Return a trial of a protocol: nothing is booked, features are computed whenever they are asked for."""
    who = f"{type(model).__name__} on {task.name}"

    def embedder() -> Embedder:
        if not isinstance(model, Embedder):
            raise ProtocolError(f"{who}: cannot embed, and so has no features")
        return model

    def features(split: str) -> Sides:
        examples = task.split(split).examples
        return extract(embedder(), examples, sides_of(examples, kind), who)[0].sides

    def embed(examples: Examples) -> NDArray[np.float32]:
        return embedder().embed(examples)

    def predict(examples: Examples) -> Columns:
        assert isinstance(model, Predictor)
        return model.predict(examples)

    return Trial(
        model=model,
        task=task,
        kind=kind,
        options=protocol.filled(options),
        seed=seed,
        features=features,
        phase=lambda name: nullcontext(),
        predict=predict,
        embed=embed,
        scratch=scratch,
    )

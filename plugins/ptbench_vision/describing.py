"""What is said of a vision model before it is loaded: the same for every provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptbench import Capability, ModelDescription

KINDS = frozenset({"image-classification"})
INPUTS = frozenset({"image"})
ALL = frozenset({Capability.EMBED, Capability.PROFILE, Capability.FIT, Capability.INSPECT})
"""What every network can do."""


def described(labels: tuple[str, ...], synonyms: Mapping[str, int], **more: Any) -> ModelDescription:
    """Return a description: whoever's classes have names can predict, and all can do the rest."""
    able = {*ALL, *([Capability.PREDICT] if labels else [])}
    return ModelDescription(
        capabilities=frozenset(able),
        labels=labels or None,
        kinds=KINDS,
        inputs=INPUTS,
        synonyms=synonyms,
        **more,
    )


def untrained(parameters: int | None = None) -> ModelDescription:
    """Return the description of a network with random weights: it has a head, which predicts nothing."""
    return described((), {}, parameters=parameters, notes=("random weights",), files={"weights": ()})

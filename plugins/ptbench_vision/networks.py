"""A network as a provider built it, with everything that belongs to its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ptbench_vision.options import RANDOM
from ptbench_vision.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True)
class Network:
    """A network as a provider built it, with everything that belongs to its weights."""

    module: nn.Module
    preprocessing: Preprocessing
    weights: str
    """Digest of the weights."""
    labels: tuple[str, ...] = ()
    """Names of the classes of its head; empty: nobody knows them, and then it cannot predict."""
    synonyms: Mapping[str, int] = field(default_factory=dict)
    trust: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    strip: Callable[[nn.Module], nn.Module] | None = None
    """How the head is taken off; None: found by its width."""


def notes_of(network: Network) -> tuple[str, ...]:
    """Return what a reader of any number of it must know."""
    if network.extra.get("init") == RANDOM:  # then there are no weights to declare anything
        return (f"random weights (init_seed {network.extra['init_seed']}): nothing is pre-trained",)
    return network.preprocessing.notes

"""What a vision model costs: the network with its head, on random pixels of the size that it sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from ptbench import ModelFacts, Profile, ProfileRequest, Settings
from ptbench_torch.profiling import Subject, profile_module
from ptbench_vision.networks import Network, notes_of
from ptbench_vision.options import RANDOM


class ImageCost:
    """A network that is to be measured; it is built anew for each variant, and nobody else holds it."""

    def __init__(self, build: Callable[[], Network], settings: Settings) -> None:
        self._build, self._settings = build, settings
        network = build()
        self._size = network.preprocessing.size
        # else it may be features that it puts out, of which the largest is no prediction
        self._classifies = bool(network.labels) or network.extra.get("init") == RANDOM
        self.facts = ModelFacts(
            weights=network.weights,
            preprocessing=network.preprocessing.digest,
            trust=network.trust,
            extra=network.extra,
            notes=notes_of(network),
        )

    def profile(self, request: ProfileRequest) -> Sequence[Profile]:
        """Return one profile per variant. Raises `ModelError` where the network cannot be built."""
        height, width = self._size
        subject = Subject(
            self._load,
            lambda n, generator: (torch.randn(n, 3, height, width, generator=generator),),
            labels=self._classifies,
            input=f"3x{height}x{width}",
        )
        return profile_module(subject, self._settings, request)

    def _load(self, dtype: torch.dtype) -> nn.Module:
        return self._build().module.eval().requires_grad_(False).to(dtype)

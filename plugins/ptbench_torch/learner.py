"""A pre-trained network as training and inspection see it, whatever it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from typing import Protocol as Interface

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ptbench import Examples
from ptbench_torch.batching import Batching, Index


class Inputs(Interface):
    """Examples that were read once and can be put into batches again and again."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64[n]: what each example costs, in tokens; 1 where all cost the same."""

    def batch(self, rows: Index) -> Any:
        """Return what the backbone takes for these rows, on its device, in float32 where it is floating."""


@dataclass(frozen=True, slots=True)
class Learner:
    """A network without a head, in float32 on its device, with what feeds it."""

    backbone: nn.Module
    """From a batch of `Inputs` to features [n, width]: the pooled ones that a head would see."""
    blocks: tuple[tuple[str, nn.Module], ...]
    """Its parts in the order from input to output, by name: embeddings, each layer or stage, what comes
    last. Together they hold every parameter; the last n of them can be trained alone. See `find_blocks`."""
    read: Callable[[Examples], Inputs]
    device: torch.device
    autocast: torch.dtype | None
    """The lower precision in which matrix products are computed; None: float32 throughout."""
    width: int
    """Numbers in a row of features."""
    batching: Batching = field(default_factory=lambda: Batching("examples", 1024))
    """How examples that are only evaluated go through it, and whether padding changes the features."""
    counts: Callable[[], Mapping[str, int]] = dict
    """What it had to change in its inputs since it was loaded; see `ptbench.ModelFacts`."""

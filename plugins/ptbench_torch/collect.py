"""Run a model over batches and bring what it gives back to the host, in the order of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ptbench import advance
from ptbench_torch.batching import Index

HELD_NUMBERS = 2**24
"""Numbers held on the device before they are copied to the host (64 MiB of float32)."""


def collect(
    batches: Sequence[Index], step: Callable[[Index], torch.Tensor], *, width: int, told: bool = True
) -> NDArray[np.float32]:
    """Return float32[n, width]: what ``step`` gives for the rows of each batch, in the order of rows.

    Outputs stay on the device and are copied in few large pieces: a copy per batch would make the
    device wait for the host each time. With ``told``, whoever listens to the progress hears of it.
    """
    result = np.empty((sum(map(len, batches)), width), dtype=np.float32)
    rows: list[Index] = []
    held: list[torch.Tensor] = []
    numbers = 0
    with torch.inference_mode():
        for i, batch in enumerate(batches, start=1):
            rows.append(batch)
            held.append(step(batch).float())
            numbers += held[-1].numel()
            if numbers >= HELD_NUMBERS or i == len(batches):
                result[np.concatenate(rows)] = torch.cat(held).cpu().numpy()
                rows, held, numbers = [], [], 0
            if told:
                advance(len(batch))
    return result

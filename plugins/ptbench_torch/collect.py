"""Run a model over batches and bring what it gives back to the host, in the order of the rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ptbench import advance
from ptbench_torch.batching import Batch, Batching, Index

T = TypeVar("T")

HELD_NUMBERS = 2**24
"""Numbers held on the device before they are copied to the host (64 MiB of float32)."""


def collect(
    batches: Sequence[Batch],
    step: Callable[[Any], torch.Tensor],
    *,
    batching: Batching,
    width: int,
    fed: Iterable[Any] | None = None,
    told: bool = True,
) -> NDArray[np.float32]:
    """Return float32[n, width]: what ``step`` gives for each batch, in the order of rows.

    ``step`` gets the rows of a batch, or what ``fed`` yields for them, an array or tensor with one entry
    per row; or a part of these, where memory is short (see `Batching.compute`). Outputs stay on the device
    and are copied in few large pieces: a copy per batch would make the device wait for the host each time.
    With ``told``, whoever listens to the progress hears of it. Raises `ptbench_torch.memory.OutOfMemory`.
    """
    result = np.empty((sum(len(batch.rows) for batch in batches), width), dtype=np.float32)
    data = iter(fed if fed is not None else (batch.rows for batch in batches))
    rows: list[Index] = []
    held: list[torch.Tensor] = []
    numbers = 0
    with torch.inference_mode():
        for i, batch in enumerate(batches, start=1):
            rows.append(batch.rows)
            for output in batching.compute(next(data), batch.width, step):
                held.append(output.float())
                numbers += output.numel()
            if numbers >= HELD_NUMBERS or i == len(batches):
                result[np.concatenate(rows)] = torch.cat(held).cpu().numpy()
                rows, held, numbers = [], [], 0
            if told:
                advance(len(batch.rows))
    return result


def timed(decoded: Iterable[T], waited: dict[str, float]) -> Iterator[T]:
    """Yield what is decoded ahead, and add the seconds that had to be waited for it to ``decode``."""
    upcoming = iter(decoded)
    while True:
        started = time.perf_counter()
        try:
            item = next(upcoming)
        except StopIteration:
            return
        waited["decode"] += time.perf_counter() - started
        yield item

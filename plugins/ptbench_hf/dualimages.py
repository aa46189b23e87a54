"""Images as a dual encoder takes them: decoded ahead by threads, by the image processor of its checkpoint."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptbench import DataError, Examples, ModelError
from ptbench_hf.quiet import brief, quiet
from ptbench_torch.batching import Batching, Index
from ptbench_torch.collect import collect, timed
from ptbench_torch.images import read_image

AHEAD = 2
"""Batches that are decoded while the model computes."""
MAX_THREADS = 16


class ImageTower(nn.Module):
    """From pixels to what ``get_image_features`` of a model gives."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Any:
        """Return a tensor [batch, d], or an output that has it as ``pooler_output``."""
        return self.model.get_image_features(pixel_values=pixel_values)


@dataclass(frozen=True, slots=True)
class ImageEngine:
    """The image tower on its device, fed by threads."""

    tower: nn.Module
    processor: Any
    finish: nn.Module
    """From the output of the tower to one row per image."""
    device: torch.device
    dtype: torch.dtype
    batching: Batching
    width: int
    seconds: dict[str, float] = field(
        default_factory=lambda: {"decode": 0.0, "transfer": 0.0, "compute": 0.0}
    )

    def run(self, examples: Examples) -> NDArray[np.float32]:
        """Return float32[n, width], in the order of examples.

        Raises `ModelError` where a number is not finite, `DataError` where an image cannot be read.
        """
        batches = self.batching.cut(np.ones(len(examples), np.int64))
        started = time.perf_counter()
        waited = {"decode": 0.0, "transfer": 0.0}
        with quiet():
            pixels = self._pixels(examples, [batch.rows for batch in batches])
            result = collect(
                batches,
                lambda some: self._step(some, waited),
                batching=self.batching,
                width=self.width,
                fed=timed(pixels, waited),
            )
        for name, seconds in waited.items():
            self.seconds[name] += seconds
        self.seconds["compute"] += time.perf_counter() - started - sum(waited.values())
        broken = int((~np.isfinite(result).all(axis=1)).sum())
        if broken:
            raise ModelError(f"{broken} of {len(result)} outputs are not finite numbers: try precision fp32")
        return result

    def first(self) -> Tensor:
        """Return an image of even colour as the tower takes it, [1, 3, height, width]."""
        pixels = self.read(np.full((64, 64, 3), 128, np.uint8))
        return pixels[None].to(self.device, self.dtype)

    def read(self, cell: Any) -> Tensor:
        """Return float32[3, height, width] of a path, encoded bytes or an array of pixels."""
        image = np.asarray(read_image(cell))
        # of an image with a side of 1 or 3 pixels, processors may guess wrong which axis is that of colours
        read = self.processor(images=image, input_data_format="channels_last", return_tensors="pt")
        pixels: Tensor = read["pixel_values"][0]
        return pixels

    def _pixels(self, examples: Examples, batches: Sequence[Index]) -> Iterator[Tensor]:
        """Yield the pixels of each batch, in order."""
        cells = examples["image"]
        threads = min(MAX_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        waiting: deque[list[Future[Tensor]]] = deque()
        upcoming = iter(batches)

        def read(row: int) -> Tensor:
            try:
                return self.read(cells[row])
            except (DataError, MemoryError):
                raise
            except Exception as error:  # processors fail in every way there is
                where = f"example '{examples.ids[row]}'"
                raise ModelError(f"{where}: its image cannot be processed: {brief(error)}") from error

        def start() -> None:
            if (rows := next(upcoming, None)) is not None:
                waiting.append([pool.submit(read, int(row)) for row in rows])

        try:
            for _ in range(1 + AHEAD):
                start()
            while waiting:
                futures = waiting.popleft()
                pixels = torch.stack([future.result() for future in futures])
                start()
                yield pixels
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _step(self, pixels: Tensor, waited: dict[str, float]) -> Tensor:
        started = time.perf_counter()
        if self.device.type == "cuda":  # from pinned memory the copy runs beside the computation
            batch = pixels.pin_memory().to(self.device, self.dtype, non_blocking=True)
        else:
            batch = pixels.to(self.device, self.dtype)
        waited["transfer"] += time.perf_counter() - started
        rows: Tensor = self.finish(self.tower(batch))
        return rows

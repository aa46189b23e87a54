"""A network as training and inspection see it: without its head, fed with pixels that were decoded once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptbench import Examples, ModelFacts, Settings
from ptbench_torch.batching import Index
from ptbench_torch.blocks import find_blocks
from ptbench_torch.device import find_dtype
from ptbench_torch.learner import Learner
from ptbench_torch.precision import chosen_precision
from ptbench_vision.engine import ImageEngine

HELD_BYTES = 2**31
"""Pixels that are held in memory; more lie in a file that has no name and vanishes with the process."""


class ImageBackbone(nn.Module):
    """A network without its head, of whose outputs the first is what the head would see."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return [batch, width] for images [batch, 3, height, width]."""
        output = self.network(images)
        # Inception and GoogLeNet give those of their auxiliary heads too while they are trained
        rows: Tensor = output[0] if isinstance(output, tuple) else output
        return rows


@dataclass(frozen=True, slots=True)
class ImageInputs:
    """Images that were decoded once, by the preprocessing of the weights: there is no augmentation."""

    pixels: NDArray[np.uint8]
    """uint8[n, height, width, 3]"""
    engine: ImageEngine

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64[n]: ones, since all images cost the same."""
        return np.ones(len(self.pixels), np.int64)

    def batch(self, rows: Index) -> Tensor:
        """Return float32[rows, 3, height, width], normalised on the device."""
        pixels = torch.from_numpy(self.pixels[rows])
        if self.engine.device.type == "cuda":  # from pinned memory the copy runs beside the computation
            pixels = pixels.pin_memory()
        return self.engine.normalised(pixels.to(self.engine.device, non_blocking=True))


def image_learner(engine: ImageEngine, facts: ModelFacts, settings: Settings) -> tuple[Learner, ModelFacts]:
    """Return what an engine runs, in float32, to be trained or looked into; and what is known of it.

    bf16 and fp16 are for what is computed with the weights. Raises `ModelError` where the device has none.
    """
    precision = chosen_precision(settings.precision, engine.device)
    dtype = find_dtype(precision, engine.device)
    backbone = ImageBackbone(engine.module).eval().requires_grad_(True)

    def run() -> None:
        with torch.inference_mode():
            backbone(engine.inputs(1))

    learner = Learner(
        backbone,
        find_blocks(engine.module, run),
        lambda examples: _decoded(examples, engine),
        engine.device,
        None if dtype is torch.float32 else dtype,
        engine.width,
        batching=engine.batching,
        counts=lambda: {"resized up": engine.decoder.enlarged},
    )
    extra = {**facts.extra, "augmentation": "none"}
    return learner, replace(facts, precision=precision, seconds={}, extra=extra)


def _decoded(examples: Examples, engine: ImageEngine) -> ImageInputs:
    """Decode all images. Raises `DataError` where one cannot be read."""
    n, size = len(examples), engine.batching.asked
    shape = (n, *engine.preprocessing.size, 3)
    pixels: NDArray[np.uint8]
    if np.prod(shape, dtype=np.int64) <= HELD_BYTES:
        pixels = np.empty(shape, np.uint8)
    else:
        with tempfile.TemporaryFile() as file:  # the map keeps it open
            pixels = np.memmap(file, np.uint8, "w+", shape=shape)
    batches = [np.arange(i, min(i + size, n)) for i in range(0, n, size)]
    decoded = engine.decoder.batches(examples["image"], batches)
    for rows, batch in zip(batches, decoded, strict=True):
        pixels[rows[0] : rows[0] + len(rows)] = batch
    return ImageInputs(pixels, engine)

"""A module on its device with the decoder that feeds it: images in, float32 rows out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptbench import Examples, ModelError, Settings
from ptbench_torch.collect import collect
from ptbench_torch.device import find_device, find_dtype
from ptbench_vision.decoding import Decoder
from ptbench_vision.preprocessing import Preprocessing

BATCH_SIZE = {"cpu": 8, "mps": 64, "cuda": 256}
"""Images in a batch where the settings leave it open. On two cores 8 is a little better than 16 or 32; for
CUDA and MPS nobody has measured it yet."""


@dataclass
class ImageEngine:
    """A module on its device, fed by threads that decode ahead."""

    module: nn.Module
    preprocessing: Preprocessing
    settings: Settings
    channels_last: bool = False
    finish: Callable[[Tensor], Tensor] = lambda output: output
    """From what the module puts out to a row per image."""
    seconds: dict[str, float] = field(
        default_factory=lambda: {"decode": 0.0, "transfer": 0.0, "compute": 0.0}
    )

    def __post_init__(self) -> None:
        """Move the module to its device and try it on an empty image, for the width of a row."""
        self.device = find_device(self.settings.device)
        self.dtype = find_dtype(self.settings.precision, self.device)
        self.decoder = Decoder(self.preprocessing)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        self.module = self.module.eval().requires_grad_(False)
        self.module = self.module.to(self.device, self.dtype, memory_format=layout)  # type: ignore[call-overload]
        shape = (1, 1, 1, 3)
        self._mean = torch.tensor(self.preprocessing.mean, device=self.device).reshape(shape)
        self._std = torch.tensor(self.preprocessing.std, device=self.device).reshape(shape)
        with torch.inference_mode():
            first = self.module(self.inputs(1))
        if not isinstance(first, Tensor) or first.ndim != 2:
            what = list(first.shape) if isinstance(first, Tensor) else type(first).__name__
            raise ModelError(f"{type(self.module).__name__} gives {what} for an image; [n, d] was expected")
        self.width = int(first.shape[1])

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        return self.settings.batch_size or BATCH_SIZE.get(self.device.type, BATCH_SIZE["cpu"])

    def inputs(self, n: int, seed: int = 0) -> Tensor:
        """Return n random inputs as the module sees them, [n, 3, height, width] on its device."""
        generator = np.random.default_rng(seed)
        pixels = generator.integers(0, 256, (n, *self.preprocessing.size, 3), dtype=np.uint8)
        return self.normalised(torch.from_numpy(pixels).to(self.device))

    def run(self, examples: Examples) -> NDArray[np.float32]:
        """Return float32[n, width], in the order of examples.

        Raises `ModelError` where a number is not finite, `DataError` where an image cannot be read.
        """
        order = np.arange(len(examples))
        batches = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        decoded = self.decoder.batches(examples["image"], batches)
        waited = {"decode": 0.0, "transfer": 0.0}
        started = time.perf_counter()
        result = collect(batches, lambda rows: self._step(decoded, waited), width=self.width)
        total = time.perf_counter() - started
        for name, seconds in waited.items():
            self.seconds[name] += seconds
        self.seconds["compute"] += total - sum(waited.values())
        broken = int((~np.isfinite(result).all(axis=1)).sum())
        if broken:
            full = self.dtype == torch.float32
            why = (
                "its weights are broken, or its inputs are not what it expects"
                if full
                else "try precision fp32"
            )
            raise ModelError(f"{broken} of {len(result)} outputs are not finite numbers: {why}")
        return result

    def _step(self, decoded: Iterator[NDArray[np.uint8]], waited: dict[str, float]) -> Tensor:
        started = time.perf_counter()
        pixels = torch.from_numpy(next(decoded))
        ready = time.perf_counter()
        if self.device.type == "cuda":  # from pinned memory the copy runs beside the computation
            pixels = pixels.pin_memory().to(self.device, non_blocking=True)
        else:
            pixels = pixels.to(self.device)
        waited["decode"] += ready - started
        waited["transfer"] += time.perf_counter() - ready
        return self.finish(self.module(self.normalised(pixels)))

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return uint8[n, h, w, 3] as the module wants it, by torchvision's operations in their order."""
        images = pixels.to(torch.float32).div_(255).sub_(self._mean).div_(self._std)
        images = images.permute(0, 3, 1, 2).to(self.dtype)  # in memory this is channels_last already
        return images if self.channels_last else images.contiguous()

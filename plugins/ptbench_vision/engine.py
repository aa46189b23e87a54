"""A module on its device with the decoder that feeds it: images in, float32 rows out."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptbench import Examples, ModelError, Settings
from ptbench_torch.collect import collect, timed
from ptbench_torch.device import find_device, find_dtype, image_batching
from ptbench_torch.memory import saying
from ptbench_torch.precision import chosen_precision, fallback_note, unsafe
from ptbench_vision.decoding import Decoder
from ptbench_vision.preprocessing import Preprocessing


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
        """Move the module to its device and try it on a random image, for the width of a row.

        With precision ``auto`` a lower one is taken only where that row is near the one in float32.
        """
        self.device = find_device(self.settings.device)
        self.notes: tuple[str, ...] = ()
        self.batching = image_batching(self.settings, self.device)
        self.decoder = Decoder(self.preprocessing)
        shape = (1, 1, 1, 3)
        self._mean = torch.tensor(self.preprocessing.mean, device=self.device).reshape(shape)
        self._std = torch.tensor(self.preprocessing.std, device=self.device).reshape(shape)
        chosen = chosen_precision(self.settings.precision, self.device)
        careful = chosen not in (self.settings.precision, "fp32")
        full = self.module.eval().requires_grad_(False)
        first = self._start(full, "fp32" if careful else chosen)
        if careful and (why := unsafe(self._start(deepcopy(full), chosen), first)):
            self._start(full, "fp32")
            self.notes = (fallback_note(why),)
        self.width = int(first.shape[1])

    def _start(self, module: nn.Module, precision: str) -> Tensor:
        """Take up a module in a precision; return its row for a random image."""
        self.precision, self.dtype = precision, find_dtype(precision, self.device)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        with saying("the weights and a first image", self.device):
            self.module = module.to(self.device, self.dtype, memory_format=layout)  # type: ignore[call-overload]
            with torch.inference_mode():
                first = self.module(self.inputs(1))
        if not isinstance(first, Tensor) or first.ndim != 2:
            what = list(first.shape) if isinstance(first, Tensor) else type(first).__name__
            raise ModelError(f"{type(self.module).__name__} gives {what} for an image; [n, d] was expected")
        return first

    def inputs(self, n: int, seed: int = 0) -> Tensor:
        """Return n random inputs as the module sees them, [n, 3, height, width] on its device."""
        generator = np.random.default_rng(seed)
        pixels = generator.integers(0, 256, (n, *self.preprocessing.size, 3), dtype=np.uint8)
        return self.normalised(torch.from_numpy(pixels).to(self.device))

    def run(self, examples: Examples) -> NDArray[np.float32]:
        """Return float32[n, width], in the order of examples.

        Raises `ModelError` where a number is not finite or memory does not hold one image, `DataError` where
        an image cannot be read.
        """
        batches = self.batching.cut(np.ones(len(examples), np.int64))
        decoded = self.decoder.batches(examples["image"], [batch.rows for batch in batches])
        waited = {"decode": 0.0, "transfer": 0.0}
        started = time.perf_counter()
        result = collect(
            batches,
            lambda pixels: self._step(pixels, waited),
            batching=self.batching,
            width=self.width,
            fed=timed(decoded, waited),
        )
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

    def _step(self, some: NDArray[np.uint8], waited: dict[str, float]) -> Tensor:
        started = time.perf_counter()
        pixels = torch.from_numpy(some)
        if self.device.type == "cuda":  # from pinned memory the copy runs beside the computation
            pixels = pixels.pin_memory().to(self.device, non_blocking=True)
        else:
            pixels = pixels.to(self.device)
        waited["transfer"] += time.perf_counter() - started
        return self.finish(self.module(self.normalised(pixels)))

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return uint8[n, h, w, 3] as the module wants it, by torchvision's operations in their order."""
        images = pixels.to(torch.float32).div_(255).sub_(self._mean).div_(self._std)
        images = images.permute(0, 3, 1, 2).to(self.dtype)  # in memory this is channels_last already
        return images if self.channels_last else images.contiguous()

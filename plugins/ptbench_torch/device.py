"""Where and in which precision a model runs. What was asked for is what is used, or an error says why not."""

from __future__ import annotations

import torch

from ptbench import ModelError, Settings, nearest
from ptbench_torch.batching import Batching

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

BATCH_TOKENS = {"cpu": 1024, "mps": 8192, "cuda": 32768}
"""Padded tokens in a batch where the settings leave it open.

CPU: measured (MiniLM, two cores: 512 to 1024 is best, 8192 is a third slower: activations leave the
cache). CUDA and MPS: an estimate of what fills the device; nobody has measured it yet.
"""
BATCH_SIZE = {"cpu": 8, "mps": 64, "cuda": 256}
"""Images in a batch where the settings leave it open. On two cores 8 is a little better than 16 or 32; for
CUDA and MPS nobody has measured it yet."""
CANONICAL_TOKENS = {"cpu": 256, "mps": 2048, "cuda": 4096}
"""Tokens in a canonical batch: smaller ones, since one that lacks rows is filled up. CPU: measured (MiniLM:
256 takes 1.2 to 1.3 times the processor time of the usual batches, 512 more). CUDA and MPS: an estimate."""
CANONICAL_SIZE = {"cpu": 8, "mps": 16, "cuda": 64}
"""Images in a canonical batch."""


def available_devices() -> list[str]:
    """Return the names of the devices that this process can use.

    >>> available_devices()[-1]
    'cpu'
    """
    devices = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def find_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` is a GPU if there is one, else the CPU.

    Raises `ModelError` for a device that is not there: nothing falls back silently.
    """
    there = available_devices()
    wanted = {"auto": there[0], "cuda": "cuda:0"}.get(name, name)
    if wanted in there:
        return torch.device(wanted)
    if name.partition(":")[0] in {"cuda", "mps", "cpu"}:
        raise ModelError(f"device '{name}' is not there; this process can use: {', '.join(there)}")
    raise ModelError(f"device '{name}' is unknown: {nearest(name, ['auto', 'cuda', *there])}")


def find_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of a precision, once it is sure that the device can multiply with it.

    A precision for which a device has no fast path (bf16 on an old CPU) is allowed: it is slow, not
    wrong. Raises `ModelError` where the device cannot do it at all.
    """
    try:
        dtype = PRECISIONS[precision]
    except KeyError:
        raise ModelError(f"precision '{precision}' is unknown: {nearest(precision, PRECISIONS)}") from None
    try:
        ones = torch.ones(2, 2, dtype=dtype, device=device)
        torch.nn.functional.layer_norm(ones @ ones, (2,))
    except (RuntimeError, TypeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise ModelError(f"device '{device}' cannot compute in {precision}: use fp32") from error
    return dtype


def batch_tokens(wanted: int | None, device: torch.device) -> int:
    """Return how many padded tokens go into a batch. Raises `ModelError` for less than one."""
    if wanted is None:
        return BATCH_TOKENS.get(device.type, BATCH_TOKENS["cpu"])
    if wanted < 1:
        raise ModelError(f"batch_tokens = {wanted}: a batch holds at least 1 token")
    return wanted


def text_batching(settings: Settings, device: torch.device, longest: int) -> Batching:
    """Return how texts of so many tokens at most are batched. Raises `ModelError`."""
    asked = batch_tokens(settings.batch_tokens, device)
    if settings.canonical:  # what the settings say must not matter
        asked = CANONICAL_TOKENS.get(device.type, CANONICAL_TOKENS["cpu"])
    return Batching("tokens", asked, device, canonical=settings.canonical, longest=longest)


def image_batching(settings: Settings, device: torch.device) -> Batching:
    """Return how images are batched."""
    sizes = CANONICAL_SIZE if settings.canonical else BATCH_SIZE
    asked = None if settings.canonical else settings.batch_size
    asked = asked or sizes.get(device.type, sizes["cpu"])
    return Batching("images", asked, device, canonical=settings.canonical)

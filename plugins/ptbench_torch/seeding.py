"""Random numbers of torch that depend on a seed alone, and leave nothing behind."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Give torch's generators back as they were; meanwhile kernels give the same bits each time.

    A kernel that has no such form warns, and goes on.
    """
    gpus = range(torch.cuda.device_count()) if device.type == "cuda" else ()
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=list(gpus)):
        if device.type == "cuda":  # on the CPU the kernels used here are deterministic anyway
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=warn_only)


def drawn(device: torch.device) -> tuple[torch.Tensor, ...]:
    """Return the state of the generators that a computation on this device draws from."""
    states = [torch.random.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return tuple(states)


def draw_again(device: torch.device, states: tuple[torch.Tensor, ...]) -> None:
    """Put generators back to where `drawn` found them."""
    torch.random.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])


def reseed(device: torch.device, *key: object) -> None:
    """Start the generators anew from a key, so that an epoch draws the same whatever came before it."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    seed = int.from_bytes(digest[:8], "big") >> 1
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach every device
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)

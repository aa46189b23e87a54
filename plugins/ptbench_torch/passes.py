"""The timed and metered passes over a call: synchronised, warmed up outside of the window, on any device."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import torch

from ptbench import Throughput, resident_peak_mb

T = TypeVar("T")
Call = Callable[[], object]

WARM_UP_CALLS = 3
WARM_UP_SHARE = 0.25
"""Of the budget of a window; clocks of a device take a while to rise."""
LEAST_CALLS = 11
"""Calls of a latency pass, whatever its budget: so many have a median."""


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given; the CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def timed(call: Callable[[], T], device: torch.device) -> tuple[T, float]:
    """Return what a call gives and its seconds, from an idle device to an idle device."""
    synchronize(device)
    started = time.perf_counter()
    result = call()
    synchronize(device)
    return result, time.perf_counter() - started


def latencies(call: Call, device: torch.device, seconds: float) -> list[float]:
    """Return the seconds of each single call that the budget holds, at least `LEAST_CALLS`."""
    _warm_up(call, device, seconds)
    samples: list[float] = []
    spent = 0.0
    while spent < seconds or len(samples) < LEAST_CALLS:
        samples.append(timed(call, device)[1])
        spent += samples[-1]
    return samples


def throughput(call: Call, batch: int, device: torch.device, seconds: float) -> Throughput:
    """Return all examples by all seconds of a window of calls that are synchronised at its ends only.

    The warm-up tells how many calls fill the budget, at least one; at twice the budget no more are begun.
    """
    calls = max(1, math.ceil(seconds / _warm_up(call, device, seconds)))

    def window() -> int:
        latest = time.perf_counter() + 2 * seconds
        for number in range(1, calls + 1):
            call()
            if time.perf_counter() > latest:
                return number
        return calls

    done, spent = timed(window, device)
    return Throughput(batch, done * batch, spent)


def peak_memory_mb(call: Call, device: torch.device) -> float | None:
    """Return the most memory that was held during a call, MiB; None where nobody knows (MPS).

    CUDA: what the allocator had given out, weights included. CPU: resident memory of the process.
    """
    free(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resident_peak_mb(call) if device.type == "cpu" else None


def free(device: torch.device) -> None:
    """Give back what nobody holds any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _warm_up(call: Call, device: torch.device, seconds: float) -> float:
    """Call until it runs steadily; return the seconds of the median call."""
    samples: list[float] = []
    while len(samples) < WARM_UP_CALLS or sum(samples) < WARM_UP_SHARE * seconds:
        samples.append(timed(call, device)[1])
    return max(statistics.median(samples), 1e-7)

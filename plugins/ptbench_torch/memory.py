"""Memory that does not suffice: told from other errors, freed, and explained."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from ptbench import ModelError

SAYINGS = (
    "can't allocate memory",  # the CPU's allocator
    "std::bad_alloc",
    "MPS backend out of memory",
    "STATUS_ALLOC_FAILED",  # cuBLAS and cuDNN
    "CUDA error: out of memory",  # what is no tensor, such as pinned memory
)
"""How errors of torch say it that have no type of their own for it."""
GIB = 2**30


class OutOfMemory(ModelError, MemoryError):  # noqa: N818  # it is named as torch names its own
    """Memory does not hold the smallest batch there is."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is at its end; the CPU's allocator has no type of its own for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SAYINGS)


def explained(error: BaseException, device: torch.device, what: str) -> str:
    """Say how much was needed for what, and what held the rest, as far as that is known.

    To be called while the error is at hand: what was held is let go with its traceback.
    """
    amount = needed(error)
    first = f"needed {amount} for {what}" if amount else f"out of memory for {what}"
    return f"{first}; {held}" if (held := holders(device)) else first


@contextmanager
def saying(what: str, device: torch.device) -> Iterator[None]:
    """Turn an error of memory into an `OutOfMemory` that says what it was needed for."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OutOfMemory) or not out_of_memory(error):
            raise
        raise OutOfMemory(explained(error, device, what)) from error


def needed(error: BaseException) -> str:
    """Return the size that could not be given, as in ``2.0 GiB``; empty where the error does not tell."""
    found = re.search(r"(?i)(?:tried|unable) to allocate ([\d.]+) ?(bytes|[KMGT]iB)", str(error))
    if not found:
        return ""
    power = ("bytes", "KiB", "MiB", "GiB", "TiB").index(found[2])
    return size(float(found[1]) * 1024**power)


def holders(device: torch.device) -> str:
    """Say who holds the memory of a device; empty where nobody knows."""
    with suppress(Exception):  # a remark on an error must not hide it
        if device.type == "cuda":
            free, total = torch.cuda.mem_get_info(device)
            own = torch.cuda.memory_reserved(device)
            others = max(0, total - free - own)
            return (
                f"{own / GIB:.1f} of {size(total)} of {device} were held by this process, "
                f"{others / GIB:.1f} by others and the driver"
            )
        if device.type == "mps":
            return f"{size(torch.mps.driver_allocated_memory())} were held by this process"
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free, total = (int(lines[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
        return f"{size(resident)} were held by this process, {free / GIB:.1f} of {size(total)} were free"
    return ""


def release(device: torch.device) -> None:
    """Give back what the allocator keeps for later, so that another size can be had."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def size(n: float) -> str:
    """Return bytes for people.

    >>> size(2**31), size(3 * 2**19), size(10)
    ('2.0 GiB', '1.5 MiB', '10 bytes')
    """
    for unit, power in (("GiB", 3), ("MiB", 2), ("KiB", 1)):
        if n >= 1024**power:
            return f"{n / 1024**power:.1f} {unit}"
    return f"{n:.0f} bytes"

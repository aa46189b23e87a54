"""Slots: the places where cells can run, and what pins a process to one of them."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ptbench.environment import usable_cores
from ptbench.errors import UsageError, nearest
from ptbench.gpus import Gpu, NoGpuError, visible_gpus

FORMS = ("auto", "cpu", "cpu:N", "cuda", "cuda:0,2", "cuda:0+1,2+3")
THREADS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS",
)  # fmt: skip
SPINS = "10000"
"""How often a waiting thread of OpenMP looks again before it sleeps: by default so long that one busy core
makes a network on two cores 20 times slower."""
_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_OLD_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


@dataclass(frozen=True, slots=True)
class Slot:
    """One place a cell can run: one GPU, a group of GPUs, or a share of the CPU's cores."""

    name: str
    """``cpu:0``, ``cuda:0``, ``cuda:0+1``: unique in a run."""
    gpus: tuple[str, ...] = ()
    """As CUDA_VISIBLE_DEVICES names them; empty for the CPU."""
    threads: int = 1
    """CPU threads that its process may use."""

    @property
    def device(self) -> str:
        """``cuda`` or ``cpu``, or ``mps`` where the framework may take the GPU of an Apple machine."""
        return "cuda" if self.gpus else "mps" if self.name.startswith("mps") else "cpu"

    def environment(self) -> Mapping[str, str]:
        """Return the variables that pin a process to it; they must be set before the process starts.

        What the user says of TOKENIZERS_PARALLELISM and of OpenMP's waiting holds.
        """
        pinned = {
            "CUDA_VISIBLE_DEVICES": ",".join(self.gpus),
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # the order in which nvidia-smi counts
            **dict.fromkeys(THREADS, str(self.threads)),
        }
        customary = {"TOKENIZERS_PARALLELISM": "true" if self.threads > 1 else "false"}
        if "OMP_WAIT_POLICY" not in os.environ:
            customary["GOMP_SPINCOUNT"] = SPINS
        return pinned | {name: os.environ.get(name, value) for name, value in customary.items()}


def find_slots(devices: str, *, canonical: bool = False) -> tuple[Slot, ...]:
    """Return the slots that ``--devices`` names.

    ``auto``: a slot for each visible GPU, else one with all cores; ``cpu``; ``cpu:4``: four slots that share
    the cores; ``cuda``: every visible GPU; ``cuda:0,2``: two of them, numbered as CUDA numbers those that
    CUDA_VISIBLE_DEVICES allows; ``cuda:0+1,2+3``: two slots of two GPUs each. With ``canonical`` each
    computes with one thread. Raises `UsageError` where one is not there, is named twice, or means nothing.
    """
    kind, colon, rest = devices.strip().partition(":")
    if kind == "auto" and not colon:
        return _automatic(canonical)
    if kind == "cpu":
        return _cpu_slots(_count(devices, rest) if colon else 1, canonical)
    if kind == "cuda":
        try:
            gpus = visible_gpus()
        except NoGpuError as error:
            raise UsageError(f"devices '{devices}': there is no GPU here: {error}; use auto or cpu") from None
        groups = _groups(devices, rest, gpus) if colon else _each(gpus)
        return _gpu_slots(groups, gpus, canonical)
    hint = "did you mean 'cuda'?" if kind == "gpu" else nearest(devices, FORMS)
    raise UsageError(f"devices '{devices}' are not known; {hint}")


def cores() -> int:
    """Return how many cores this process may keep busy.

    Two threads of one core count once, and a container's share of the machine is its limit.
    """
    count = usable_cores()
    if hasattr(os, "sched_getaffinity"):
        count = len({_siblings(cpu) for cpu in os.sched_getaffinity(0)})
    return max(1, min(count, _quota() or count))


def _automatic(canonical: bool) -> tuple[Slot, ...]:
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return (Slot("mps:0", threads=1 if canonical else cores()),)
    try:
        gpus = visible_gpus()
    except NoGpuError:
        return _cpu_slots(1, canonical)
    return _gpu_slots(_each(gpus), gpus, canonical)


def _cpu_slots(n: int, canonical: bool) -> tuple[Slot, ...]:
    shares = _shares(n, canonical)
    return tuple(Slot(f"cpu:{i}", threads=threads) for i, threads in enumerate(shares))


def _gpu_slots(groups: list[tuple[int, ...]], gpus: tuple[Gpu, ...], canonical: bool) -> tuple[Slot, ...]:
    shares = _shares(len(groups), canonical)
    return tuple(
        Slot(f"cuda:{'+'.join(map(str, group))}", tuple(gpus[n].pin for n in group), threads)
        for group, threads in zip(groups, shares, strict=True)
    )


def _shares(n: int, canonical: bool) -> list[int]:
    """Return the threads of each of so many slots: together one per core; OMP_NUM_THREADS is their limit."""
    each, odd = divmod(cores(), n)
    own = os.environ.get("OMP_NUM_THREADS", "")
    limit = 1 if canonical else int(own) if own.isdecimal() and int(own) else each + 1
    return [min(limit, max(1, each + (i < odd))) for i in range(n)]


def _count(devices: str, rest: str) -> int:
    if not (rest.isascii() and rest.isdecimal()) or not 1 <= int(rest) <= 4096:
        raise UsageError(
            f"devices '{devices}': write cpu:N, N from 1 to 4096, for N slots that share the {cores()} cores"
        )
    return int(rest)


def _groups(devices: str, rest: str, gpus: tuple[Gpu, ...]) -> list[tuple[int, ...]]:
    there = f"there {'is' if len(gpus) == 1 else 'are'} " + ", ".join(
        f"cuda:{n} ({gpu.name})" for n, gpu in enumerate(gpus)
    )
    groups: list[tuple[int, ...]] = []
    for words in rest.split(","):
        group: tuple[int, ...] = ()
        for word in words.split("+"):
            if not word.strip().isdecimal():
                raise UsageError(f"--devices {devices}: '{word}' is no number, as in cuda:0,2; {there}")
            number = int(word)
            if number >= len(gpus):
                raise UsageError(f"--devices {devices}: there is no cuda:{number}; {there}")
            if number in group or any(number in other for other in groups):
                raise UsageError(f"--devices {devices}: cuda:{number} is named twice")
            group += (number,)
        if len(group) > 1 and any(gpus[n].part for n in group):
            raise UsageError(f"--devices {devices}: a process can use one MIG part only; write commas")
        groups.append(group)
    return groups


def _each(gpus: tuple[Gpu, ...]) -> list[tuple[int, ...]]:
    return [(n,) for n in range(len(gpus))]


def _siblings(cpu: int) -> str:
    try:
        return Path(_SIBLINGS.format(cpu)).read_text("ascii").strip()
    except OSError:
        return str(cpu)


def _quota() -> int | None:
    """Return how many cores the container's limit amounts to, rounded up; None where there is none."""
    try:
        limit, period = _QUOTA.read_text("ascii").split()
    except (OSError, ValueError):
        try:
            limit, period = (path.read_text("ascii").strip() for path in _OLD_QUOTA)
        except OSError:
            return None
    return math.ceil(int(limit) / int(period)) if limit.isdecimal() else None

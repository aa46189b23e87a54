"""What nvidia-smi says: the GPUs that are visible to this process, and which processes use their memory.

No framework is asked, since one that looks for a GPU may start CUDA in this very process.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass

ANSWER = 10.0
"""Seconds that nvidia-smi may take: a first call loads the driver."""
INTERVAL = 5.0
"""Seconds between two looks at who uses a GPU."""
_GPU = re.compile(r"GPU (\d+): (.*) \(UUID: (GPU-[^)]+)\)")
_MIG = re.compile(r"\s+MIG .*\(UUID: (MIG-[^)]+)\)")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or a part of one (MIG), that a process can be given."""

    pin: str
    """What CUDA_VISIBLE_DEVICES calls it: a number in the order of the bus, or a UUID."""
    name: str
    uuid: str
    """That of the whole GPU."""

    @property
    def part(self) -> bool:
        """Whether it is a MIG part; a process can use only one of those."""
        return self.pin.startswith("MIG-")


@dataclass(frozen=True, slots=True)
class GpuUser:
    """A process that holds memory of a GPU."""

    pid: int
    uuid: str
    memory_mb: int | None
    """MiB; None where the driver does not tell."""

    def __str__(self) -> str:
        memory = "" if self.memory_mb is None else f", {self.memory_mb:,} MiB"
        return f"pid {self.pid}{memory}"


class NoGpuError(Exception):
    """No GPU is visible; the text says why."""


def visible_gpus() -> tuple[Gpu, ...]:
    """Return the GPUs in the order in which CUDA would number them, as CUDA_VISIBLE_DEVICES allows.

    Raises `NoGpuError` where there is none.
    """
    there = _listed(_answer("-L"))
    if not there:
        raise NoGpuError("nvidia-smi lists none")
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return tuple(gpu for parts in there.values() for gpu in (parts[:-1] or parts))
    found: list[Gpu] = []
    for word in allowed.split(","):
        gpu = _meant(word.strip(), there)
        if gpu is None or gpu in found:  # CUDA too stops at the first that it does not know
            break
        found.append(gpu)
    if not found:
        raise NoGpuError(f"CUDA_VISIBLE_DEVICES is '{allowed}'")
    return tuple(found)


def gpu_users() -> tuple[GpuUser, ...]:
    """Return the processes that use a GPU for computing, as far as nvidia-smi sees them; none where it fails.

    In a container it may see none, or know them by numbers that mean nothing there.
    """
    try:
        text = _answer("--query-compute-apps=pid,used_memory,gpu_uuid", "--format=csv,noheader,nounits")
    except NoGpuError:
        return ()
    users = []
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) == 3 and words[0].isdigit():
            users.append(GpuUser(int(words[0]), words[2], int(words[1]) if words[1].isdigit() else None))
    return tuple(users)


class GpuWatch:
    """Looks every few seconds, in a thread of its own, at which processes use the GPUs.

    Those that were there before the first worker started are foreign; later ones are where they belong to
    the session of no worker. A process that this machine does not know is left out: in a container,
    it could be a worker under its number outside.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        self._before = {user.pid for user in gpu_users()}
        self._users: tuple[GpuUser, ...] = ()
        self._over = threading.Event()
        self._interval = interval
        self._thread = threading.Thread(target=self._look, name="ptbench-gpus", daemon=True)
        self._thread.start()

    def foreign(self, uuids: frozenset[str], workers: frozenset[int]) -> tuple[GpuUser, ...]:
        """Return who else was on one of these GPUs at the last look; ``workers`` are the sessions of ours."""
        there = [user for user in self._users if user.uuid in uuids]
        return tuple(user for user in there if self._is_foreign(user.pid, workers))

    def memory_mb(self, worker: int) -> int | None:
        """Return the memory on GPUs of the processes in a worker's session at the last look, in MiB."""
        used = [user.memory_mb for user in self._users if _session(user.pid) == worker and user.memory_mb]
        return sum(used) if used else None

    def close(self) -> None:
        """Look no more; a look that is under way ends by itself."""
        self._over.set()

    def _is_foreign(self, pid: int, workers: frozenset[int]) -> bool:
        session = _session(pid)
        return pid in self._before if session is None else session not in workers

    def _look(self) -> None:
        while True:
            self._users = gpu_users()
            if self._over.wait(self._interval):
                return


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _answer(*arguments: str) -> str:
    """Return what nvidia-smi prints. Raises `NoGpuError` where it is not there, or fails."""
    try:
        done = subprocess.run(  # noqa: S603
            ["nvidia-smi", *arguments],  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoGpuError(f"nvidia-smi gave no answer within {ANSWER:g} s") from None
    except OSError:
        raise NoGpuError("there is no nvidia-smi") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[:200]
        raise NoGpuError(f"nvidia-smi says: {said or f'exit code {done.returncode}'}")
    return done.stdout


def _listed(text: str) -> Mapping[int, list[Gpu]]:
    """Return, by number, each GPU's MIG parts followed by itself."""
    found: dict[int, list[Gpu]] = {}
    for line in text.splitlines():
        if gpu := _GPU.match(line):
            number, name, uuid = int(gpu[1]), gpu[2], gpu[3]
            found[number] = [Gpu(str(number), name, uuid)]
        elif (part := _MIG.match(line)) and found:
            whole = found[max(found)][-1]
            found[max(found)].insert(-1, Gpu(part[1], f"{whole.name} MIG", whole.uuid))
    return found


def _meant(word: str, there: Mapping[int, list[Gpu]]) -> Gpu | None:
    """Return the GPU of one word of CUDA_VISIBLE_DEVICES: a number, or the beginning of one UUID."""
    if word.isdigit():
        return there[int(word)][-1] if int(word) in there else None
    if not word.startswith(("GPU-", "MIG-")):
        return None
    for gpu in (gpu for parts in there.values() for gpu in parts):
        own = gpu.pin if gpu.part else gpu.uuid
        if own.startswith(word):
            return Gpu(word, gpu.name, gpu.uuid)
    return None

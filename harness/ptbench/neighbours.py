"""Who else is on the GPUs of a run: told once, and marked in the records of what ran beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from ptbench.gpus import GpuUser, GpuWatch, NoGpuError, visible_gpus
from ptbench.slots import Slot


class Neighbours:
    """Processes of others on the GPUs of the slots. Costs nothing where no slot has one."""

    def __init__(self, slots: Sequence[Slot], workers: Collection[int]) -> None:
        """``workers``: a live view of the sessions that are ours."""
        self._workers = workers
        self._uuids = _uuids(slots)
        self._watch = GpuWatch() if any(self._uuids.values()) else None
        self._told: set[int] = set()

    def beside(self, slot: Slot) -> Iterator[tuple[GpuUser, bool]]:
        """Yield who was on the slot's GPUs at the last look, with whether that is news."""
        if self._watch is None:
            return
        for user in self._watch.foreign(self._uuids[slot.name], frozenset(self._workers)):
            yield user, user.pid not in self._told
            self._told.add(user.pid)

    def memory_mb(self, worker: int) -> float | None:
        """Return the memory of GPUs that a worker and its children hold, in MiB; None: it is not known."""
        return None if self._watch is None else self._watch.memory_mb(worker)

    def close(self) -> None:
        """Look no more."""
        if self._watch is not None:
            self._watch.close()


def _uuids(slots: Sequence[Slot]) -> dict[str, frozenset[str]]:
    """Return the whole GPUs of each slot; those that are parts are shared with others by design."""
    known: dict[str, str] = {}
    if any(slot.gpus for slot in slots):
        with suppress(NoGpuError):
            known = {gpu.pin: gpu.uuid for gpu in visible_gpus() if not gpu.part}
    return {slot.name: frozenset(known[pin] for pin in slot.gpus if pin in known) for slot in slots}

"""Slots: the places where cells can run, and what pins a process to one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
        """``cuda`` or ``cpu``."""
        return "cuda" if self.gpus else "cpu"

    def environment(self) -> Mapping[str, str]:
        """Return the variables that pin a process to it; they must be set before the process starts."""
        raise NotImplementedError

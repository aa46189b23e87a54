"""Who is told how a run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol as Interface

from ptbench.jobs import Event
from ptbench.records import Record
from ptbench.runner.inspecting import Onlooker
from ptbench.schedule import Schedule
from ptbench.slots import Slot


class Watcher(Onlooker, Interface):
    """Who is told how a run goes on. `told` may be called from another thread than the rest."""

    def run_began(self, slots: Sequence[Slot], schedule: Schedule, reused: int) -> None:
        """The first job is about to be handed out; so many cells were done before."""

    def told(self, event: Event) -> None:
        """An executor tells what is going on: a job has started, come so far, or ended."""

    def cell_ended(self, record: Record) -> None:
        """A cell has ended, and its record is on the disk; reused and skipped ones too."""

    def warned(self, text: str) -> None:
        """Something is amiss that does not stop the run: an observer failed."""

    def report_failed(self, text: str) -> None:
        """A reporter could not write."""

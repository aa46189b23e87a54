"""Who is told how a run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from typing import Protocol as Interface

from ptbench.jobs import Event
from ptbench.records import Record
from ptbench.runner.inspecting import Inspected, Onlooker
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


class Watchers:
    """Tells several watchers what each of them can hear."""

    def __init__(self, watchers: Sequence[Any]) -> None:
        self._watchers = watchers

    def run_began(self, slots: Sequence[Slot], schedule: Schedule, reused: int) -> None:
        """See `Watcher`."""
        self._tell("run_began", slots, schedule, reused)

    def told(self, event: Event) -> None:
        """See `Watcher`."""
        self._tell("told", event)

    def cell_ended(self, record: Record) -> None:
        """See `Watcher`."""
        self._tell("cell_ended", record)

    def warned(self, text: str) -> None:
        """See `Watcher`."""
        self._tell("warned", text)

    def report_failed(self, text: str) -> None:
        """See `Watcher`."""
        self._tell("report_failed", text)

    def inspection_started(self, title: str) -> None:
        """See `Onlooker`."""
        self._tell("inspection_started", title)

    def advanced(self, examples: int) -> None:
        """See `Onlooker`."""
        self._tell("advanced", examples)

    def inspection_ended(self, done: Inspected) -> None:
        """See `Onlooker`."""
        self._tell("inspection_ended", done)

    def _tell(self, what: str, *args: Any) -> None:
        for watcher in self._watchers:
            listen = getattr(watcher, what, None)
            if listen is not None:
                listen(*args)

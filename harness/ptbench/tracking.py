"""How a run stands: what each slot does, how much is done, how long the rest takes."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ptbench.jobs import Event
from ptbench.records import Record, Status
from ptbench.schedule import Schedule
from ptbench.slots import Slot

Left = tuple[float, float, float]
"""Seconds until all is done: the estimate, and the ends of its 80 % interval."""
KEPT_FAILURES = 10
SOON, RARE = 0.25, 50.0
"""The time left is estimated anew after so many seconds at least, and so many times what that takes."""
SETTLED = 0.5
"""Seconds that a phase must have lasted before its rate means anything."""


@dataclass(frozen=True, slots=True)
class SlotState:
    """What one slot does."""

    slot: str
    title: str = ""
    """Of its cell; empty: it is idle."""
    part: str = ""
    """``3 of 8`` where it computes a part of the cell."""
    phase: str = ""
    examples: int = 0
    """Examples that went through the model in this phase."""
    per_second: float | None = None
    """Likewise, by second."""
    memory_mb: float | None = None
    seconds: float = 0.0
    """Since the cell, or its part, began here."""


@dataclass(frozen=True, slots=True)
class FailedCell:
    """A cell that did not end well, as far as a person needs it at once."""

    title: str
    status: str
    error: str = ""
    advice: str = ""
    log: str = ""
    """Within the folder of the run."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a run stands at one moment."""

    total: int = 0
    """Cells of the run."""
    reused: int = 0
    """Cells that an earlier run, or an earlier call, had finished."""
    reused_from: tuple[str, ...] = ()
    """The runs that they were measured in; empty text: in this one."""
    reused_failed: int = 0
    """Those of them that did not end well."""
    statuses: Mapping[str, int] = field(default_factory=dict)
    """How many other cells have ended, by status."""
    slots: tuple[SlotState, ...] = ()
    left: Left | None = None
    inspecting: str = ""
    """What is being looked into, once the cells are done."""
    inspecting_seconds: float = 0.0
    inspecting_examples: int = 0
    seconds: float = 0.0
    """Since the run began."""
    failures: tuple[FailedCell, ...] = ()
    """The last ones."""

    @property
    def ended(self) -> int:
        """Cells that have ended, reused ones too."""
        return self.reused + sum(self.statuses.values())

    @property
    def bad(self) -> int:
        """Cells that have not ended well, skipped ones too."""
        return self.reused_failed + sum(n for status, n in self.statuses.items() if status != Status.OK)


@dataclass(slots=True)
class _Busy:
    """What a slot is at; times by the tracker's clock."""

    job: str
    title: str
    began: float
    phase: str = ""
    phase_began: float = 0.0
    before: int = 0
    """Examples of the phases before."""
    examples: int = 0
    heard: float = 0.0
    memory_mb: float | None = None


class Tracker:
    """Keeps account of a run from what a watcher is told; every call takes constant time.

    `told` and `snapshot` may be called from any thread. ``titles`` are those of all cells, by their ids;
    for a cell without one its id stands.
    """

    def __init__(self, titles: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._titles, self._clock = titles, clock
        self._lock = threading.Lock()
        self._slots: dict[str, _Busy | None] = {}
        self._schedule: Schedule | None = None
        self._left: Left | None = None
        self._asked = self._took = self._ended = 0.0
        self._home = 0
        self._any_started = False
        self._reused_said = self._reused = self._reused_failed = 0
        self._reused_from: dict[str, None] = {}
        self._statuses: Counter[str] = Counter()
        self._failures: deque[FailedCell] = deque(maxlen=KEPT_FAILURES)
        self._inspecting, self._inspected, self._inspecting_since = "", 0, 0.0
        self._began = clock()

    def run_began(self, slots: Sequence[Slot], schedule: Schedule, reused: int) -> None:
        """The first job is about to be handed out."""
        with self._lock:
            self._slots = {slot.name: self._slots.get(slot.name) for slot in slots}
            self._schedule, self._reused_said, self._ended = schedule, reused, self._clock()
        self._home = threading.get_ident()
        self._estimate()

    def told(self, event: Event) -> None:
        """A job has started, come so far, or ended."""
        now = self._clock()
        with self._lock:
            busy = self._slots.get(event.slot)
            if event.what == "ended":
                self._ended = now
                if busy is None or busy.job == event.job:
                    self._slots[event.slot] = None
            elif event.what in ("started", "progress"):
                if busy is None or busy.job != event.job or event.what == "started":
                    self._any_started = True
                    title = self._titles.get(event.cell, event.cell)
                    busy = self._slots[event.slot] = _Busy(event.job, title, now, "", now, heard=now)
                if event.phase != busy.phase:
                    busy.phase, busy.phase_began, busy.before = event.phase, busy.heard, busy.examples
                busy.examples, busy.heard = event.examples, now
                busy.memory_mb = event.memory_mb
        self._estimate(hurry=event.what == "ended")

    def cell_ended(self, record: Record) -> bool:
        """A cell has ended; return whether it did so now, and is not reused.

        What an earlier call measured in this very run bears no mark: it comes before a job has started.
        """
        good, skipped = record.status is Status.OK, record.status is Status.SKIPPED
        with self._lock:
            early = not skipped and not self._any_started and self._reused < self._reused_said
            if record.reused or early:
                self._reused += 1
                self._reused_failed += not good
                self._reused_from[record.reused] = None
                return False
            self._statuses[record.status.value] += 1
            if not good and not skipped:
                self._failures.append(
                    FailedCell(record.title, record.status.value, record.error, record.advice, record.log)
                )
        self._estimate()
        return True

    def inspection_started(self, title: str) -> None:
        """A look inside a model begins."""
        with self._lock:
            self._inspecting, self._inspected, self._inspecting_since = title, 0, self._clock()

    def advanced(self, examples: int) -> None:
        """So many more examples went through the model that is being looked into."""
        self._inspected += examples

    def inspection_ended(self) -> None:
        """It has ended."""
        with self._lock:
            self._inspecting = ""

    @property
    def reused_are_told(self) -> bool:
        """Whether nothing more that is reused will come."""
        return self._any_started or self._reused >= self._reused_said

    def snapshot(self) -> Snapshot:
        """Return how the run stands now."""
        now = self._clock()
        with self._lock:
            gone = now - self._asked
            estimate, low, high = self._left or (0.0, 0.0, 0.0)
            left = (max(0.0, estimate - gone), max(0.0, low - gone), max(0.0, high - gone))
            return Snapshot(
                total=max(len(self._titles), self._reused + self._statuses.total()),
                reused=max(self._reused, self._reused_said),
                reused_from=tuple(self._reused_from),
                reused_failed=self._reused_failed,
                statuses=dict(self._statuses),
                slots=tuple(_state(name, busy, now) for name, busy in self._slots.items()),
                left=left if self._left else None,
                inspecting=self._inspecting,
                inspecting_seconds=now - self._inspecting_since if self._inspecting else 0.0,
                inspecting_examples=self._inspected,
                seconds=now - self._began,
                failures=tuple(self._failures),
            )

    def _estimate(self, hurry: bool = True) -> None:
        """Ask the schedule, but seldom, and only where its own thread calls: it is not for several."""
        if self._schedule is None or threading.get_ident() != self._home:
            return
        now = self._clock()
        pause = self._took * RARE if hurry or self._left is None else max(SOON, self._took * RARE)
        if self._asked and now - self._asked < pause:
            return
        left = self._schedule.remaining(now - self._ended)
        with self._lock:
            self._left, self._asked, self._took = left, now, self._clock() - now


def _state(name: str, busy: _Busy | None, now: float) -> SlotState:
    if busy is None:
        return SlotState(name)
    _, _, part = busy.job.rpartition("#") if "#" in busy.job else ("", "", "")
    examples, lasted = busy.examples - busy.before, busy.heard - busy.phase_began
    return SlotState(
        slot=name,
        title=busy.title,
        part=part.replace("/", " of "),
        phase=busy.phase,
        examples=examples,
        per_second=examples / lasted if examples > 0 and lasted >= SETTLED else None,
        memory_mb=busy.memory_mb,
        seconds=now - busy.began,
    )

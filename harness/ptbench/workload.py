"""What an executor is given: what is to be done, where, within which limits, and whom to tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptbench.jobs import Event, WorkerSpec
from ptbench.schedule import Schedule
from ptbench.slots import Slot


@dataclass(frozen=True, slots=True)
class Workload:
    """What an executor is given: what is to be done, where, and whom to tell."""

    schedule: Schedule
    """Ask it for the next job of a slot whenever that slot is free, and tell it of every job that ended."""
    slots: tuple[Slot, ...]
    worker: WorkerSpec
    folder: Path
    """The folder of the run."""
    timeout: float | None = None
    """Seconds that a job may take."""
    tell: Callable[[Event], None] = lambda event: None
    versions: Mapping[str, str] = field(default_factory=dict)
    """What must be the same wherever cells are evaluated: `installed_versions` of this machine."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The executor's own options, with the defaults for those that were not given."""

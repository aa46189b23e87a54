"""Which run is meant, how it stands, and whether its process is alive."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ptbench.errors import UsageError
from ptbench.lock import LOCK, is_running
from ptbench.runlog import FINISHED, LIVE, RUNNING, Live, read_live
from ptbench.store import RUN

DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Found:
    """A run as it stood when somebody looked."""

    folder: Path
    live: Live
    alive: bool | None
    """Whether the process that conducts it is there; None: it is on another machine, and nobody knows."""
    silent: float
    """Seconds since it last said how it stands."""

    @property
    def state(self) -> str:
        """That of `Live`, or ``dead``: it says that it runs, and does not."""
        return DEAD if self.live.state == RUNNING and self.alive is False else self.live.state

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state != RUNNING

    @property
    def code(self) -> int:
        """The exit code."""
        return int(
            self.state not in (RUNNING, FINISHED) or (self.state == FINISHED and self.live.now.bad > 0)
        )


def newest_run(path: Path) -> Path:
    """Return the run that a path is about: itself, or the newest in it. Raises `UsageError`: none."""
    if any((path / name).is_file() for name in (RUN, LIVE)):
        return path
    runs = {
        file.parent
        for pattern in ("*", "*/*")
        for name in (RUN, LIVE)
        for file in path.glob(f"{pattern}/{name}")
    }
    if not runs:
        raise UsageError(
            f"{path} holds no run; give a folder results/<suite>/<run>, or one of those above it"
        )
    return max(runs, key=lambda folder: (_stamp(folder.name), folder))


def _stamp(name: str) -> tuple[str, int]:
    """Return what runs are ordered by: their names are times, with a number where two began at once."""
    time_, _, number = name.rpartition("-")
    if number.isdecimal() and len(number) < 4:
        return time_, int(number)
    return name, 1


def look(folder: Path) -> Found:
    """Return how a run stands. Raises `UsageError` where nothing says so."""
    live = read_live(folder)
    if live is None:
        raise UsageError(
            f"{folder} has no {LIVE}, which says how a run stands; `ptbench report` shows its table"
        )
    try:
        silent = (datetime.now(UTC) - datetime.fromisoformat(live.written)).total_seconds()
    except (TypeError, ValueError):
        raise UsageError(f"{folder / LIVE} is damaged: 'written' is no time") from None
    return Found(folder, live, conducted(folder, live), max(0.0, silent))


def conducted(folder: Path, live: Live) -> bool | None:
    """Whether the process that conducts a run is alive; None where that cannot be told."""
    held = is_running(folder) if (folder / LOCK).is_file() else None
    if held is not None:
        return held
    if live.host != platform.node():
        return None
    try:
        os.kill(live.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True

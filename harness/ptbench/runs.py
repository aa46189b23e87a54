"""The runs of a suite: which one the same command continues, and which are there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptbench import lock as locks
from ptbench.durable import PART
from ptbench.journal import mend
from ptbench.lock import RunLock
from ptbench.plain import to_json
from ptbench.store import RUN, create_run, suite_folder


@dataclass(frozen=True, slots=True)
class OpenRun:
    """The folder of a run that this process conducts, locked."""

    folder: Path
    lock: RunLock
    continued: bool = False
    """Whether an earlier run goes on in it."""


def open_run(
    results: Path, suite: str, request: Mapping[str, Any], *, fresh: bool = False, retry_failed: bool = False
) -> OpenRun:
    """Continue the run that `find_run` names, or make a folder for a new one; lock it in either case.

    Two processes never get the same folder. What a dead process left half written is taken away. Raises
    `UsageError` where the folder cannot be made.
    """
    folder = None if fresh else find_run(results, suite, request, retry_failed=retry_failed)
    if folder is not None:
        lock = locks.take(folder)
        # in between, another process may have taken it, and even have finished it
        if (
            lock is not None
            and lock.works
            and find_run(results, suite, request, retry_failed=retry_failed, mine=folder)
        ):
            mend(folder)
            tidy(folder)
            return OpenRun(folder, lock, continued=True)
        if lock is not None:
            lock.release()
    folder = create_run(results, suite)
    lock = locks.take(folder)
    assert lock is not None  # nobody else knows it
    return OpenRun(folder, lock)


def find_run(
    results: Path,
    suite: str,
    request: Mapping[str, Any],
    *,
    retry_failed: bool = False,
    mine: Path | None = None,
) -> Path | None:
    """Return the run that the same command would continue, or None.

    That is the newest one of the suite, of those that nobody conducts, whose ``run.json`` has the same
    ``request`` (the text of the suite, and what overrides it), if it did not finish; with ``retry_failed`` in
    any case, to try again what failed in it. A run that did not finish lies in a folder whose lock nobody
    holds (``mine`` is one that the caller holds); where locks do not work, none is found.
    """
    for folder in run_folders(suite_folder(results, suite)):
        facts = read_run(folder)
        if facts.get("suite") != suite or facts.get("request") != to_json(request):
            continue
        if folder != mine and locks.is_running(folder):
            continue
        over = facts.get("status") == "finished" and not retry_failed
        return None if over or (folder != mine and locks.is_running(folder) is None) else folder
    return None


def run_folders(parent: Path) -> list[Path]:
    """Return the folders of a suite's runs, the newest first."""
    try:
        found = [path for path in parent.iterdir() if (path / RUN).is_file()]
    except OSError:
        return []

    def age(path: Path) -> tuple[str, int, str]:
        stamp = re.fullmatch(r"(\d{8}-\d{6})(?:-(\d+))?", path.name)
        return (stamp[1], int(stamp[2] or 1), "") if stamp else ("", 0, path.name)

    return sorted(found, key=age, reverse=True)


def read_run(folder: Path) -> Mapping[str, Any]:
    """Return what ``run.json`` of a run says; empty where it cannot be read."""
    try:
        facts = json.loads((folder / RUN).read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def tidy(folder: Path) -> None:
    """Take away what a process that died was writing. Only for who holds the lock of the run."""
    for part in folder.rglob(f"*{PART}"):
        part.unlink(missing_ok=True)

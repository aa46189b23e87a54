"""The pinned baseline of a suite: the run that somebody declared good, kept beside its runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from ptbench.errors import UsageError, printable
from ptbench.runs import read_run
from ptbench.store import RUN, suite_folder, write_json

BASELINE = "baseline.json"
"""``results/<suite>/baseline.json``: ``suite``, ``run``, when it was ``set`` and ``by`` whom."""


def pin(results: Path, run_folder: Path, by: str = "") -> Path:
    """Make a run the baseline of its suite, in place of the one before; return the file that says so.

    Whoever reads the file sees the old baseline or the new one. Raises `UsageError` where the folder holds no
    finished run, or lies elsewhere than the runs of its suite, from where later gates could not find it.
    """
    if not (run_folder / RUN).is_file():
        raise UsageError(f"{run_folder} holds no run (no {RUN}); give the folder results/<suite>/<run>")
    facts, folder = read_run(run_folder), run_folder.resolve()
    suite = facts.get("suite")
    if not isinstance(suite, str) or not suite:
        raise UsageError(f"{run_folder / RUN} is damaged: it names no suite")
    parent = suite_folder(results, suite)
    if folder.parent != parent:
        raise UsageError(f"{run_folder} is no baseline from where it lies: copy it into {parent} first")
    status = facts.get("status", "finished")
    if status != "finished":
        raise UsageError(
            f"{run_folder} has not finished ({printable(str(status))}), and what it lacks would never be "
            "missed; the command that began it goes on with it"
        )
    path = parent / BASELINE
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(path, {"suite": suite, "run": folder.name, "set": now, **({"by": by} if by else {})})
    return path


def pinned(results: Path, suite: str) -> Path | None:
    """Return the folder of the baseline of a suite; None where none is pinned.

    Raises `UsageError` where the file is damaged, is about another suite (of a name that shares the folder),
    or the run is gone.
    """
    path = suite_folder(results, suite) / BASELINE
    try:
        told = json.loads(path.read_bytes())
        name, of = told["run"], told["suite"]
        if not isinstance(name, str) or Path(name).name != name or name in ("", "..", "."):
            raise ValueError("'run' is no name of a run")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged ({error}); pin a run anew with `ptbench baseline set`") from None
    if of != suite:
        return None
    folder = path.parent / name
    if not (folder / RUN).is_file():
        raise UsageError(
            f"the baseline of suite '{printable(suite)}', {folder}, is gone; bring it back, or pin another "
            "run with `ptbench baseline set`"
        )
    return folder

"""All runs under a results folder as one table."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptbench.errors import UsageError, nearest, one_line, printable
from ptbench.report import COLUMNS, check_rows, tidy_frame, tidy_rows
from ptbench.runs import read_run, run_folders
from ptbench.store import RUN, read_report
from ptbench.summaries import missing_records

if TYPE_CHECKING:
    import pandas as pd

Rows = list[list[Any]]
RUN_COLUMN = list(COLUMNS).index("run")


def load_results(
    path: str | Path = "results", *, suite: str | None = None, newest: bool = False
) -> pd.DataFrame:
    """Return all runs under a folder as one tidy frame: a row for each cell and metric.

    The columns are those of ``report.csv``, which ``results/README.md`` explains; ``run`` is the folder that
    a row was read from. A run that is damaged is left out, with a warning that names it; a warning tells
    of a finished run whose journal has lost records, too.

    Args:
        path: The results folder, ``results/<suite>`` or ``results/<suite>/<run>``.
        suite: Only the runs of this suite, by its name.
        newest: Only the newest run of each suite.

    Raises `UsageError` where there is no such run.
    """
    root = Path(path)
    suites: dict[str, list[Path]] = {}
    for name, folders in _suites(root):
        suites.setdefault(name, []).extend(folders)
    if not suites:
        raise UsageError(f"{root} holds no run; give the folder that `ptbench run` wrote to (--output)")
    if suite is not None and suite not in suites:
        raise UsageError(f"{root} has no run of suite '{suite}'; {nearest(suite, suites)}")
    runs: list[Rows] = []
    for folders in suites.values() if suite is None else [suites[suite]]:
        runs += islice(_readable(folders), 1 if newest else None)
    return tidy_frame(row for rows in runs for row in rows)


def _suites(root: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield the suites under a folder by name, with the folders of their runs, the newest first."""
    if (root / RUN).is_file():
        yield str(read_run(root).get("suite", "")), [root]
        return
    parents = [root, *sorted(path for path in root.iterdir() if path.is_dir())] if root.is_dir() else []
    for parent in parents:
        if folders := run_folders(parent):
            names = (str(read_run(folder).get("suite", "")) for folder in folders)
            yield next(filter(None, names), parent.name), folders


def _readable(folders: list[Path]) -> Iterator[Rows]:
    """Yield the rows of each run that can be read."""
    for folder in folders:
        try:
            report = read_report(folder)
            rows = list(tidy_rows(report))
            check_rows(rows)
        except Exception as error:  # a run may be damaged in any way; the others are read
            _warn(f"left out: {folder.name}: {one_line(error)}")
            continue
        for row in rows:
            row[RUN_COLUMN] = printable(folder.resolve().name)
        if missing := missing_records(report):
            _warn(f"{folder.name}: {missing}")
        yield rows


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)

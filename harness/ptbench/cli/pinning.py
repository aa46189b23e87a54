"""`ptbench baseline`: the run that `ptbench gate` compares with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ptbench.cli.shared import JSON, make_console
from ptbench.cli.whichrun import newest_run
from ptbench.errors import UsageError, printable

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group("baseline")
def baseline_group() -> None:
    """Pin the run that `ptbench gate` compares with, or show which it is."""


@baseline_group.command("set")
@click.argument("run", type=FOLDER)
@click.option("--by", default="", help="Who says so; kept beside it.")
@JSON
def set_command(run: Path, by: str, as_json: bool) -> None:
    """Make RUN the baseline of its suite, in place of the one before.

    RUN is the folder of a finished run, or of a suite: then its newest run.
    """
    from ptbench.records import Status
    from ptbench.runner.pins import pin
    from ptbench.store import read_report

    folder = newest_run(run)
    report = read_report(folder)
    path = pin(folder.resolve().parent.parent, folder, by)
    bad = sum(record.status is not Status.OK for record in report.records)
    if as_json:
        click.echo(json.dumps({**json.loads(path.read_bytes()), "cells_without_a_score": bad}))
        return
    console = make_console()
    if bad:
        what = "cell has" if bad == 1 else "cells have"
        console.out(f"note: {bad:,} {what} no score in it, and would not be missed", highlight=False)
    console.out(f"baseline of {printable(str(report.run['suite']))}: {folder.name}", highlight=False)


@baseline_group.command("show")
@click.argument("folder", type=FOLDER, default=Path("results"))
@JSON
def show_command(folder: Path, as_json: bool) -> None:
    """Show the baseline of a suite, FOLDER being results/<suite>, or those of all suites in results/.

    The exit code is 2 where none is pinned.
    """
    from ptbench.runner.pins import BASELINE

    files = [path for path in (folder / BASELINE, *sorted(folder.glob(f"*/{BASELINE}"))) if path.is_file()]
    found = [_pinned(path) for path in files]
    if not found:
        raise UsageError(f"no baseline is pinned in {folder}; `ptbench baseline set RUN` pins one")
    if as_json:
        click.echo(json.dumps(found))
        return
    console = make_console()
    for one in found:
        by = f" by {printable(one['by'])}" if one["by"] else ""
        newer = f"; {one['newer']:,} newer run{'s' * (one['newer'] != 1)}" if one["newer"] else ""
        console.out(
            f"{printable(one['suite'])}: {one['run']}, set {printable(one['set'])}{by}{newer}",
            highlight=False,
        )


def _pinned(path: Path) -> dict[str, Any]:
    """Return what is pinned by a file. Raises `UsageError` where it is damaged, or the run is gone."""
    from ptbench.runner.pins import pinned
    from ptbench.runs import run_folders

    try:
        told = json.loads(path.read_bytes())
        suite, at, by = str(told["suite"]), str(told.get("set", "")), str(told.get("by", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged ({error}); pin a run anew with `ptbench baseline set`") from None
    folder = pinned(path.resolve().parent.parent, suite)
    if folder is None:
        raise UsageError(f"{path} is about another suite; pin a run anew with `ptbench baseline set`")
    runs = run_folders(folder.parent)
    newer = runs.index(folder) if folder in runs else 0
    return {"suite": suite, "run": folder.name, "set": at, "by": by, "folder": str(folder), "newer": newer}

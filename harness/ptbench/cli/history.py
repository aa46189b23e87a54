"""`ptbench history`: each metric of a suite over its nights, and where and why it changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.shared import JSON, OUTPUT, make_console
from ptbench.errors import UsageError, nearest

if TYPE_CHECKING:
    from ptbench.history import History


@click.command("history", epilog="Exit codes: 0 shown; 2 there is no such suite, run or series.")
@click.argument("suite")
@OUTPUT
@click.option("--metric", help="This metric; default: the primary one of each task.")
@click.option("--model", help="Only this model, by its name in the suite.")
@click.option("--task", help="Only this task.")
@click.option("--last", type=click.IntRange(min=1), help="Only so many nights, the newest.")
@click.option("--time", "of_time", is_flag=True, help="Seconds instead of scores.")
@click.option("--causes", "every", is_flag=True, help="All causes of each change, not the first four.")
@JSON
def history_command(
    suite: str,
    output: Path,
    metric: str | None,
    model: str | None,
    task: str | None,
    last: int | None,
    of_time: bool,
    every: bool,
    as_json: bool,
) -> None:
    """Show how the scores of SUITE moved over its runs, and what changed where their level did.

    SUITE is the folder of its runs, results/<suite>, or the suite's name or file, with --output.

    A level changed where a segmentation of the whole series says so, not where last night differs: there are
    eight nights at least, and three of the new level. One or two that stand out are none; the last night is
    marked until others confirm it.
    """
    from ptbench.history import read_history

    if of_time and metric:
        raise UsageError("--time and --metric were both given; give one of them")
    folder = _folder(suite, output)
    history = read_history(folder, metric=metric, model=model, task=task, last=last, time=of_time)
    for reason in history.damaged:
        click.echo(f"warning: left out: {reason}", err=True)
    if as_json:
        click.echo(json.dumps(_data(history), indent=2))
    else:
        from ptbench.cli.historytable import render_history

        render_history(history, make_console(), every)


def _folder(suite: str, output: Path) -> Path:
    """Return where the runs of a suite lie: itself, or under the results by its name or file."""
    from ptbench.runs import run_folders
    from ptbench.store import suite_folder
    from ptbench.suite import load_suite

    path = Path(suite)
    if run_folders(path):
        return path
    if (path / "run.json").is_file():
        raise UsageError(f"{path} is one run; the history is that of its suite: {path.parent}")
    name = load_suite(path).name if path.is_file() or path.suffix == ".toml" else suite
    folder = suite_folder(output, name)
    if run_folders(folder):
        return folder
    known = [one.name for one in output.iterdir() if run_folders(one)] if output.is_dir() else []
    raise UsageError(f"there is no run of suite '{name}' in {output}; {nearest(name, known)}")


def _data(history: History) -> dict[str, Any]:
    """Return a history as JSON data."""
    from ptbench.plain import to_json

    fields = ("run", "started", "finished", "status", "cells", "statuses", "environment", "gate", "verdicts")
    return {
        "suite": history.suite,
        "folder": str(history.folder),
        "sentence": history.sentence,
        "gate": history.gate,
        "nights": [{name: to_json(getattr(night, name)) for name in fields} for night in history.nights],
        "series": to_json(history.series),
        "damaged": list(history.damaged),
    }

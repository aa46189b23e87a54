"""`ptbench compare`: is B better than A?"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ptbench.cli.reading import opened_run, told_apart
from ptbench.cli.shared import JSON, OUTPUT, make_console
from ptbench.errors import UnknownNameError, UsageError, nearest, printable

if TYPE_CHECKING:
    from ptbench.comparison import Comparison
    from ptbench.records import Report

NOTHING = 4
"""The exit code where nothing could be compared."""
SHOWN = 5
"""Flips in either direction that a table shows unless another number is asked for."""
ALLOWED = ("data", "preprocessing", "metrics")
ALLOW = click.option(
    "--allow", multiple=True, type=click.Choice(ALLOWED),
    help="Compare although this differs; the table says so. May be given several times.",
)  # fmt: skip
CHANCE = click.FloatRange(0, 1, min_open=True, max_open=True)
EXIT_CODES = "Exit codes: 0 compared; 2 the call is wrong; 4 nothing could be compared."


@click.command("compare", epilog=EXIT_CODES)
@click.argument("a")
@click.argument("b")
@click.option(
    "--run", type=click.Path(path_type=Path),
    help="A and B are models of this run, or of the newest in this folder.  [default: that of --output]",
)  # fmt: skip
@OUTPUT
@click.option("--model", "models", multiple=True, help="Of two runs, compare this model only.")
@click.option("--task", "tasks", multiple=True, help="Compare on this task only.")
@click.option("--metric", "metrics", multiple=True, help="Show this one beside each task's primary metric.")
@ALLOW
@click.option("--alpha", type=CHANCE, default=0.05, show_default=True, help="Chance of any false verdict.")
@click.option("--flips", is_flag=True, help="Show the examples that went from right to wrong, and back.")
@click.option(
    "--most", type=click.IntRange(1), help="Flips to show in either direction.  [default: 5; in JSON all]"
)
@click.option("--all", "every", is_flag=True, help="Show the rows with the same predictions, too.")
@JSON
def compare_command(
    a: str,
    b: str,
    run: Path | None,
    output: Path,
    models: tuple[str, ...],
    tasks: tuple[str, ...],
    metrics: tuple[str, ...],
    allow: tuple[str, ...],
    alpha: float,
    flips: bool,
    most: int | None,
    every: bool,
    as_json: bool,
) -> int:
    """Say whether B is better than A, task by task, from their predictions on the same examples.

    A and B are runs (folders results/<suite>/<run>, those above, or bundles), or models within one run:
    minilm, or "minilm x linear_probe". All seeds of a model under a protocol count together. The primary
    metric of each task decides; its p is corrected for all rows (Holm). What is about other examples, another
    version of a metric or other preprocessing is not compared, and the table says why; --allow overrides it.
    """
    from ptbench.catalog import load_catalog
    from ptbench.plain import to_json
    from ptbench.runner.sides import numeric_metrics

    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(sys.stderr))  # what a plugin prints is no output of ours
        catalog = load_catalog()
        if run is None and os.path.exists(a) and os.path.exists(b):
            before, after = (
                _only(stack.enter_context(opened_run(Path(path))), models, tasks) for path in (a, b)
            )
            from ptbench.runner.comparing import compare_runs

            found = compare_runs(before, after, catalog, allow=frozenset(allow), metrics=metrics, alpha=alpha)
            found = told_apart(found, Path(a), Path(b))
        else:
            from ptbench.runner.comparing import compare_sides

            _check_models(a, b, run, models)
            before = after = _only(stack.enter_context(opened_run(run or output)), (), tasks)
            try:
                found = compare_sides(
                    before, a, after, b, catalog, allow=frozenset(allow), metrics=metrics, alpha=alpha
                )
            except UsageError as error:
                raise UsageError(f"{error} ({before.folder}; --run names another)") from None
        flipped = []
        if flips:
            from ptbench.runner.flips import find_flips

            most = most if most is not None or as_json else SHOWN
            differing = [row for row in found.rows if row.primary is not None and row.primary.differing]
            flipped = find_flips(differing, before, after, catalog, most)
    offers = numeric_metrics(catalog).items()
    ranges = {name: metric.bounds[1] - metric.bounds[0] for name, metric in offers}
    if as_json:
        from ptbench.cli.words import answer

        data = {**to_json(found), "answer": answer(found, models=before is after, ranges=ranges)}
        click.echo(json.dumps({**data, "flips": to_json(flipped)} if flips else data))
    else:
        from ptbench.cli.comparetable import render_comparison
        from ptbench.cli.fliptable import render_flips

        console = make_console()
        render_comparison(found, console, metrics, models=before is after, every=every, ranges=ranges)
        render_flips(flipped, console)
    return exit_code(found)


def exit_code(found: Comparison) -> int:
    """Return 4 where nothing could be compared."""
    return 0 if found.comparable else NOTHING


def _check_models(a: str, b: str, run: Path | None, models: Sequence[str]) -> None:
    if run is None:
        for text in (a, b):
            if os.path.exists(text) or "/" in text or text.endswith(".ptbundle"):
                other = b if text == a else a
                what = "is a run" if os.path.exists(text) else "there is no such run"
                raise UsageError(
                    f"{printable(text)}: {what}; give two runs, or two models of one run (--run), beside "
                    f"'{printable(other)}'"
                )
    if models:
        raise UsageError("--model is for two runs; A and B are models here")


def _only(report: Report, models: Sequence[str], tasks: Sequence[str]) -> Report:
    """Return a report with these models and tasks alone. Raises `UnknownNameError` for those it has not."""
    for option, asked, there in (
        ("--model", models, {record.model for record in report.records}),
        ("--task", tasks, {record.task for record in report.records}),
    ):
        for name in asked:
            if name not in there:
                hint = printable(nearest(name, there))
                raise UnknownNameError(
                    f"{option} {printable(name)}: run {report.folder.name} has none; {hint}"
                )
    records = [
        record
        for record in report.records
        if (not models or record.model in models) and (not tasks or record.task in tasks)
    ]
    run = {**report.run, "cells": None} if models or tasks else report.run  # so many are not there now
    return replace(report, run=run, records=tuple(records))

"""`ptbench plan` and `ptbench report`: what would be run, and what was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ptbench.cli.looking import EXECUTION, look
from ptbench.cli.shared import JSON, OUTPUT, PRECISION, SUITE, make_console, show_report


@click.command("plan")
@SUITE
@OUTPUT
@EXECUTION
@PRECISION
@JSON
def plan_command(
    suite: Path, output: Path, given: Mapping[str, Any], precision: str | None, as_json: bool
) -> int:
    """Show the cells of SUITE, what each needs, what is wrong and what is finished; loads no model.

    The exit code is 2 where anything is wrong.
    """
    from ptbench.cli.planning import plan_data, show_plan
    from ptbench.runner.opening import request_of
    from ptbench.runner.reuse import find_finished
    from ptbench.runs import find_run

    looked = look(suite, given, precision)
    plan, mistakes = looked.plan, looked.mistakes
    going_on = find_run(output, plan.suite.name, request_of(plan, looked.execution, precision))
    finished = find_finished(plan, output, going_on)
    if as_json:
        click.echo(json.dumps({**plan_data(plan, finished), "mistakes": list(mistakes)}, indent=2))
    else:
        show_plan(plan, make_console(), finished)
        for mistake in mistakes:
            click.echo(f"error: {mistake}", err=True)
    return 2 if plan.problems or mistakes else 0


@click.command("report")
@click.argument(
    "runs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option("--reporter", "reporters", multiple=True, default=("csv",), show_default=True)
@JSON
def report_command(runs: tuple[Path, ...], reporters: tuple[str, ...], as_json: bool) -> int:
    """Draw the tables of RUNS (folders results/<suite>/<run>) again and write their reports anew."""
    from ptbench import store
    from ptbench.catalog import load_catalog
    from ptbench.runner.conduct import write_reports
    from ptbench.runner.ranking import rank

    catalog = load_catalog()
    warnings: list[str] = []
    for run in runs:
        report = store.read_report(run)
        if report.run.get("status") == "running":  # or killed: nobody compared what is finished
            found = rank(run, report.records, catalog)
            report = replace(report, standings=found.standings, averages=found.averages)
        written = write_reports(report, catalog, reporters, warnings.append)
        show_report(report, as_json, "\n".join(f"wrote {path}" for path in written))
    for warning in warnings:
        click.echo(f"error: {warning}", err=True)
    return 1 if warnings else 0

"""`ptbench run`, `ptbench plan` and `ptbench report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.errors import SuiteError, UsageError
from ptbench.suite import PRECISIONS

if TYPE_CHECKING:
    from rich.console import Console

    from ptbench.catalog import Catalog
    from ptbench.records import Report
    from ptbench.runner.plan import Plan

SUITE = click.argument("suite", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
DEVICE = click.option("--device", help="auto, cpu, cuda, cuda:N or mps; overrides the suite.")
PRECISION = click.option("--precision", type=click.Choice(PRECISIONS), help="Overrides the suite.")


@click.command("run")
@SUITE
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Where the run's folder <suite>/<run>/ is made.",
)
@DEVICE
@PRECISION
@click.option("--reporter", "reporters", multiple=True, help="Reporters to use instead of the suite's.")
@click.option("--quiet", is_flag=True, help="No progress; the table alone.")
@JSON
def run_command(
    suite: Path,
    output: Path,
    device: str | None,
    precision: str | None,
    reporters: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> int:
    """Run SUITE and show the table; leave records, predictions and CSVs under results/."""
    from rich.text import Text

    from ptbench import store
    from ptbench.cli.display import Display
    from ptbench.cli.tables import render
    from ptbench.offers import Reporter
    from ptbench.plain import to_json
    from ptbench.records import Status
    from ptbench.runner.conduct import conduct

    plan, catalog = _planned(suite, device, precision)
    for name in reporters:
        catalog.get(Reporter, name)
    folder = store.create_run(output, plan.suite.name)
    progress = _console(stderr=True)
    if plan.problems and not (quiet or as_json):
        blocked = sum(bool(planned.problem) for planned in plan.cells)
        progress.print(f"{blocked} of {len(plan.cells)} cells cannot run:", style="yellow")
        for problem in plan.problems:
            progress.print(Text(f"  {problem}"), soft_wrap=True)
    with Display(plan, progress, quiet=quiet or as_json) as display:
        report = conduct(plan, catalog, folder, display, reporters or None)
    if as_json:
        click.echo(json.dumps(to_json(report)))
    else:
        render(report, _console())
        click.echo(f"results: {folder}")
    return 0 if all(record.status is Status.OK for record in report.records) else 1


@click.command("plan")
@SUITE
@DEVICE
@PRECISION
@JSON
def plan_command(suite: Path, device: str | None, precision: str | None, as_json: bool) -> int:
    """Show the cells of SUITE, what each needs and what is wrong, without loading a model.

    The exit code is 2 where anything is wrong.
    """
    from ptbench.cli.planning import plan_data, show_plan

    plan, mistakes, _ = _look(suite, device, precision)
    if as_json:
        click.echo(json.dumps({**plan_data(plan), "mistakes": list(mistakes)}, indent=2))
    else:
        show_plan(plan, _console())
        for mistake in mistakes:
            click.echo(f"error: {mistake}", err=True)
    return 2 if plan.problems or mistakes else 0


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--reporter", "reporters", multiple=True, default=("csv",), show_default=True)
@JSON
def report_command(run: Path, reporters: tuple[str, ...], as_json: bool) -> int:
    """Draw the tables of RUN (a folder results/<suite>/<run>) again and write its reports anew."""
    from ptbench import store
    from ptbench.catalog import load_catalog
    from ptbench.cli.tables import render
    from ptbench.plain import to_json
    from ptbench.runner.conduct import write_reports

    report: Report = store.read_report(run)
    warnings: list[str] = []
    catalog = load_catalog()
    written = write_reports(report, catalog, reporters, warnings.append)
    if as_json:
        click.echo(json.dumps(to_json(report)))
    else:
        render(report, _console())
        for path in written:
            click.echo(f"wrote {path}")
    if warnings:
        raise UsageError("; ".join(warnings))
    return 0


def _planned(path: Path, device: str | None, precision: str | None) -> tuple[Plan, Catalog]:
    """Return the plan of a suite. Raises `SuiteError` with every mistake."""
    plan, mistakes, catalog = _look(path, device, precision)
    if mistakes:
        raise SuiteError(mistakes)
    return plan, catalog


def _look(path: Path, device: str | None, precision: str | None) -> tuple[Plan, tuple[str, ...], Catalog]:
    """Return the plan of what is well-formed in a suite, and every mistake in the rest."""
    from ptbench.catalog import load_catalog
    from ptbench.runner.plan import make_plan
    from ptbench.runner.resolve import resolve
    from ptbench.suite import load_suite

    suite = load_suite(path)
    catalog = load_catalog()
    given: dict[str, Any] = {"device": device, "precision": precision}
    settings = {key: value for key, value in given.items() if value is not None}
    cells, mistakes = resolve(suite, catalog, settings)
    return make_plan(suite, cells, catalog), mistakes, catalog


def _console(stderr: bool = False) -> Console:
    """Return a console; where there is no terminal a line is as long as it needs to be."""
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in console._environ:
        console = Console(stderr=stderr, highlight=False, width=160)
    return console

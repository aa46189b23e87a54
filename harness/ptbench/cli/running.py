"""`ptbench run`, `ptbench plan` and `ptbench report`."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.errors import SuiteError, UsageError
from ptbench.suite import DEVICE as DEVICE_NAME
from ptbench.suite import PRECISIONS

if TYPE_CHECKING:
    from rich.console import Console

    from ptbench.catalog import Catalog
    from ptbench.records import Report
    from ptbench.runner.plan import Plan


def _device(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(DEVICE_NAME, value):
        raise click.BadParameter(f"'{value}' is none of auto, cpu, cuda, cuda:N, mps")
    return value


SUITE = click.argument("suite", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
DEVICE = click.option(
    "--device", callback=_device, help="auto, cpu, cuda, cuda:N or mps; overrides the suite."
)
CACHE = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where features are kept, for later runs too; default: $PTBENCH_CACHE, else ~/.cache/ptbench.",
)
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
@CACHE
@click.option("--no-cache", is_flag=True, help="Keep features in memory only; resume no training.")
@click.option("--quiet", is_flag=True, help="No progress; the table alone.")
@JSON
def run_command(
    suite: Path,
    output: Path,
    device: str | None,
    precision: str | None,
    reporters: tuple[str, ...],
    cache: Path | None,
    no_cache: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run SUITE and show the table; leave records, predictions and CSVs under results/."""
    from rich.text import Text

    from ptbench import store
    from ptbench.cache import find_cache
    from ptbench.cli.display import Display
    from ptbench.offers import Reporter
    from ptbench.records import Status
    from ptbench.runner.conduct import conduct

    if cache and no_cache:
        raise UsageError("--cache and --no-cache contradict each other; leave one out")
    kept = None if no_cache else find_cache(cache)
    plan, catalog = _planned(suite, device, precision)
    for name in reporters:
        catalog.get(Reporter, name)
    folder = store.create_run(output, plan.suite.name)
    shown = output / folder.relative_to(output.resolve())
    progress = make_console(stderr=True)
    if plan.problems and not (quiet or as_json):
        blocked = sum(bool(planned.problem) for planned in plan.cells)
        skipped = len(plan.inspections.skipped)
        others = f", {skipped} inspection{'s' * (skipped > 1)}" if skipped else ""
        progress.print(f"{blocked} of {len(plan.cells)} cells{others} cannot run:", style="yellow")
        for problem in plan.problems:
            progress.print(Text(f"  {problem}"), soft_wrap=True)
    try:
        with (
            interruptible(),
            redirect_stdout(sys.stderr),  # what a plugin prints must not stand before the JSON
            Display(plan, progress, quiet=quiet or as_json) as display,
        ):
            report = conduct(plan, catalog, folder, display, reporters or None, kept)
    except KeyboardInterrupt:
        _show(store.read_report(folder), as_json, f"results: {shown}")
        raise
    inspected = f"inspections: {shown / 'inspect'}\n" if plan.inspections.items else ""
    _show(report, as_json, f"{inspected}results: {shown}")
    good = all(record.status is Status.OK for record in report.records)
    return 0 if good and not display.failed_reports and not display.failed_inspections else 1


@contextmanager
def interruptible() -> Iterator[None]:
    """Take SIGTERM like Ctrl-C; a second one does not disturb while the first is being answered."""
    signals = (signal.SIGINT, signal.SIGTERM)

    def interrupt(number: int, frame: object) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _show(report: Report, as_json: bool, last: str) -> None:
    from ptbench.cli.tables import render
    from ptbench.plain import to_json

    console = make_console()
    if as_json:
        console.out(json.dumps(to_json(report)), highlight=False)
    else:
        render(report, console)
        console.out(last, highlight=False)


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
        show_plan(plan, make_console())
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
    from ptbench.runner.conduct import rank, write_reports

    catalog = load_catalog()
    warnings: list[str] = []
    for run in runs:
        report = store.read_report(run)
        if report.run.get("status") == "running":  # or killed: nobody compared what is finished
            report = replace(report, standings=tuple(rank(run, report.records, catalog)))
        written = write_reports(report, catalog, reporters, warnings.append)
        _show(report, as_json, "\n".join(f"wrote {path}" for path in written))
    for warning in warnings:
        click.echo(f"error: {warning}", err=True)
    return 1 if warnings else 0


def _planned(path: Path, device: str | None, precision: str | None) -> tuple[Plan, Catalog]:
    """Return the plan of a suite. Raises `SuiteError` with every mistake."""
    plan, mistakes, catalog = _look(path, device, precision)
    if mistakes:
        raise SuiteError(mistakes)
    return plan, catalog


def _look(path: Path, device: str | None, precision: str | None) -> tuple[Plan, tuple[str, ...], Catalog]:
    """Return the plan of what is well-formed in a suite, and every mistake in the rest."""
    from ptbench.catalog import load_catalog
    from ptbench.runner.inspecting import plan_inspections
    from ptbench.runner.plan import make_plan
    from ptbench.runner.resolve import resolve
    from ptbench.suite import load_suite

    suite = load_suite(path)
    with redirect_stdout(sys.stderr):  # what a plugin prints is no output of ours
        catalog = load_catalog()
    given: dict[str, Any] = {"device": device, "precision": precision}
    settings = {key: value for key, value in given.items() if value is not None}
    cells, mistakes = resolve(suite, catalog, settings)
    with redirect_stdout(sys.stderr):
        plan = make_plan(suite, cells, catalog)
        broken = {name: task.problem for name, task in plan.tasks.items() if task.problem}
        inspections = plan_inspections(suite, catalog, settings, broken)
    return replace(plan, inspections=inspections), mistakes, catalog


def make_console(stderr: bool = False) -> Console:
    """Return a console that outlives a closed pipe; without a terminal lines are as long as they need."""
    from rich.console import Console

    class Lasting(Console):
        """A console that falls silent where the reader has gone: what is being run goes on."""

        def on_broken_pipe(self) -> None:
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())

    console = Lasting(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Lasting(stderr=stderr, highlight=False, width=160)
    return console

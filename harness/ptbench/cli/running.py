"""`ptbench run`: run a suite, or go on with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.looking import EXECUTION, Looked, look
from ptbench.cli.shared import (
    CACHE,
    JSON,
    OUTPUT,
    PRECISION,
    SUITE,
    interruptible,
    make_console,
    show_report,
)
from ptbench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ptbench.records import Report
    from ptbench.runner.plan import Plan


PAGE = "report.html"


@click.command("run")
@SUITE
@OUTPUT
@EXECUTION
@PRECISION
@click.option("--reporter", "reporters", multiple=True, help="Reporters to use instead of the suite's.")
@CACHE
@click.option("--no-cache", is_flag=True, help="Keep features in memory only; resume no training.")
@click.option("--fresh", is_flag=True, help="Run every cell in a new run, whatever is finished.")
@click.option("--retry-failed", is_flag=True, help="Go on with the newest run: what did not end well, again.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first cell that does not end well.")
@click.option("--offline", is_flag=True, help="Open no network socket; `ptbench fetch` brings things before.")
@click.option("--quiet", is_flag=True, help="No progress; the table alone.")
@JSON
@click.pass_obj
def run_command(
    began: float,
    suite: Path,
    output: Path,
    given: Mapping[str, Any],
    precision: str | None,
    reporters: tuple[str, ...],
    cache: Path | None,
    no_cache: bool,
    fresh: bool,
    retry_failed: bool,
    fail_fast: bool,
    offline: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run SUITE and show the table; leave records, predictions and CSVs under results/.

    The same command again goes on where it stopped, and does not run again what is finished and would come
    out the same.
    """
    if cache and no_cache:
        raise UsageError("--cache and --no-cache contradict each other; leave one out")
    if fresh and retry_failed:
        raise UsageError("--fresh and --retry-failed contradict each other; leave one out")
    looked = look_safely(suite, given, precision, reporters, offline=offline, fail_fast=fail_fast)
    ran = run_plan(
        looked,
        output,
        precision,
        began=began,
        reporters=reporters,
        cache=cache,
        no_cache=no_cache,
        fresh=fresh,
        retry_failed=retry_failed,
        quiet=quiet,
        as_json=as_json,
    )
    show_report(ran.report, as_json, f"{ran.inspected}{ran.page}results: {ran.shown}")
    return 0 if ran.good else 1


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run."""

    report: Report
    folder: Path
    shown: Path
    """Its folder, as the user would write it."""
    whole: bool
    """Whether every report was written and every inspection made."""
    inspected: str = ""
    """A line that says where the inspections are, if there are any."""

    @property
    def page(self) -> str:
        """A line that says which file to open, if the run has a page."""
        return f"page: {self.shown / PAGE}\n" if (self.folder / PAGE).is_file() else ""

    @property
    def good(self) -> bool:
        """Whether all of it went well."""
        return self.whole and all(record.status == "ok" for record in self.report.records)


def look_safely(
    suite: Path,
    given: Mapping[str, Any],
    precision: str | None,
    reporters: Sequence[str] = (),
    *,
    offline: bool = False,
    fail_fast: bool = False,
) -> Looked:
    """Return the plan of a suite without a mistake, the network closed before if asked for.

    Raises `SuiteError` and `UsageError`; `UnknownNameError` for a reporter.
    """
    from ptbench.offers import Reporter
    from ptbench.offline import seal

    if offline:
        seal()
    looked = look(suite, given, precision, offline=offline, fail_fast=fail_fast).checked()
    for name in reporters:
        looked.catalog.get(Reporter, name)
    return looked


def run_plan(
    looked: Looked,
    output: Path,
    precision: str | None,
    *,
    began: float,
    reporters: Sequence[str] = (),
    cache: Path | None = None,
    no_cache: bool = False,
    fresh: bool = False,
    retry_failed: bool = False,
    quiet: bool = False,
    as_json: bool = False,
) -> Ran:
    """Run a plan, with its progress on standard error. What is left of an interrupted run is shown."""
    from ptbench.cache import find_cache
    from ptbench.cli.display import Display
    from ptbench.runner.conduct import conduct
    from ptbench.runner.opening import opened

    kept = None if no_cache else find_cache(cache)
    plan, catalog, execution = looked.plan, looked.catalog, looked.execution
    progress = make_console(stderr=True)
    with opened(plan, output, execution, precision, fresh=fresh, retry_failed=retry_failed) as ready:
        shown = output / ready.folder.relative_to(output.resolve())
        if not (quiet or as_json):
            show_problems(plan, progress)
        try:
            with (
                interruptible(),
                redirect_stdout(sys.stderr),  # what a plugin prints must not stand before the JSON
                Display(plan, progress, quiet=quiet or as_json, folder=shown) as display,
            ):
                report = conduct(
                    plan,
                    catalog,
                    ready.folder,
                    display,
                    execution=execution,
                    request=ready.request,
                    fresh=ready.fresh,
                    began=began,
                    finished=ready.finished,
                    earlier=ready.earlier,
                    reporters=reporters or None,
                    cache=kept,
                )
        except KeyboardInterrupt:
            show_left(ready.folder, as_json, f"results: {shown}")
            raise
    whole = not display.failed_reports and not display.failed_inspections
    inspected = f"inspections: {shown / 'inspect'}\n" if plan.inspections.items else ""
    return Ran(report, ready.folder, shown, whole, inspected)


def show_problems(plan: Plan, console: Console) -> None:
    """Say before a run which cells cannot run, and why."""
    from rich.text import Text

    if not plan.problems:
        return
    blocked = sum(bool(planned.problem) for planned in plan.cells)
    skipped = len(plan.inspections.skipped)
    others = f", {skipped} inspection{'s' * (skipped > 1)}" if skipped else ""
    console.print(f"{blocked} of {len(plan.cells)} cells{others} cannot run:", style="yellow")
    for problem in plan.problems:
        console.print(Text(f"  {problem}"), soft_wrap=True)


def show_left(folder: Path, as_json: bool, last: str) -> None:
    """Show what an interrupted run left behind, as far as it was written."""
    from ptbench import store

    with suppress(UsageError):
        show_report(store.read_report(folder), as_json, last)

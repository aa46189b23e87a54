"""`ptbench run`: run a suite, or go on with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.looking import EXECUTION, look
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

    from ptbench.runner.plan import Plan


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
    from ptbench.cache import find_cache
    from ptbench.cli.display import Display
    from ptbench.offers import Reporter
    from ptbench.offline import seal
    from ptbench.records import Status
    from ptbench.runner.conduct import conduct
    from ptbench.runner.opening import opened

    if cache and no_cache:
        raise UsageError("--cache and --no-cache contradict each other; leave one out")
    if fresh and retry_failed:
        raise UsageError("--fresh and --retry-failed contradict each other; leave one out")
    if offline:
        seal()
    kept = None if no_cache else find_cache(cache)
    looked = look(suite, given, precision, offline=offline, fail_fast=fail_fast).checked()
    plan, catalog, execution = looked.plan, looked.catalog, looked.execution
    for name in reporters:
        catalog.get(Reporter, name)
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
    inspected = f"inspections: {shown / 'inspect'}\n" if plan.inspections.items else ""
    show_report(report, as_json, f"{inspected}results: {shown}")
    good = all(record.status is Status.OK for record in report.records)
    return 0 if good and not display.failed_reports and not display.failed_inspections else 1


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

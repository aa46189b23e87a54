"""`ptbench nightly`: run a suite, compare it with its baseline, report, and say in one line how it went."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.comparing import ALLOW, CHANCE
from ptbench.cli.gating import AGAINST, EXIT_CODES, MARGINS, exit_code, gated
from ptbench.cli.looking import EXECUTION
from ptbench.cli.running import Ran, look_safely, run_plan
from ptbench.cli.shared import CACHE, JSON, OUTPUT, PRECISION, SUITE, make_console
from ptbench.errors import UsageError, printable
from ptbench.reporters.inert import shortened

if TYPE_CHECKING:
    from ptbench.cli.looking import Looked
    from ptbench.comparison import Comparison

FAILED = 1
LONGEST = 400
"""Characters of what is said of a night."""


@click.command("nightly", epilog=EXIT_CODES)
@SUITE
@OUTPUT
@EXECUTION
@PRECISION
@AGAINST
@MARGINS
@click.option(
    "--alpha", type=CHANCE,
    help="Chance that a night is called worse though nothing is.  [default: the suite's, else 0.05]",
)  # fmt: skip
@ALLOW
@click.option("--reuse", is_flag=True, help="Take over cells that are unchanged; their times are then old.")
@click.option("--reporter", "reporters", multiple=True, help="Reporters to use instead of the suite's.")
@CACHE
@click.option("--offline", is_flag=True, help="Open no network socket; `ptbench fetch` brings things before.")
@JSON
@click.pass_obj
def nightly_command(
    began: float,
    suite: Path,
    output: Path,
    given: Mapping[str, Any],
    precision: str | None,
    against: Path | None,
    margins: dict[str, float],
    alpha: float | None,
    allow: tuple[str, ...],
    reuse: bool,
    reporters: tuple[str, ...],
    cache: Path | None,
    offline: bool,
    as_json: bool,
) -> int:
    """Run SUITE, compare the run with the pinned baseline, write its reports, and print one line.

    All cells run anew, so that times are those of tonight. The first night without a failure is pinned as
    the baseline. An interrupted night goes on when the same command is given again.
    """
    from ptbench.plain import to_json
    from ptbench.runner.pins import pin, pinned

    looked = look_safely(suite, given, precision, reporters, offline=offline)
    name = looked.plan.suite.name
    baseline = against or pinned(output, name)  # a baseline that is gone is told before the night, not after
    if against is not None and not against.exists():
        raise UsageError(f"{against}: there is no such run; give a folder results/<suite>/<run>, or a bundle")
    ran = run_plan(
        looked,
        output,
        precision,
        began=began,
        reporters=reporters,
        cache=cache,
        fresh=not reuse and not _goes_on(looked, output, precision),
        quiet=as_json or not make_console(stderr=True).is_terminal,
        as_json=as_json,
    )
    found: Comparison | None = None
    if baseline is None:
        code, said = _first(ran)
        if not code:
            pin(output, ran.folder)
    else:
        with redirect_stdout(sys.stderr):
            found = gated(ran.folder, baseline, looked.catalog, margins=margins, alpha=alpha, allow=allow)
            whole = _report_again(looked, ran, reporters)
        code = exit_code(found) or (0 if ran.good and whole else FAILED)
        said = _told(found)
    line = f"{printable(name)} {ran.folder.name}: {said}; {ran.shown}"
    if as_json:
        comparison = None if found is None else to_json(found)
        click.echo(json.dumps({"summary": line, "exit_code": code, "comparison": comparison}))
    else:
        click.echo(line)
    return code


def _goes_on(looked: Looked, output: Path, precision: str | None) -> bool:
    """Whether the same command was interrupted before: its run takes nothing over, and is gone on with."""
    from ptbench.runner.opening import request_of
    from ptbench.runs import find_run, read_run

    request = request_of(looked.plan, looked.execution, precision)
    folder = find_run(output, looked.plan.suite.name, request)
    return folder is not None and read_run(folder).get("fresh") is True


def _first(ran: Ran) -> tuple[int, str]:
    """Return the exit code and the words for a night that there is nothing to compare with."""
    records = ran.report.records
    bad = [record for record in records if record.status != "ok"]
    if bad:
        first = shortened(printable(f"{bad[0].title}: {bad[0].error}"), LONGEST)
        return (
            FAILED,
            f"{len(bad):,} of {len(records):,} cells did not end well, so no baseline was pinned ({first})",
        )
    if not ran.good:
        return FAILED, "a report was not written, so no baseline was pinned"
    cells = "the one cell is" if len(records) == 1 else f"all {len(records):,} cells are"
    return 0, f"{cells} ok; pinned as the baseline of the nights to come"


def _told(found: Comparison) -> str:
    """Return the verdict in a line, with what got worst, or why nothing could be compared."""
    from ptbench.cli.gatetable import summary, worst_first
    from ptbench.cli.words import number

    rows = worst_first(found)
    example = ""
    if rows and (found.regressed or not found.comparable):
        worst = rows[0]
        one = worst.primary
        what = f"{one.metric} {number(one.a)} -> {number(one.b)}" if one is not None else worst.reason
        example = f"; {worst.title}: {what}" if what else ""
    return shortened(printable(f"{summary(found)}{example}"), LONGEST)


def _report_again(looked: Looked, ran: Ran, reporters: tuple[str, ...]) -> bool:
    """Let the reporters write with the comparison in the report; return whether all could."""
    from ptbench.runner.conduct import write_reports
    from ptbench.store import read_report

    warnings: list[str] = []
    names = reporters or looked.plan.suite.reporters
    write_reports(read_report(ran.folder), looked.catalog, names, warnings.append)
    for warning in warnings:
        click.echo(f"error: {warning}", err=True)
    return not warnings

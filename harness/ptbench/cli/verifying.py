"""`ptbench verify`: published figures, measured again."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.shared import JSON, interruptible, make_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ptbench.catalog import Catalog
    from ptbench.claims import Claim, Finding
    from ptbench.records import Record
    from ptbench.runner.plan import Plan

WIDE = 110
"""Columns that a terminal needs for the sources to stand beside the figures."""
STYLES = {"reproduced": "green", "off": "bold red", "not published": "dim", "not measured": "yellow"}


@click.command("verify")
@click.argument("names", nargs=-1, metavar="[SET or SUITE]...")
@click.option("--match", default="", metavar="TEXT", help="Only claims whose subject or quantity has it.")
@click.option("--sample", type=click.IntRange(min=1), help="So many subjects, drawn at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="What --sample is drawn with.")
@click.option("-o", "--option", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of a claim set.")
@click.option("--download", is_flag=True, help="Let a suite's cells bring weights and data.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Where a suite's records go.",
)
@click.option("--quiet", is_flag=True, help="No progress; the table alone.")
@JSON
def verify_command(
    names: tuple[str, ...],
    match: str,
    sample: int | None,
    seed: int,
    pairs: tuple[str, ...],
    download: bool,
    output: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Measure published figures again: those of claim SETs, or the [[published]] ones of SUITEs.

    Without arguments: every installed claim set. The exit code is 0 if nothing is off, 1 if something is
    off or an error kept it from being measured, 2 if the call is wrong. Nothing is downloaded.
    """
    from ptbench.catalog import load_catalog
    from ptbench.cli.modelargs import read_options
    from ptbench.errors import UsageError
    from ptbench.runner.verify import check_options, chosen, claims_of, good, runnable, suite_claims

    options = read_options(pairs)
    records: dict[str, Record] = {}
    with redirect_stdout(sys.stderr):  # what a plugin prints must not stand before the JSON
        catalog = load_catalog()
        suites = [name for name in names if name.lower().endswith(".toml")]
        sets = [name for name in names if name not in suites] or ([] if suites else catalog.names("claims"))
        if suites and options and not sets:
            raise UsageError("-o is for claim sets; a suite says all in its file")
        check_options(sets, options, catalog)
        claims = [claim for name in sets for claim in claims_of(name, options, catalog)]
        plans = [_plan_suite(Path(suite), catalog) for suite in suites]
        claims += [claim for plan in plans for claim in suite_claims(plan, records, download)]
        if not claims:
            raise UsageError(f"there are no claims in {', '.join(names)}")
        picked = chosen(claims, match, sample, seed)
        if not picked:
            raise UsageError(f"no claim has '{match}' in its subject or quantity; there are {len(claims)}")
        with interruptible():
            for plan in plans:
                ready = runnable(plan, picked)
                records |= _run(ready, catalog, output, quiet or as_json) if ready.cells else {}
            found: list[Finding] = []
            try:
                _check(picked, found, quiet or as_json)
            except KeyboardInterrupt:
                _show(found, as_json)
                raise
    _show(found, as_json)
    return 0 if good(found) else 1


def _plan_suite(path: Path, catalog: Catalog) -> Plan:
    """Plan the cells of a suite that have a published figure. Raises `SuiteError`, `UsageError`."""
    from ptbench.errors import SuiteError, UsageError
    from ptbench.runner.plan import make_plan
    from ptbench.runner.resolve import resolve
    from ptbench.suite import load_suite

    suite = load_suite(path)
    cells, mistakes = resolve(suite, catalog)
    if mistakes:
        raise SuiteError(mistakes)
    if not suite.published:
        raise UsageError(f"{path}: has no [[published]] figures; `ptbench run` runs a suite without any")
    wanted = tuple(cell for cell in cells if any(figure.about(cell) for figure in suite.published))
    return make_plan(suite, wanted, catalog)


def _run(plan: Plan, catalog: Catalog, output: Path, quiet: bool) -> dict[str, Record]:
    """Run the cells of a plan as `ptbench run` does; return their records by title."""
    from ptbench import store
    from ptbench.cli.display import Display
    from ptbench.runner.conduct import conduct

    folder = store.create_run(output, plan.suite.name)
    with Display(plan, make_console(stderr=True), quiet=quiet, folder=folder) as display:
        report = conduct(plan, catalog, folder, display)
    return {record.title: record for record in report.records}


def _check(claims: Sequence[Claim], found: list[Finding], quiet: bool) -> None:
    """Check claims and append what is found, so that an interrupted check leaves what it has."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    from ptbench.errors import printable
    from ptbench.runner.verify import findings

    console = make_console(stderr=True)
    subject = TextColumn("{task.fields[subject]}", markup=False, table_column=Column(ratio=1, no_wrap=True))
    columns = (TextColumn("claims"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), subject)
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("claims", total=len(claims), subject="")

        def advanced(finding: Finding) -> None:
            found.append(finding)
            bar.update(task, advance=1, subject=printable(finding.claim.subject))

        for _ in findings(claims, advanced):
            pass


def _show(found: Sequence[Finding], as_json: bool) -> None:
    from ptbench.runner.verify import counts

    console = make_console()
    tally = counts(found)
    if as_json:
        console.out(
            json.dumps({"claims": [finding_data(f) for f in found], "counts": tally}), highlight=False
        )
        return
    console.print(_table(found, console))
    console.out(", ".join(f"{n} {verdict}" for verdict, n in tally.items()), highlight=False)


def finding_data(finding: Finding) -> Any:
    """Return a finding as plain JSON data."""
    from ptbench.plain import to_json

    claim = to_json(finding.claim, without=("measure", "obstacle"))
    rest = to_json(finding, without=("claim",))
    return {**claim, **rest}


def _table(found: Sequence[Finding], console: Console) -> Table:
    from rich.table import Table
    from rich.text import Text

    from ptbench.errors import printable

    table = Table(header_style="bold")
    names = ["subject", "quantity", "published", "measured", "verdict", "source"]
    shown = len(names) if console.width >= WIDE else len(names) - 1  # the JSON has the source
    for name in names[:shown]:
        numbers = name in ("published", "measured")
        table.add_column(name, overflow="fold", justify="right" if numbers else "left", no_wrap=numbers)
    for finding in found:
        claim, measured = finding.claim, finding.measured
        verdict = Text(finding.verdict.value, style=STYLES[finding.verdict.value])
        details = [finding.reason] if finding.reason else []
        if measured and measured.n is not None:
            details.append(f"n = {measured.n:,}")
        if details:
            joints = {"not measured": ": ", "off": " "}
            verdict.append(
                joints.get(finding.verdict.value, ", ") + printable("; ".join(details)), style="default"
            )
        cells = [
            Text(printable(claim.subject)),
            Text(printable(claim.quantity)),
            Text(printable(_number(claim.published, claim.digits, claim.unit))),
            Text(printable(_measured(finding))),
            verdict,
            Text(printable(claim.source)),
        ]
        table.add_row(*cells[:shown])
    return table


def _measured(finding: Finding) -> str:
    measured, claim = finding.measured, finding.claim
    if measured is None:
        return ""
    digits = None if claim.digits is None else claim.digits + 1  # one more, so that a tie is seen
    text = _number(measured.value, digits, claim.unit)
    if measured.low is None or measured.high is None:
        return text
    places = 4 if digits is None else max(digits, 3)
    text = _number(measured.value, places, claim.unit)
    return f"{text} [{measured.low:.{places}f}, {measured.high:.{places}f}]"


def _number(value: float | None, digits: int | None, unit: str) -> str:
    """Return a figure with its unit.

    >>> _number(25557032, None, ""), _number(4.089, 3, "G"), _number(None, 2, "")
    ('25,557,032', '4.089 G', '')
    """
    if value is None:
        return ""
    text = f"{value:,.{digits}f}" if digits is not None else f"{value:,.15g}"
    return f"{text} {unit}".strip()

"""`ptbench gate`: what got worse since a run that somebody declared good."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.comparing import ALLOW, CHANCE, NOTHING
from ptbench.cli.reading import opened_run, told_apart
from ptbench.cli.shared import JSON, make_console
from ptbench.cli.whichrun import look, newest_run
from ptbench.errors import UsageError, printable
from ptbench.lock import is_running
from ptbench.runlog import INTERRUPTED, RUNNING

if TYPE_CHECKING:
    from ptbench.catalog import Catalog
    from ptbench.comparison import Comparison
    from ptbench.records import Report

REGRESSED = 3
"""The exit code where something got worse."""
NIGHTS = 30
"""Earlier runs that the noise of timings is learned from."""
ALPHA = 0.05
SILENT = 60
"""Seconds after which a run of another machine that says nothing is taken for dead."""
EXIT_CODES = (
    "Exit codes: 0 no regression was shown; 2 the call is wrong; 3 something got worse, slower, or lost its "
    "score; 4 nothing could be compared."
)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def _margins(context: click.Context, parameter: click.Parameter, value: Sequence[str]) -> dict[str, float]:
    margins = {}
    for text in value:
        name, mark, number = text.partition("=")
        try:
            margins[name] = float(number)
        except ValueError:
            mark = ""
        if not mark or not name or not 0 <= margins[name] < math.inf:
            raise click.BadParameter(f"'{printable(text)}' is no METRIC=NUMBER; write, say, accuracy=0.002")
    return margins


AGAINST = click.option(
    "--against", metavar="BASELINE", type=click.Path(path_type=Path),
    help="A run: its folder, or a bundle.  [default: the pinned one]",
)  # fmt: skip
MARGINS = click.option(
    "--margin", "margins", multiple=True, callback=_margins, metavar="METRIC=NUMBER",
    help="A loss that counts as none; time=0.1: ten per cent of the seconds. Overrides the suite's [gate].",
)  # fmt: skip


@click.command("gate", epilog=EXIT_CODES)
@click.argument("run", type=FOLDER)
@AGAINST
@MARGINS
@click.option(
    "--alpha", type=CHANCE,
    help="Chance that a gate fails though nothing got worse.  [default: the suite's, else 0.05]",
)  # fmt: skip
@ALLOW
@click.option(
    "--keep", is_flag=True,
    help="Keep what is found in comparison.json although --against, --margin, --alpha or --allow is given.",
)  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Show the rows that are the same, too.")
@JSON
def gate_command(
    run: Path,
    against: Path | None,
    margins: dict[str, float],
    alpha: float | None,
    allow: tuple[str, ...],
    keep: bool,
    every: bool,
    as_json: bool,
) -> int:
    """Say whether RUN is worse than a baseline anywhere, by more than chance and margin.

    RUN is the folder of a run, or of a suite: then its newest run. What is found against the pinned baseline,
    as the suite asks for it, is kept in comparison.json in the folder of RUN, where the reporters find it.
    With --against, --margin, --alpha or --allow nothing is kept, but with --keep.
    """
    from ptbench.catalog import load_catalog
    from ptbench.cli.gatetable import render_gate, summary
    from ptbench.plain import to_json

    keep = keep or not (against or margins or allow or alpha is not None)
    with redirect_stdout(sys.stderr):  # what a plugin prints is no output of ours
        found = gated(
            newest_run(run), against, load_catalog(),
            margins=margins, alpha=alpha, allow=allow, keep=keep,
        )  # fmt: skip
    if not keep:
        told = "note: another question than the suite's is not kept in comparison.json; see --keep"
        click.echo(told, err=True)
    if as_json:
        data = {**to_json(found), "summary": summary(found), "regressed": to_json(found.regressed)}
        click.echo(json.dumps(data))
    else:
        render_gate(found, make_console(), every=every)
    return exit_code(found)


def exit_code(found: Comparison) -> int:
    """Return 3 where something regressed, 4 where nothing could be compared, else 0."""
    if found.regressed:
        return REGRESSED
    return 0 if found.comparable else NOTHING


def gated(
    folder: Path,
    against: Path | None,
    catalog: Catalog,
    *,
    margins: Mapping[str, float] | None = None,
    alpha: float | None = None,
    allow: Sequence[str] = (),
    keep: bool = True,
) -> Comparison:
    """Compare a run with a baseline (None: the pinned one) and ``keep`` what is found in its folder.

    ``margins`` and ``alpha`` override those of the suite. Raises `UsageError` where there is no baseline, or
    none of that name, for a metric that nobody offers, and for a run that is not over.
    """
    from ptbench.runner.gating import gate
    from ptbench.store import COMPARISON, read_report, write_json

    report = _over(read_report(folder))
    asked = report.run.get("gate")
    asked = asked if isinstance(asked, Mapping) else {}
    margins = {**asked.get("margins", {}), **(margins or {})}
    alpha = alpha if alpha is not None else asked.get("alpha", ALPHA)
    path = against if against is not None else _pinned(report)
    with opened_run(path) as baseline:
        if baseline.folder.resolve() == folder.resolve():
            raise UsageError(f"{folder} is the baseline itself; give another run, or another --against")
        found = gate(
            report, baseline, catalog,
            alpha=alpha, margins=margins, allow=frozenset(allow), nights=_nights(report),
        )  # fmt: skip
    found = told_apart(found, path, folder)
    if report.run.get("status") == INTERRUPTED:
        told = "the run was interrupted: the same command goes on with it"
        found = replace(found, notes=(*found.notes, told))
    if keep:
        write_json(folder / COMPARISON, found)
    return found


def _over(report: Report) -> Report:
    """Return a run as interrupted where its process died. Raises `UsageError` where it still runs."""
    if report.run.get("status") != RUNNING:
        return report
    try:
        seen = look(report.folder)
    except UsageError:  # it has no log, which is never needed: its lock tells as much
        alive = is_running(report.folder)
    else:
        alive = seen.alive if seen.alive is not None else seen.silent < SILENT
    if alive:
        raise UsageError(f"{report.folder} still runs; `ptbench status` shows how far it is")
    return replace(report, run={**report.run, "status": INTERRUPTED})


def _pinned(report: Report) -> Path:
    from ptbench.runner.pins import pinned

    suite = str(report.run["suite"])
    results = report.folder.resolve().parent.parent
    folder = pinned(results, suite)
    if folder is None:
        raise UsageError(
            f"suite {printable(suite)} has no baseline: `ptbench baseline set RUN` pins one; or use --against"
        )
    return folder


def _nights(report: Report) -> list[Report]:
    """Return the newest finished runs of the same suite before this one."""
    from ptbench.runs import read_run, run_folders
    from ptbench.store import read_report

    folder = report.folder.resolve()
    folders = run_folders(folder.parent)
    earlier = folders[folders.index(folder) + 1 :] if folder in folders else []
    found: list[Report] = []
    for one in earlier:
        facts: Mapping[str, Any] = read_run(one)
        if facts.get("suite") == report.run.get("suite") and facts.get("status") == "finished":
            try:
                found.append(read_report(one))
            except UsageError as error:
                click.echo(f"warning: left out: {error}", err=True)
        if len(found) == NIGHTS:
            break
    return found

"""`ptbench replay`: the run of a bundle again here, compared cell by cell."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.bundling import FOLDER, say
from ptbench.cli.looking import EXECUTION, look_at
from ptbench.cli.shared import JSON, OUTPUT, interruptible, make_console
from ptbench.errors import UsageError
from ptbench.plain import to_json

if TYPE_CHECKING:
    from rich.console import Console

    from ptbench.cli.looking import Looked
    from ptbench.model import Download
    from ptbench.records import Record
    from ptbench.replay import Bundle, Difference, Replayed

SUITE_FOLDER = "suite"
"""Where the suite of a bundle is put, beside what else it has."""
STYLES = {"same bits": "green", "same scores": "green", "differs": "bold red", "could not run": "red"}


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a bundle finds, before anything runs."""

    differences: Sequence[Difference]
    downloads: Sequence[Download]
    problems: Sequence[str]
    warnings: Sequence[str]


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--check", is_flag=True, help="Check the file and say what differs here; run nothing.")
@click.option(
    "--base", type=FOLDER, help="Where local data lies: the folder of the suite; default: what FILE carries."
)
@click.option("--trust", is_flag=True, help="Run code that the suite in FILE names, and load its pickles.")
@OUTPUT
@EXECUTION
@click.option("--offline", is_flag=True, help="Open no network socket.")
@click.option("--quiet", is_flag=True, help="No progress; the tables alone.")
@JSON
def replay_command(
    file: Path,
    check: bool,
    base: Path | None,
    trust: bool,
    output: Path,
    given: Mapping[str, Any],
    offline: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run the suite of FILE (from `ptbench bundle`) again here, and compare cell by cell.

    Nothing that is finished here is reused. A FILE whose suite would run code of its own (a repository's, a
    factory's, a pickle's) is not run without --trust. Scores are the same if they differ by at most half
    of the sixth decimal; "same bits" means that every prediction is equal too, bit for bit. The exit code is
    0 if all scores are the same, 1 if some differ or could not be measured here, 2 if FILE is damaged. With
    --check it is 0 if FILE is whole and all of its cells could run here, 1 if some could not.
    """
    from ptbench.archive import Archive
    from ptbench.bundle import DATA, FILES
    from ptbench.offline import seal
    from ptbench.replay import (
        all_equal,
        code_differences,
        compare,
        data_differences,
        differences,
        outside,
        read_bundle,
    )

    if offline:
        seal()
    console = make_console()
    quiet = quiet or as_json
    with Archive(file) as archive, tempfile.TemporaryDirectory(prefix="ptbench-replay-") as made:
        bundle, folder = read_bundle(archive), Path(made).resolve()
        then = bundle.unpack(folder)
        data = base or folder / DATA
        looked = _look(bundle, data, folder / SUITE_FOLDER, given, offline=offline)
        planned = {one.cell.id: one for one in looked.plan.cells}
        here = {name: one.identity for name, one in planned.items()}
        found = Found(
            [
                *differences(bundle.lock, _here(looked)),
                *code_differences(then, here),
                *data_differences(bundle.lock, base),
            ],
            looked.plan.downloads,
            [_brought(text, folder) for text in (*looked.plan.problems, *looked.mistakes)],
            [f"the suite reads what lies on this machine, not in the bundle: {name}"
             for name in outside(bundle.text, data)],
        )  # fmt: skip
        if not as_json:
            _show_found(found, console)
        if check:
            blocked = sum(old.cell not in planned or bool(planned[old.cell].problem) for old in then)
            if as_json:
                told = {**to_json(found), "cells": len(then), "could_not_run": blocked}
                click.echo(json.dumps(told, indent=2))
            else:
                rest = f"; {blocked:,} of them could not run here" if blocked else ""
                console.out(f"{file} is whole: {len(archive.members):,} members, {len(then):,} cells{rest}")
            return int(blocked > 0)
        if not trust:
            _check_trust(looked, file)
        results, now = _run(looked, output, quiet)
        reasons = {name: one.problem for name, one in planned.items()}
        reasons[""] = "; ".join(looked.mistakes) or "the suite has no such cell in this version"
        compared = compare(then, folder / FILES, now, results, reasons)
        cells = [replace(cell, reason=_brought(cell.reason, folder)) for cell in compared]
        _write(results, file, found, cells)
    if as_json:
        click.echo(json.dumps({**to_json(found), **_cells_data(cells), "results": str(results)}))
    else:
        _show_cells(cells, console)
        console.out(f"results: {results}", highlight=False)
    return 0 if all_equal(cells) else 1


def _look(bundle: Bundle, base: Path, folder: Path, given: Mapping[str, Any], *, offline: bool) -> Looked:
    """Plan the suite of a bundle as if it lay in a folder, with what the command of then asked for."""
    from ptbench.store import slug
    from ptbench.suite import load_suite

    base.mkdir(exist_ok=True)
    asked = bundle.run.get("request") or {}
    folder.mkdir()
    path = folder / slug(str(bundle.run.get("file")))
    path.write_text(bundle.text, "utf-8")
    suite = load_suite(path)
    suite = replace(suite, path=base.resolve() / path.name)
    if given.get("canonical") is None and asked.get("canonical"):
        given = {**given, "canonical": True}
    return look_at(suite, given, asked.get("precision"), offline=offline)


def _check_trust(looked: Looked, file: Path) -> None:
    """Raise `UsageError` where models would run code that whoever made the file chose."""
    found = [
        f"{word} ({name})"
        for name, model in looked.plan.models.items()
        for word in (model.description.trust if model.description else ())
        if word != "unpinned"
    ]
    if found:
        raise UsageError(
            f"{file}: its suite allows {', '.join(found)}, which can run any code here: read suite.toml in "
            "it (it is a ZIP file), and if you trust who made it add --trust"
        )


def _here(looked: Looked) -> dict[str, Any]:
    """Return what a run that begins now would write of its machine."""
    from ptbench.environment import snapshot

    plugins = [{"plugin": str(plugin)} for plugin in looked.catalog.plugins]
    return {**snapshot(Path.cwd()), "plugins": plugins, "device": looked.execution.device}


def _run(looked: Looked, output: Path, quiet: bool) -> tuple[Path, Sequence[Record]]:
    """Run a plan as `ptbench run --fresh` does, without the cache; return its folder and its records."""
    from ptbench.cli.display import Display
    from ptbench.runner.conduct import conduct
    from ptbench.runner.opening import opened

    plan, execution = looked.plan, looked.execution
    with (
        opened(plan, output, execution, fresh=True) as ready,
        interruptible(),
        redirect_stdout(sys.stderr),
        Display(plan, make_console(stderr=True), quiet=quiet, folder=ready.folder) as display,
    ):
        report = conduct(
            plan, looked.catalog, ready.folder, display, execution=execution, request=ready.request
        )
        return ready.folder, report.records


def _brought(text: str, folder: Path) -> str:
    """Return an error without the folder that a bundle was unpacked to, which is gone soon."""
    from ptbench.bundle import DATA

    data = folder / DATA
    named = re.match(rf"(.*: )?[^:]*{re.escape(str(data))}/([^;:\[\]]+)", text)
    if named and not os.path.lexists(data / (name := named[2].strip())):
        count = re.search(r" \[\d+ cells?\]$", text)
        told = f"{name} is not in the bundle: --base DIR names the folder it lies in"
        return f"{named[1] or ''}{told}{count[0] if count else ''}"
    for inner in (folder / SUITE_FOLDER, data, folder):
        text = text.replace(f"{inner}/", "")
    return text.replace(str(data), "the bundle")


def _write(results: Path, file: Path, found: Found, cells: Sequence[Replayed]) -> None:
    from ptbench.store import write_json

    write_json(results / "replay.json", {"of": file.name, **to_json(found), **_cells_data(cells)})


def _show_found(found: Found, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from ptbench.cli.planning import download_text
    from ptbench.errors import printable

    if found.differences:
        table = Table(title="what differs here", title_justify="left", header_style="bold")
        for name in ("what", "then", "here"):
            table.add_column(name, overflow="fold")
        for one in found.differences:
            table.add_row(*(Text(printable(text)) for text in (one.what, one.then, one.now)))
        console.print(table)
    else:
        console.print("nothing differs here: Python, packages, plugins, code, machine, device, data")
    for download in found.downloads:
        say(console, f"download: {download_text(download)}")
    for problem in found.problems:
        say(console, f"problem: {problem}", "red")
    for warning in found.warnings:
        say(console, f"warning: {warning}")


def _show_cells(cells: Sequence[Replayed], console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from ptbench.errors import printable
    from ptbench.replay import Verdict

    table = Table(header_style="bold")
    for name in ("cell", "metric", "then", "here", "predictions", "verdict"):
        numbers = name in ("then", "here")
        table.add_column(name, overflow="fold", justify="right" if numbers else "left", no_wrap=numbers)
    for cell in cells:
        metric = cell.metric or next(iter(cell.then), "")
        compared = cell.verdict not in (Verdict.COULD_NOT_RUN, Verdict.NO_SCORES_THEN)
        equal = "not compared" if cell.reason else f"all {cell.rows:,} equal"
        changed = f"{cell.changed:,} of {cell.rows:,} differ" if cell.changed else equal
        verdict = Text(cell.verdict.value, style=STYLES.get(cell.verdict.value, "dim"))
        if cell.verdict is Verdict.DIFFERS:
            verdict.append(f" by {cell.difference:+.2g}")
        if cell.reason:
            verdict.append(f": {printable(cell.reason)}", style="default")
        table.add_row(
            Text(printable(cell.title)),
            metric,
            f"{cell.then[metric]:.6f}" if metric in cell.then else "",
            f"{cell.now[metric]:.6f}" if metric in cell.now else "",
            changed if compared else "",
            verdict,
        )
    console.print(table)
    parts = dict.fromkeys(part for cell in cells for part in cell.parts)
    for part in parts:
        told = [cell for cell in cells if part in cell.parts]
        where = "every cell" if len(told) == len(cells) else f"{len(told):,} cells"
        console.print(Text(f"note: {printable(part)} ({where})", style="dim"), soft_wrap=True)
    counts = {verdict: sum(cell.verdict is verdict for cell in cells) for verdict in Verdict}
    console.print(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count))


def _cells_data(cells: Sequence[Replayed]) -> dict[str, Any]:
    from ptbench.replay import ROUNDING

    return {"rounding": ROUNDING, "cells": to_json(cells)}

"""`ptbench status`: how a run stands, seen from another terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ptbench.cli.shared import make_console
from ptbench.cli.whichrun import DEAD, Found, look, newest_run
from ptbench.runlog import BROKEN, FINISHED, INTERRUPTED, RUNNING, STOPPED

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

EVERY = 1.0
"""Seconds between two looks with ``--follow``."""
SILENT = 15.0
"""Seconds without a word after which it is said so."""
EXIT_CODES = (
    "Exit codes: 0 it runs, or has ended well; 1 some cells did not end well, or it was killed, interrupted "
    "or stopped; 2 there is no run."
)
GOES_ON = "the same `ptbench run` command goes on with it"


@click.command("status", epilog=EXIT_CODES)
@click.argument("run", type=click.Path(path_type=Path), default=Path("results"))
@click.option("--follow", is_flag=True, help="Show it again and again until it ends.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with --follow a line for each change.")
def status_command(run: Path, follow: bool, as_json: bool) -> int:
    """Show how RUN stands: what each slot does, how much is done, how long it takes yet.

    RUN is the folder of a run, or of a suite or all results: then its newest run. Default: results.
    """
    folder = newest_run(run)
    found = look(folder)
    if not follow:
        if as_json:
            click.echo(json.dumps(_data(found), indent=2))
        else:
            _print(found, make_console())
        return found.code
    return _follow(found, as_json)


def _follow(found: Found, as_json: bool) -> int:
    from rich.live import Live as Screen

    folder, console = found.folder, make_console()
    if console.is_terminal and not as_json:
        with Screen(console=console, auto_refresh=False) as screen:
            while True:
                screen.update(_page(found, console.width, console.height), refresh=True)
                if found.over:
                    return found.code
                time.sleep(EVERY)
                found = look(folder)
    before: object = None
    while True:
        now = (found.state, found.live.now.ended, found.live.now.inspecting)
        if now != before:
            if as_json:
                click.echo(json.dumps(_data(found)))
            else:
                console.print(_line(found), soft_wrap=True)
            before = now
        if found.over:
            if not as_json:
                _print(found, console)
            return found.code
        time.sleep(EVERY)
        found = look(folder)


def _data(found: Found) -> object:
    from ptbench.plain import to_json

    told = to_json(replace(found.live, state=found.state))
    return {"folder": str(found.folder), "alive": found.alive, "silent": round(found.silent, 1), **told}


def _print(found: Found, console: Console) -> None:
    from rich.text import Text

    for part in _parts(found, console.width, console.height):
        console.print(part, soft_wrap=isinstance(part, Text))


def _page(found: Found, width: int, height: int) -> RenderableType:
    from rich.console import Group

    return Group(*_parts(found, width, height))


def _parts(found: Found, width: int, height: int) -> Iterator[RenderableType]:
    from rich.text import Text

    from ptbench.cli.slotview import failure_lines, reused_text, view
    from ptbench.errors import printable

    now = found.live.now
    yield _line(found, told_below=found.state == RUNNING)
    if reused := reused_text(now):
        yield Text(reused)
    for failed in now.failures:
        text = Text(f"{printable(failed.status):<7} ", style="bold red")
        text.append(f"{printable(failed.title)}  {printable(failed.error)}", style="not bold red")
        yield text
        yield from failure_lines(failed, str(found.folder))
    if found.state == RUNNING:
        yield view(now, width, height - 2 - len(now.failures))


def _line(found: Found, told_below: bool = False) -> Text:
    """Return the state of a run in one line; without the time left where that is told below."""
    from rich.text import Text

    from ptbench.cli.slotview import clock, time_left
    from ptbench.errors import printable

    live, now = found.live, found.live.now
    text = Text(f"{printable(str(found.folder))}: ", style="bold")
    style = {RUNNING: "green", FINISHED: "green" if not now.bad else "yellow"}.get(found.state, "red")
    said = {
        RUNNING: "running",
        FINISHED: "finished",
        STOPPED: "was stopped at a first failure",
        INTERRUPTED: "was interrupted",
        BROKEN: "ended by an error of ptbench",
        DEAD: "was killed",
    }
    text.append(said.get(found.state, printable(found.state)), style=f"not bold {style}")
    text.append(f", {now.ended:,} of {now.total:,} cells", style="not bold")
    told = [*sorted(now.statuses.items()), *([("reused", now.reused)] if now.reused else [])]
    counts = ", ".join(f"{n:,} {printable(status)}" for status, n in told)
    text.append(f" ({counts})" if counts else "", style="not bold")
    text.append(f", {'for' if found.state == RUNNING else 'after'} {clock(now.seconds)}", style="not bold")
    if found.state == RUNNING:
        left = "" if told_below else time_left(now)
        text.append(f", {left}" if left else "", style="not bold")
        text.append(f"  (process {live.pid} on {printable(live.host)})", style="not bold dim")
        if found.alive is None:
            text.append("; whether it is alive cannot be told from here", style="not bold yellow")
        if found.silent > SILENT:
            text.append(f"; nothing heard for {clock(found.silent)}", style="not bold yellow")
    elif found.state != FINISHED:
        text.append(f"; {GOES_ON}", style="not bold")
    return text

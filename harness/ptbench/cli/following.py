"""`ptbench status`: how a run stands, seen from another terminal."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ptbench.cli.shared import make_console
from ptbench.errors import UsageError
from ptbench.lock import LOCK, is_running
from ptbench.runlog import BROKEN, FINISHED, INTERRUPTED, LIVE, RUNNING, STOPPED, Live, read_live
from ptbench.store import RUN

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

EVERY = 1.0
"""Seconds between two looks with ``--follow``."""
SILENT = 15.0
"""Seconds without a word after which it is said so."""
DEAD = "dead"
EXIT_CODES = (
    "Exit codes: 0 it runs, or has ended well; 1 some cells did not end well, or it was killed, interrupted "
    "or stopped; 2 there is no run."
)
GOES_ON = "the same `ptbench run` command goes on with it"


@dataclass(frozen=True, slots=True)
class Found:
    """A run as it stood when somebody looked."""

    folder: Path
    live: Live
    alive: bool | None
    """Whether the process that conducts it is there; None: it is on another machine, and nobody knows."""
    silent: float
    """Seconds since it last said how it stands."""

    @property
    def state(self) -> str:
        """That of `Live`, or ``dead``: it says that it runs, and does not."""
        return DEAD if self.live.state == RUNNING and self.alive is False else self.live.state

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state != RUNNING

    @property
    def code(self) -> int:
        """The exit code."""
        return int(
            self.state not in (RUNNING, FINISHED) or (self.state == FINISHED and self.live.now.bad > 0)
        )


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


def newest_run(path: Path) -> Path:
    """Return the run that a path is about: itself, or the newest in it. Raises `UsageError`: none."""
    if any((path / name).is_file() for name in (RUN, LIVE)):
        return path
    runs = {
        file.parent
        for pattern in ("*", "*/*")
        for name in (RUN, LIVE)
        for file in path.glob(f"{pattern}/{name}")
    }
    if not runs:
        raise UsageError(
            f"{path} holds no run; give a folder results/<suite>/<run>, or one of those above it"
        )
    return max(runs, key=lambda folder: (_stamp(folder.name), folder))


def _stamp(name: str) -> tuple[str, int]:
    """Return what runs are ordered by: their names are times, with a number where two began at once."""
    time_, _, number = name.rpartition("-")
    if number.isdecimal() and len(number) < 4:
        return time_, int(number)
    return name, 1


def look(folder: Path) -> Found:
    """Return how a run stands. Raises `UsageError` where nothing says so."""
    live = read_live(folder)
    if live is None:
        raise UsageError(
            f"{folder} has no {LIVE}, which says how a run stands; `ptbench report` shows its table"
        )
    try:
        silent = (datetime.now(UTC) - datetime.fromisoformat(live.written)).total_seconds()
    except (TypeError, ValueError):
        raise UsageError(f"{folder / LIVE} is damaged: 'written' is no time") from None
    return Found(folder, live, conducted(folder, live), max(0.0, silent))


def conducted(folder: Path, live: Live) -> bool | None:
    """Whether the process that conducts a run is alive; None where that cannot be told."""
    held = is_running(folder) if (folder / LOCK).is_file() else None
    if held is not None:
        return held
    if live.host != platform.node():
        return None
    try:
        os.kill(live.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


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
    yield _line(found)
    if reused := reused_text(now):
        yield Text(reused)
    for failed in now.failures:
        text = Text(f"{printable(failed.status):<7} ", style="bold red")
        text.append(f"{printable(failed.title)}  {printable(failed.error)}", style="not bold red")
        yield text
        yield from failure_lines(failed, str(found.folder))
    if found.state == RUNNING:
        yield view(now, width, height - 2 - len(now.failures))


def _line(found: Found) -> Text:
    """Return the state of a run in one line."""
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
    counts = ", ".join(f"{n:,} {printable(status)}" for status, n in sorted(now.statuses.items()))
    text.append(f" ({counts})" if counts else "", style="not bold")
    text.append(f", {'for' if found.state == RUNNING else 'after'} {clock(now.seconds)}", style="not bold")
    if found.state == RUNNING:
        left = time_left(now)
        text.append(f", {left}" if left else "", style="not bold")
        text.append(f"  (process {live.pid} on {printable(live.host)})", style="not bold dim")
        if found.alive is None:
            text.append("; whether it is alive cannot be told from here", style="not bold yellow")
        if found.silent > SILENT:
            text.append(f"; nothing heard for {clock(found.silent)}", style="not bold yellow")
    elif found.state != FINISHED:
        text.append(f"; {GOES_ON}", style="not bold")
    return text

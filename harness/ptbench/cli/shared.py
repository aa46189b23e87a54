"""What the commands share: options, consoles, signals."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ptbench.suite import DEVICE as DEVICE_NAME
from ptbench.suite import PRECISIONS

if TYPE_CHECKING:
    from rich.console import Console

    from ptbench.records import Report


def _device(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(DEVICE_NAME, value):
        raise click.BadParameter(f"'{value}' is none of auto, cpu, cuda, cuda:N, mps")
    return value


SUITE = click.argument("suite", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
OUTPUT = click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Where runs lie: <suite>/<run>/.",
)
CACHE = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where features are kept, for later runs too; default: $PTBENCH_CACHE, else ~/.cache/ptbench.",
)
PRECISION = click.option("--precision", type=click.Choice(PRECISIONS), help="Overrides the suite.")
DEVICE = click.option(
    "--device", callback=_device, help="auto, cpu, cuda, cuda:N or mps; overrides the suite."
)


@contextmanager
def interruptible() -> Iterator[None]:
    """Take SIGTERM like Ctrl-C. A second one cuts the tidying up short; no file is left half written."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def show_report(report: Report, as_json: bool, last: str) -> None:
    """Print the tables of a report, or all of it as JSON."""
    from ptbench.cli.tables import render
    from ptbench.plain import to_json

    console = make_console()
    if as_json:
        console.out(json.dumps(to_json(report)), highlight=False)
    else:
        render(report, console)
        console.out(last, highlight=False)


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

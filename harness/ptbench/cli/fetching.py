"""`ptbench fetch`: what a suite needs, brought beforehand."""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.caching import size_text
from ptbench.cli.shared import JSON, SUITE, interruptible, make_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from ptbench.runner.fetching import Fetched, Item

LINE_EVERY = 10.0
"""Seconds between two lines about the same thing, where there is no terminal."""


@click.command("fetch")
@SUITE
@click.option("--quiet", is_flag=True, help="No progress; the table alone.")
@JSON
def fetch_command(suite: Path, quiet: bool, as_json: bool) -> int:
    """Bring the models and data of SUITE beforehand, so that `ptbench run --offline` can run it.

    What is there is not brought again, and what was begun goes on. The table says what lies where, with
    sizes and the sha256 of the file; of several files, of the list that `sha256sum` prints of them, sorted by
    name (--json has each file's own). The exit code is 0 if all is there, 1 if some could not be brought
    (the others are), 2 if the suite is wrong.
    """
    from ptbench.catalog import load_catalog
    from ptbench.errors import SuiteError
    from ptbench.runner.fetching import fetch, items_of
    from ptbench.runner.plan import make_plan
    from ptbench.runner.resolve import resolve
    from ptbench.suite import load_suite

    read = load_suite(suite)
    done: list[Fetched] = []
    with redirect_stdout(sys.stderr), interruptible():  # what a plugin prints is no output of ours
        catalog = load_catalog()
        cells, mistakes = resolve(read, catalog)
        if mistakes:
            raise SuiteError(mistakes)
        items = items_of(make_plan(read, cells, catalog), catalog)
        with _Progress(make_console(stderr=True), quiet or as_json) as progress:
            for fetched in fetch(items, progress.told):
                progress.ended(fetched)
                done.append(fetched)
    done.sort(key=lambda fetched: items.index(fetched.item))
    if as_json:
        click.echo(json.dumps({"suite": read.name, "items": [_data(fetched) for fetched in done]}, indent=2))
    else:
        _show(done, make_console())
    return 1 if any(fetched.state == "failed" for fetched in done) else 0


class _Progress:
    """Shows what is being brought: bars on a terminal, lines elsewhere. It is told by several threads."""

    def __init__(self, console: Console, quiet: bool) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.table import Column

        what = TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True))
        columns = (what, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self.console = console
        self.quiet = quiet
        self.bars = Progress(*columns, console=console, transient=True, expand=True,
                             disable=quiet or not console.is_terminal)  # fmt: skip
        self._known: dict[tuple[str, str], TaskID] = {}
        self._said: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> _Progress:
        self.bars.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bars.stop()

    def told(self, item: Item, what: str, done: int, total: int | None) -> None:
        """So many bytes of something have come."""
        from ptbench.errors import printable

        key = (item.what, what)
        with self._lock:
            if not self.bars.disable:
                if key not in self._known:
                    self._known[key] = self.bars.add_task(printable(what), total=total)
                self.bars.update(self._known[key], completed=done, total=total)
            elif not self.quiet and time.monotonic() - self._said.get(key, -LINE_EVERY) >= LINE_EVERY:
                self._said[key] = time.monotonic()
                self._say(f"{printable(what)}: {_amount(done, total) if done else 'begun'}")

    def ended(self, fetched: Fetched) -> None:
        """What became of an item is known."""
        from ptbench.errors import printable

        with self._lock:
            for key in [key for key in self._known if key[0] == fetched.item.what]:
                self.bars.remove_task(self._known.pop(key))
            if fetched.state == "brought" and not self.quiet:
                self._say(f"{printable(fetched.item.what)}: brought, {size_text(fetched.bytes)}")

    def _say(self, text: str) -> None:
        from rich.text import Text

        self.console.print(Text(text), soft_wrap=True)


def _show(done: list[Fetched], console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from ptbench.errors import printable
    from ptbench.runner.fetching import reasons_of

    table = Table(header_style="bold")
    for name in ("what", "for", "state", "size", "files", "sha256", "where"):
        numbers = name in ("size", "files")
        table.add_column(name, overflow="fold", justify="right" if numbers else "left", no_wrap=numbers)
    styles = {"failed": "red", "brought": "green", "later": "yellow"}
    for fetched in done:
        table.add_row(
            Text(printable(fetched.item.what)),
            Text(", ".join(fetched.item.names)),
            Text(fetched.state, style=styles.get(fetched.state, "")),
            size_text(fetched.bytes) if fetched.files else "",
            f"{len(fetched.files):,}" if fetched.files else "",
            fetched.sha256[:12],
            Text(str(fetched.folder or "")),
        )
    console.print(table)
    for fetched in done:
        if fetched.state == "later":
            text = f"{fetched.item.what}: its plugin brings it when a cell runs, and not before"
            console.print(Text(f"note: {printable(text)}", style="yellow"), soft_wrap=True)
    for reason in reasons_of(done):
        console.print(Text(f"error: {printable(reason)}", style="red"), soft_wrap=True)
    total = sum(fetched.bytes for fetched in done)
    good = sum(fetched.state in ("there", "brought") for fetched in done)
    console.print(f"{good} of {len(done)} are here, {size_text(total)}")


def _data(fetched: Fetched) -> dict[str, Any]:
    return {
        "what": fetched.item.what,
        "for": fetched.item.names,
        "state": fetched.state,
        "error": fetched.error,
        "bytes": fetched.bytes,
        "commit": fetched.commit,
        "sha256": fetched.sha256,
        "folder": str(fetched.folder or ""),
        "files": [
            {"path": str(file.path), "bytes": file.bytes, "sha256": file.sha256} for file in fetched.files
        ],
    }


def _amount(done: int, total: int | None) -> str:
    return f"{size_text(done)} of {size_text(total)}" if total else size_text(done)

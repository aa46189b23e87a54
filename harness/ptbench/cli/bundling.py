"""`ptbench bundle`: a run in one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.caching import size_text
from ptbench.cli.shared import JSON, make_console

if TYPE_CHECKING:
    from rich.console import Console

    from ptbench.bundle import Bundled

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("bundle")
@click.argument("run", type=FOLDER)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; default: <suite>-<run>.ptbundle here.",
)
@click.option(
    "--data/--no-data",
    default=True,
    show_default=True,
    help="Include local data and models beside the suite, up to 50 MB; of more, the digests are listed.",
)
@click.option("--base", type=FOLDER, help="The folder of the suite, where the run cannot tell it.")
@JSON
def bundle_command(run: Path, output: Path | None, data: bool, base: Path | None, as_json: bool) -> None:
    """Pack RUN (a folder results/<suite>/<run>) into one file for `ptbench replay`.

    It holds the suite, a lock (what every cell was made from), records, predictions, standings and logs, each
    with its sha256. The same run gives the same bytes. Paths of this machine and secrets of its environment
    are taken out. Weights are not packed: the lock has their digests. Hidden files, and links that leave the
    folder of the suite, are left out.
    """
    from ptbench.bundle import bundle
    from ptbench.errors import printable

    done = bundle(run, output, base=base, data=data)
    if as_json:
        click.echo(json.dumps(_bundled_data(done), indent=2))
        return
    console = make_console()
    for local in done.data:
        size = f"{len(local.files):,} file{'s' * (len(local.files) != 1)}, {size_text(local.bytes)}"
        told = "included" if local.included else "not included, its digests are listed"
        if local.files:
            console.out(f"data {printable(local.path)} ({size}): {told}", highlight=False)
    for text in (text for local in done.data for text in local.left_out):
        say(console, f"note: left out: {text}")
    if done.base is None:
        say(
            console,
            "note: local data was not looked for, since the suite's folder is not known: --base names it",
        )
    if done.unfinished:
        say(console, f"note: the run is {done.unfinished}: its bundle has what is finished")
    if done.unread:
        say(console, f"warning: {done.unread}")
    if done.gone:
        one = len(done.gone) == 1
        files = (
            "a file that records name is gone"
            if one
            else f"{len(done.gone):,} files that records name are gone"
        )
        say(
            console,
            f"warning: {files}, such as {done.gone[0]}: replay cannot compare {'it' if one else 'them'}",
        )
    console.out(f"{done.cells:,} cells, {size_text(done.bytes)}, sha256 {done.sha256}", highlight=False)
    console.out(f"wrote {done.path}", highlight=False)


def say(console: Console, text: str, style: str = "yellow") -> None:
    """Print a note, a warning or a problem in one line."""
    from rich.text import Text

    from ptbench.errors import printable

    console.print(Text(printable(text), style=style), soft_wrap=True)


def _bundled_data(done: Bundled) -> dict[str, Any]:
    return {
        "file": str(done.path),
        "bytes": done.bytes,
        "sha256": done.sha256,
        "cells": done.cells,
        "unfinished": done.unfinished,
        "base": str(done.base) if done.base else None,
        "unread": done.unread,
        "gone": done.gone,
        "left_out": [text for one in done.data for text in one.left_out],
        "data": [
            {"path": one.path, "bytes": one.bytes, "files": len(one.files), "included": one.included}
            for one in done.data
        ],
    }

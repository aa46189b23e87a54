"""`ptbench cache`: what is kept between runs, and how to be rid of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.shared import CACHE, JSON, make_console

if TYPE_CHECKING:
    from rich.table import Table

    from ptbench.cache import Cache, Entry

SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def _bytes(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Read a number of bytes: ``5GB`` is 5 * 10^9, ``5GiB`` 5 * 2^30."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", value, re.I)
    if not found or (found[3] and not found[2]):
        raise click.BadParameter(f"'{value}' is no size; write 5GB, 500MB or 20GiB")
    step = 1024.0 if found[3] else 1000.0
    return round(float(found[1]) * pow(step, " kmgt".index(found[2].lower() or " ")))


def _seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Read an age: ``30d``, ``12h``."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", value, re.I)
    if not found:
        raise click.BadParameter(f"'{value}' is no age; write 30d, 12h or 2w (s, m, h, d, w)")
    return float(found[1]) * SPANS[found[2].lower()]


@click.group("cache")
def cache_group() -> None:
    """List, tidy and check what is kept between runs.

    Features are kept in a folder that all suites share, so that a second protocol, another seed or another
    run need not run the model again; and so is the state of trainings that were interrupted. What is kept
    is found by the content of weights, preprocessing and data, never by a name. The folder is --cache DIR,
    else $PTBENCH_CACHE, else ptbench in $XDG_CACHE_HOME or ~/.cache. Beyond $PTBENCH_CACHE_GIB (20) what
    was not used for longest goes. Everything in it can be computed again.
    """


@cache_group.command("list")
@CACHE
@JSON
def list_command(cache: Path | None, as_json: bool) -> None:
    """Show what is kept, the least recently used first, and how much room it takes."""
    kept = _found(cache)
    entries = kept.entries()
    rows = [_row(entry, kept.about(entry)) for entry in entries]
    total = sum(entry.bytes for entry in entries)
    if as_json:
        _print_json(kept, entries=rows, bytes=total, max_bytes=kept.max_bytes)
        return
    console = make_console()
    if rows:
        console.print(_table(rows))
    count = f"{len(rows):,} {'entry' if len(rows) == 1 else 'entries'}"
    _say(f"{count}, {size_text(total)} of {size_text(kept.max_bytes)}: {kept.root}")


@cache_group.command("prune")
@click.option(
    "--max-size",
    metavar="SIZE",
    callback=_bytes,
    help="Keep so much at most, such as 5GB: what was used last.",
)
@click.option(
    "--older-than",
    metavar="AGE",
    callback=_seconds,
    help="Remove what was not used for so long, such as 30d.",
)
@CACHE
@JSON
def prune_command(max_size: int | None, older_than: float | None, cache: Path | None, as_json: bool) -> None:
    """Remove what was not used for long; without options, what is beyond $PTBENCH_CACHE_GIB."""
    kept = _found(cache)
    if max_size is None and older_than is None:
        max_size = kept.max_bytes
    _removed(kept, kept.prune(max_bytes=max_size, older_than=older_than), as_json)


@cache_group.command("clear")
@click.option("--yes", is_flag=True, help="Do not ask.")
@CACHE
@JSON
def clear_command(yes: bool, cache: Path | None, as_json: bool) -> None:
    """Remove everything, except trainings that are going on."""
    from ptbench.errors import UsageError

    kept = _found(cache)
    entries = kept.entries()
    if entries and not yes:
        if as_json:
            raise UsageError("clear --json cannot ask: add --yes")
        if not _confirmed(kept, entries):
            _say("nothing was removed")
            return
    _removed(kept, [entry for entry in entries if kept.remove(entry)], as_json)


@cache_group.command("verify")
@click.option("--remove", is_flag=True, help="Remove what is damaged.")
@CACHE
@JSON
def verify_command(remove: bool, cache: Path | None, as_json: bool) -> int:
    """Read everything again and compare it with its digests.

    The exit code is 1 where anything is damaged, removed or not. Damaged features are never used: a run
    that comes upon them removes them, says so, and computes them again.
    """
    kept = _found(cache)
    entries = kept.entries()
    damaged = []
    for entry in entries:
        if (problem := kept.problem(entry)) is not None:
            gone = remove and kept.remove(entry)
            damaged.append({"path": str(entry.path), "problem": problem, "removed": gone})
    if as_json:
        _print_json(kept, checked=len(entries), damaged=damaged)
    else:
        for one in damaged:
            _say(f"{'removed' if one['removed'] else 'damaged'}: {one['path']}: {one['problem']}")
        hint = "; ptbench cache verify --remove takes them away" if damaged and not remove else ""
        _say(f"{len(entries):,} checked, {len(damaged):,} damaged{hint}")
    return 1 if damaged else 0


def _found(given: Path | None) -> Cache:
    """Return the cache that a command is about. Raises `UsageError` where a file stands in its place."""
    from ptbench.cache import find_cache
    from ptbench.errors import UsageError, printable

    kept = find_cache(given)
    if kept.root.exists() and not kept.root.is_dir():
        raise UsageError(f"the cache {printable(str(kept.root))} is a file; name a folder")
    return kept


def _confirmed(kept: Cache, entries: Sequence[Entry]) -> bool:
    """Ask whether all of it may go. Raises `UsageError` where nobody answers."""
    from ptbench.errors import UsageError, printable

    count = f"{len(entries):,} {'entry' if len(entries) == 1 else 'entries'}"
    size = size_text(sum(entry.bytes for entry in entries))
    try:
        return click.confirm(f"Remove {count} ({size}) from {printable(str(kept.root))}?")
    except click.Abort as error:
        if isinstance(error.__context__, EOFError):  # and no interruption
            click.echo()  # after the question
            raise UsageError("nobody is there to answer; add --yes") from None
        raise


def _row(entry: Entry, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as people know it; words may be missing where it is damaged."""
    about: Any = meta.get("about") or {}
    of: Any = about.get("of") or {}
    used = datetime.fromtimestamp(entry.used, UTC)
    made = datetime.fromisoformat(meta["made"]) if "made" in meta else None
    shapes = {name: facts["shape"] for name, facts in (meta.get("arrays") or {}).items()}
    return {
        "area": entry.area,
        "key": entry.key,
        "model": of.get("model"),
        "options": of.get("options") or {},
        "task": about.get("task"),
        "split": about.get("split"),
        "shape": shapes.get("rows") or next(iter(shapes.values()), None),
        "bytes": entry.bytes,
        "seconds": about.get("seconds"),
        # clocks of files are coarse: nothing was used before it was made
        "made": min(made, used).isoformat(timespec="milliseconds") if made else None,
        "used": used.isoformat(timespec="milliseconds"),
        "version": meta.get("version"),
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from ptbench.errors import printable

    table = Table(header_style="bold")
    for name in ("area", "key", "model", "of"):
        table.add_column(name, overflow="fold")
    for name in ("rows x width", "size", "age", "last used"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        options = ", ".join(f"{name}={value}" for name, value in row["options"].items())
        words = [
            row["area"],
            row["key"][:10],
            _model(row) + (f" ({options})" if options else ""),
            " ".join(str(row[name]) for name in ("task", "split") if row[name]),
            " x ".join(f"{side:,}" for side in row["shape"] or ()),
            size_text(row["bytes"]),
            _ago(row["made"]),
            _ago(row["used"]),
        ]
        table.add_row(*(Text(printable(word)) for word in words))
    return table


def _model(row: Mapping[str, Any]) -> str:
    """Return the model that made an entry: ``-`` where none did or nobody kept which, ``?`` if damaged."""
    return row["model"] or ("?" if row["area"] == "features" else "-")


def _removed(kept: Cache, removed: Sequence[Entry], as_json: bool) -> None:
    left = sum(entry.bytes for entry in kept.entries())
    freed = sum(entry.bytes for entry in removed)
    if as_json:
        _print_json(kept, removed=[str(entry.path) for entry in removed], freed=freed, bytes=left)
    else:
        _say(f"removed {len(removed):,}, {size_text(freed)}; {size_text(left)} left: {kept.root}")


def _print_json(kept: Cache, **data: Any) -> None:
    click.echo(json.dumps({"path": str(kept.root), **data}, indent=2))


def _say(text: str) -> None:
    from ptbench.errors import printable

    click.echo(printable(text))


def size_text(number: float) -> str:
    """Return a number of bytes as people say it.

    >>> size_text(12), size_text(1.5 * 2**20), size_text(20 * 2**30)
    ('12 B', '1.5 MiB', '20.0 GiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:,.1f} GiB"


def _ago(moment: str | None) -> str:
    """Return how long ago a moment was, in one unit."""
    if moment is None:
        return ""
    seconds = max(0.0, time.time() - datetime.fromisoformat(moment).timestamp())
    for unit in ("d", "h", "m"):
        if seconds >= SPANS[unit]:
            return f"{seconds / SPANS[unit]:.0f} {'min' if unit == 'm' else unit}"
    return f"{seconds:.0f} s"

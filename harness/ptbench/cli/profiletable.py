"""The rows of `ptbench profile` as a table that fits the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptbench.cli.reliability import MAX_NAME
from ptbench.errors import printable

LEGEND = {
    "MACs": "MACs: multiply-adds of one example",
    "first\n(ms)": "first, p50, p99: one call at batch 1, inputs on the device, the model alone (without "
    "tokenising or decoding)",
    "p99\n(ms)": "a p99 needs 662 calls",
    "ex/s @batch": "ex/s @batch: the best throughput and its batch size",
    "peak\n(MiB)": "peak: memory at the largest batch (on a CPU that of the whole process so far)",
    "flips": "flips: share of seeded random inputs that get another label than from float32 eager",
    "error": "error: largest difference of any output from float32 eager on seeded random inputs",
    "pays\n(calls)": "pays: calls after which compiling has paid",
}
"""What the columns mean; those that are shown are explained."""
DROPPED_FIRST = (
    "params", "weights\n(MiB)", "load\n(s)", "p99\n(ms)", "pays\n(calls)", "MACs", "first\n(ms)",
    "peak\n(MiB)",
)  # fmt: skip
"""Columns that a narrow terminal goes without, in this order; all of them are in the CSV."""


def render_profiles(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print the table, as many columns as the console holds, and below it what could not be measured."""
    good = [row for row in rows if not row["reason"]]
    if good:
        columns = [column for column in _COLUMNS if any(column.of(row) for row in good)]
        table = _table(good, columns)
        for name in DROPPED_FIRST:
            if (
                console.measure(table, options=console.options.update(max_width=10**4)).maximum
                <= console.width
            ):
                break
            columns = [column for column in columns if column.name != name]
            table = _table(good, columns)
        console.print(table)
        legend = "; ".join(LEGEND[column.name] for column in columns if column.name in LEGEND)
        console.print(Text(legend, style="dim"))
    for line in _remarks(rows):
        console.print(line, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    of: Callable[[Mapping[str, Any]], str]
    left: bool = False


def _short(value: float | None, scale: float = 1.0) -> str:
    """Return a number with three digits that count.

    >>> _short(0.0012345, 1e3), _short(12345.6), _short(None), _short(0.0)
    ('1.23', '12,346', '', '0')
    """
    if value is None:
        return ""
    value *= scale
    digits = max(0, 2 - math.floor(math.log10(value))) if 0 < value < 100 else 0
    return f"{value:,.{min(digits, 6)}f}"


def _count(value: float | None) -> str:
    """Return a count as people say it.

    >>> _count(2_812_000_000), _count(22_713_216), _count(512), _count(None)
    ('2.81 G', '22.7 M', '512', '')
    """
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value and value >= size:
            return f"{_short(value / size)} {unit}"
    return _short(value)


def _throughput(row: Mapping[str, Any]) -> str:
    best = row["best_examples_per_s"]
    return f"{_short(best)} @{row['best_batch_size']}" if best else ""


def _error(row: Mapping[str, Any]) -> str:
    if row["fidelity_inputs"] and row["max_error"] is None:
        return "nan"  # infinity or nothing at all: float16 overflows
    return f"{row['max_error']:.1e}" if row["max_error"] else "0" if row["max_error"] == 0 else ""


def _flips(row: Mapping[str, Any]) -> str:
    return "" if row["flipped"] is None else f"{row['flipped']:.1%}"


def _of(key: str, scale: float = 1.0) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: _short(None if row[key] in (None, "inf") else row[key], scale)


_COLUMNS = (
    _Column("model", lambda row: printable(row["model"]), left=True),
    _Column("variant", lambda row: row["variant"], left=True),
    _Column("params", lambda row: _count(row["parameters"])),
    _Column("MACs", lambda row: _count(row["macs"])),
    _Column("weights\n(MiB)", _of("weight_bytes", 2**-20)),
    _Column("load\n(s)", _of("load_seconds")),
    _Column("first\n(ms)", _of("first_latency_s", 1e3)),
    _Column("p50\n(ms)", _of("latency_p50_s", 1e3)),
    _Column("p99\n(ms)", _of("latency_p99_s", 1e3)),
    _Column("ex/s @batch", _throughput),
    _Column("peak\n(MiB)", _of("peak_memory_mb")),
    _Column("flips", _flips),
    _Column("error", _error),
    _Column("pays\n(calls)", lambda row: "never" if row["break_even_calls"] == "inf" else
            _count(row["break_even_calls"])),
)  # fmt: skip


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['device']}, {row['threads']} threads" if row["threads"] else str(row["device"])


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[_Column]) -> Table:
    places = dict.fromkeys(
        f"{row['device']}" + f", {row['threads']} threads" * bool(row["threads"]) for row in rows
    )
    inputs = dict.fromkeys(row["input"] for row in rows if row["input"])
    title = f"cost on {'; '.join(places)}" + f" (one example: {'; '.join(inputs)})" * bool(inputs)
    table = Table(title=Text(title), title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(
            column.name,
            justify="left" if column.left else "right",
            overflow="fold",
            max_width=MAX_NAME if column.left else None,
            no_wrap=not column.left,
        )
    before = None
    for row in rows:
        if before not in (None, row["model"]):
            table.add_section()
        shown = [column.of(row) for column in columns]
        table.add_row(*map(Text, ["" if before == row["model"] else shown[0], *shown[1:]]))
        before = row["model"]
    return table


def _remarks(rows: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    for row in rows:
        who = printable(f"{row['model']} {row['variant']}".strip())
        if row["reason"]:
            yield Text(f"not measured: {who}: {printable(_without_name(row))}", style="red")
    notes: dict[str, list[str]] = {}
    for row in rows:
        for note in row["notes"].split("; ") if row["notes"] else ():
            notes.setdefault(note, []).append(f"{row['model']} {row['variant']}".strip())
    for note, about in notes.items():
        where = "" if len(about) == len(rows) else f" ({', '.join(about)})"
        yield Text(f"note: {printable(note + where)}", style="dim")


def _without_name(row: Mapping[str, Any]) -> str:
    """Return why a row was not measured, without the reference that many errors begin with."""
    reason, name = str(row["reason"]), str(row["reference"])
    return reason[len(name) :].lstrip(": ") if reason.startswith((f"{name}: ", f"{name} ")) else reason

"""What inspections found, as tables that fit a terminal: a row per block, and what is named."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptbench.errors import printable

if TYPE_CHECKING:
    from ptbench.runner.inspecting import Inspected

LEGEND = (
    "gradient: norm of the mean gradient by norm of the weights; weights: rms; std: of what the block puts "
    "out; dead: units of its activation functions that were never above 0; rank: effective rank of its "
    "pooled representations"
)
LONGEST_NOTE = 400


class Progress:
    """Tells how inspections go on, a line each."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def inspection_started(self, title: str) -> None:
        """One begins."""
        self.console.print(Text(f"inspecting {printable(title)}", style="dim"), soft_wrap=True)

    def advanced(self, examples: int) -> None:
        """So many more examples went through the model."""

    def inspection_ended(self, done: Inspected) -> None:
        """One has ended."""
        self.console.print(line_of(done), soft_wrap=True)


def line_of(done: Inspected) -> Text:
    """Return one line about what came of an inspection."""
    good = done.status == "ok"
    text = Text(f"{done.status:<7} ", style="green" if good else "red")
    text.append(f"inspection of {printable(done.title)}", style="default")
    if not good:
        text.append(f"  {done.error}", style="default")
    text.append(f"  {done.seconds:.1f} s", style="dim")
    return text


def render_inspections(folder: Path, done: Sequence[Inspected], console: Console) -> None:
    """Print a table per inspection and the notes."""
    told = False
    for one in done:
        if one.status != "ok":
            console.print(line_of(one), soft_wrap=True)
            continue
        where = folder / one.folder
        if one.against:
            console.print(_alike(one, _read(where / "cka.csv")))
        else:
            console.print(_blocks(one, where))
            told = True
            for note in one.notes:
                console.print(Text(f"note: {_cut(printable(note))}", style="yellow"), soft_wrap=True)
    if told:
        console.print(Text(LEGEND, style="dim"))


def _blocks(one: Inspected, where: Path) -> Table:
    """Return a row per block: what was looked at of it."""
    sample = f", {one.examples} {one.split} examples, seed {one.seed}" if one.examples else ""
    title = Text(f"{printable(one.title)}{sample}")
    table = Table(title=title, title_justify="left", header_style="bold")
    gradients = {r["block"]: r for r in _read(where / "gradients.csv") if r["level"] == "block"}
    outputs = {r["block"]: r for r in _read(where / "activations.csv") if r["level"] == "block"}
    layers = [r for r in _read(where / "activations.csv") if r["level"] == "layer"]
    weights: dict[str, list[Mapping[str, str]]] = {}
    for row in _read(where / "weights.csv"):
        weights.setdefault(row["block"], []).append(row)
    flags: dict[str, list[str]] = {}
    for name in ("gradients.csv", "activations.csv"):
        for row in _read(where / name):
            if row["flag"] and row["level"] != "tensor":
                flags.setdefault(row["block"], []).append(row["flag"])
    rows: list[dict[str, Text]] = []
    for block in dict.fromkeys([*weights, *gradients, *outputs]):
        units = [r for r in layers if r["block"] == block and r["dead"]]
        units = units or [r for r in (outputs.get(block),) if r and r["dead"]]
        dead, of = (sum(int(r[key]) for r in units) for key in ("dead", "shape"))
        named = flags.get(block, [])
        count = sum(int(r["count"]) for r in weights.get(block, ()))
        figures = {
            "parameters": f"{count:,}" if count else "",
            "weights": _rms(weights.get(block, ())),
            "gradient": _number(gradients.get(block, {}).get("relative")),
            "std": _number(outputs.get(block, {}).get("std")),
            "dead": f"{dead} of {of}" if units else "",
            "rank": _number(outputs.get(block, {}).get("effective_rank")),
        }
        flagged = Text(", ".join(f"{named.count(n)} {n}" for n in dict.fromkeys(named)), style="red")
        texts = {name: Text(figure) for name, figure in figures.items()}
        rows.append({"block": Text(printable(block)), **texts, "named": flagged})
    for name in rows[0] if rows else ():
        if any(texts[name] for texts in rows):  # what was not looked at has no column
            words = name in ("block", "named")
            table.add_column(name, justify="left" if words else "right", overflow="fold")
    for texts in rows:
        table.add_row(*(texts[str(column.header)] for column in table.columns))
    return table


def _alike(one: Inspected, rows: Sequence[Mapping[str, str]]) -> Table:
    """Return, for each block of one model, the block of the other that is most like it."""
    title = Text(f"{printable(one.title)}: nearest layers by debiased linear CKA, {one.examples} examples")
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column(Text(printable(one.model)), overflow="fold")
    table.add_column(Text(f"nearest in {printable(one.against)}"), overflow="fold")
    for name in ("debiased", "CKA"):
        table.add_column(name, justify="right")
    for layer in dict.fromkeys(row["layer_a"] for row in rows):
        known = [r for r in rows if r["layer_a"] == layer and r["cka_debiased"]]
        if known:
            best = max(known, key=lambda r: float(r["cka_debiased"]))
            table.add_row(
                Text(printable(layer)), Text(printable(best["layer_b"])),
                f"{float(best['cka_debiased']):.3f}", f"{float(best['cka']):.3f}",
            )  # fmt: skip
    return table


def _rms(rows: Sequence[Mapping[str, str]]) -> str:
    known = [r for r in rows if r["norm"]]
    count = sum(int(r["count"]) for r in known)
    return _number((sum(float(r["norm"]) ** 2 for r in known) / count) ** 0.5) if count else ""


def _number(value: Any) -> str:
    return "" if value in (None, "") else f"{float(value):.3g}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_NOTE else text[: LONGEST_NOTE - 1] + "… (all in inspection.json)"


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))

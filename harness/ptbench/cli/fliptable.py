"""Examples that flipped, and inputs of examples, as Rich tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptbench.cli.words import LONGEST_NAME, LONGEST_TEXT, named, number

if TYPE_CHECKING:
    from ptbench.runner.flips import Flip, Flips


def render_flips(flips: Sequence[Flips], console: Console) -> None:
    """Print the examples that flipped, with their inputs."""
    for one in flips:
        sides = " -> ".join(dict.fromkeys((f"{one.a[0]} x {one.a[1]}", f"{one.b[0]} x {one.b[1]}")))
        console.print(Text.assemble("\n", named(f"{one.task}: {sides}", "bold", 4 * LONGEST_NAME)))
        if one.note:
            console.print(named(f"note: {one.note}", "yellow", 1000), soft_wrap=True)
        words = ("further off", "nearer")
        if one.labelled:
            many = ("more often wrong", "more often right")
            words = many if one.runs > 1 else ("right to wrong", "wrong to right")
        for word, found, count in zip(
            words, (one.lost, one.gained), (one.lost_count, one.gained_count), strict=True
        ):
            if one.n:
                console.print(f"{word}: {count:,} of {one.n:,} examples")
            if found:
                console.print(_flip_table(found, one))
            if 0 < len(found) < count:
                console.print(Text(f"{count - len(found):,} more: --most, or --json", style="dim"))


def _flip_table(found: Sequence[Flip], of: Flips) -> Table:
    table = Table(header_style="bold")
    for name in ("id", "target", "A", "B"):
        table.add_column(name, overflow="fold", justify="left" if of.labelled or name == "id" else "right")
    shares = of.labelled and of.runs > 1
    if shares:
        table.add_column("wrong runs", no_wrap=True)
    inputs = any(flip.inputs for flip in found)
    if inputs:
        table.add_column("input", overflow="fold")
    for flip in found:
        row = [named(flip.id), *(value_text(value) for value in (flip.target, flip.a, flip.b))]
        if shares:
            row.append(Text(f"{flip.error_a:.0%} -> {flip.error_b:.0%}"))
        table.add_row(*row, *([input_text(flip.inputs)] if inputs else []))
    return table


def value_text(value: str | float) -> Text:
    """Return a label or a number."""
    return named(value) if isinstance(value, str) else Text(number(value))


def input_text(inputs: Mapping[str, str]) -> Text:
    """Return the inputs of an example: the columns named where there are several, long texts shortened."""
    if len(inputs) == 1:
        return named(next(iter(inputs.values())), most=LONGEST_TEXT)
    lines = [
        named(column, "dim").append(": ").append_text(named(text, "not dim", LONGEST_TEXT))
        for column, text in inputs.items()
    ]
    return Text("\n").join(lines)

"""One cell as Rich tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from ptbench.cli.detailtable import confusion_table, reliability_table, texts, under
from ptbench.cli.fliptable import input_text, value_text
from ptbench.cli.words import LONGEST_NAME, named, number
from ptbench.errors import printable
from ptbench.plain import to_json
from ptbench.records import Record, Report, Score, Status

if TYPE_CHECKING:
    from ptbench.cli.showing import Example, Shown

MOST_ROWS = 15
"""Rows of a curve that are drawn."""
LONGEST_FACT = 100


def render_cell(shown: Shown, report: Report, console: Console) -> None:
    """Print all that is known of a cell."""
    record = shown.record
    console.print(named(record.title, "bold", 4 * LONGEST_NAME), soft_wrap=True)
    for word, text in _about(record, report):
        console.print(Text.assemble((f"{word}: ", "dim"), named(text, most=1000)), soft_wrap=True)
    if record.status is not Status.OK:
        for line in _failure(shown):
            console.print(line, soft_wrap=True)
        return
    for part in _parts(shown):
        console.print(part)
    for text in (*shown.notes, *record.notes):
        console.print(named(f"note: {text}", "yellow", 1000), soft_wrap=True)


def shown_data(shown: Shown) -> dict[str, Any]:
    """Return all that is known of a cell as JSON data."""
    data: dict[str, Any] = to_json(shown)
    return data


def _about(record: Record, report: Report) -> Iterator[tuple[str, str]]:
    run = str(report.run.get("run") or report.folder.name)
    yield "cell", f"{record.cell} of {record.suite}/{run}"
    yield "model", record.reference
    yield "data", f"{record.data} ({record.kind})" if record.kind else record.data
    if record.n is not None:
        unread = f", {record.unread:,} could not be read" if record.unread else ""
        yield "examples", f"{record.n:,} of {record.split}{unread}"
    if record.device:
        yield "ran", ", ".join(filter(None, (record.device, record.precision, f"seed {record.seed}")))
    if record.cost.seconds is not None:
        each = record.cost.examples_per_s
        yield "took", f"{record.cost.seconds:.3g} s" + (f", {each:,.0f} examples/s" if each else "")
    if record.reused:
        yield "reused", f"measured in run {record.reused}"


def _failure(shown: Shown) -> Iterator[Text]:
    record = shown.record
    yield Text(f"{record.status.value}: ", style="bold red").append(
        printable(record.error) or "nobody knows why", style="default"
    )
    if record.advice:
        yield Text(f"try: {printable(record.advice)}")
    if record.log:
        yield Text(f"log: {printable(record.log)}", style="dim")
    for line in shown.log.splitlines():
        yield Text(f"    {printable(line.expandtabs())}", style="dim")


def _parts(shown: Shown) -> Iterator[RenderableType]:
    yield _scores(shown.record)
    if shown.confusion is not None:
        yield confusion_table(shown.confusion, shown.draws)
    if shown.reliability:
        yield reliability_table(shown.reliability, shown.draws, shown.clusters)
    if shown.wrong is not None:
        n = shown.record.n or 0
        told = f"worst errors ({shown.wrong:,} of {n:,} wrong)" if shown.confusion else "worst errors"
        if shown.draws > 1:
            told += f"; of the first of {shown.draws} draws of training rows"
        yield from _examples(told, shown.worst)
        yield from _examples("first predictions", shown.predictions)
    yield from _facts(shown.record.facts)


def _scores(record: Record) -> Group:
    table = texts("metric")
    for name in ("value", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    told = {score.metric: _remarks(score) for score in record.scores}
    if any(told.values()):
        table.add_column("to know", overflow="fold")
    for score in record.scores:
        ends = score.ci_low, score.ci_high
        interval = "" if any(map(math.isnan, ends)) else " to ".join(map(number, ends))
        style = "bold" if score.metric == record.primary else ""
        row = [
            named(score.metric, style),
            Text(number(score.value) or "undefined", style=style),
            Text(interval),
        ]
        table.add_row(*row, *([named(told[score.metric], "dim", 300)] if any(told.values()) else []))
    return under("scores", table)


def _remarks(score: Score) -> str:
    texts = ["" if score.higher_is_better else "less is better", score.caveat]
    if score.without_copies is not None:
        texts.append(f"{number(score.without_copies)} without copies of training rows")
    return "; ".join(filter(None, texts))


def _examples(title: str, examples: Sequence[Example]) -> Iterator[Group]:
    if not examples:
        return
    table = texts("id", "target", "prediction")
    scores, inputs = any(e.score is not None for e in examples), any(e.inputs for e in examples)
    if scores:
        table.add_column("score", justify="right", no_wrap=True)
    if inputs:
        table.add_column("input", overflow="fold")
    for one in examples:
        row = [named(one.id), *(Text() if v is None else value_text(v) for v in (one.target, one.prediction))]
        if scores:
            row.append(Text("" if one.score is None else number(one.score)))
        table.add_row(*row, *([input_text(one.inputs)] if inputs else []))
    yield under(title, table)


def _facts(facts: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield what model and protocol tell of themselves: short facts in lines, curves as tables."""
    curves = {name: value for name, value in facts.items() if _is_curve(value)}
    plain = {name: _brief(value) for name, value in facts.items() if name not in curves}
    short = {name: text for name, text in plain.items() if len(text) <= LONGEST_FACT}
    if short:
        yield Text("; ").join(
            named(name, "dim").append(": ").append_text(named(text, "not dim", LONGEST_FACT))
            for name, text in short.items()
        )
    for name, rows in curves.items():
        if len(rows) <= MOST_ROWS:
            columns = list(dict.fromkeys(key for row in rows for key in row))
            table = texts(*map(str, columns))
            for row in rows:
                table.add_row(*(named(_brief(row.get(column, ""))) for column in columns))
            yield under(name, table)
    left = [name for name in plain if name not in short]
    left += [name for name, rows in curves.items() if len(rows) > MOST_ROWS]
    if left:
        yield named(f"too long for here, --json has them: {', '.join(left)}", "dim", 300)


def _is_curve(value: Any) -> bool:
    """Whether a fact is a table: a list of mappings to plain values."""
    return (
        isinstance(value, Sequence)
        and bool(value)
        and all(
            isinstance(row, Mapping) and not any(isinstance(v, Mapping | list | tuple) for v in row.values())
            for row in value
        )
    )


def _brief(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case Mapping():
            return ", ".join(f"{key} {_brief(item)}" for key, item in value.items())
        case list() | tuple():
            return ", ".join(map(_brief, value))
    return str(value)

"""`ptbench show`: all that is known of one cell."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.reading import opened_run
from ptbench.cli.shared import JSON, OUTPUT, make_console
from ptbench.cli.whichcell import find_cell
from ptbench.errors import DataError, one_line

if TYPE_CHECKING:
    from ptbench.data import Predictions
    from ptbench.details import Confusion, ReliabilityBin
    from ptbench.records import Record, Report

SHOWN = 5
"""Worst errors, and predictions, that are shown unless another number is asked for."""
LOG_LINES = 20


@dataclass(frozen=True, slots=True)
class Example:
    """An example and what was predicted for it."""

    id: str
    target: str | float | None
    prediction: str | float | None
    score: float | None = None
    """That of the predicted label, where there are scores."""
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """One cell, with what its predictions say."""

    record: Record
    confusion: Confusion | None = None
    reliability: tuple[ReliabilityBin, ...] = ()
    worst: tuple[Example, ...] = ()
    wrong: int | None = None
    """How many examples are wrong; None where none is right or wrong."""
    predictions: tuple[Example, ...] = ()
    draws: int = 1
    """Draws of training rows; the confusion sums over all, and all else is of the first."""
    clusters: int | None = None
    """Into how many the examples fall; None where each stands alone."""
    log: str = ""
    """The end of its log, where it did not end well."""
    notes: tuple[str, ...] = ()


@click.command("show")
@click.argument("cell")
@click.option(
    "--run", type=click.Path(path_type=Path),
    help="The run that it is in, or a folder above: then the newest.  [default: the newest in --output]",
)  # fmt: skip
@OUTPUT
@click.option(
    "--most", type=click.IntRange(0), default=SHOWN, show_default=True,
    help="Worst errors to show, and first predictions.",
)  # fmt: skip
@click.option(
    "--inputs/--no-inputs", default=True, show_default=True,
    help="Read the data of the task, to show what the model saw.",
)  # fmt: skip
@JSON
def show_command(cell: str, run: Path | None, output: Path, most: int, inputs: bool, as_json: bool) -> int:
    """Show one cell: its scores, what it confuses, how far its confidence can be relied on, its worst errors.

    CELL is the id of a cell or the beginning of one, or "MODEL x TASK x PROTOCOL" (with "seed 1" behind it
    where there are several), as far as that is one cell.
    """
    from ptbench.catalog import load_catalog
    from ptbench.cli.showtable import render_cell, shown_data

    with redirect_stdout(sys.stderr), opened_run(run or output) as report:
        record = find_cell(report, cell)
        shown = look(report, record, most)
        if inputs and (shown.worst or shown.predictions):
            shown = with_inputs(report, shown, load_catalog())
    if as_json:
        click.echo(json.dumps(shown_data(shown)))
    else:
        render_cell(shown, report, make_console())
    return 0


def look(report: Report, record: Record, most: int) -> Shown:
    """Return what there is to be shown of a cell, without inputs; what cannot be read is in the notes."""
    from ptbench.deaths import log_end
    from ptbench.details import confusion, is_labelled, is_numbers, reliability, worst
    from ptbench.records import Status
    from ptbench.store import joined

    if record.status is not Status.OK:
        log = log_end(report.folder / record.log) if record.log and _is_inside(report, record.log) else ""
        return Shown(record, log="\n".join(log.splitlines()[-LOG_LINES:]))
    try:
        runs = _tables(report, record)
    except DataError as error:
        return Shown(record, notes=(one_line(error),))
    first, whole = runs[0], joined(runs)
    if not is_labelled(first) and not is_numbers(first):
        return Shown(record, draws=len(runs), notes=("its predictions are neither labels nor numbers",))
    return Shown(
        record,
        confusion(whole),
        reliability(first),
        tuple(_example(first, i) for i in worst(first, most)),
        len(worst(first, len(first))),
        tuple(_example(first, i) for i in range(min(most, len(first)))),
        len(runs),
        None if first.clusters is None else len(set(first.clusters)),
    )


def with_inputs(report: Report, shown: Shown, catalog: Any) -> Shown:
    """Return it with the inputs of its examples, or with a note why there are none."""
    from ptbench.runner.inputs import TaskData

    ids = [example.id for example in (*shown.worst, *shown.predictions)]
    table = _tables(report, shown.record)[0]
    found = TaskData(report, catalog).inputs(shown.record.task, table, ids)
    if found.why_not:
        return replace(shown, notes=(*shown.notes, f"without inputs: {found.why_not}"))

    def told(examples: Sequence[Example]) -> tuple[Example, ...]:
        return tuple(replace(one, inputs=found.rows.get(one.id, {})) for one in examples)

    return replace(shown, worst=told(shown.worst), predictions=told(shown.predictions))


def _tables(report: Report, record: Record) -> list[Predictions]:
    from ptbench.runner.flips import COLUMNS
    from ptbench.store import read_runs

    files = [name for name in record.files[:1] if _is_inside(report, name)]
    if not files:
        raise DataError("no predictions of it were kept")
    return read_runs(report.folder / files[0], COLUMNS)


def _is_inside(report: Report, name: str) -> bool:
    """Whether a file that a record names lies in the folder of its run: a record may be anybody's."""
    return report.folder.resolve() in (report.folder / name).resolve().parents


def _example(table: Predictions, i: int) -> Example:
    def told(column: str) -> str | float:
        value = table[column][i]
        return table.labels[int(value)] if table.labels else float(value)

    score = None
    if table.labels and "scores" in table and table["scores"].ndim == 2:
        score = float(table["scores"][i, int(table["prediction"][i])])
    return Example(table.ids[i], told("target"), told("prediction"), score)

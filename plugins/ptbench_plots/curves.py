"""Every `curves` fact of the records as a picture: scores over shots, losses and scores over epochs.

Learning curves over shots stand together, a panel per task and a line per model and protocol, for they are
to be compared. Any other curve tells how one training went on: a file per task and protocol, a row of panels
per model, a panel per name (loss, accuracy).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from ptbench import Record, Report
from ptbench_plots.canvas import COLOURS, STYLES, file_name, inert_legend, new_figure, save, tidy_axes
from ptbench_plots.labels import MAX_NAME, distinct, plain, variants

SHOTS = "shots"
MAX_COLUMNS, MAX_ROWS, MAX_LINES = 3, 8, 16
"""Panels beside and below each other in one file; lines in a panel that a legend can name."""
PANEL = (5.4, 3.6)
"""Inches."""
MAX_LINE, MAX_TITLE = 2 * MAX_NAME + 2, 70
"""Characters of a name in a legend, and of a line above a figure."""
SPREAD = 50
"""How many times the smallest loss the largest may be on an axis that is not logarithmic."""

Point = tuple[float, float, float, float]
"""x, y, and the ends of its interval; NaN where there is none."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve of one record."""

    record: Record
    name: str
    of: str
    x: str
    points: tuple[Point, ...]


def write_curves(report: Report, folder: Path) -> list[Path]:
    """Write the curves of a report into its folder ``curves``; nothing where there are none."""
    curves = [curve for record in report.records for curve in read_curves(record)]
    if not curves:
        return []
    folder = folder / "curves"
    folder.mkdir(exist_ok=True)
    written = _shots(report, [c for c in curves if c.x == SHOTS], folder)
    others: dict[tuple[str, str, str], list[Curve]] = {}
    for curve in curves:
        if curve.x != SHOTS:
            others.setdefault((curve.x, curve.record.task, curve.record.label), []).append(curve)
    taken: set[str] = set()
    labels = variants((some[0].record for some in others.values()), MAX_TITLE)
    for (x, task, protocol), found in others.items():
        models = list(dict.fromkeys(curve.record.model for curve in found))
        for start in range(0, len(models), MAX_ROWS):
            some = [c for c in found if c.record.model in models[start : start + MAX_ROWS]]
            path = folder / _free(file_name(x, task, protocol), taken)
            written.append(_training(report, some, labels[protocol], path))
    return written


def read_curves(record: Record) -> list[Curve]:
    """Return the curves of a record that can be drawn; what is malformed is left out, points alike."""
    found = []
    told = record.facts.get("curves")
    for entry in told if isinstance(told, Sequence) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("points"), Sequence):
            points = tuple(filter(None, map(_point, entry["points"])))
            name, of, x = (str(entry.get(key, "")) for key in ("name", "of", "x"))
            if points:
                found.append(Curve(record, name, of, x, tuple(sorted(points))))
    return found


def _point(value: Any) -> Point | None:
    if not isinstance(value, Sequence) or len(value) not in (2, 4):
        return None
    numbers = [v if isinstance(v, int | float) and not isinstance(v, bool) else math.nan for v in value]
    x, y = map(float, numbers[:2])
    low, high = map(float, numbers[2:]) if len(numbers) == 4 else (math.nan, math.nan)
    return (x, y, low, high) if math.isfinite(x) and math.isfinite(y) else None


def mean_curve(curves: Sequence[Curve]) -> tuple[Point, ...]:
    """Return the mean over seeds at each x that all of them have; of intervals the mean of their ends."""
    tables = [{point[0]: point for point in curve.points} for curve in curves]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    rows = [[table[x] for table in tables] for x in shared]
    return tuple(
        (x, *(math.fsum(point[i] for point in row) / len(row) for i in (1, 2, 3)))  # type: ignore[misc]
        for x, row in zip(shared, rows, strict=True)
    )


def _shots(report: Report, curves: Sequence[Curve], folder: Path) -> list[Path]:
    """Draw learning curves: of each task its primary metric, or the first that there is."""
    tasks = list(dict.fromkeys(curve.record.task for curve in curves))
    if not tasks:
        return []
    columns = min(MAX_COLUMNS, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    title = f"{_head(report)}: score by training examples per class\n"
    title += "band: 95 % interval over draws and examples; seeds averaged"
    figure = new_figure(PANEL[0] * columns, PANEL[1] * rows + 0.5, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    titles = distinct(tasks)
    for panel, task in zip(panels, tasks, strict=False):
        here = [curve for curve in curves if curve.record.task == task]
        primary = next((c.name for c in here if c.name == c.record.primary), here[0].name)
        lines: dict[tuple[str, str], list[Curve]] = {}
        for curve in here:
            if curve.name == primary:
                lines.setdefault((curve.record.model, curve.record.label), []).append(curve)
        protocols = variants(curve.record for several in lines.values() for curve in several)
        models = distinct(model for model, _ in lines)
        colours, styles = list(models), list(protocols)
        for (model, protocol), several in lines.items():
            colour = COLOURS[colours.index(model) % len(COLOURS)]
            style = STYLES[styles.index(protocol) % len(STYLES)]
            name = models[model] if len(protocols) == 1 else f"{models[model]}, {protocols[protocol]}"
            _line(panel, mean_curve(several), colour, style, name)
        tidy_axes(panel, titles[task], "training examples per class", primary)
        _halving(panel, sorted({point[0] for curve in here for point in curve.points}))
        _legend(panel)
    for panel in panels[len(tasks) :]:
        panel.set_axis_off()
    return [save(figure, folder / "shots.png")]


def _training(report: Report, curves: Sequence[Curve], label: str, path: Path) -> Path:
    """Draw how training went on: a row per model, a panel per name; thin lines are further seeds."""
    models = list(dict.fromkeys(curve.record.model for curve in curves))
    names = list(dict.fromkeys(curve.name for curve in curves))[:MAX_COLUMNS]
    record, x = curves[0].record, curves[0].x
    title = f"{_head(report)}: {plain(record.task)}\n{label}"
    seeds = {curve.record.seed for curve in curves}
    title += "\nthin lines: other seeds" if len(seeds) > 1 else ""
    figure = new_figure(PANEL[0] * len(names), PANEL[1] * len(models) + 0.5, title)
    panels = figure.subplots(len(models), len(names), squeeze=False)
    titles = distinct(models)
    for row, model in zip(panels, models, strict=True):
        of_model = [curve for curve in curves if curve.record.model == model]
        firsts = min(curve.record.seed for curve in of_model)
        courses = list(dict.fromkeys(_course(curve.of) for curve in of_model))
        splits = list(dict.fromkeys(_split(curve.of) for curve in of_model))[::-1]
        for panel, name in zip(row, names, strict=True):
            for curve in of_model:
                if curve.name == name:
                    colour = COLOURS[courses.index(_course(curve.of)) % len(COLOURS)]
                    style = STYLES[splits.index(_split(curve.of)) % len(STYLES)]
                    main = curve.record.seed == firsts
                    _line(panel, curve.points, colour, style, curve.of if main else "", thin=not main)
            tidy_axes(panel, titles[model], x, name)
            fit_height(panel, name, [y for c in of_model if c.name == name for _, y, *_ in c.points])
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            _legend(panel)
    return save(figure, path)


def _line(
    panel: Axes, points: Sequence[Point], colour: str, style: str, name: str, *, thin: bool = False
) -> None:
    xs, ys, lows, highs = zip(*points, strict=True)
    marker = "" if thin or len(points) > 40 else "o"
    panel.plot(
        xs, ys, style, color=colour, marker=marker, markersize=3.5, linewidth=0.7 if thin else 1.6,
        alpha=0.6 if thin else 1.0, label=plain(name, MAX_LINE) if name else "_",
    )  # fmt: skip
    if any(math.isfinite(low) and math.isfinite(high) for low, high in zip(lows, highs, strict=True)):
        panel.fill_between(xs, lows, highs, color=colour, alpha=0.15, linewidth=0)


def fit_height(panel: Axes, name: str, values: Sequence[float]) -> None:
    """Make the y axis of losses logarithmic where one that diverged would flatten all others."""
    positive = [value for value in values if value > 0]
    if "loss" not in name.lower() or not positive or max(positive) <= SPREAD * min(positive):
        return
    if len(positive) == len(values):
        panel.set_yscale("log")
    else:  # 0 has no logarithm
        panel.set_yscale("symlog", linthresh=min(positive))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _halving(panel: Axes, xs: Sequence[float]) -> None:
    """Make an axis on which doubling is one step, with a tick at every number of shots."""
    if xs[0] > 0:
        panel.set_xscale("log", base=2)
    else:  # none at all comes before the first
        panel.set_xscale("symlog", base=2, linthresh=1)
    step = math.ceil(len(xs) / 12)
    panel.xaxis.set_major_locator(FixedLocator(xs[::step]))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend(panel: Axes) -> None:
    named = [line for line in panel.get_lines() if not str(line.get_label()).startswith("_")]
    if named:
        inert_legend(panel, named[:MAX_LINES])


def _course(of: str) -> str:
    """Return the stage of a training that a curve is of: what follows the name of the split."""
    return of.partition(", ")[2]


def _split(of: str) -> str:
    return of.partition(", ")[0]


def _head(report: Report) -> str:
    return " · ".join(plain(str(report.run.get(key, ""))) for key in ("suite", "run"))


def _free(name: str, taken: set[str]) -> str:
    """Return a name for a file that no other has."""
    tries = (name if i == 1 else f"{name}-{i}" for i in count(1))
    free = next(each for each in tries if each.lower() not in taken)
    taken.add(free.lower())
    return f"{free}.png"

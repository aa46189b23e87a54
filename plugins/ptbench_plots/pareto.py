"""`pareto.png`: what each model scores against what it costs, a panel per task.

No text is read as mathematics (``parse_math``): a ``$`` in a name starts no formula.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ptbench import ParetoPoint, Report, pareto_points
from ptbench_plots.labels import place_labels, plain

FRONT, OTHER, LINE = "#0072B2", "#999999", "#56B4E9"
"""Okabe and Ito's palette, which the colour-blind can tell apart; on the front is filled besides."""
MARKERS = "osD^vP*Xp<>h"
PANEL, LONE = (5.6, 4.2), (8.0, 5.6)
"""Inches."""
MAX_COLUMNS = 3


def write_pareto(report: Report, folder: Path) -> list[Path]:
    """Write ``pareto.png``; nothing where no entry has both a score and a cost."""
    found = [point for point in pareto_points(report) if point.cost > 0]  # the axis is logarithmic
    if not found:
        return []
    tasks = list(dict.fromkeys(p.task for p in found))
    protocols = list(dict.fromkeys(p.protocol for p in found))
    columns = min(MAX_COLUMNS, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    width, height = LONE if len(tasks) == 1 else PANEL
    figure = Figure(figsize=(width * columns, height * rows + 0.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)  # an own canvas: pyplot and its backend are left alone
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    markers = {protocol: MARKERS[i % len(MARKERS)] for i, protocol in enumerate(protocols)}
    suite, run = (plain(str(report.run.get(key, ""))) for key in ("suite", "run"))
    title = f"{suite} · {run}: score with 95 % interval against cost\nfilled: nothing as good is cheaper"
    figure.suptitle(title, fontsize="medium", parse_math=False)
    bars = {(s.task, s.model, s.protocol, s.metric): (s.ci_low, s.ci_high) for s in report.standings}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for it
        warnings.filterwarnings("ignore", message=".*constrained_layout not applied")
        for panel, task in zip(panels, tasks, strict=False):
            here = [p for p in found if p.task == task]
            intervals = {(p.model, p.protocol): bars.get((task, p.model, p.protocol, p.metric)) for p in here}
            _draw(panel, here, intervals, markers)
        for panel in panels[len(tasks) :]:
            panel.set_axis_off()
        if len(protocols) > 1:
            _legend(figure, panels[0], markers)
        figure.draw_without_rendering()  # labels are placed where the layout has put the panels
        for panel, task in zip(panels, tasks, strict=False):
            place_labels(panel, [p for p in found if p.task == task])
        path = folder / "pareto.png"
        figure.savefig(path)
    return [path]


def _draw(
    panel: Axes,
    points: Sequence[ParetoPoint],
    intervals: Mapping[tuple[str, str], tuple[float, float] | None],
    markers: Mapping[str, str],
) -> None:
    first = points[0]
    _scale(panel, min(p.cost for p in points), max(p.cost for p in points))
    for point in points:
        colour = FRONT if point.front else OTHER
        low, high = intervals[point.model, point.protocol] or (math.nan, math.nan)
        panel.errorbar(
            point.cost, point.score, yerr=[[_reach(point.score - low)], [_reach(high - point.score)]],
            fmt=markers[point.protocol], color=colour, ecolor=(colour, 0.5), elinewidth=1, markersize=6,
            markerfacecolor=colour if point.front else "white", zorder=3 if point.front else 2,
        )  # fmt: skip
    front = sorted((p.cost, p.score) for p in points if p.front)
    panel.step(*zip(*front, strict=True), where="post", color=LINE, linewidth=1.5, zorder=1)
    panel.set_title(plain(first.task), fontsize="medium", parse_math=False)
    panel.set_xlabel("seconds per example (log; left is cheaper)")
    better = "up" if first.higher_is_better else "down"
    panel.set_ylabel(f"{plain(first.metric)} ({better} is better)", parse_math=False)
    panel.grid(visible=True, color="#dddddd", linewidth=0.5)
    panel.set_axisbelow(True)
    panel.margins(y=0.15)


def _scale(panel: Axes, cheapest: float, dearest: float) -> None:
    """Make a logarithmic axis with some room at both ends, and ticks that can be read."""
    room = max((dearest / cheapest) ** 0.15, 1.6)
    panel.set_xscale("log")
    panel.set_xlim(cheapest / room, dearest * room)
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0,) if dearest > 30 * cheapest else (1.0, 2.0, 5.0)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def _reach(length: float) -> float:
    """Return the length of a bar; none where the interval is undefined."""
    return max(length, 0.0) if math.isfinite(length) else 0.0


def _legend(figure: Figure, panel: Axes, markers: Mapping[str, str]) -> None:
    handles = [
        panel.plot([], [], marker, color=OTHER, label=plain(protocol))[0]
        for protocol, marker in markers.items()
    ]
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    for text in legend.get_texts():
        text.set_parse_math(False)

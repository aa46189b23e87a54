"""Figures without pyplot: an own canvas, colours that the colour-blind can tell apart, inert text."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from ptbench_plots.labels import plain

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8c8c8c")
"""Okabe and Ito's palette, the darker ones first."""
STYLES = ("-", "--", ":", "-.")
ALARM, GRID = "#D55E00", "#dddddd"


def new_figure(width: float, height: float, title: str) -> Figure:
    """Return a figure of so many inches with an own canvas: pyplot and its backend are left alone."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize="medium", parse_math=False)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """Write a figure; characters that the font lacks are boxes."""
    with quiet():
        figure.savefig(path)
    return path


@contextmanager
def quiet() -> Iterator[None]:
    """Let matplotlib keep to itself what a reader sees anyway."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        warnings.filterwarnings("ignore", message=".*constrained_layout not applied")
        yield


def inert_legend(panel: Axes, lines: Sequence[Line2D]) -> None:
    """Give a panel a legend of these lines, of which no text is read as mathematics."""
    legend = panel.legend(handles=lines, fontsize=7.5, framealpha=0.85, handlelength=3.5)
    for text in legend.get_texts():
        text.set_parse_math(False)


def tidy_axes(panel: Axes, title: str, x: str, y: str) -> None:
    """Give a panel a title, names of its axes and a pale grid."""
    panel.set_title(plain(title), fontsize="medium", parse_math=False)
    panel.set_xlabel(plain(x), parse_math=False)
    panel.set_ylabel(plain(y), parse_math=False)
    panel.grid(visible=True, color=GRID, linewidth=0.5)
    panel.set_axisbelow(True)


def log_axis(panel: Axes, values: NDArray[np.float64]) -> None:
    """Make the x axis logarithmic, with some room at both ends and few ticks that can be read."""
    low, high = float(values.min()), float(values.max())
    room = max((high / low) ** 0.06, 1.25)
    panel.set_xscale("log")
    panel.set_xlim(low / room, high * room)
    narrow = high / low < 30
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if narrow else (1.0,), numticks=6))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def file_name(*words: str) -> str:
    """Return words as a name that is safe in a path.

    >>> file_name("epoch", "my task", "fine_tune (epochs=3)")
    'epoch-my-task-fine_tune-epochs-3'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", "-".join(words)).strip("-.")[:100] or "unnamed"

"""Pictures of the tables that inspections left under ``inspect/``: what happens from layer to layer.

Layers stand below each other from input to output, with the names of their blocks.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from numpy.typing import NDArray

from ptbench import Report
from ptbench_plots.canvas import ALARM, COLOURS, GRID, log_axis, new_figure, save, tidy_axes
from ptbench_plots.labels import plain

BINS = 160
"""Columns of a heat map."""
REACH = 5.0
"""Standard deviations on each side of 0 that a heat map of weights or activations shows."""
MAX_TICKS = 40
FLAG_NAMES = 12
"""Flagged layers that are named in the picture; the table has all."""

Rows = Sequence[Mapping[str, str]]


def write_inspections(report: Report, folder: Path) -> list[Path]:
    """Draw every inspection that ended well; return the pictures."""
    written = []
    for path in sorted((folder / "inspect").glob("*/inspection.json")):
        about = json.loads(path.read_text("utf-8"))
        if about.get("status") != "ok":
            continue
        tables = {name: _read(path.with_name(f"{name}.csv")) for name in TABLES}
        for name, draw in DRAWN.items():
            if any(tables[table] for table in NEEDED[name]):
                written += draw(about, tables, path.with_name(f"{name}.png"))
    return written


def draw_gradients(about: Mapping[str, Any], tables: Mapping[str, Rows], path: Path) -> list[Path]:
    """Draw relative gradient norms of layers, flagged ones marked, beside the sizes of single gradients."""
    layers = [row for row in tables["gradients"] if row["level"] == "layer"]
    tensors = [row for row in tables["gradients"] if row["level"] == "tensor"]
    if not layers:
        return []
    figure = new_figure(11.5, _height(max(len(layers), len(tensors) / 2)), _title(about, "gradients"))
    left, right = figure.subplots(1, 2, width_ratios=(3, 4))
    places = np.arange(len(layers))
    norms = np.array([_number(row["relative"]) for row in layers])
    good = np.isfinite(norms) & (norms > 0)
    left.plot(norms[good], places[good], "o-", color=COLOURS[0], markersize=3, linewidth=0.8)
    if good.any():
        log_axis(left, norms[good])
    edge = float(norms[good].min()) if good.any() else 1.0
    flagged = [i for i, row in enumerate(layers) if row["flag"]]
    for number, i in enumerate(flagged):
        at = norms[i] if good[i] else edge
        left.plot([at], [i], "X", color=ALARM, markersize=8, zorder=3)
        if number < FLAG_NAMES:
            words = f"{layers[i]['flag']}: {plain(layers[i]['layer'], 36)}"
            right_half = good.any() and at > math.sqrt(edge * float(norms[good].max()))
            left.annotate(
                words, (at, i), xytext=(-8 if right_half else 8, 0), textcoords="offset points", va="center",
                ha="right" if right_half else "left", fontsize=7, color=ALARM, parse_math=False,
            )  # fmt: skip
    tidy_axes(left, "norm by layer", "norm / weights", "")
    left.set_xlabel("gradient norm / weight norm (log)")
    _blocks(left, [row["block"] for row in layers])
    edges = np.linspace(-12, 2, BINS + 1)
    bins = _bins(tables["histograms"], "gradients")
    known = [row for row in tensors if row["name"] in bins]
    heat = [_spread(_log_edges(bins[row["name"]]), edges) for row in known]
    _heat(right, heat, edges, [row["block"] for row in known])
    right.set_title("sizes by parameter", fontsize="medium")
    right.set_xlabel("log10 of the absolute gradient; brighter: more of them")
    return [save(figure, path)]


def draw_weights(about: Mapping[str, Any], tables: Mapping[str, Rows], path: Path) -> list[Path]:
    """Draw the distribution of each matrix in units of its deviation, its rms and its effective rank."""
    rows = [row for row in tables["weights"] if "x" in row["shape"] and row["std"]]
    rows = rows or [row for row in tables["weights"] if row["std"]]
    keys = [row["name"] for row in rows]
    ranks = [_number(row["effective_rank"]) / _least_side(row["shape"]) for row in rows]
    side = [
        ("rms (log)", [_number(row["rms"]) for row in rows], True),
        ("effective rank / full", ranks, False),
    ]
    return _distributions(about, tables, "weights", rows, keys, side, path)


def draw_activations(about: Mapping[str, Any], tables: Mapping[str, Rows], path: Path) -> list[Path]:
    """Draw the distribution of what each layer puts out, its deviation, zeros and dead units."""
    rows = [row for row in tables["activations"] if row["std"]]
    keys = [row["layer"] for row in rows]
    dead = [_number(row["dead"]) / _number(row["shape"]) for row in rows]
    zeros = [_number(row["zeros"]) for row in rows]
    side = [
        ("std (log)", [_number(row["std"]) for row in rows], True),
        ("zeros", zeros, False),
        ("dead units", dead, False),
    ]
    return _distributions(about, tables, "activations", rows, keys, side, path)


def draw_cka(about: Mapping[str, Any], tables: Mapping[str, Rows], path: Path) -> list[Path]:
    """Draw how alike the layers are: linear CKA as published, and debiased."""
    rows = tables["cka"]
    ours = list(dict.fromkeys(row["layer_a"] for row in rows))
    theirs = list(dict.fromkeys(row["layer_b"] for row in rows))
    size = min(max(0.24 * max(len(ours), len(theirs)), 2.0), 12.0)
    step = math.ceil(max(len(ours), len(theirs)) / 60)
    figure = new_figure(2 * size + 5.5, size + 2.6, _title(about, "linear CKA of layers"))
    panels = figure.subplots(1, 2, sharey=True)
    small = len(ours) * len(theirs) <= 150
    for panel, key, words in zip(panels, ("cka", "cka_debiased"), ("CKA", "debiased CKA"), strict=True):
        values = {(row["layer_a"], row["layer_b"]): _number(row[key]) for row in rows}
        matrix = np.array([[values[a, b] for b in theirs] for a in ours])
        image = panel.imshow(matrix, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        panel.set_title(f"{words} (n = {rows[0]['n']})", fontsize="medium")
        across, down = ([plain(name) for name in names[::step]] for names in (theirs, ours))
        panel.set_xticks(range(0, len(theirs), step), across, rotation=90, fontsize=7, parse_math=False)
        panel.set_yticks(range(0, len(ours), step), down, fontsize=7, parse_math=False)
        panel.set_xlabel(plain(rows[0]["model_b"], 40), parse_math=False)
        for i, j in np.ndindex(matrix.shape) if small else ():
            if math.isfinite(matrix[i, j]):
                dark = "black" if matrix[i, j] > 0.6 else "white"
                panel.text(j, i, f"{matrix[i, j]:.2f}", ha="center", va="center", fontsize=6, color=dark)
    panels[0].set_ylabel(plain(rows[0]["model_a"], 40), parse_math=False)
    figure.colorbar(image, ax=panels, shrink=0.8)
    return [save(figure, path)]


def _distributions(
    about: Mapping[str, Any],
    tables: Mapping[str, Rows],
    part: str,
    rows: Rows,
    keys: Sequence[str],
    side: Sequence[tuple[str, Sequence[float], bool]],
    path: Path,
) -> list[Path]:
    """Draw a heat map, a row per layer in units of its deviation, and lines of other figures beside it."""
    if not rows:
        return []
    figure = new_figure(6.5 + 2.2 * len(side), _height(len(rows)), _title(about, part))
    panels = figure.subplots(1, 1 + len(side), sharey=True, width_ratios=(4, *[1.6] * len(side)))
    edges = np.linspace(-REACH, REACH, BINS + 1)
    bins = _bins(tables["histograms"], part)
    heat = [
        _spread([(low / std, high / std, n) for low, high, n in bins.get(key, ())], edges)
        if (std := _number(row["std"])) > 0
        else np.zeros(BINS)
        for row, key in zip(rows, keys, strict=True)
    ]
    _heat(panels[0], heat, edges, [row["block"] for row in rows])
    panels[0].set_xlabel("value / standard deviation of the layer; brighter: more of them")
    panels[0].set_title(f"distribution of {part}", fontsize="medium")
    for panel, (words, values, log) in zip(panels[1:], side, strict=True):
        numbers = np.array(values)
        known = np.isfinite(numbers) & ((numbers > 0) | (not log))
        alarm = [bool(row.get("flag")) for row in rows]
        panel.plot(numbers[known], np.flatnonzero(known), "o-", color=COLOURS[0], markersize=3, linewidth=0.8)
        marked = np.flatnonzero(known & np.array(alarm))
        panel.plot(numbers[marked], marked, "X", color=ALARM, markersize=8)
        if log and known.any():
            log_axis(panel, numbers[known])
        else:
            panel.set_xlim(-0.03, max(0.1, 1.05 * float(np.max(numbers[known], initial=0.0))))
        panel.set_xlabel(words)
        panel.grid(visible=True, color=GRID, linewidth=0.5)
    return [save(figure, path)]


def _heat(
    panel: Axes, heat: Sequence[NDArray[np.float64]], edges: NDArray[np.float64], blocks: Sequence[str]
) -> None:
    if heat:
        extent = (float(edges[0]), float(edges[-1]), len(heat) - 0.5, -0.5)
        norm = PowerNorm(0.5, vmin=0, vmax=float(np.quantile(np.array(heat), 0.995)) or 1.0)
        panel.imshow(
            np.array(heat), aspect="auto", extent=extent, cmap="magma", norm=norm, interpolation="nearest"
        )
    _blocks(panel, blocks)


def _blocks(panel: Axes, blocks: Sequence[str]) -> None:
    """Name the blocks at the side, with a line where each begins; the input is at the top."""
    if not blocks:
        panel.set_axis_off()
        return
    starts = [i for i, block in enumerate(blocks) if i == 0 or blocks[i - 1] != block]
    ends = [*starts[1:], len(blocks)]
    step = math.ceil(len(starts) / MAX_TICKS)
    middles = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    names = [plain(blocks[start]) for start in starts]
    panel.set_yticks(middles[::step], names[::step], fontsize=7, parse_math=False)
    for start in starts[1:]:
        panel.axhline(start - 0.5, color="#bbbbbb", linewidth=0.6)
    panel.set_ylim(len(blocks) - 0.5, -0.5)


def _spread(bins: Sequence[tuple[float, float, int]], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return which share of the numbers lies between these edges, evenly spread within their own bins."""
    if not bins:
        return np.zeros(len(edges) - 1)
    lows, highs, counts = map(np.array, zip(*bins, strict=True))
    total = counts.sum()
    if not total:
        return np.zeros(len(edges) - 1)
    cumulated = np.concatenate([[0.0], np.cumsum(counts)]) / total
    bounds = np.concatenate([lows[:1], highs])
    if np.ptp(bounds) == 0:  # one value: it has no width
        shares: NDArray[np.float64] = np.histogram(lows[:1], edges)[0].astype(np.float64)
        return shares
    spread: NDArray[np.float64] = np.diff(np.interp(edges, bounds, cumulated))
    return spread


def _log_edges(bins: Sequence[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    """Return bins of sizes with the logarithms of their edges; zeros lie below all that is drawn."""
    return [
        (math.log10(low) if low > 0 else -99.0, math.log10(high) if math.isfinite(high) else 99.0, n)
        for low, high, n in bins
    ]


def _bins(rows: Rows, part: str) -> dict[str, list[tuple[float, float, int]]]:
    found: dict[str, list[tuple[float, float, int]]] = {}
    for row in rows:
        if row["part"] == part:
            bin_ = (float(row["low"]), float(row["high"] or "inf"), int(row["count"]))
            found.setdefault(row["layer"], []).append(bin_)
    return found


def _least_side(shape: str) -> float:
    sides = [int(side) for side in shape.split("x")]
    return float(min(sides[0], math.prod(sides[1:])))


def _title(about: Mapping[str, Any], what: str) -> str:
    model, task, against = (plain(str(about.get(key) or ""), 48) for key in ("model", "task", "against"))
    if what == "weights":
        return f"{what}: {model}"
    sample = f"{about.get('examples')} {about.get('split') or ''} examples"
    return f"{what}: {model}{f' against {against}' if against else ''} on {task}, {sample}"


def _height(rows: float) -> float:
    return min(max(4.0, 1.6 + 0.11 * rows), 24.0)


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _read(path: Path) -> Rows:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


TABLES = ("weights", "gradients", "activations", "histograms", "cka")
DRAWN = {
    "gradients": draw_gradients, "weights": draw_weights, "activations": draw_activations, "cka": draw_cka,
}  # fmt: skip
NEEDED = {
    "gradients": ("gradients",),
    "weights": ("weights",),
    "activations": ("activations",),
    "cka": ("cka",),
}

"""One series as a small picture: a line with gaps, the levels it ran at, and where they changed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ptbench import ChangePoint, History, Series
from ptbench_html.markup import Html, clean, el, join

WIDTH, HEIGHT, EDGE = 320, 48, 6
POINTS = 320
"""Nights that are drawn one by one; of more, the least and the greatest of each pixel."""


def line(history: History, series: Series) -> Html:
    """Return a series as SVG; its change points and its last outlier are marks that tell what happened."""
    nights = series.nights
    if not nights:
        return Html()
    values = [float(series.values[night]) for night in nights]
    low, high = min(values), max(values)
    x, y = (
        Scale(0, max(1, len(history.nights) - 1), EDGE, WIDTH - EDGE),
        Scale(low, high, HEIGHT - EDGE, EDGE),
    )

    def at(night: int) -> str:
        return f"{x(night):.1f} {y(float(series.values[night])):.1f}"

    parts = list(_parts(thinned(series), gap=max(1, math.ceil(len(history.nights) / POINTS))))
    lone = "".join(f"M{at(part[0])}h0" for part in parts if len(part) == 1)
    path = "".join(f"M{'L'.join(map(at, part))}" for part in parts if len(part) > 1)
    marks = [_mark(change_words(history, point), point, x, y) for point in series.changes]
    if series.stands_out:
        marks.append(_outlier(f"stands out: {values[-1]:.4g}", x(nights[-1]), y(values[-1])))
    if marks:
        marks[0] = Html(marks[0].replace('tabindex="-1"', 'tabindex="0"', 1))
    words = f"{series.title}: {values[0]:.4g} to {values[-1]:.4g} in {len(nights):,} nights"
    shapes = (path, "series c0"), (lone, "series c0 lone")
    drawn = [el("path", d=shape, class_=kind) for shape, kind in shapes if shape]
    levels = el("path", d=_levels(history, series, x, y), class_="level") if series.changes else ""
    return el(
        "svg", *drawn, levels, *marks, viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="group", aria_label=clean(words),
    )  # fmt: skip


def thinned(series: Series) -> list[int]:
    """Return the nights to draw: all, or of each pixel those with the least and the greatest value."""
    nights = series.nights
    size = math.ceil(len(series.values) / POINTS) * 2
    if size == 2:
        return nights
    kept: set[int] = {nights[0], nights[-1]}
    bins: dict[int, list[int]] = {}
    for night in nights:
        bins.setdefault(night // size, []).append(night)
    for found in bins.values():
        kept |= {
            min(found, key=lambda night: series.values[night]),
            max(found, key=lambda night: series.values[night]),
        }
    return sorted(kept)


def change_words(history: History, point: ChangePoint) -> str:
    """Return a change in words, with its causes."""
    night = history.nights[point.night]
    causes = "; ".join(point.causes) or "nothing changed that is known of"
    return f"{night.started[:10] or night.run}: {point.words}\n{causes}"


class Scale:
    """From a number to its place in the picture."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low = low
        self._step = (end - start) / (high - low) if high > low else 0.0
        self._start = start if high > low else (start + end) / 2

    def __call__(self, value: float) -> float:
        """Return the place of a number."""
        return self._start + (value - self._low) * self._step


def _parts(nights: list[int], gap: int) -> Iterator[list[int]]:
    """Yield the nights in pieces that a line may join: a night without a score parts them."""
    part: list[int] = []
    for night in nights:
        if part and night - part[-1] > (gap if gap == 1 else 4 * gap):
            yield part
            part = []
        part.append(night)
    yield part


def _levels(history: History, series: Series, x: Scale, y: Scale) -> str:
    """Return a stroke for the mean of each stretch."""
    starts = [series.nights[0], *(point.night for point in series.changes)]
    ends = [*(point.last for point in series.changes), series.nights[-1]]
    levels = [series.changes[0].before, *(point.after for point in series.changes)]
    return "".join(
        f"M{x(start):.1f} {y(level):.1f}H{x(end):.1f}"
        for start, end, level in zip(starts, ends, levels, strict=True)
    )


def _mark(words: str, point: ChangePoint, x: Scale, y: Scale) -> Html:
    where, verdict = f"{x(point.night):.1f}", "v-better" if point.better else "v-worse"
    stroke = el("path", d=f"M{where} 0V{HEIGHT}", class_="whisker")
    spot = el("circle", class_="mark", cx=where, cy=f"{y(point.after):.1f}", r="5")
    return _told(words, verdict, join([stroke, spot]))


def _outlier(words: str, x: float, y: float) -> Html:
    return _told(words, "outlier", el("circle", class_="mark", cx=f"{x:.1f}", cy=f"{y:.1f}", r="5"))


def _told(words: str, kind: str, shape: Html) -> Html:
    said = clean(words)
    return el("g", shape, class_=kind, data_tip=said, aria_label=said, role="img", tabindex="-1")

"""Names beside points: inert, short, and not upon each other as far as there is room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, count
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from ptbench import ParetoPoint, Record

MAX_NAME = 28
MAX_LABELS = 40
"""Labels in one panel where there are points off the front; more would hide more than they tell."""
PLACES: tuple[tuple[float, float, Literal["left", "right"]], ...] = (
    (7, 4, "left"), (-7, 4, "right"), (7, -11, "left"), (-7, -11, "right"),
    (7, 14, "left"), (-7, 14, "right"), (7, -21, "left"), (-7, -21, "right"),
    (7, 24, "left"), (-7, 24, "right"), (7, -31, "left"), (-7, -31, "right"),
)  # fmt: skip
"""Where a label may stand: offset in points from its point, and alignment."""


def plain(name: str, longest: int = MAX_NAME) -> str:
    r"""Return a name that can be drawn: printable, and at most so many characters.

    >>> plain("tab\tand \ud800 " + "x" * 300)
    'tab?and ? xxxxxxxxxxxxxxxxx…'
    """
    text = "".join(c if c.isprintable() else "?" for c in name)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def distinct(names: Iterable[str], longest: int = MAX_NAME) -> dict[str, str]:
    """Return a name that can be drawn for each name: those that would look the same are told apart.

    They keep their ends; where that is not enough, they are numbered.

    >>> list(distinct(["a-long-name-1", "a-long-name-2", "b"], 10).values())
    ['a-lon…me-1', 'a-lon…me-2', 'b']
    """
    unique = list(dict.fromkeys(names))
    looks = Counter(plain(name, longest) for name in unique)
    shown, taken = {}, set(looks)
    for name in unique:
        look = plain(name, longest)
        if looks[look] > 1:
            numbers = (f" #{i}" for i in count(1))
            tries = (plain(name, longest - len(number)) + number for number in numbers)
            look = next(each for each in chain([_ends(name, longest)], tries) if each not in taken)
            taken.add(look)
        shown[name] = look
    return shown


def _ends(name: str, longest: int) -> str:
    """Return a name that is cut in the middle."""
    text, end = plain(name, max(longest, len(name))), (longest - 1) // 2
    return text if len(text) <= longest else f"{text[: longest - 1 - end]}…{text[-end:]}"


def variants(records: Iterable[Record], longest: int = MAX_NAME) -> dict[str, str]:
    """Return for the label of each record one that can be drawn; no two are the same.

    Where labels of one protocol are too long, they have the options alone in which its variants differ.
    """
    found: dict[str, dict[str, Record]] = {}
    for record in records:
        found.setdefault(record.protocol, {})[record.label] = record
    short = {}
    for labels in found.values():
        alike = set.intersection(*({(k, str(v)) for k, v in r.options.items()} for r in labels.values()))
        cut = len(labels) > 1 and any(len(label) > longest for label in labels)
        for label, record in labels.items():
            own = {k: v for k, v in record.options.items() if (k, str(v)) not in alike}
            short[label] = replace(record, options=own).label if cut else label
    shown = distinct(short.values(), longest)
    return {label: shown[name] for label, name in short.items()}


def place_labels(panel: Axes, points: Sequence[ParetoPoint]) -> None:
    """Write the name of each model beside its point: those on the front first, the others where room is.

    The panel must have been laid out. A name that finds no room is left
    out: the table has it.
    """
    space = panel.get_window_extent()
    taken = [_around(panel, point) for point in points if point.front]
    behind = [_around(panel, point) for point in points if not point.front]
    ranked = sorted(points, key=lambda p: (not p.front, p.cost))
    for number, point in enumerate(ranked):
        if not point.front:
            if number >= MAX_LABELS:
                return
            taken, behind = taken + behind, []
        label = panel.annotate(
            plain(point.model), (point.cost, point.score), xytext=PLACES[0][:2], textcoords="offset points",
            fontsize=7.5, color="black" if point.front else "#555555", parse_math=False, zorder=4,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip
        for x, y, side in PLACES:
            label.set_position((x, y))
            label.set_horizontalalignment(side)
            box = label.get_window_extent()
            inside = space.x0 <= box.x0 and box.x1 <= space.x1 and space.y0 <= box.y0 and box.y1 <= space.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
        else:
            label.remove()


def _around(panel: Axes, point: ParetoPoint) -> Bbox:
    x, y = panel.transData.transform((point.cost, point.score))
    return Bbox.from_extents(x - 5, y - 5, x + 5, y + 5)

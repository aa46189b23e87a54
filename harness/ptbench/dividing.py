"""Into how many parts a cell is split, so that it does not hold all others."""

from __future__ import annotations

import math
from collections.abc import Sequence

PARTS_PER_SLOT = 4
"""Into how many parts a cell is split for each slot that is to help, where it has so many blocks."""
WORTH = 0.05
"""The share of its time that a cell must win for it to be split, where times were measured."""
DOUBT = 8.0
"""A cell that holds the others if it takes so many times its guess is split: others help if it does."""


def count_parts(
    blocks: int,
    work: float,
    own: float,
    load: float,
    *,
    held: bool,
    measured: bool,
    ready: Sequence[float],
    waiting: float,
) -> int:
    """Return into how many parts a cell of so many blocks is split; 1: it is not.

    It takes ``work`` seconds that parts can do, each its share, and ``own`` after them; a slot that helps
    needs ``load`` for the model, and the first one too unless it is ``held`` there. Slots are ``ready`` after
    so many seconds each, and ``waiting`` is the work that nobody has begun, this included.

    A cell whose time is guessed is split early and finely: parts that one slot does in turn cost it nothing,
    and slots that are free before it is done take what remains.
    """
    if work < load:
        return 1
    slots = len(ready)
    here, span = work + own + (0.0 if held else load), (waiting + sum(ready)) / slots
    if not measured:
        return min(blocks, PARTS_PER_SLOT * slots) if DOUBT * here > span else 1
    if here <= span:
        return 1
    # As many help as it takes to be done when all else is.
    room = _level(ready, waiting) - load - own - (0.0 if held else load)
    helpers = min(slots, blocks)
    if room * helpers > work:
        helpers = math.ceil(work / room)
    won = work - load - work / helpers
    return min(blocks, PARTS_PER_SLOT * helpers) if won > WORTH * here else 1


def _level(ready: Sequence[float], work: float) -> float:
    """Return when slots that are ready at these times have done so much work, all ending together."""
    total = 0.0
    ordered = sorted(ready)
    for n, time in enumerate(ordered, start=1):
        total += time
        level = (work + total) / n
        if n == len(ordered) or level <= ordered[n]:
            return level
    return 0.0

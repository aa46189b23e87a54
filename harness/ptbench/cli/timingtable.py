"""Where the time of a run went, in a line or two below its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from ptbench.cli.slotview import clock
from ptbench.errors import printable

TOLD = 0.0005
"""A share below this is not told."""
ROWS = 8
"""Slots that are told one by one; of more, the most idle ones."""


def timing_lines(timing: object) -> Iterator[Text]:
    """Yield what ``timing`` of ``run.json`` says; nothing where there is none, or it is not understood."""
    try:
        lines = list(_lines(timing)) if isinstance(timing, Mapping) else []
    except (KeyError, TypeError, ValueError, AttributeError):  # of another version
        return
    yield from lines


def _lines(timing: Mapping[str, Any]) -> Iterator[Text]:
    slots = timing["slots"]
    text = f"took {_duration(timing['seconds'])}"
    if timing["inspections"]:
        text += f" and inspections {_duration(timing['inspections'])}"
    if not any(slot["jobs"] for slot in slots.values()):  # all was reused
        yield Text(text, style="dim")
        return
    if predicted := timing["predicted"]:
        later = f" after {_duration(predicted['after'])}:" if predicted["after"] >= 1 else ""
        text += f" (predicted{later} {_duration(predicted['seconds'])})"
    text += f"; slots idle {percent(timing['idle'])}; harness {percent(timing['harness'])}"
    shares = sorted(timing["shares"].items(), key=lambda item: -item[1])
    told = [f"{printable(name)} {percent(share)}" for name, share in shares if share >= TOLD]
    text += f": {', '.join(told)}" if told else ""
    yield Text(text, style="dim")
    if len(slots) > 1:
        rows = (
            sorted(slots.items(), key=lambda item: -item[1]["share"]) if len(slots) > ROWS else slots.items()
        )
        told = [
            f"{printable(name)} {percent(slot['share'])} of {slot['jobs']} job{'s' * (slot['jobs'] != 1)}"
            for name, slot in list(rows)[:ROWS]
        ]
        more = f", {len(slots) - ROWS} more are less idle" if len(slots) > ROWS else ""
        yield Text(f"idle by slot: {', '.join(told)}{more}", style="dim")


def percent(share: float) -> str:
    """Return a share as people read it.

    >>> percent(0.0), percent(0.0004), percent(0.021), percent(0.34)
    ('0 %', '0.0 %', '2.1 %', '34 %')
    """
    return f"{share:.0%}".replace("%", " %") if not share or share >= 0.0995 else f"{100 * share:.1f} %"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else clock(seconds)

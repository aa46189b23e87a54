"""Markdown of texts that nobody vouches for: they are shown as they are, and do nothing.

Escaped is what GitHub's dialect makes something of: marks of CommonMark and of tables, HTML, formulas,
addresses that would become links, mentions of people and of issues. Control characters, those that turn the
direction of writing too, are shown as escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ptbench.errors import printable

MAX_TEXT = 60
"""Characters of a name before it is cut."""
SEVERED = "&#8203;"
"""A space of no width: behind it no link and no mention begins."""
_ACTIVE = re.compile(
    r"[\\`*\[\]|~$!&<@#]"
    r"|(?<!-)>"  # an arrow is none
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # within a word it is none
    r"|:(?=//)"  # an address
    r"|(?<=[wW]{3})\."
    r"|(?<=[gG][hH])-(?=\d)"  # an issue
)
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def inert(text: object, most: int = MAX_TEXT) -> str:
    r"""Return a text of at most ``most`` characters so that Markdown shows it as it is, on one line.

    >>> inert("a|b <b>*c*")
    'a\\|b &lt;b&gt;\\*c\\*'
    >>> inert("linear_probe"), inert("_x_")
    ('linear_probe', '\\_x\\_')
    >>> inert("@team https://x.org")
    '@&#8203;team https:&#8203;//x.org'
    """
    return _ACTIVE.sub(_escape, printable(shortened(str(text), most)))


def shortened(text: str, most: int) -> str:
    """Return the beginning of a text that is too long, with a mark.

    >>> shortened("abcdef", 4), shortened("abcd", 4)
    ('abc…', 'abcd')
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def fitting(blocks: Iterable[str], room: int, unit: str, where: str) -> str:
    """Return the first blocks that fit into ``room`` bytes, and a sentence about the others.

    Each block ends with its newlines.

    >>> print(fitting(["- one\\n", "- two\\n", "- three\\n"], 12, "failures", "report.csv"), end="")
    - one
    - two
    <BLANKLINE>
    Cut here: 1 more of 3 failures; report.csv has all.
    """
    every = list(blocks)
    kept = _first(every, room)
    left = len(every) - kept
    said = f"\nCut here: {left:,} more of {len(every):,} {unit}; {where} has all.\n" if left else ""
    return "".join(every[:kept]) + said


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], room: int, unit: str, where: str, texts: int = 1
) -> str:
    """Return a table of cells that are Markdown already; rows that do not fit are told of below it.

    The first ``texts`` columns are set to the left, the others, numbers, to the right.
    """
    marks = [":--" if column < texts else "--:" for column in range(len(header))]
    head = _line(header) + _line(marks)
    return head + fitting(map(_line, rows), room - len(head.encode()), unit, where)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _first(blocks: Sequence[str], room: int) -> int:
    """Return how many blocks fit."""
    for kept, block in enumerate(blocks):
        room -= len(block.encode())
        if room < 0:
            return kept
    return len(blocks)


def _escape(found: re.Match[str]) -> str:
    mark = found[0]
    if mark in _ENTITIES:
        return _ENTITIES[mark]
    if mark in "@:.-":
        return mark + SEVERED if mark != "." else SEVERED + mark
    return f"\\{mark}{SEVERED}" if mark == "#" else f"\\{mark}"

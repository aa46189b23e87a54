"""Small pieces of HTML: every text is escaped here, and numbers are written the same everywhere."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable
from typing import Any

from ptbench import printable

MINUS, NOTHING = "\N{MINUS SIGN}", "\N{EN DASH}"


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def clean(text: object) -> str:
    r"""Return text that shows all it holds: what is unseen or turns the writing stands there as its escape.

    Lines and tabs stay.

    >>> clean("a\x00b\u202ec\ud800")
    'a\\x00b\\u202ec\\ud800'
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    lines = shown.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)


def esc(text: object) -> str:
    """Return text as it may stand between tags and in a quoted attribute.

    >>> esc('<b title="x">'), esc(Html("<b>"))
    ('&lt;b title=&quot;x&quot;&gt;', '<b>')
    """
    return text if isinstance(text, Html) else html.escape(clean(text))


def el(tag: str, *children: object, **attributes: object) -> Html:
    """Return an element; an attribute that is None or False is left out, ``_`` in names stands for ``-``.

    >>> el("a", "<", href="#x", class_="y", hidden=False)
    '<a href="#x" class="y">&lt;</a>'
    """
    given = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{esc(value)}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{tag}{given}>{''.join(map(esc, children))}</{tag}>")


def join(parts: Iterable[object], between: str = "") -> Html:
    """Return pieces one after the other."""
    return Html(esc(between).join(map(esc, parts)))


def name(text: object) -> Html:
    """Return a name that was given from outside: a change of writing direction ends with it."""
    return el("bdi", text)


def hidden(text: object) -> Html:
    """Return what only a screen reader says."""
    return el("span", text, class_="vh")


def entry(model: str, protocol: str) -> Html:
    """Return a model under a protocol."""
    return join([el("b", name(model)), el("small", name(protocol), class_="under")], " ")


def sort_button(title: object) -> Html:
    """Return what a script makes sort a table, for the head of a column."""
    return el("button", title, el("span", class_="arrow", aria_hidden="true"), type="button")


def number(value: float | None, digits: int = 3) -> str:
    """Return a score as people read it; a dash where there is none.

    >>> number(0.84217), number(12.345), number(1234.5), number(0.00001)
    ('0.842', '12.35', '1,234', '1.0e-05')
    >>> number(-0.5) == f"{MINUS}0.500", number(float("nan")) == NOTHING
    (True, True)
    """
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    size = abs(value)
    small = 0 < size < 10**-digits / 2
    shown = (
        f"{size:.1e}" if small or size >= 1e7 else f"{size:,.0f}" if size >= 1000 else f"{size:.{digits}f}"
    )
    if 10 <= size < 1000:
        shown = f"{size:.{digits - 1}f}"
    return (MINUS if value < 0 else "") + shown


def signed(value: float) -> str:
    """Return a change with its sign.

    >>> signed(0.01), signed(0)
    ('+0.010', '0.000')
    """
    return ("+" if value > 0 else "") + number(value)


def percent(share: float) -> str:
    """Return a change as a share, with its sign.

    >>> percent(0.5), percent(-0.934) == f"{MINUS}93 %", percent(-0.001)
    ('+50 %', True, '0 %')
    """
    whole = round(100 * share)
    return f"{'+' if whole > 0 else MINUS if whole < 0 else ''}{abs(whole):,} %"


def span(low: float, high: float) -> str:
    """Return the ends of an interval; "" where it has none.

    >>> span(0.1, 0.25)
    '0.100 to 0.250'
    """
    return "" if math.isnan(low) or math.isnan(high) else f"{number(low)} to {number(high)}"


def duration(seconds: float) -> str:
    """Return a time as people read it.

    >>> duration(0.004), duration(2.34), duration(75), duration(7322)
    ('4 ms', '2.3 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def listed(words: Iterable[object], most: int = 3) -> Html:
    """Return words as a list in a sentence; what is too much is counted.

    >>> listed(["a", "b"]), listed("abcdef")
    ('a and b', 'a, b, c and 3 others')
    """
    found = [esc(word) for word in words]
    if len(found) > most + 1:
        found = [*found[:most], f"{len(found) - most} others"]
    return Html(" and ".join(filter(None, [", ".join(found[:-1]), *found[-1:]])))


def script_json(data: Any) -> str:
    r"""Return JSON that cannot end the script element it stands in, nor a line of a script.

    >>> script_json({"a": "</script>", "b": float("nan")})
    '{"a":"\\u003c/script\\u003e","b":null}'
    """
    text = json.dumps(_plain(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {clean(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value

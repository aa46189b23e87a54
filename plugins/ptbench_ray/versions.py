"""Whether two machines have the same things installed."""

from __future__ import annotations

from collections.abc import Mapping

SHOWN = 4


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Return what differs, as people read it; nothing where all is the same.

    >>> differences({"python": "3.12.1", "numpy": "2.0"}, {"python": "3.12.1", "numpy": "2.1"})
    'numpy 2.1 there, 2.0 here'
    >>> differences({"timm": "1.0"}, {})
    'timm: none there, 1.0 here'
    """
    found = [
        f"{name} {there[name]} there, {here[name]} here"
        if name in here and name in there
        else f"{name}: {there.get(name, 'none')} there, {here.get(name, 'none')} here"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]
    more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more

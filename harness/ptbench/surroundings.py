"""What a run was made with, item by item, and what of it differs between two runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

SUITE_TEXT = "suite text"
"""The item that is a digest."""


def environment_of(run: Mapping[str, Any]) -> dict[str, str]:
    """Return what ``run.json`` says a run was made with, item by item, each as a text."""
    machine, packages = (_table(run.get(name)) for name in ("machine", "packages"))
    plugins = [_table(one) for one in _list(run.get("plugins"))]
    found = {
        "commit": run.get("commit"),
        SUITE_TEXT: _digest(run.get("text")),
        "python": run.get("python"),
        **packages,
        **{f"plugin {name}": told for name, told in map(_plugin, plugins)},
        "gpus": machine.get("gpus"),
        "processor": machine.get("processor"),
        "cores": machine.get("cores"),
        "memory (GiB)": machine.get("memory_gb"),
        "system": machine.get("system"),
        **{name: run.get(name) for name in ("executor", "device")},
        "slots": ", ".join(map(str, _list(run.get("slots")))),
        "canonical batches": run.get("canonical") or None,
    }
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def environment_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return what differs between two environments (`Summary.environment`), a few words each.

    >>> environment_changes({"torch": "2.6", "suite text": "00"}, {"torch": "2.7", "suite text": "01"})
    ['torch 2.6 -> 2.7', 'suite text changed']
    """
    found = []
    for name in {**after, **before}:
        old, new = before.get(name, "none"), after.get(name, "none")
        if old != new:
            found.append(
                f"{name} changed" if name == SUITE_TEXT else f"{name} {_brief(old)} -> {_brief(new)}"
            )
    return found


def _brief(text: str) -> str:
    """Return a commit with as many digits as people read, and other texts as they are."""
    return re.sub(r"\b([0-9a-f]{10})[0-9a-f]{30}\b", r"\1", text)


def _plugin(told: Mapping[str, Any]) -> tuple[str, str]:
    """Return name and version of a plugin, which stands there as ``hf (ptbench 0.1.0)``."""
    name, _, version = str(told.get("plugin", "")).partition(" (")
    broken = ", broken" if told.get("error") else ""
    return name, version.removesuffix(")") + broken


def _digest(text: object) -> str | None:
    if not isinstance(text, str):
        return None
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()

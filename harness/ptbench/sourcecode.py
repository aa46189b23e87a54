"""Which code computes: digests of sources, so that code is noticed that changes without its version.

What counts is read once per process: what runs is what was imported, not what somebody edits meanwhile.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

HARNESS = Path(__file__).resolve().parent
SCORELESS = frozenset(
    {
        *("cli", "runner", "testing", "poisoning", "reporters", "report", "executors", "workers"),
        *("schedule", "slots", "jobs", "journal", "lock", "durable", "identity", "digests", "sourcecode"),
        *("cache", "entries", "scratch", "environment", "progress", "errors", "failures", "pareto"),
        *("backlog", "dividing", "forecast", "pace", "workload", "answers", "output", "seats", "worker"),
        *("processes", "deaths", "neighbours", "gpus", "executorkit", "executorcells", "runlog", "runs"),
        *("tracking", "bundle", "replay", "archive", "scrub", "offline", "cellidentity", "version"),
        *("claims", "published", "inspect_table", "inspection", "cka", "profiles", "hookspecs", "__main__"),
        *("comparison", "details", "figures", "remarks", "history", "segmentation", "summaries", "results"),
    }
)
"""Modules of the harness that no score depends on; a new module counts until it is named here."""


def source_digests(file: str, others: Iterable[str] = ()) -> dict[str, str]:
    """Return a digest (16 hex digits) of each package whose sources a plugin runs, by name.

    ``file`` is that of the plugin's module, ``others`` those of all plugins: of these count the ones that
    it imports, and that they import, such as a shared engine. The harness always counts.
    """
    packages = {root.stem: root for root in map(_root, others) if root is not None}
    found = {HARNESS.name: HARNESS}
    waiting = [root] if (root := _root(file)) is not None else []
    while waiting:
        root = waiting.pop()
        if root.stem not in found:
            found[root.stem] = root
            waiting += [packages[name] for name in sorted(_imported(root)) if name in packages]
    return {name: _digest(root) for name, root in sorted(found.items())}


@cache
def _root(file: str) -> Path | None:
    """Return the package that a module is in, or the module where it is in none; None without sources."""
    path = Path(file)
    if path.suffix != ".py" or not path.is_file():
        return None
    path = path.resolve()
    while (path.parent / "__init__.py").is_file():
        path = path.parent
    return path


@cache
def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for name, source in _sources(root):
        digest.update(f"{name}\n{len(source)}\n".encode() + source)
    return digest.hexdigest()[:16]


@cache
def _imported(root: Path) -> frozenset[str]:
    """Return the packages that the sources name in an import, wherever it stands."""
    text = b"\n".join(source for _, source in _sources(root)).decode("utf-8", "replace")
    return frozenset(re.findall(r"^\s*(?:from|import)\s+(\w+)", text, re.MULTILINE))


@cache
def _sources(root: Path) -> tuple[tuple[str, bytes], ...]:
    files = sorted(root.rglob("*.py")) if root.is_dir() else [root]
    named = ((file.relative_to(root.parent).as_posix(), file) for file in files)
    scoreless = {f"{HARNESS.name}/{name}" for name in SCORELESS} if root == HARNESS else set()
    return tuple(
        (name, file.read_bytes())
        for name, file in named
        if not scoreless & {name.removesuffix(".py"), "/".join(name.split("/")[:2])}
    )

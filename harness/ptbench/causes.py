"""Why a level changed: what is not the same in the two nights about it.

The records of a night are read only where the summaries say that what a score depends on differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ptbench.cellidentity import changes as identity_changes
from ptbench.journal import read_records
from ptbench.pareto import Entry
from ptbench.summaries import EntrySummary, Summary
from ptbench.surroundings import environment_changes


class Causes:
    """Tells what changed between two nights, for one entry; every run is read once."""

    def __init__(self, folders: Sequence[Path], nights: Sequence[Summary]) -> None:
        self._folders, self._nights = folders, nights
        self._entries: dict[int, Mapping[Entry, EntrySummary]] = {}
        self._identities: dict[int, Mapping[Entry, Mapping[int, Mapping[str, str]]]] = {}

    def __call__(self, entry: Entry, before: int, after: int) -> list[str]:
        """Return what changed, a few words each: what the scores depend on first."""
        parts = []
        if self._digest(entry, before) != self._digest(entry, after):
            old, new = (self._identity(entry, night) for night in (before, after))
            for seed in sorted(old.keys() & new.keys())[:1]:
                parts = identity_changes(old[seed], new[seed])
        told = environment_changes(self._nights[before].environment, self._nights[after].environment)
        return [*parts, *(one for one in told if not any(one in part for part in parts))]

    def _digest(self, entry: Entry, night: int) -> str:
        if night not in self._entries:
            self._entries[night] = {one.key: one for one in self._nights[night].entries}
        return self._entries[night][entry].identity

    def _identity(self, entry: Entry, night: int) -> Mapping[int, Mapping[str, str]]:
        if night not in self._identities:
            found: dict[Entry, dict[int, Mapping[str, str]]] = {}
            try:
                for record in read_records(self._folders[night]):
                    entry_of = record.task, record.model, record.label
                    found.setdefault(entry_of, {})[record.seed] = record.identity
            except Exception:  # noqa: S110  (it was damaged, in whatever way, since its summary was made)
                pass
            self._identities[night] = found
        return self._identities[night].get(entry, {})

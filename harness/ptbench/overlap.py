"""Which test rows stand in train or validation too: looked for once per data, and kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ptbench.cache import Cache
from ptbench.catalog import Catalog
from ptbench.copies import Copy
from ptbench.data import Examples, Task
from ptbench.errors import PluginError, one_line
from ptbench.identity import Identity, code_versions
from ptbench.offers import Kind

AREA = "copies"
LEARNT = frozenset({"train", "validation"})
"""The splits that a protocol may learn from or choose on."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How far each test row stands in the rows that a protocol may learn from."""

    rows: NDArray[np.int8] | None = None
    """int8[test], as `ptbench.Copy`; None: nobody looked."""
    note: str = ""
    """Why nobody could."""

    @property
    def counts(self) -> dict[str, int] | None:
        """How many rows are copies, ``exact`` and ``near``; None: nobody looked."""
        if self.rows is None:
            return None
        return {copy.name.lower(): int((self.rows == copy).sum()) for copy in (Copy.EXACT, Copy.NEAR)}


@dataclass(slots=True)
class OverlapFinder:
    """Finds overlaps with what the kind of a task offers for it."""

    catalog: Catalog
    cache: Cache | None = None
    _found: dict[str, Overlap] = field(default_factory=dict)

    def find(self, task: Task, kind: Kind, data: str) -> Overlap:
        """Return the overlap of a task with this digest; what goes wrong with it is a note and no error."""
        if kind.copies is None or not task.splits.keys() & LEARNT:
            return Overlap()
        key = Identity({"data": data, "code": code_versions(kind, self.catalog)}).key()
        if key not in self._found:
            self._found[key] = self._kept(key, len(task.split("test"))) or self._looked(task, kind, key)
        return self._found[key]

    def _kept(self, key: str, n: int) -> Overlap | None:
        stored = self.cache.get(AREA, key) if self.cache else None
        rows = stored.arrays.get("rows") if stored else None
        return Overlap(np.array(rows)) if rows is not None and rows.shape == (n,) else None

    def _looked(self, task: Task, kind: Kind, key: str) -> Overlap:
        assert kind.copies is not None
        test = task.split("test").examples
        try:
            found = np.asarray(kind.copies(_learnt(task), test))
            if found.shape != (len(test),) or not np.isin(found, list(Copy)).all():
                raise PluginError(f"kind '{kind.name}' gave no ptbench.Copy for each test row")
            rows = found.astype(np.int8)
        except (Exception, SystemExit) as error:  # whatever a plugin raises must not cost a score
            return Overlap(note=f"nobody could look for copies of training rows: {one_line(error)}")
        if self.cache:
            about = {"task": task.name, "split": "test", "examples": len(test)}
            self.cache.put(AREA, key, {"rows": rows}, about)
        return Overlap(rows)


def _learnt(task: Task) -> Examples:
    """Return all examples that a protocol may learn from or choose on."""
    parts = [split.examples for name, split in sorted(task.splits.items()) if name in LEARNT]
    columns = {name: [value for part in parts for value in part[name]] for name in parts[0].columns}
    return Examples([i for part in parts for i in part.ids], columns)

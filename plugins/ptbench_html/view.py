"""What the parts of the page look up in a report, found once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ptbench import (
    Average,
    Capability,
    ParetoPoint,
    Record,
    Report,
    Score,
    Standing,
    Status,
    entries_of,
    grouped,
    ordered,
    pareto_points,
    tasks_of,
)

Entry = tuple[str, str]
"""A model and a protocol with its options."""
Place = tuple[str, str, str]
"""A task and an entry."""


@dataclass(frozen=True)
class View:
    """A report and what is asked of it again and again."""

    report: Report

    @cached_property
    def records(self) -> list[Record]:
        """All records, in the order of the suite."""
        return ordered(self.report)

    @cached_property
    def groups(self) -> Mapping[Place, list[Record]]:
        """The records of each place, a seed each."""
        return grouped(self.report)

    @cached_property
    def tasks(self) -> Mapping[str, str]:
        """Every task with its primary metric, or ""."""
        return tasks_of(self.report)

    @cached_property
    def standings(self) -> Mapping[Place, Standing]:
        """Where each entry stands on the primary metric of a task."""
        primary = [s for s in self.report.standings if self.tasks.get(s.task) == s.metric]
        return {(s.task, s.model, s.protocol): s for s in primary}

    @cached_property
    def _rivals(self) -> Mapping[str, list[Standing]]:
        found: dict[str, list[Standing]] = {}
        for standing in self.standings.values():
            if (standing.model, standing.protocol) not in self.peeking:
                found.setdefault(standing.task, []).append(standing)
        return found

    @cached_property
    def averages(self) -> Mapping[Entry, Average]:
        """The averages by entry."""
        return {(a.model, a.protocol): a for a in self.report.averages}

    @cached_property
    def leaders(self) -> list[Average]:
        """The averages of those that did not see the targets, the best first."""
        return [a for a in self.report.averages if (a.model, a.protocol) not in self.peeking]

    @cached_property
    def tied_averages(self) -> list[Average]:
        """Those after the best that share a letter with it."""
        groups = letters([average.group for average in self.leaders])
        return [self.leaders[i] for i in range(1, len(groups)) if groups[i] & groups[0]]

    @cached_property
    def higher(self) -> Mapping[str, bool]:
        """Whether more is better, by task."""
        found: dict[str, bool] = {}
        for record in self.records:
            if record.task not in found and (score := record.score(self.tasks[record.task])):
                found[record.task] = score.higher_is_better
        return found

    @cached_property
    def entries(self) -> list[Entry]:
        """All entries, the best first: by average, by the only task, or in the order of the suite."""
        found = entries_of(self.report)
        if self.report.averages:
            place = {entry: i for i, entry in enumerate(self.averages)}
            return sorted(found, key=lambda e: (e in self.peeking, place.get(e, len(place))))
        if len(self.tasks) == 1:
            (task,) = self.tasks
            return sorted(found, key=lambda entry: (entry in self.peeking, self.loss(task, entry)))
        return found

    @cached_property
    def peeking(self) -> frozenset[Entry]:
        """Those that saw the targets: they are bounds, and nobody's rivals."""
        return frozenset((r.model, r.label) for r in self.records if r.capability == Capability.PEEK)

    @cached_property
    def reference(self) -> Mapping[str, str]:
        """The model reference by name."""
        return {record.model: record.reference for record in reversed(self.records)}

    @cached_property
    def protocols(self) -> list[str]:
        """All protocols with their options."""
        return list(dict.fromkeys(protocol for _, protocol in self.entries))

    @cached_property
    def pareto(self) -> Mapping[Place, ParetoPoint]:
        """Score and seconds of all that have both."""
        return {(p.task, p.model, p.protocol): p for p in pareto_points(self.report)}

    @cached_property
    def failed(self) -> list[Record]:
        """The records that did not end well."""
        return [record for record in self.records if record.status is not Status.OK]

    def loss(self, task: str, entry: Entry) -> float:
        """Return a number by which the best comes first, and what has no score last."""
        value = self.value(task, entry)
        if value is None or math.isnan(value):
            return math.inf
        return -value if self.higher.get(task, True) else value

    def value(self, task: str, entry: Entry) -> float | None:
        """Return the primary score of an entry: the mean over its seeds; None where it has none."""
        standing = self.standings.get((task, *entry))
        if standing:
            return standing.value
        score = self.score(task, entry)
        return score.value if score else None

    def score(self, task: str, entry: Entry) -> Score | None:
        """Return the primary score of the only record of an entry; None with several, and with a failure."""
        records = self.groups.get((task, *entry), [])
        return records[0].score(self.tasks[task]) if len(records) == 1 else None

    def ranked(self, task: str) -> list[Entry]:
        """Return the entries that have a score on a task, the best first; what saw the targets is last."""
        scored = [e for e in self.entries if self.loss(task, e) < math.inf]
        return sorted(scored, key=lambda entry: (entry in self.peeking, self.loss(task, entry)))

    def rivals(self, task: str) -> list[Standing]:
        """Return where those stand on a task that did not see its targets."""
        return self._rivals.get(task, [])

    def file(self, name: str) -> Path | None:
        """Return a file of the run that a record names; None for a name that leads out of its folder."""
        try:
            root = self.report.folder.resolve()
            path = (root / name).resolve()
            return path if path.is_relative_to(root) and path.is_file() else None
        except (OSError, ValueError):  # no name of a file: too long, a lone surrogate, a NUL
            return None

    def title(self, entry: Entry) -> str:
        """Return an entry in a sentence: its protocol only where it has to be told."""
        model, protocol = entry
        return model if len(self._protocols_of[model]) == 1 else f"{model} under {protocol}"

    @cached_property
    def _protocols_of(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for model, protocol in self.entries:
            found.setdefault(model, set()).add(protocol)
        return found


def letters(groups: Sequence[str]) -> list[set[str]]:
    """Return the letters of each group; beyond 26 there are some of two characters, and spaces between.

    >>> letters(["ab", "b"]) == [{"a", "b"}, {"b"}], letters(["z aa", "ab"]) == [{"z", "aa"}, {"ab"}]
    (True, True)
    """
    spaced = any(" " in group or group == "aa" for group in groups)
    return [set(group.split() if spaced else group) for group in groups]

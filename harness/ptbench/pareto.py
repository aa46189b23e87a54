"""Accuracy against cost: which entries of a report nothing else beats in both."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import fmean

from ptbench.errors import UsageError, nearest
from ptbench.model import Capability
from ptbench.records import Record, Report, Status

Entry = tuple[str, str, str]
"""Task, model, protocol with its options."""


@dataclass(frozen=True, slots=True)
class ParetoPoint:
    """One model under one protocol on one task: its primary score, and what it costs."""

    task: str
    model: str
    protocol: str
    metric: str
    score: float
    """The mean over seeds."""
    cost: float
    higher_is_better: bool
    front: bool = False
    """Whether no other entry of the task beats it."""


def _seconds(records: Sequence[Record]) -> float | None:
    """Return all seconds by all examples."""
    timed = [(r.n or 0, (r.n or 0) / r.cost.examples_per_s) for r in records if r.cost.examples_per_s]
    examples = sum(n for n, _ in timed)
    return sum(spent for _, spent in timed) / examples if examples else None


def _largest(field: str) -> Callable[[Sequence[Record]], float | None]:
    return lambda records: max(
        (float(v) for r in records if (v := getattr(r.cost, field, None)) is not None), default=None
    )


COSTS: Mapping[str, tuple[str, Callable[[Sequence[Record]], float | None]]] = {
    "seconds": ("seconds per example", _seconds),
    "parameters": ("parameters", _largest("parameters")),
    "macs": ("multiply-adds per example", _largest("macs")),
    "memory": ("peak memory (MiB)", _largest("peak_memory_mb")),
}
"""The axes of cost: what each is called, and how it is read from the records of an entry's seeds."""


NOISE = 0.1
"""Times that differ by less are not told apart: the same network twice differs by as much."""


def pareto_points(report: Report, cost: str = "seconds") -> tuple[ParetoPoint, ...]:
    """Return every entry that has a score and a cost, with its place on the front of its task.

    Left out: sentinels (``baseline:``) and whoever sees the targets, since nobody would choose them;
    entries of whose seeds one did not end well, undefined scores, unknown costs.
    Raises `UsageError` for an unknown cost.
    """
    if cost not in COSTS:
        raise UsageError(f"there is no cost '{cost}'; {nearest(cost, COSTS)}")
    entries: dict[Entry, list[Record]] = {}
    for record in report.records:
        entries.setdefault((record.task, record.model, record.label), []).append(record)
    found = [point for entry, records in entries.items() if (point := _point(entry, records, cost))]
    tasks: dict[str, list[int]] = {}
    for i, point in enumerate(found):
        tasks.setdefault(point.task, []).append(i)
    best: set[int] = set()
    for rows in tasks.values():
        gains = [found[i].score if found[i].higher_is_better else -found[i].score for i in rows]
        noise = NOISE if cost == "seconds" else 0.0
        flags = on_front([found[i].cost for i in rows], gains, noise)
        best |= {i for i, flag in zip(rows, flags, strict=True) if flag}
    return tuple(replace(point, front=i in best) for i, point in enumerate(found))


def pareto_front(report: Report, cost: str = "seconds") -> frozenset[Entry]:
    """Return the (task, model, protocol) on the front of their task. Raises like `pareto_points`."""
    return frozenset((p.task, p.model, p.protocol) for p in pareto_points(report, cost) if p.front)


def on_front(costs: Sequence[float], gains: Sequence[float], noise: float = 0.0) -> list[bool]:
    """Return which of (cost, gain) nothing beats; equals beat each other not.

    One beats another if it is at least as good and cheaper, or better and at most as expensive. Costs
    that differ by no more than the share ``noise`` count as equal.

    >>> on_front([1, 2, 3, 2], [0.5, 0.8, 0.8, 0.8])
    [True, True, False, True]
    >>> on_front([1.0, 1.05, 2.0], [0.5, 0.8, 0.8], noise=0.1)
    [False, True, False]
    """
    order = sorted(range(len(costs)), key=lambda i: costs[i])
    sorted_costs = [costs[i] for i in order]
    best = list(accumulate((gains[i] for i in order), max))
    cheapest: dict[float, float] = {}
    for cost, gain in zip(costs, gains, strict=True):
        cheapest[gain] = min(cost, cheapest.get(gain, cost))
    return [
        best[bisect_right(sorted_costs, cost * (1 + noise)) - 1] <= gain
        and cost <= cheapest[gain] * (1 + noise)
        for cost, gain in zip(costs, gains, strict=True)
    ]


def _point(entry: Entry, records: Sequence[Record], cost: str) -> ParetoPoint | None:
    if any(r.status is not Status.OK or r.capability == Capability.PEEK for r in records):
        return None
    if records[0].reference.startswith("baseline:"):
        return None
    scores = [r.score(r.primary) for r in records]
    values = [score.value for score in scores if score]
    spent = COSTS[cost][1](records)
    if spent is None or len(values) < len(records) or not all(map(math.isfinite, (*values, spent))):
        return None  # a NaN that is left out of a mean would be hidden by it
    first = scores[0]
    assert first is not None
    return ParetoPoint(*entry, first.metric, fmean(values), spent, first.higher_is_better)

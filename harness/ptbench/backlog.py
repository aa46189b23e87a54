"""What waits to be handed out: jobs by the features that they share, and these by model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from ptbench.jobs import Job

MOMENT = 1e-3
"""Seconds that every job is thought to take at least: many of nothing would else be one slot's work."""


@dataclass(slots=True, eq=False)
class Group:
    """Jobs that share features, the next one last; or a single one that shares none.

    Times are as the jobs estimate them.
    """

    model: Model
    place: int
    """Where it stands among all: for ties, and for the order on a single slot."""
    jobs: list[Job] = field(default_factory=list)
    divisible: float = 0.0
    """Work of the next job that parts can do before it: features, or what a model predicts."""
    cold: bool = False
    """Whether its features are still to be computed."""
    parts: list[Job] = field(default_factory=list)
    """Parts of the next job that can be handed out."""
    was_split: bool = False
    """Whether the next job was split already: what is lost of it is not tried again."""
    pending: int = 0
    """Jobs and parts that have to end before the next job can begin."""
    stamp: int = 0

    share: float = 0.0
    """Seconds of each of its parts."""

    def chain(self, ways: int = 1) -> float:
        """Seconds from now to the end of its next job, without loading, if so many slots do its parts."""
        seconds = self.divisible + own_seconds(self.jobs[-1])
        if self.parts:
            seconds += self.share * len(self.parts) / ways
        return seconds + own_seconds(self.jobs[-2]) if self.cold and len(self.jobs) > 1 else seconds

    @property
    def ready(self) -> bool:
        """Whether anything of it can be handed out."""
        return bool(self.parts or (self.jobs and not self.pending))

    def take(self) -> tuple[Job, float, float]:
        """Hand out the next job or part, with its seconds, and how many of them parts could have done."""
        self.stamp += 1
        if self.parts:
            job, divisible = self.parts.pop(), self.share
            seconds = divisible
        else:
            job, divisible = self.jobs.pop(), self.divisible
            seconds = divisible + own_seconds(job)
            self.divisible = 0.0
            self.was_split = False
            self.pending += self.cold
        self.model.waiting -= 1
        self.model.sums[job.cell.protocol] -= seconds
        self.model.offer(self)
        return job, seconds, divisible

    def split(self, n: int) -> None:
        """Let the next job be done in so many parts, and what is left of it after them."""
        whole = self.jobs[-1]
        self.parts = [replace(whole, part=(k, n)) for k in reversed(range(n))]
        self.pending = n
        self.was_split = True
        self.share, self.divisible = self.divisible / n, 0.0
        self.stamp += 1
        self.model.waiting += n
        self.model.offer(self)

    def ended(self, job: Job, divisible: float, *, lost: bool) -> None:
        """Take note that a job or a part has ended, of which so many seconds are done, unless it was lost."""
        if job.part is not None:
            self.pending -= 1
        elif self.cold:
            self.pending = 0
            self.cold = lost
        else:
            return
        if lost and self.jobs:
            self.divisible += divisible
            self.model.sums[self.jobs[-1].cell.protocol] += divisible
        self.model.offer(self)


@dataclass(slots=True, eq=False)
class Model:
    """Everything that is to be done with one loaded model."""

    key: str
    name: str
    load: float
    measured: bool
    by_length: bool
    """Whether the longest comes first; else the order of the jobs given stands."""
    sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Seconds of what was not handed out yet, by protocol, loading aside."""
    waiting: int = 0
    """Jobs and parts that were not handed out yet."""
    begun: bool = False
    """Whether any of it was handed out."""
    holders: int = 0
    """On how many slots it is loaded."""
    weight: float = 0.0
    """Seconds of its work, when it was last looked at; with one loading where nobody has begun it."""
    heap: list[tuple[float, int, int, Group]] = field(default_factory=list)
    """What can be handed out: (order, place, stamp, group). Entries with an old stamp do not count."""

    factors: dict[str, tuple[float, int]] = field(default_factory=dict)
    """By what its estimates are multiplied, by protocol, and after how many jobs that was looked up."""
    late: dict[str, float] = field(default_factory=dict)
    """The least that these factors can be, since a running job has taken so long already."""

    def who(self, protocol: str) -> tuple[str, ...]:
        """Return what the time of a job has in common with those of others: all, protocol, name, model."""
        return "", f"protocol {protocol}", f"name {self.name}", f"model {self.key}"

    def offer(self, group: Group) -> None:
        """Let a group be chosen, if anything of it can be handed out."""
        if group.ready:
            order = -group.chain() if self.by_length else 0.0
            group.stamp += 1
            heappush(self.heap, (order, group.place, group.stamp, group))

    def first(self) -> Group | None:
        """Return the group to be chosen next; None while nothing can be handed out."""
        heap = self.heap
        while heap and heap[0][2] != heap[0][3].stamp:
            heappop(heap)
        return heap[0][3] if heap else None


def own_seconds(job: Job) -> float:
    """Return what a job costs when its features are there, and its parts have ended."""
    if _predicts(job):
        return 0.0
    return max(MOMENT, job.own_seconds + (0.0 if job.shared else job.shared_seconds))


def make_models(jobs: Sequence[Job], *, by_length: bool) -> list[Model]:
    """Return all models with their work, in the order of the jobs."""
    models: dict[str, Model] = {}
    groups: dict[tuple[str, str], Group] = {}
    for place, job in enumerate(jobs):
        model = models.get(job.model)
        if model is None:
            model = Model(job.model, job.cell.model.name, job.load_seconds, job.measured, by_length)
            models[job.model] = model
        key = (job.model, job.shared or f"\0{place}")
        if key not in groups:
            groups[key] = Group(model, place, cold=bool(job.shared))
        groups[key].jobs.append(job)
        model.load = max(model.load, job.load_seconds)
        model.waiting += 1
    _fill(groups.values(), by_length=by_length)
    return list(models.values())


def _fill(groups: Iterable[Group], *, by_length: bool) -> None:
    for group in groups:
        model = group.model
        if by_length:
            group.jobs.sort(key=lambda job: job.own_seconds)
            if group.cold:  # the others wait for its first job
                group.jobs.append(group.jobs.pop(0))
        else:
            group.jobs.reverse()
        if group.cold:
            group.divisible = max(job.shared_seconds for job in group.jobs)
        elif _predicts(group.jobs[-1]):
            group.divisible = max(MOMENT, group.jobs[-1].shared_seconds + group.jobs[-1].own_seconds)
        for job in group.jobs:
            model.sums[job.cell.protocol] += own_seconds(job)
        model.sums[group.jobs[-1].cell.protocol] += group.divisible
        model.offer(group)


def _predicts(job: Job) -> bool:
    """Return whether its own time is that of a model that goes over examples, and nothing that is shared."""
    return job.blocks > 1 and not job.shared

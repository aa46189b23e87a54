"""Which slot does what next: longest first, models loaded seldom, features computed once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ptbench.backlog import MOMENT, Group, Model, make_models
from ptbench.dividing import count_parts
from ptbench.forecast import forecast
from ptbench.jobs import Job
from ptbench.pace import GUESSED, MEASURED, Pace

WORTH = 0.05
"""The share of the time for a model that must be won for others to help with it."""
CRITICAL = {True: 0.8, False: 0.2}
"""The share of the time that all slots still need from which on a chain of jobs goes before anything else:
where times were measured, and where they are guessed and may well be several times as long."""
CHANGE = 3.0
"""How much more urgent another model must be for a slot to leave one that is urgent itself."""
FRESH = 0.02
"""What was learnt from so small a share of the jobs need not be looked up at once."""
MANY = 50
"""With more jobs left for each slot, one that goes on with its model need not look around each time."""
RANKS = 4
"""Models that nobody has begun are put in order again when a job has ended for each four of them."""
OVERDUE = 0.1
"""The share of its expected time that a job which has taken longer already is thought to need still."""
SHOWN = 256
"""So many models that nobody has begun are looked at one by one for the time that remains."""


@dataclass(slots=True, eq=False)
class _Task:
    """A job that was handed out."""

    job: Job
    group: Group
    slot: int
    began: float
    estimated: float
    """As the job says, without what was learnt since."""
    expected: float
    divisible: float


class Schedule:
    """Hands out jobs to slots; whoever runs them asks for the next one and says when one has ended.

    Slots are numbered from 0. Not for several threads. Of the jobs that share features one computes them,
    and the others wait until it has ended.

    On one slot models come in the order of the jobs given, and the cells of a model together. On several
    slots a slot stays with its model as long as there is work for it. After that it takes the model with
    the most work that nobody has begun, or helps with one that would else last longer than all the rest.
    A cell that would hold all others is split, and one whose time is guessed as soon as it might.
    """

    def __init__(self, jobs: Sequence[Job], slots: int, *, split: bool = False) -> None:
        """With ``split``, cells of several blocks may be handed out in parts."""
        self._slots = slots
        self._split = split and slots > 1
        self._paces = {False: Pace(GUESSED), True: Pace(MEASURED)}
        self._now = 0.0
        self._left = len(jobs)
        self._held: dict[int, Model] = {}
        self._last: dict[int, Group] = {}
        self._running: list[_Task] = []
        self._begun: dict[str, Model] = {}
        self._due: set[int] = set()
        self._changes = 0
        self._refused: dict[int, int] = {}
        self._fresh = make_models(jobs, by_length=slots > 1)[::-1]
        self._fresh_work = self._waiting = self._horizon = 0.0
        self._longest: list[Model] = []
        self._news = self._skipped = 0
        self._rank()

    @property
    def over(self) -> bool:
        """Whether every job was handed out and has ended."""
        return self._left == 0

    def next(self, slot: int) -> Job | None:
        """Return what this slot does now; None: nothing for now, ask again when a job has ended."""
        self._due.discard(slot)
        if self._refused.get(slot) == self._changes:
            return None
        model = self._model(slot)
        if model is None:
            self._refused[slot] = self._changes
            return None
        if not model.begun:
            model.begun = True
            self._fresh_work -= model.weight
            self._begun[model.key] = model
        group, last = model.first(), self._last.get(slot)
        assert group is not None
        if last is not None and last is not group and last.model is model and last.ready:
            group = group if self._urgency(model) > 1 else last
        if self._split and group.divisible and (n := self._parts(slot, group)) > 1:
            self._left += n
            group.split(n)
        return self._hand_out(slot, group)

    def ended(self, job: Job, seconds: float, *, lost: bool = False) -> None:
        """Take note that a job has ended after so many seconds.

        ``lost``: its process died, so that its slot holds no model any more, and what it would have shared
        has to be computed by another one. A part that is lost is not tried again: the whole cell computes
        what is missing.
        """
        task = next((t for t in self._running if t.job is job), None)
        task = task or next((t for t in self._running if t.job == job), None)
        if task is None:
            raise ValueError(f"{job.name} has ended, and was not running")
        self._running.remove(task)
        self._changes += 1
        self._now = max(self._now, task.began + seconds)
        self._left -= 1
        self._news += 1
        group = task.group
        if lost:
            self._hold(task.slot, None)
            self._last.pop(task.slot, None)
        else:
            self._due.add(task.slot)
            group.model.factors.clear()
            group.model.late.pop(job.cell.protocol, None)
            who = group.model.who(job.cell.protocol)
            self._paces[job.measured].learn(task.estimated, seconds, who)
        group.ended(job, task.divisible, lost=lost)
        if group.model.waiting:
            self._begun[group.model.key] = group.model

    def remaining(self, since: float = 0.0) -> tuple[float, float, float] | None:
        """Return the seconds until all is done, as an estimate with its 80 % interval (low, high).

        In the order (estimate, low, high); None where nothing can be said yet. ``since`` is how many seconds
        ago a job ended last or, before the first one, all began: the schedule has no clock.
        """
        if self.over:
            return 0.0, 0.0, 0.0
        known = [measured for measured, pace in self._paces.items() if pace.seen]
        if not known and not (self._running and all(task.job.measured for task in self._running)):
            return None
        spread = self._paces[known[0] if known else True].spread()
        rests = [self._rest(task, since) for task in self._running]
        pieces = [
            self._factor(model, group.jobs[-1].cell.protocol) * (model.load + group.chain())
            for model in (*(m for m in self._fresh[-SHOWN:] if not m.begun), *self._begun.values())
            if (group := model.first()) is not None
        ]
        self._count()
        fluid = max(0.0, self._waiting - sum(pieces))
        return forecast(rests, pieces, fluid, self._slots, spread)

    def _model(self, slot: int) -> Model | None:
        """Choose what a slot works with."""
        held = self._held.get(slot)
        held = held if held is not None and held.first() is not None else None
        if self._slots == 1:  # what is begun and not held: its process died
            return held or next(iter(self._begun.values()), None) or _top(self._fresh)
        many = self._left > MANY * self._slots
        if held is not None and many and self._skipped * 2 < len(self._begun):
            self._skipped += 1
            return held
        self._skipped = 0
        if self._news * RANKS >= len(self._fresh):
            self._rank()
        self._look_at_the_clock()
        self._count()
        rests = [self._rest(task) for task in self._running]
        self._horizon = (self._waiting + sum(rests)) / self._slots  # if nothing held anything
        alone = self._alone(slot, rests)
        urgent = held
        most = max(1.0, CHANGE * self._urgency(held) if held is not None else 0.0)
        for model in (_top(self._longest), *(m for m in self._begun.values() if m.key in alone)):
            if model is not None and (urgency := self._urgency(model)) > most:
                urgent, most = model, urgency
        if urgent is not None:
            return urgent
        chosen = _top(self._fresh)
        limit = self._horizon if chosen is not None else 0.0
        for key, seconds in alone.items():
            if seconds > limit:
                chosen, limit = self._begun[key], seconds
        return chosen

    def _alone(self, slot: int, rests: list[float]) -> dict[str, float]:
        """Return the models that others work with and that would be done earlier with the help of a slot.

        With each, after how many seconds the others would be done with it alone. ``rests`` are the seconds
        that running jobs still take.
        """
        others: dict[str, list[float]] = defaultdict(list)
        for task, rest in zip(self._running, rests, strict=True):
            others[task.group.model.key].append(rest)
        for due in self._due if self._running else ():  # it will ask in a moment
            if due in self._held:
                others[self._held[due].key].append(0.0)
        found = {}
        for model in self._begun.values():
            group, busy = model.first(), others[model.key]
            if group is None or self._held.get(slot) is model:
                continue
            if not busy:
                found[model.key] = math.inf
                continue
            work, factor = model.weight + sum(busy), self._factor(model, group.jobs[-1].cell.protocol)
            load = factor * model.load
            alone = max(factor * group.chain(len(busy)), work / len(busy))
            helped = max(load + factor * group.chain(len(busy) + 1), (work + load) / (len(busy) + 1))
            if helped < (1 - WORTH) * alone:
                found[model.key] = alone
        return found

    def _urgency(self, model: Model) -> float:
        """Return what a model can begin with, as a share of what would hold the others; above 1 it does."""
        group = model.first()
        if group is None:
            return 0.0
        seconds = self._factor(model, group.jobs[-1].cell.protocol) * group.chain(max(1, model.holders))
        return seconds / max(CRITICAL[model.measured] * self._horizon, 1e-9)

    def _parts(self, slot: int, group: Group) -> int:
        """Return into how many parts the next job of a group is split, 1: it is not."""
        model, job = group.model, group.jobs[-1]
        if group.was_split or job.blocks < 2:
            return 1
        factor = self._factor(model, job.cell.protocol)
        ready = [0.0] * self._slots
        for task in self._running:
            ready[task.slot] = self._rest(task)
        return count_parts(
            job.blocks,
            factor * group.divisible,
            factor * (group.chain() - group.divisible),
            factor * model.load,
            held=self._held.get(slot) is model,
            measured=model.measured,
            ready=ready,
            waiting=self._waiting,
        )

    def _hand_out(self, slot: int, group: Group) -> Job:
        model = group.model
        self._changes += 1
        job, estimated, divisible = group.take()
        self._waiting -= estimated * self._factor(model, job.cell.protocol)
        if self._held.get(slot) is not model:
            estimated += model.load
        expected = estimated * self._factor(model, job.cell.protocol)
        self._hold(slot, model)
        self._last[slot] = group
        self._running.append(_Task(job, group, slot, self._now, estimated, expected, divisible))
        if not model.waiting:
            self._begun.pop(model.key, None)
        return job

    def _hold(self, slot: int, model: Model | None) -> None:
        before = self._held.pop(slot, None)
        if before is not None:
            before.holders -= 1
        if model is not None:
            self._held[slot] = model
            model.holders += 1

    def _rank(self) -> None:
        """Put what nobody has begun in order, the next one last, with what was learnt since."""
        self._news = 0
        self._fresh = [model for model in self._fresh if not model.begun]
        for model in self._fresh:
            model.weight = self._work(model) + self._factor(model, "") * model.load
        self._fresh_work = math.fsum(model.weight for model in self._fresh)
        if self._slots > 1:
            self._fresh.sort(key=lambda model: model.weight)
            self._longest = sorted(self._fresh, key=self._urgency)

    def _count(self) -> None:
        """Sum up what was not handed out; until the next time what is handed out is taken off."""
        for model in self._begun.values():
            model.weight = self._work(model)
        self._waiting = self._fresh_work + sum(model.weight for model in self._begun.values())

    def _work(self, model: Model) -> float:
        """Return the seconds of what was not handed out of a model, loading aside."""
        return sum(self._factor(model, label) * seconds for label, seconds in model.sums.items())

    def _rest(self, task: _Task, since: float = 0.0) -> float:
        """Return the seconds that a running job still takes."""
        left, least = task.expected - (self._now + since - task.began), OVERDUE * task.expected
        return left if left > least else least

    def _look_at_the_clock(self) -> None:
        """Take note of jobs that have taken longer than expected: others of their kind will as well."""
        for task in self._running:
            gone = self._now - task.began
            if gone > task.expected:
                late, protocol = task.group.model.late, task.job.cell.protocol
                late[protocol] = max(late.get(protocol, 0.0), gone / max(task.estimated, MOMENT))

    def _factor(self, model: Model, protocol: str) -> float:
        pace = self._paces[model.measured]
        known = model.factors.get(protocol)
        if known is None or pace.seen - known[1] > FRESH * pace.seen:
            known = model.factors[protocol] = pace.factor(model.who(protocol)), pace.seen
        return max(known[0], model.late.get(protocol, 0.0)) if model.late else known[0]


def _top(models: list[Model]) -> Model | None:
    """Return the last one that nobody has begun; those behind it are dropped."""
    while models and models[-1].begun:
        models.pop()
    return models[-1] if models else None

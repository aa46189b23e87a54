"""Which slot does what next: longest first, models loaded seldom, features computed once."""

from __future__ import annotations

from collections.abc import Sequence

from ptbench.jobs import Job


class Schedule:
    """Hands out jobs to slots; whoever runs them asks for the next one and says when one has ended.

    Slots are numbered from 0. Not for several threads.
    """

    def __init__(self, jobs: Sequence[Job], slots: int, *, split: bool = False) -> None:
        """With ``split``, cells of several blocks may be handed out in parts."""
        raise NotImplementedError

    def next(self, slot: int) -> Job | None:
        """Return what this slot does now; None: nothing for now, ask again when a job has ended."""
        raise NotImplementedError

    def ended(self, job: Job, seconds: float, *, lost: bool = False) -> None:
        """Take note that a job has ended after so many seconds.

        ``lost``: its process died, so that its slot holds no model any more, and what it would have shared
        has to be computed by another one. A part that is lost is not tried again: the whole cell computes
        what is missing.
        """
        raise NotImplementedError

    @property
    def over(self) -> bool:
        """Whether every job was handed out and has ended."""
        raise NotImplementedError

    def remaining(self) -> tuple[float, float, float] | None:
        """Return the seconds until all is done, as an estimate with its 80 % interval (low, high).

        In the order (estimate, low, high); None where nothing can be said yet.
        """
        raise NotImplementedError

"""How far off estimates of time are, learnt from what has ended."""

from __future__ import annotations

import math
from dataclasses import dataclass

MOMENT = 0.05
"""Seconds below which nobody cares by what factor an estimate was off."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """How far estimates may be off: standard deviations of the logarithm of actual over estimated time."""

    common: float
    """In what all jobs have in common: the machine."""
    each: float
    """In what a model, or a protocol, has in common with itself."""
    noise: float
    """From job to job."""


GUESSED = Doubt(common=0.7, each=0.5, noise=0.4)
MEASURED = Doubt(common=0.2, each=0.1, noise=0.15)


class Pace:
    """Learns by what factor estimates are off: one for all, times one per model, times one per protocol.

    A Kalman filter on logarithms whose covariance is kept diagonal: each observation moves every factor that
    it bears on by its share of the doubt, and lessens that doubt. What is far outside of what was thought
    possible moves them as far as three standard deviations do: a cell that failed at once says little.
    """

    def __init__(self, doubt: Doubt) -> None:
        self._doubt = doubt
        self._known: dict[str, tuple[float, float]] = {}
        self._surprise = 2.0
        self._weight = 2.0
        self.seen = 0

    def factor(self, who: tuple[str, ...]) -> float:
        """Return by what the estimate of a job is to be multiplied."""
        if not self.seen:
            return 1.0
        return math.exp(sum(self._known[one][0] for one in who if one in self._known))

    def learn(self, estimated: float, actual: float, who: tuple[str, ...]) -> None:
        """Take note of what a job took; ``estimated`` is before any factor.

        ``who`` is what it has in common with others: "" with all, a protocol, a model.
        """
        told = math.log((max(actual, 0.0) + MOMENT) / (max(estimated, 0.0) + MOMENT))
        effects = {one: self._known.get(one, (0.0, self._prior(one))) for one in who}
        variance = self._doubt.noise**2 + sum(var for _, var in effects.values())
        error = told - sum(mean for mean, _ in effects.values())
        limit = 3 * math.sqrt(variance)
        error = min(max(error, -limit), limit)
        for one, (mean, var) in effects.items():
            share = var / variance
            self._known[one] = (mean + share * error, var * (1 - share))
        self._surprise += error * error / variance
        self._weight += 1
        self.seen += 1

    def spread(self) -> tuple[float, float]:
        """Return standard deviations of the logarithm: in common to all that remains, and of each by itself.

        They are as wide as the errors were so far, compared with what was thought of them before.
        """
        wider = math.sqrt(self._surprise / self._weight)
        common = self._known.get("", (0.0, self._prior("")))[1]
        return wider * math.sqrt(common), wider * math.hypot(self._doubt.each, self._doubt.noise)

    def _prior(self, who: str) -> float:
        return (self._doubt.each if who else self._doubt.common) ** 2

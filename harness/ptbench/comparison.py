"""What a comparison finds: plain frozen data, kept as ``comparison.json`` in the folder of a run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

TIME = "time"
"""What a margin for seconds is called, beside those for metrics."""
Side = tuple[str, str]
"""A model and a protocol with its options, as the tables show them."""


class Change(StrEnum):
    """What became of one model under one protocol on one task, from A to B."""

    SAME = "same"
    """No difference was shown; `Difference.detectable` tells what could have been."""
    BETTER = "better"
    WORSE = "worse"
    GONE = "gone"
    """A has a score, B has none."""
    NEW = "new"
    """B has a score, A has none."""
    NOT_COMPARABLE = "not comparable"
    """Both have one, and they are not about the same thing; the reason says why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How two sides differ on one metric, paired by example; means over seeds where there are several."""

    metric: str
    higher_is_better: bool
    a: float
    b: float
    change: float
    """b minus a, whichever direction is better."""
    low: float
    high: float
    """Ends of the 95 % interval of the change."""
    p: float
    """Two-sided, of there being no difference; NaN where nobody can tell."""
    test: str
    """``mcnemar`` (exact), ``t`` (on contributions of the examples, `ptbench.statistics`), or ``none``."""
    n: int
    """Examples that both predicted."""
    units: int
    """Units that are independent of each other: examples, or clusters of them."""
    differing: int
    """Examples for which the two do not predict the same."""
    gained: int | None = None
    """Examples that only B gets right; None where no example is right or wrong, or with several seeds."""
    lost: int | None = None
    """Examples that only A gets right."""
    error: float = math.nan
    """Standard error of the change, of examples and of seeds."""
    freedom: float = math.nan
    """Its degrees of freedom: the harmonic mean of those of the parts (examples, seeds), weighted by their
    variances (`ptbench.statistics.student.cautious_freedom`); of an average, and with the luck of training,
    Welch's and Satterthwaite's."""
    detectable: float = math.nan
    """The smallest true change that these examples show in four cases of five.

    Of a row's primary metric as its verdict is found: at alpha over the number of questions asked at once
    (the first step of Holm's correction); two-sided, but in a gate one-sided and beyond the margin. Of other
    metrics and of an average for this question alone: two-sided, 5 %.
    """
    adjusted: float = math.nan
    """p after correction for all questions asked at once (Holm)."""
    caveat: str = ""
    moving: int = 0
    """Units that are not predicted alike: as ``differing``, or clusters with such an example in them."""
    example_error: float = math.nan
    """The part of the examples in ``error``, without the spread of seeds."""
    example_freedom: float = math.nan
    """The degrees of freedom of that part."""

    @property
    def gain(self) -> float:
        """How much better B is: the change, turned so that more is better."""
        return self.change if self.higher_is_better else -self.change


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of the same cells on both sides, against the noise that repeated runs of them showed."""

    a: float
    """Seconds: the geometric mean of the repeats of A."""
    b: float
    repeats: int
    """Earlier runs of exactly this that the noise was learned from."""
    noise: float
    """Their standard deviation, as a share."""
    p: float
    """One-sided, of B being no slower; NaN with too few repeats."""
    adjusted: float = math.nan
    slower: bool = False
    """Whether B is slower beyond noise and margin."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One row of a comparison: one task, and on either side a model under a protocol, seeds together."""

    task: str
    a: Side
    b: Side
    verdict: Change
    """By the primary metric."""
    reason: str = ""
    """Why it is gone or not comparable."""
    differences: tuple[Difference, ...] = ()
    """The primary metric first; empty where nothing was compared."""
    timing: Timing | None = None
    differs: tuple[str, ...] = ()
    """What else is not the same, a few words each: weights, data, versions, settings."""
    reused: bool = False
    """Whether B was not run again, but taken over from A or an earlier run."""

    @property
    def primary(self) -> Difference | None:
        """The difference that the verdict is about."""
        return self.differences[0] if self.differences else None

    @property
    def title(self) -> str:
        """The row as people read it."""
        (model, protocol), (other, other_protocol) = self.a, self.b
        models = model if model == other else f"{model} -> {other}"
        protocols = protocol if protocol == other_protocol else f"{protocol} -> {other_protocol}"
        return f"{models} x {self.task} x {protocols}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """B beside A: two runs, or two models of one run."""

    a: str
    b: str
    """What the sides are called: ``suite/run``, or a model."""
    rows: tuple[Compared, ...]
    alpha: float = 0.05
    """The chance of any false verdict over all rows: better or worse in a comparison, worse in a gate."""
    gate: bool = False
    """Whether only what got worse is asked, one-sided and by more than the margin."""
    margins: Mapping[str, float] = field(default_factory=dict)
    """What counts as no difference, by metric; ``time``: as a share of the seconds."""
    average: Difference | None = None
    """Over the primary metrics of all tasks, where they have a common scale."""
    environment: tuple[str, ...] = ()
    """What differs between the runs as wholes, a few words each: packages, machine, commit."""
    notes: tuple[str, ...] = ()

    def count(self, verdict: Change) -> int:
        """Return how many rows have this verdict."""
        return sum(row.verdict is verdict for row in self.rows)

    @property
    def regressed(self) -> tuple[Compared, ...]:
        """The rows that got worse, slower, or lost a score that the run was to give."""
        return tuple(row for row in self.rows if _regressed(row))

    @property
    def comparable(self) -> bool:
        """Whether anything could be compared at all."""
        return any(row.differences for row in self.rows)


def comparison_from_json(data: Mapping[str, Any]) -> Comparison:
    """Read a comparison from JSON data; fields of later versions are left out. Raises `ValueError`."""
    try:
        rows = tuple(
            _made(
                Compared,
                {
                    **row,
                    "a": tuple(row["a"]),
                    "b": tuple(row["b"]),
                    "verdict": Change(row["verdict"]),
                    "differences": tuple(_made(Difference, one) for one in row.get("differences", ())),
                    "timing": _made(Timing, row["timing"]) if row.get("timing") else None,
                    "differs": tuple(row.get("differs", ())),
                },
            )
            for row in data["rows"]
        )
        average = _made(Difference, data["average"]) if data.get("average") else None
        texts = {name: tuple(data.get(name, ())) for name in ("environment", "notes")}
        made: Comparison = _made(Comparison, {**data, "rows": rows, "average": average, **texts})
        return made
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"this is no comparison: {error}") from None


def _regressed(row: Compared) -> bool:
    lost = row.verdict is Change.GONE and bool(row.reason)
    return row.verdict is Change.WORSE or lost or (row.timing is not None and row.timing.slower)


def _made(cls: type[Any], data: Mapping[str, Any]) -> Any:
    """Make it with its numbers as numbers: JSON has no NaN, and so null stands for it."""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    known = {name: value for name, value in data.items() if name in fields}
    for name, value in known.items():
        if fields[name].type == "float":
            known[name] = math.nan if value is None else float(value)
    return cls(**known)

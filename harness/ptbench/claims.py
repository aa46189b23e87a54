"""Claims: figures that somebody published, how they are measured here, and whether the two agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from ptbench.errors import one_line
from ptbench.offers import Offer


class Verdict(StrEnum):
    """What became of a claim."""

    REPRODUCED = "reproduced"
    OFF = "off"
    UNPUBLISHED = "not published"
    """It was measured, and there is no figure to compare it with."""
    UNMEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure as measured here; with an interval where it is an estimate from examples."""

    value: float
    low: float | None = None
    high: float | None = None
    """The ends of the 95 % interval."""
    n: int | None = None
    """Examples that it was measured on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One published figure and the function that measures it here.

    It is reproduced where the measured value, or any value within its interval, comes within half a unit
    of the last published digit, widened by the tolerance. Without digits and tolerance it must be equal.
    """

    subject: str
    """What it is about: ``resnet50@IMAGENET1K_V2``. Claims about one subject come one after the other."""
    quantity: str
    published: float | None
    """None: nobody has published it; it is measured all the same."""
    source: str
    """Where it was published, for a person to look it up."""
    measure: Callable[[], Measured]
    """Measure it, offline. Whatever it raises costs this claim alone."""
    digits: int | None = None
    """Decimals that were published; None: all."""
    tolerance: float = 0.0
    """How far off counts as reproduced, relative to the published figure."""
    unit: str = ""
    obstacle: str = ""
    """Why it cannot be measured here, where that is known beforehand; empty if it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSet(Offer):
    """Claims that `ptbench verify` checks by the name of the set."""

    group: ClassVar[str] = "claims"
    claims: Callable[[Mapping[str, Any]], Iterable[Claim]]
    """Return the claims, quickly and offline, for the options that were given, with defaults for others.
    Raises `DataError` where an option names something that cannot be read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim with what came of it."""

    claim: Claim
    verdict: Verdict
    measured: Measured | None = None
    reason: str = ""
    """By how much it is off, or why it was not measured."""
    failed: bool = False
    """Whether an error kept it from being measured."""


def check(claim: Claim) -> Finding:
    """Measure a claim and compare. An exception makes a finding; it does not cross this function."""
    if claim.obstacle:
        return Finding(claim, Verdict.UNMEASURED, reason=claim.obstacle)
    try:
        measured = claim.measure()
        if not math.isfinite(measured.value):
            raise ValueError(f"the measured value is {measured.value}")
    except (Exception, SystemExit) as error:  # whatever a plugin raises costs this claim alone
        return Finding(claim, Verdict.UNMEASURED, reason=one_line(error), failed=True)
    if claim.published is None:
        return Finding(claim, Verdict.UNPUBLISHED, measured)
    if not math.isfinite(claim.published):
        reason = f"the published figure is {claim.published}"
        return Finding(claim, Verdict.UNMEASURED, measured, reason, failed=True)
    if _agrees(claim, claim.published, measured):
        return Finding(claim, Verdict.REPRODUCED, measured)
    reason = f"by {_gap(measured.value, claim.published, claim.digits)}"
    if abs(measured.value) <= 1 < claim.published <= 100:
        reason += "; is a per cent sign missing?"
    return Finding(claim, Verdict.OFF, measured, reason)


def _agrees(claim: Claim, published: float, measured: Measured) -> bool:
    low = measured.value if measured.low is None else measured.low
    high = measured.value if measured.high is None else measured.high
    half = 0.0 if claim.digits is None else 0.5 * 10.0**-claim.digits
    slack = half * (1 + 1e-9) + claim.tolerance * abs(published)  # a measured tie may round either way
    return low - slack <= published <= high + slack


def _gap(value: float, published: float, digits: int | None) -> str:
    """Return how far a value is from the published one, in its unit and in per cent of it.

    >>> _gap(4.105, 4.089, 3), _gap(12, 10, None), _gap(0.5, 0, 1)
    ('+0.0160 (+0.39 %)', '+2 (+20 %)', '+0.50')
    """
    gap = value - published
    text = f"{gap:+,.{digits + 1}f}" if digits is not None else f"{gap:+,.6g}"
    return f"{text} ({100 * gap / abs(published):+.2g} %)" if published else text

"""Verify: which claims to check, and the claims that a suite makes with its published figures."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ptbench.catalog import Catalog
from ptbench.claims import Claim, ClaimSet, Finding, Measured, Verdict, check
from ptbench.errors import ModelError, PluginError, UnknownNameError, UsageError, nearest
from ptbench.published import Published
from ptbench.records import Record, Status
from ptbench.runner.plan import Plan, PlannedCell
from ptbench.values import has_type, type_names


def claims_of(name: str, options: Mapping[str, Any], catalog: Catalog) -> tuple[Claim, ...]:
    """Return the claims of a set, with those of the options that it knows.

    Raises `UnknownNameError` for a set that nobody offers, `UsageError` for an option of a wrong type,
    `PluginError` where a package is missing or the set itself fails.
    """
    offer = catalog.get(ClaimSet, name)
    known = {option.name: option for option in offer.options}
    given = {key: value for key, value in options.items() if key in known}
    for key, value in given.items():
        option = known[key]
        problem = option.check(value) if has_type(value, option.types) else None
        if problem or not has_type(value, option.types):
            wanted = problem or f"{type_names(option.types)} was expected"
            raise UsageError(f"option '{key}' of claims '{name}' is {value!r}; {wanted}")
    claims = tuple(offer.claims(offer.filled(given)))
    for claim in claims:
        if not isinstance(claim, Claim):
            raise PluginError(f"claims '{name}' returned a {type(claim).__name__}, no Claim")
    return claims


def check_options(names: Sequence[str], options: Mapping[str, Any], catalog: Catalog) -> None:
    """Raise `UnknownNameError` for an option that none of these claim sets knows."""
    known = {option.name for name in names for option in catalog.get(ClaimSet, name, usable=False).options}
    for key in options:
        if key not in known:
            hint = nearest(key, known)
            raise UnknownNameError(f"option '{key}' is unknown to claims {', '.join(names)}; {hint}")


def chosen(claims: Iterable[Claim], match: str = "", sample: int | None = None, seed: int = 0) -> list[Claim]:
    """Return the claims whose subject or quantity has the text, and of those ``sample`` subjects.

    Subjects are drawn without replacement; the same seed draws the same ones. Order is kept.
    """
    wanted = match.casefold()
    left = [claim for claim in claims if wanted in f"{claim.subject} {claim.quantity}".casefold()]
    subjects = sorted({claim.subject for claim in left})
    if sample is None or sample >= len(subjects):
        return left
    drawn = set(random.Random(seed).sample(subjects, sample))  # noqa: S311 - no secret
    return [claim for claim in left if claim.subject in drawn]


def findings(claims: Sequence[Claim], advanced: Callable[[Finding], None]) -> Iterator[Finding]:
    """Check claims one after the other and tell of each as it is done."""
    for claim in claims:
        finding = check(claim)
        advanced(finding)
        yield finding


def counts(found: Sequence[Finding]) -> dict[str, int]:
    """Return how many claims came to each verdict; every verdict is there."""
    return {verdict.value: sum(f.verdict is verdict for f in found) for verdict in Verdict}


def good(found: Sequence[Finding]) -> bool:
    """Whether nothing is off and no error kept anything from being measured."""
    return not any(finding.verdict is Verdict.OFF or finding.failed for finding in found)


def suite_claims(plan: Plan, records: Mapping[str, Record], download: bool = False) -> list[Claim]:
    """Return the published figures as claims, measured by the records of their cells (by title).

    The records may come later, as long as they are there when a claim is checked. A cell that would have
    to bring something first has that as its obstacle, unless ``download``; one that the plan refuses fails.
    """
    return [
        Claim(
            subject=planned.cell.title,
            quantity=figure.metric,
            published=figure.value,
            digits=figure.digits,
            source=figure.source,
            obstacle="" if planned.problem or download else _missing(plan, planned),
            measure=partial(_measured, figure, planned, records),
        )
        for figure in plan.suite.published
        for planned in plan.cells
        if figure.about(planned.cell)
    ]


def runnable(plan: Plan, claims: Iterable[Claim]) -> Plan:
    """Return the plan of those cells alone that these claims are about and that can run."""
    titles = {claim.subject for claim in claims if not claim.obstacle}
    return replace(plan, cells=tuple(p for p in plan.cells if p.cell.title in titles and not p.problem))


def _measured(figure: Published, planned: PlannedCell, records: Mapping[str, Record]) -> Measured:
    if planned.problem:
        raise ModelError(planned.problem)
    record = records.get(planned.cell.title)
    if record is None:
        raise ModelError("its cell was not run")
    if record.status is not Status.OK:
        raise ModelError(record.error)
    score = record.score(figure.metric)
    if score is None:
        raise ModelError(f"'{figure.metric}' gave no number")
    if score.interval == "none":
        return Measured(score.value, n=score.n)
    return Measured(score.value, score.ci_low, score.ci_high, score.n)


def _missing(plan: Plan, planned: PlannedCell) -> str:
    """Return what a cell would have to bring first, or nothing."""
    model = plan.models[planned.cell.model.name].description
    downloads = (*(model.downloads if model else ()), *plan.tasks[planned.cell.task.name].downloads)
    if not downloads:
        return ""
    return f"needs a download ({', '.join(download.what for download in downloads)}); --download allows it"

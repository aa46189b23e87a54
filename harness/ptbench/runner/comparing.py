"""Compare two runs, or models within one: what differs, how sure that is, and what else is not the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

from ptbench.catalog import Catalog
from ptbench.comparison import Compared, Comparison
from ptbench.errors import UsageError
from ptbench.model import Capability
from ptbench.records import Report
from ptbench.runner.asked import Asked
from ptbench.runner.choosing import chosen
from ptbench.runner.comparability import ALLOWANCES
from ptbench.runner.rows import averaged, compare_pair, judged
from ptbench.runner.sides import Entry, Loaded, checked_names, entries, numeric_metrics, title
from ptbench.surroundings import environment_changes, environment_of

ENVIRONMENT = ("python", "packages", "machine")
"""What every run says of its environment in ``run.json``."""
Pair = tuple[Entry | None, Entry | None]


def compare_runs(
    a: Report,
    b: Report,
    catalog: Catalog,
    *,
    allow: Collection[str] = frozenset(),
    metrics: Sequence[str] = (),
    alpha: float = 0.05,
) -> Comparison:
    """Compare every model under every protocol on every task of two runs, A before and B after.

    A verdict is two-sided, about the primary metric, and after Holm's correction over all rows in which any
    prediction differs: with nothing changed, the chance of any better or worse at all is at most ``alpha``.
    Other metrics are compared beside it, each for itself: ``metrics``, or all that both sides have.

    Sides that are not about the same thing are not compared, and the row says why. ``allow`` names what is
    compared all the same: ``data``, ``preprocessing``, ``metrics`` (`comparability.ALLOWANCES`).

    Raises:
        UsageError: ``allow`` or ``metrics`` holds a name that is not known, or alpha is no chance.
    """
    check(catalog, allow, metrics, alpha)
    pairs = paired(a, b)
    asked = Asked(b, catalog)
    rows = [compare_pair(*pair, catalog, allow, metrics, asked.lacking(*pair)) for pair in pairs]
    return _found(title(a), title(b), rows, pairs, a, b, catalog, alpha)


def compare_sides(
    a: Report,
    a_side: str,
    b: Report,
    b_side: str,
    catalog: Catalog,
    *,
    allow: Collection[str] = frozenset(),
    metrics: Sequence[str] = (),
    alpha: float = 0.05,
) -> Comparison:
    """Compare two models, or a model under two protocols, of one run or of two; else as `compare_runs`.

    A side is ``MODEL`` or ``MODEL x PROTOCOL``, the protocol with its options as tables show it, or its name
    alone where that is one. Rows are tasks; models without a protocol pair by protocol too, unless each has
    a single one.

    Raises:
        UsageError: Also where a side is not there, or may mean several.
    """
    check(catalog, allow, metrics, alpha)
    pairs = chosen(entries(a), a_side, entries(b), b_side)
    rows = [compare_pair(*pair, catalog, allow, metrics) for pair in pairs]
    if a.folder == b.folder:
        return _found(a_side, b_side, rows, pairs, a, b, catalog, alpha)
    return _found(f"{title(a)}: {a_side}", f"{title(b)}: {b_side}", rows, pairs, a, b, catalog, alpha)


def compare_all(
    report: Report,
    catalog: Catalog,
    task: str | None = None,
    *,
    allow: Collection[str] = frozenset(),
    metrics: Sequence[str] = (),
    alpha: float = 0.05,
) -> Comparison:
    """Compare all pairs of models (under protocols) of a run, on one task or on each; else as `compare_runs`.

    Models that saw the targets, and those without a score, are left out.
    """
    check(catalog, allow, metrics, alpha)
    found = [entry for entry in entries(report).values() if not entry.problem and not _peeked(entry)]
    tasks = list(dict.fromkeys(entry.task for entry in found))
    if task is not None:
        checked_names([task], tasks, "the task")
    rows = []
    for name in tasks if task is None else [task]:
        here = [entry for entry in found if entry.task == name]
        kept: dict[Entry, Loaded] = {}  # each is read once; those of one task at a time
        rows += [compare_pair(a, b, catalog, allow, metrics, kept=kept) for a, b in combinations(here, 2)]
    return Comparison(title(report), title(report), judged(rows, alpha), alpha)


def check(catalog: Catalog, allow: Collection[str], metrics: Sequence[str], alpha: float) -> None:
    """Raise `UsageError` for what a caller cannot have meant."""
    checked_names(sorted(allow), ALLOWANCES, "to allow")
    checked_names(metrics, numeric_metrics(catalog), "the metric")
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is a chance between 0 and 1, such as 0.05; got {alpha}")


def paired(a: Report, b: Report) -> list[Pair]:
    """Return the entries of two runs side by side: those of A in their order, then what only B has."""
    before, now = entries(a), entries(b)
    return [(before.get(key), now.get(key)) for key in dict.fromkeys((*before, *now))]


def surroundings(a: Report, b: Report, a_name: str = "A", b_name: str = "B") -> tuple[str, ...]:
    """Return what differs between the runs as wholes, or which of them says nothing of that."""
    before, now = environment_of(a.run), environment_of(b.run)
    silent = [
        f"{name} says nothing of its environment"
        for name, report in ((a_name, a), (b_name, b))
        if not any(report.run.get(part) for part in ENVIRONMENT)
    ]
    if not silent:
        return tuple(environment_changes(before, now))
    both = before.keys() & now.keys()
    told = [{name: text for name, text in one.items() if name in both} for one in (before, now)]
    return (*(silent if len(silent) == 1 else ()), *environment_changes(*told))


def _found(
    a_name: str,
    b_name: str,
    rows: Sequence[Compared],
    pairs: Sequence[Pair],
    a: Report,
    b: Report,
    catalog: Catalog,
    alpha: float,
) -> Comparison:
    return Comparison(
        a_name,
        b_name,
        judged(rows, alpha),
        alpha,
        average=averaged(rows, pairs, catalog),
        environment=surroundings(a, b),
    )


def _peeked(entry: Entry) -> bool:
    return any(record.capability == Capability.PEEK for record in entry.records)

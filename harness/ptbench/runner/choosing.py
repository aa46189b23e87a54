"""Which entries of a run a person means by ``MODEL`` or ``MODEL x PROTOCOL``, and how two such sides pair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ptbench.errors import UsageError, nearest, printable
from ptbench.pareto import Entry as Address
from ptbench.runner.sides import Entry

BETWEEN = " x "

Tasks = Mapping[tuple[str, str], Entry]
"""By task and protocol."""


def chosen(
    a: Mapping[Address, Entry], a_side: str, b: Mapping[Address, Entry], b_side: str
) -> list[tuple[Entry | None, Entry | None]]:
    """Return the rows of two sides. Raises `UsageError`: not there, or it may mean several."""
    (model, label), (other, other_label) = find_side(a, a_side), find_side(b, b_side)
    before, now = _of_model(a, model), _of_model(b, other)
    labels, other_labels = _labels(before), _labels(now)
    one_each = len(labels) == len(other_labels) == 1
    if label or other_label or one_each:
        first = label or _counterpart(other_label or labels[0], labels, model)
        second = other_label or _counterpart(first, other_labels, other)
        tasks = dict.fromkeys(task for task, _ in (*before, *now))
        rows = [(before.get((task, first)), now.get((task, second))) for task in tasks]
    else:
        rows = [(before.get(key), now.get(key)) for key in dict.fromkeys((*before, *now))]
    found = [row for row in rows if row != (None, None)]
    if not any(first is not None and second is not None for first, second in found):
        raise UsageError(
            f"'{printable(a_side)}' and '{printable(b_side)}' have no task and protocol in common; "
            f"protocols of the first: {', '.join(labels)}; of the second: {', '.join(other_labels)}; "
            "say MODEL x PROTOCOL"
        )
    return found


def find_side(there: Mapping[Address, Entry], side: str) -> tuple[str, str]:
    """Return the model and the protocol's label ("" where none is named) of a side. Raises `UsageError`."""
    models = list(dict.fromkeys(entry.model for entry in there.values()))
    if side in models:
        return side, ""
    model, protocol = next(
        ((name, side[len(name + BETWEEN) :]) for name in models if side.startswith(name + BETWEEN)),
        side.partition(BETWEEN)[::2],
    )
    if model not in models:
        raise UsageError(f"no model '{printable(model)}' in this run; {nearest(model, models)}")
    of_model = [entry for entry in there.values() if entry.model == model]
    labels = list(dict.fromkeys(entry.label for entry in of_model))
    if protocol in labels:
        return model, protocol
    alike = list(dict.fromkeys(e.label for e in of_model if e.records[0].protocol == protocol))
    if len(alike) == 1:
        return model, alike[0]
    if alike:
        raise UsageError(f"'{printable(side)}' may be any of: {'; '.join(alike)}; give it with its options")
    raise UsageError(
        f"model '{printable(model)}' has no protocol '{printable(protocol)}' in this run; "
        f"{nearest(protocol, labels)}"
    )


def _of_model(there: Mapping[Address, Entry], model: str) -> Tasks:
    return {(task, label): entry for (task, name, label), entry in there.items() if name == model}


def _labels(tasks: Iterable[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(label for _, label in tasks))


def _counterpart(label: str, labels: list[str], model: str) -> str:
    """Return the protocol that stands against this one where none was named: the same, or the only one."""
    if label in labels:
        return label
    if len(labels) == 1:
        return labels[0]
    raise UsageError(
        f"model '{printable(model)}' has several protocols ({', '.join(labels)}); say MODEL x PROTOCOL"
    )

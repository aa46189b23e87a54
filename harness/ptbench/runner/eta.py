"""How long the rest of a run takes, from what its cells took so far.

A cell counts as much work as it has rows, times the passes of its protocol, times what such work cost so far
for its model under its protocol. A model that was seen under other protocols only is taken to cost as under
those, times how the protocols compare for other models with weights. One that has not been seen at all is
taken to cost as its number of parameters says, compared with those seen; one without parameters (a baseline,
a bag of words) as `LIGHT_RATE` says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from ptbench.runner.plan import PlannedCell

FIXED_COST = 50.0
"""What a cell costs beyond its rows (metrics, intervals, files), counted in rows."""
PARAMETER_RATE = 1e-10
"""Seconds per row and parameter before any such model was seen: an encoder of texts on two cores."""
LIGHT_RATE = 0.0005
"""Seconds per row of a model without known parameters: TF-IDF with its head took 0.0001 to 0.001."""


class Eta:
    """Estimates the seconds that remain; None until a first cell has ended."""

    def __init__(self, cells: Sequence[PlannedCell], parameters: dict[str, int]) -> None:
        self._left = {planned.cell.id: planned for planned in cells}
        self._parameters = parameters
        self._rates: dict[str, dict[str, list[float]]] = defaultdict(dict)

    def finished(self, cell_id: str, seconds: float) -> None:
        """Book a cell that has ended after so many seconds of wall-clock time."""
        planned = self._left.pop(cell_id, None)
        if planned is not None:
            cell = planned.cell
            self._rates[cell.model.name].setdefault(cell.label, []).append(seconds / _work(planned))

    def remaining(self, spent: float = 0.0) -> float | None:
        """Return the seconds that remain; ``spent`` is how long the current cell has run already."""
        if not self._rates:
            return None
        total = sum(
            _work(planned) * self._rate(planned.cell.model.name, planned.cell.label)
            for planned in self._left.values()
        )
        return max(total - spent, 0.0)

    def _rate(self, model: str, label: str) -> float:
        rates = self._rates.get(model)
        if rates:
            return self._known(rates, label)
        own = self._parameters.get(model, 0)
        seen = {
            parameters: self._known(others, label)
            for name, others in self._rates.items()
            if others and (parameters := self._parameters.get(name, 0))
        }
        if not own:
            return LIGHT_RATE
        if not seen:
            return PARAMETER_RATE * own
        size = min(seen, key=lambda parameters: abs(parameters - own))
        return seen[size] * own / size

    def _known(self, rates: Mapping[str, list[float]], label: str) -> float:
        """Return the rate of a model under a protocol, from its rates under that one or under others."""
        if label in rates:
            return median(rates[label])
        compared = [
            median(others[label]) / median(others[other])
            for name, others in self._rates.items()
            for other in rates
            if self._parameters.get(name) and label in others and other in others
        ]
        usual = median(median(each) for each in rates.values())
        return usual * (median(compared) if compared else 1.0)


def _work(planned: PlannedCell) -> float:
    return planned.rows + FIXED_COST

"""How long the rest of a run takes, from what its cells took so far.

A cell counts as much work as it has rows, times what the model's rows cost so far. A model that has not
been seen yet is taken to cost as its number of parameters says, compared with those seen; one without
parameters (a baseline, a bag of words) as `LIGHT_RATE` says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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
        self._rates: dict[str, list[float]] = defaultdict(list)

    def finished(self, cell_id: str, seconds: float) -> None:
        """Book a cell that has ended after so many seconds of wall-clock time."""
        planned = self._left.pop(cell_id, None)
        if planned is not None:
            self._rates[planned.cell.model.name].append(seconds / _work(planned))

    def remaining(self, spent: float = 0.0) -> float | None:
        """Return the seconds that remain; ``spent`` is how long the current cell has run already."""
        if not self._rates:
            return None
        total = sum(_work(planned) * self._rate(planned.cell.model.name) for planned in self._left.values())
        return max(total - spent, 0.0)

    def _rate(self, model: str) -> float:
        if self._rates[model]:
            return median(self._rates[model])
        own = self._parameters.get(model, 0)
        seen = {
            parameters: median(rates)
            for name, rates in self._rates.items()
            if rates and (parameters := self._parameters.get(name, 0))
        }
        if not own:
            return LIGHT_RATE
        if not seen:
            return PARAMETER_RATE * own
        size = min(seen, key=lambda parameters: abs(parameters - own))
        return seen[size] * own / size


def _work(planned: PlannedCell) -> float:
    return planned.rows + FIXED_COST

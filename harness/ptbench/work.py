"""What a cell has at hand while its protocol runs, and the account of what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Examples, Task
from ptbench.errors import ProtocolError
from ptbench.features import Features, FeatureStore, Sides, added, extract, feature_identity, sides_of
from ptbench.identity import Identity
from ptbench.meter import Clock
from ptbench.model import Embedder, Model
from ptbench.offers import Kind, Trial
from ptbench.records import Cell, Cost


@dataclass
class Work:
    """What a cell has at hand while its protocol runs, and what it cost so far."""

    store: FeatureStore
    cell: Cell
    model: Model
    task: Task
    kind: Kind
    identity: Identity
    """Who the model is."""
    inputs: Mapping[str, str]
    """`Examples.fingerprint` of each split."""
    scratch: Path | None = None

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.reused_seconds = 0.0
        self.reused = False
        self.test_seconds = 0.0
        self.facts_before = self.model.facts
        self.reused_counts: Counter[str] = Counter()
        self.reused_spent: dict[str, float] = {}
        self.had: dict[str, Features] = {}

    def trial(self, options: Mapping[str, Any]) -> Trial:
        """Return what the protocol gets."""
        return Trial(
            model=self.model,
            task=self.task,
            kind=self.kind,
            options=options,
            seed=self.cell.seed,
            features=self.features,
            phase=self.clock.phase,
            embed=self.embed,
            scratch=self.scratch,
        )

    def embed(self, examples: Examples) -> NDArray[np.float32]:
        """Return features of examples of the protocol's own making; see `Trial.embed`."""
        if not len(examples):
            return self._embedded(examples, []).sides[0]
        return self._features(examples, examples.fingerprint(), [], "made by the protocol").sides[0]

    def features(self, split: str) -> Sides:
        """Return the features of a split, from the store where they are there; see `Trial.features`."""
        examples = self.task.split(split).examples
        features = self._features(examples, self.inputs[split], sides_of(examples, self.kind), split)
        if split == "test" and not self.test_seconds:
            self.test_seconds = features.seconds
        return features.sides

    def _features(self, examples: Examples, inputs: str, sides: list[str], split: str) -> Features:
        """Return features that this cell had before, or that are kept, or that are computed now."""
        identity = feature_identity(self.identity, inputs, pair=len(sides) > 1)
        key = identity.key()
        if key in self.had:  # they are paid for
            return self.had[key]
        features = self.store.get(identity)
        if features is None:
            features = self._embedded(examples, sides)
            about = {"task": self.cell.task.name, "split": split, "examples": len(examples)}
            self.store.put(identity, features, about)
        else:
            self._reuse(features)
        self.had[key] = features
        return features

    def _embedded(self, examples: Examples, sides: list[str]) -> Features:
        model = self.model
        who = f"{self.cell.model.reference} on {self.cell.task.name}"
        if not isinstance(model, Embedder):
            raise ProtocolError(f"{who}: cannot embed, and so has no features")
        with self.clock.phase("embed"):
            return extract(model, examples, sides, who)

    def _reuse(self, features: Features) -> None:
        self.reused = True
        self.reused_seconds += features.seconds
        self.reused_counts.update(features.counts)
        for name, seconds in features.spent.items():
            self.reused_spent[name] = self.reused_spent.get(name, 0.0) + seconds

    def counted(self) -> dict[str, int]:
        """Return what the model had to change in this cell's inputs, those of reused features too."""
        own = added(self.facts_before.counts, self.model.facts.counts)
        return {name: own.get(name, 0) + self.reused_counts[name] for name in {**own, **self.reused_counts}}

    def cost(
        self, n: int, load_seconds: float, peak: float | None, metrics_seconds: float, earlier: float = 0.0
    ) -> Cost:
        """Return the account of a cell that ended with n predictions, reused features counted in.

        And so is what a fitting had spent ``earlier``, before it was interrupted.
        """
        phases = dict(self.clock.seconds)
        if earlier:
            phases["fit"] = phases.get("fit", 0.0) + earlier
        if self.reused:
            phases["embed"] = phases.get("embed", 0.0) + self.reused_seconds
        test_seconds = self.test_seconds + phases.get("predict", 0.0)
        facts, seconds = self.model.facts, sum(phases.values())
        operations = facts.operations
        return Cost(
            seconds=seconds,
            load_seconds=load_seconds,
            phases=phases,
            examples_per_s=n / test_seconds if test_seconds > 0 else None,
            parameters=facts.parameters,
            macs=operations.macs if operations else None,
            fvcore_macs=operations.fvcore_macs if operations else None,
            activations=operations.activations if operations else None,
            weight_bytes=facts.weight_bytes,
            peak_memory_mb=peak,
            features_reused=self.reused,
            spent=self.spent(seconds, phases.get("fit"), metrics_seconds),
        )

    def spent(self, seconds: float, fit: float | None, metrics: float) -> dict[str, float]:
        """Return what the time of the cell went to; what nobody tells of is the rest."""
        told = added(self.facts_before.seconds, self.model.facts.seconds)
        told = {name: value + self.reused_spent.get(name, 0.0) for name, value in told.items()}
        told |= {} if fit is None else {"fit": fit}
        return {**told, "metrics": metrics, "rest": max(0.0, seconds - sum(told.values()))}

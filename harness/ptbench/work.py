"""What a cell has at hand while its protocol runs, and the account of what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.blocks import Parts, Toll, added, call_in_blocks
from ptbench.data import Columns, Examples, Task
from ptbench.errors import ProtocolError
from ptbench.features import (
    Features,
    FeatureStore,
    Sides,
    extract,
    extract_part,
    feature_identity,
    sides_of,
)
from ptbench.identity import Identity
from ptbench.meter import Clock
from ptbench.model import Capability, Embedder, Model, Predictor
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
    parts: Parts | None = None
    """What other slots computed for this cell, or what is to be computed for it here."""
    load_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.reused = False
        self.test_seconds = 0.0
        self.facts_before = self.model.facts
        self.elsewhere: dict[str, Toll] = {}
        """By phase, what features that are reused took at first, and what other slots spent."""
        self.had: dict[str, Features] = {}
        self.who = f"{self.cell.model.reference} on {self.cell.task.name}"

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
            predict=self.predict,
            embed=self.embed,
            scratch=self.scratch,
        )

    def part(self, capability: Capability, *, trains: bool) -> None:
        """Compute what falls to `Parts.own`, and keep it for the slot that runs the whole cell."""
        assert self.parts is not None
        splits = ("train", "validation", "test") if trains else ("test",)
        if capability is Capability.PREDICT:
            self.predict(self.task.split("test").examples)
            return
        assert isinstance(self.model, Embedder)
        for split in splits:
            if split in self.task.splits:
                examples = self.task.split(split).examples
                sides = sides_of(examples, self.kind)
                identity = feature_identity(self.identity, self.inputs[split], pair=len(sides) > 1)
                with self.clock.phase("embed"):
                    extract_part(self.model, examples, sides, self.who, identity.key(), self.parts)

    def predict(self, examples: Examples) -> Columns:
        """Return what the model predicts; see `Trial.predict`."""
        model = self.model
        if not isinstance(model, Predictor):
            raise ProtocolError(f"{self.who}: cannot predict")
        with self.clock.phase("predict"):
            called = call_in_blocks(model, model.predict, examples, self.who, key="predict", parts=self.parts)
        self._add("predict", called.elsewhere)
        return called.columns

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
            features = self._embedded(examples, sides, key if split in self.task.splits else "")
            about = {"task": self.cell.task.name, "split": split, "examples": len(examples)}
            self.store.put(identity, features, about)
        else:
            self.reused = True
            self._add("embed", Toll(features.seconds, features.counts, features.spent))
        self.had[key] = features
        return features

    def _embedded(self, examples: Examples, sides: list[str], key: str = "") -> Features:
        model = self.model
        if not isinstance(model, Embedder):
            raise ProtocolError(f"{self.who}: cannot embed, and so has no features")
        parts = self.parts if key else None
        with self.clock.phase("embed"):
            features, elsewhere = extract(model, examples, sides, self.who, key, parts)
        self._add("embed", elsewhere)
        return features

    def _add(self, phase: str, toll: Toll) -> None:
        self.elsewhere[phase] = self.elsewhere.get(phase, Toll()) + toll

    def counted(self) -> dict[str, int]:
        """Return what the model had to change in this cell's inputs, those of reused features too."""
        own: dict[str, int] = added(self.facts_before.counts, self.model.facts.counts)
        for toll in self.elsewhere.values():
            own = {name: own.get(name, 0) + toll.counts.get(name, 0) for name in {**own, **toll.counts}}
        return own

    def cost(self, n: int, peak: float | None, metrics_seconds: float, earlier: float = 0.0) -> Cost:
        """Return the account of a cell that ended with n predictions, reused features counted in.

        And so is what a fitting had spent ``earlier``, before it was interrupted.
        """
        phases = dict(self.clock.seconds)
        for name, toll in self.elsewhere.items():
            if toll.seconds:
                phases[name] = phases.get(name, 0.0) + toll.seconds
        if earlier:
            phases["fit"] = phases.get("fit", 0.0) + earlier
        test_seconds = self.test_seconds + phases.get("predict", 0.0)
        facts, seconds = self.model.facts, sum(phases.values())
        operations = facts.operations
        return Cost(
            seconds=seconds,
            load_seconds=self.load_seconds,
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
        for toll in self.elsewhere.values():
            told = {name: value + toll.spent.get(name, 0.0) for name, value in told.items()}
        told |= {} if fit is None else {"fit": fit}
        return {**told, "metrics": metrics, "rest": max(0.0, seconds - sum(told.values()))}

    def wall(self) -> dict[str, float]:
        """Return the seconds that this process spent in the protocol: ``decode``, ``model``, ``fit``."""
        phases = self.clock.seconds
        model = phases.get("embed", 0.0) + phases.get("predict", 0.0)
        decode = added(self.facts_before.seconds, self.model.facts.seconds).get("decode", 0.0)
        decode = min(decode, model)
        return {"decode": decode, "model": model - decode, "fit": sum(phases.values()) - model}

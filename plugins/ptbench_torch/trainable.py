"""A network that can be fine-tuned, and what comes of it: a network that predicts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ptbench import Columns, Examples, FitRequest, ModelError, ModelFacts, Split
from ptbench_torch.fitting import Best, Fitting
from ptbench_torch.goals import Goal, goal_of
from ptbench_torch.keeping import Keeper
from ptbench_torch.learner import Learner
from ptbench_torch.network import Network
from ptbench_torch.optimising import counted
from ptbench_torch.recipe import Recipe
from ptbench_torch.seeding import own_randomness
from ptbench_torch.training import evaluate


class Trainable:
    """A network that learns a task with a new head. It remembers the weights that were loaded."""

    def __init__(self, learner: Learner, facts: ModelFacts) -> None:
        self.learner = learner
        self._facts = facts
        state = learner.backbone.state_dict()
        self.base = {name: tensor.to("cpu", copy=True) for name, tensor in state.items()}

    @property
    def facts(self) -> ModelFacts:
        """What is known of it; what it had to change in its inputs is counted since it was loaded."""
        batching = self.learner.batching
        counts = {**self.learner.counts(), **batching.counts()}
        return replace(self._facts, counts=counts, notes=(*self._facts.notes, *batching.notes()))

    def fit(self, train: Split, validation: Split, request: FitRequest) -> Tuned:
        """Fine-tune from the loaded weights on, as the options of ``fine_tune`` say.

        Raises `ModelError` where the loss is no number under any rate.
        """
        recipe, goal = Recipe.of(request.options), goal_of(train, request.labels)
        keeper = Keeper(request.scratch, self._key(recipe, request, train, validation))
        with _undisturbed(self.learner):
            fitting = Fitting(self.learner, recipe, goal, request.seed, self.base, keeper)
            best = fitting.run(train, validation)
            facts = replace(self.facts, extra=_told(fitting, best), notes=_notes(fitting, best))
        return Tuned(self, fitting.network, goal, best, facts)

    def _key(self, recipe: Recipe, request: FitRequest, train: Split, validation: Split) -> str:
        """Return a digest of all that makes this training the one it is."""
        facts = self._facts
        own = (facts.weights, facts.preprocessing, facts.precision, facts.device, torch.__version__)
        asked = (recipe, request.kind, request.labels, request.seed)
        digest = hashlib.sha256(repr((own, asked)).encode())
        for split in (train, validation):
            digest.update(repr(list(split.examples.ids)).encode("utf-8", "surrogatepass"))
            digest.update(split.targets.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Tuned:
    """A network that was fine-tuned: it predicts, whatever is learnt with its backbone later."""

    origin: Trainable
    network: Network
    goal: Goal
    best: Best
    facts: ModelFacts

    def predict(self, examples: Examples) -> Columns:
        """Return ``scores`` float32[n, labels], or ``prediction`` float64[n]."""
        learner, network = self.origin.learner, self.network
        network.backbone.load_state_dict(self.origin.base)
        network.backbone.load_state_dict(self.best.backbone, strict=False)
        network.head.load_state_dict(self.best.head)
        inputs = learner.read(examples)
        outputs = evaluate(network.eval(), inputs, learner.batching, width=self.goal.width)
        if not bool(torch.from_numpy(outputs).isfinite().all()):
            raise ModelError("fine_tune: outputs for test are not finite numbers: try precision fp32")
        return self.goal.columns(outputs)


@contextmanager
def _undisturbed(learner: Learner) -> Iterator[None]:
    """Leave nothing behind: modes, gradients and generators are afterwards as they were."""
    try:
        with own_randomness(learner.device), torch.inference_mode(mode=False), torch.enable_grad():
            yield
    finally:
        learner.backbone.eval().requires_grad_(True).zero_grad(set_to_none=True)


def _told(fitting: Fitting, best: Best) -> dict[str, Any]:
    """Return facts of a training; ``search`` counts every epoch of every course: each is a candidate.

    ``trained_parameters`` and ``unfrozen`` are of the state that was kept.
    """
    recipe, network = fitting.recipe, fitting.network
    course = fitting.courses[best.course]
    network.unfreeze()
    learnt: nn.Module = network if course.stage == "all" else network.head
    told: dict[str, Any] = {
        "search": sum(each.done for each in fitting.courses),
        "stages": list(recipe.stages),
        "stage": course.stage,
        "rate": course.rate,
        "batch": fitting.batching.facts(),
        "epoch": best.epoch + 1,
        f"validation_{fitting.goal.score_name}": course.scores[best.epoch],
        "trained_parameters": counted(learnt.parameters()),
        "curves": [c for each in fitting.courses for c in each.curves(fitting.goal.score_name)],
    }
    if course.stage == "all" and recipe.last is not None:
        told["unfrozen"] = ", ".join(network.names)
    if stopped := {each.name: each.done for each in fitting.courses if each.early}:
        told["stopped_early"] = stopped
    if fitting.seconds > 0:
        told["steps_per_s"] = fitting.steps / fitting.seconds
    if fitting.resumed_at:
        told |= {"resumed_at": fitting.resumed_at, "earlier_seconds": fitting.earlier_seconds}
    return told


def _notes(fitting: Fitting, best: Best) -> tuple[str, ...]:
    notes = [*fitting.keeper.notes, *(course.remark for course in fitting.courses)]
    notes += fitting.batching.notes()
    if len(fitting.recipe.stages) > 1 and fitting.courses[best.course].stage == "head":
        notes.append("unfreezing made validation no better: the head on the frozen backbone was kept")
    return tuple(note for note in notes if note)

"""Two-stage fine-tuning: the head on frozen features, then head and backbone under each rate of a grid.

Validation chooses: among the epochs of all rates, and the head on the frozen backbone is a candidate too.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ptbench import ModelError, Split
from ptbench_torch.batching import Batching
from ptbench_torch.courses import Course
from ptbench_torch.goals import Goal
from ptbench_torch.keeping import Keeper
from ptbench_torch.learner import Learner
from ptbench_torch.network import Head, Network
from ptbench_torch.optimising import Optimiser
from ptbench_torch.recipe import Recipe
from ptbench_torch.seeding import reseed
from ptbench_torch.stepping import step_batching
from ptbench_torch.training import Kept, Rows, evaluate, mean_loss, steps_of, train_epoch

HEAD_BUDGET = 4096
"""Rows of features in a batch that a head evaluates."""
State = dict[str, Tensor]
Both = tuple[Rows, Rows]
"""The rows to learn from, and those to choose on."""


@dataclass(slots=True)
class Best:
    """The best state so far: of which course and epoch, and the weights that learnt."""

    course: int
    epoch: int
    head: State
    backbone: State
    """Empty where the backbone is as it was loaded."""


@dataclass
class Fitting:
    """One fine-tuning from the loaded weights on; `run` it once."""

    learner: Learner
    recipe: Recipe
    goal: Goal
    seed: int
    base: State
    """The weights as they were loaded."""
    keeper: Keeper
    courses: list[Course] = field(default_factory=list)
    best: Best | None = None
    resumed_at: str = ""
    steps: int = 0
    """Steps of whole-network training in this process, and the seconds that they took."""
    seconds: float = 0.0
    earlier_seconds: float = 0.0
    """What had been spent on it before an interruption."""

    def __post_init__(self) -> None:
        """Put a head on the backbone."""
        head = Head(self.learner.width, self.goal.width, self.recipe.dropout).to(self.learner.device)
        kept_norms = self.recipe.batch_norm == "keep"
        self.network = Network(self.learner, head, self.recipe.last, kept_norms=kept_norms)
        self.batching = step_batching(self.network, self.recipe, self.learner.device)
        self._start: State = {}
        self._began = time.perf_counter()

    def run(self, train: Split, validation: Split) -> Best:
        """Learn from train, choose on validation, and return the best state. Raises `ModelError`."""
        learner, recipe = self.learner, self.recipe
        learner.backbone.load_state_dict(self.base)
        rows = self._rows(train), self._rows(validation)
        now = self._resume()
        if not self._start:
            self._first_stage(rows)
        for i, rate in enumerate(recipe.rates if "all" in recipe.stages else ()):
            place = i + recipe.stages.count("head")
            if place == len(self.courses):
                self.courses.append(Course("all", rate, recipe.epochs, recipe.patience))
                now = None
            if not self.courses[place].over:
                self._second_stage(self.courses[place], rows, now)
        return self._chosen()

    def _rows(self, split: Split) -> Rows:
        inputs = self.learner.read(split.examples)
        return Rows.of(split, inputs, self.goal, self.learner.device, self.seed)

    def _first_stage(self, rows: Both) -> None:
        """Compute features once; standardise by those of train; learn the head on them, if that is asked."""
        learner, recipe, head = self.learner, self.recipe, self.network.head
        train = self._features(rows[0])
        head.standardise(train)
        reseed(learner.device, self.seed, "draw")
        head.draw()
        drawn = _copied(head.state_dict())
        if "head" in recipe.stages:
            kept = rows[0].reading(Kept(train)), rows[1].reading(Kept(self._features(rows[1])))
            self.courses.append(Course("head", recipe.head_rate, recipe.head_epochs, recipe.patience))
            optimiser = Optimiser(head, recipe, recipe.head_rate, None)
            while not self.courses[0].over:
                self._epoch(self.courses[0], head, kept, optimiser)
        self._start = drawn if self.best is None else self.best.head
        self._keep(None)

    def _features(self, rows: Rows) -> Tensor:
        learner, network = self.learner, self.network.eval()
        features = evaluate(network.features, rows.inputs, learner.batching, width=learner.width)
        tensor = torch.from_numpy(features).to(learner.device)
        if not bool(tensor.isfinite().all()):
            raise ModelError("its features are not finite numbers: try precision fp32")
        return tensor

    def _second_stage(self, course: Course, rows: Both, now: dict[str, Any] | None) -> None:
        """Learn with the whole network under one rate, from the loaded weights and the head of stage head."""
        network = self.network
        network.backbone.load_state_dict(self.base)
        network.head.load_state_dict(self._start)
        network.unfreeze()
        optimiser = Optimiser(network, self.recipe, course.rate, self.learner.autocast)
        if now:
            network.backbone.load_state_dict(now["backbone"], strict=False)
            network.head.load_state_dict(now["head"])
            optimiser.restore(now["optimiser"])
        while not course.over:
            self._epoch(course, network, rows, optimiser)
            self._keep(None if course.over else optimiser)

    def _epoch(self, course: Course, module: nn.Module, rows: Both, optimiser: Optimiser) -> None:
        """Learn for one epoch, look at validation, and note the best state."""
        recipe, learner, epoch = self.recipe, self.learner, course.done
        train, validation = rows
        reseed(learner.device, self.seed, course.stage, epoch)
        started = time.perf_counter()
        whole = module is self.network
        batching = self.batching if whole else None
        loss = train_epoch(module, train, self.goal, optimiser, recipe, epoch, course.epochs, batching)
        if whole:
            self.seconds += time.perf_counter() - started
            self.steps += steps_of(train, recipe)
        looking = learner.batching if whole else Batching("rows of features", HEAD_BUDGET, learner.device)
        outputs = evaluate(module.eval(), validation.inputs, looking, width=self.goal.width)
        score = self.goal.score(outputs, validation.targets)
        course.add(loss, mean_loss(outputs, validation, self.goal), score)
        if not course.diverged and self._is_best(course):
            head, backbone = self.network.head.state_dict(), self.network.changing() if whole else {}
            place = len(self.courses) - 1
            self.best = Best(place, epoch, _copied(head), _copied(backbone))

    def _is_best(self, course: Course) -> bool:
        if self.best is None:
            return True
        before = self.courses[self.best.course].rank(self.best.epoch)
        return course.rank(course.done - 1) > before

    def _chosen(self) -> Best:
        wide = [course for course in self.courses if course.stage == self.recipe.stages[-1]]
        if self.best is None or all(course.diverged for course in wide):
            rates = ", ".join(f"{course.rate:g}" for course in wide)
            key = "rates" if self.recipe.stages[-1] == "all" else "head_rate"
            raise ModelError(
                f"fine_tune: the loss was no number under any rate ({rates}): try lower {key}, a longer "
                "warmup, or precision fp32"
            )
        return self.best

    def _keep(self, optimiser: Optimiser | None) -> None:
        """Keep what is needed to go on from here."""
        network = self.network
        now = None
        if optimiser is not None:
            now = {
                "backbone": _plain(network.changing()),
                "head": network.head.state_dict(),
                "optimiser": optimiser.state(),
            }
        self.keeper.write(
            {
                "seconds": self.earlier_seconds + time.perf_counter() - self._began,
                "start": self._start,
                "courses": [asdict(course) for course in self.courses],
                "best": None if self.best is None else _fields(self.best),
                "now": now,
            }
        )

    def _resume(self) -> dict[str, Any] | None:
        """Take up what was kept, if anything was; return the state of the course that was going on."""
        state = self.keeper.read()
        if state is None:
            return None
        self._start, self.earlier_seconds = state["start"], state["seconds"]
        self.courses = [Course(**course) for course in state["courses"]]
        self.best = Best(**state["best"]) if state["best"] else None
        last = self.courses[-1] if self.courses else None
        self.resumed_at = f"{last.name}, epoch {last.done}" if last else "the start"
        now: dict[str, Any] | None = state["now"]
        return now


def _copied(state: State) -> State:
    """Return a state on the CPU that nobody changes any more."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}


def _plain(state: State) -> State:
    return {name: tensor.detach() for name, tensor in state.items()}


def _fields(best: Best) -> dict[str, Any]:
    return {"course": best.course, "epoch": best.epoch, "head": best.head, "backbone": best.backbone}

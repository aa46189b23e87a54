"""The protocol ``fine_tune``: a new head on the frozen network first, then all of it, or its last blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ptbench import (
    Capability,
    Option,
    Outcome,
    Protocol,
    ProtocolError,
    TaskFacts,
    Trial,
    cut_validation,
    own_recipe,
)
from ptbench_torch.recipe import OPTIONS

HEAD_ONLY = ("head_epochs", "head_rate")
ALL_ONLY = ("unfreeze", "epochs", "rates", "batch_norm")
"""Options that concern one of the two stages."""


def run(trial: Trial) -> Outcome:
    """Let the model learn from train and choose on validation, then predict on test, once.

    What cannot be fine-tuned but fits itself follows its own recipe; a sentinel peeks.
    """
    _check(trial)
    outcome = own_recipe(trial)
    if outcome is not None:
        return outcome
    train = trial.task.split("train")
    if "validation" in trial.task.splits:
        validation = trial.task.split("validation")
    else:
        train, validation = cut_validation(train, trial.options["validation"], trial.seed)
    for name, split in (("train", train), ("validation", validation)):
        if len(split) == 0:
            raise ProtocolError(f"fine_tune: the {name} split of {trial.task.name} is empty")
    outcome = own_recipe(trial, train, validation)
    if outcome is None:
        raise ProtocolError(f"fine_tune cannot use a {type(trial.model).__name__}: it does not learn")
    return replace(outcome, facts={**outcome.facts, "validation_rows": len(validation)})


def _check(trial: Trial) -> None:
    for option in PROTOCOL.options:
        value = trial.options[option.name]
        problem = option.check(value)
        if option.choices and value not in option.choices:
            problem = f"one of {', '.join(option.choices)} was expected"
        if problem:
            raise ProtocolError(f"fine_tune: {option.name} = {value!r}: {problem}")


def _share(value: float) -> str | None:
    return None if 0 < value < 1 else "a share between 0 and 1 was expected"


def passes(options: Mapping[str, Any]) -> float:
    """Return how often rows go through the network: once for the head, then in steps, each three times."""
    steps = options["epochs"] * len(options["rates"]) if "all" in options["stages"] else 0
    return 1.0 + 3.0 * steps


def refuses(facts: TaskFacts) -> str | None:
    """Say why nothing can be fine-tuned to a task, or None."""
    if facts.kind.target.type not in ("label", "number"):
        return f"fine_tune predicts a label or a number, and {facts.kind.name} has neither as target"
    if facts.splits is not None and "train" not in facts.splits:
        return "fine_tune learns from a train split, and the task has none"
    return None


def misfit(facts: TaskFacts, options: Mapping[str, Any]) -> str | None:
    """Say which option has no effect, since its stage is left out, or None."""
    idle = (
        HEAD_ONLY if "head" not in options["stages"] else ALL_ONLY if "all" not in options["stages"] else ()
    )
    for option in OPTIONS:
        if option.name in idle and options[option.name] != option.default:
            stages = ", ".join(options["stages"])
            return f"fine_tune: {option.name} has no effect, as the only stage is {stages}; leave it out"
    return None


PROTOCOL = Protocol(
    name="fine_tune",
    description="A new head on the frozen network, then both together; validation chooses the learning rate.",
    requires=("torch",),
    options=(
        *OPTIONS,
        Option(
            "validation",
            (float,),
            "Share of train to choose on, by example id, where the task has no validation split.",
            default=0.1,
            check=_share,
        ),
    ),
    needs=(Capability.FIT, Capability.PEEK),
    run=run,
    refuses=refuses,
    misfit=misfit,
    trains=True,
    stochastic=True,
    passes=passes,
)

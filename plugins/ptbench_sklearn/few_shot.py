"""The protocol ``few_shot``: a few training rows per class, drawn several times."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import (
    Capability,
    Columns,
    Draw,
    Embedder,
    Examples,
    Option,
    Outcome,
    Peeker,
    Protocol,
    ProtocolError,
    TaskFacts,
    Trial,
    cut_validation,
    own_recipe,
)
from ptbench_sklearn.distances import Floats, unit
from ptbench_sklearn.draws import MTEB_SEED, Positions, mteb_draws, nested_draws
from ptbench_sklearn.frozen import PAIR, check_options, has_no_train, own_note, wants_labels
from ptbench_sklearn.knn import temperature_problem as strength_problem
from ptbench_sklearn.probe import combined
from ptbench_sklearn.prototypes import fit_prototypes

SHOTS = (1, 2, 4, 8, 16)
MTEB_SHOTS = 8
ITERATIONS = {"ptbench": 1000, "mteb": 100}
SHARE_TO_CHOOSE_ON = 0.2
"""Of a draw, for a model with its own recipe: whatever it chooses, it sees no row beyond the draw."""
MAX_SCORES = 1 << 30
"""Bytes of all scores together; beyond that only predictions are kept."""


def run(trial: Trial) -> Outcome:
    """Learn from each draw of train, and predict on test."""
    check_options(trial, PROTOCOL)
    if problem := misfit(TaskFacts(trial.kind, labels=trial.task.labels), trial.options):
        raise ProtocolError(problem)
    if isinstance(trial.model, Peeker):
        outcome = own_recipe(trial)
        assert outcome is not None
        return outcome
    draws, notes = _drawn(trial)
    if isinstance(trial.model, Embedder):
        learnt, told, more = _on_features(trial, draws)
    else:
        learnt, told, more = _by_own_recipe(trial, draws)
    keep = len(trial.task.split("test")) * len(trial.task.labels) * 4 * len(draws) <= MAX_SCORES
    if not keep:
        more = (*more, "few_shot kept no scores: there are too many for memory")
        learnt = [{"prediction": one["prediction"]} for one in learnt]
    facts = {
        "recipe": trial.options["recipe"],
        "learner": trial.options["learner"],
        "shots": sorted({k for k, _ in draws}),
        "resamples": trial.options["resamples"],
        **told,
    }
    columns = zip(draws, learnt, strict=True)
    return Outcome({}, facts, (*notes, *more), tuple(Draw(one, k) for (k, _), one in columns))


def _drawn(trial: Trial) -> tuple[list[tuple[int, Positions]], tuple[str, ...]]:
    """Return all draws, those of the fewest shots first, and what was left out."""
    train, options = trial.task.split("train"), trial.options
    wanted, resamples = _shots(options), options["resamples"]
    classes, counts = np.unique(train.targets, return_counts=True)
    if len(classes) < 2:
        raise ProtocolError(f"few_shot: all training rows have the label '{trial.task.labels[classes[0]]}'")
    if options["recipe"] == "mteb":
        return list(mteb_draws(train.targets, wanted[0], resamples, MTEB_SEED + trial.seed)), ()
    smallest = int(counts.min())
    shots = [k for k in wanted if k <= smallest]
    label = trial.task.labels[classes[counts.argmin()]]
    fewest = f"label '{label}' has {smallest:,} training {'row' if smallest == 1 else 'rows'}"
    if not shots:
        raise ProtocolError(f"few_shot: shots = {wanted}: {fewest}")
    left_out = ", ".join(str(k) for k in wanted if k > smallest)
    notes: tuple[str, ...] = (f"shots left out: {left_out}; {fewest}",) if left_out else ()
    if 2 * shots[-1] > smallest and resamples > 1:
        notes += (f"draws of {shots[-1]} share many rows ({fewest}): their interval is for this train set",)
    return list(nested_draws(train.examples.ids, train.targets, shots, resamples, trial.seed)), notes


def _on_features(
    trial: Trial, draws: list[tuple[int, Positions]]
) -> tuple[list[Columns], dict[str, Any], tuple[str, ...]]:
    from threadpoolctl import threadpool_limits  # scikit-learn brings it

    x, places = _features(trial, draws)
    test = combined(trial.features("test"), trial.options["pair"])
    if trial.options["recipe"] == "ptbench":
        x, test = unit(x), unit(test)
    targets = trial.task.split("train").targets
    learnt, unfinished = [], 0
    with threadpool_limits(1):  # a fit of a few rows is over before threads have met
        for _, rows in draws:
            columns, converged = _learnt(trial, x[places[rows]], targets[rows], test)
            learnt.append(columns)
            unfinished += not converged
    notes = (f"{unfinished} of {len(draws)} heads had not converged",) if unfinished else ()
    return learnt, {"search": 1, "features": x.shape[1]}, notes


def _features(trial: Trial, draws: list[tuple[int, Positions]]) -> tuple[Floats, Positions]:
    """Return features of the rows that are drawn, and where each row of train stands among them.

    Where the draws touch less than half of train, the rest is not embedded: 10 draws of 16 shots are 320
    of SST-2's 67,349 rows.
    """
    train, pair = trial.task.split("train"), trial.options["pair"]
    places = np.full(len(train), -1, dtype=np.intp)
    touched = np.unique(np.concatenate([rows for _, rows in draws]))
    if 2 * len(touched) >= len(train):
        return combined(trial.features("train"), pair), np.arange(len(train))
    places[touched] = np.arange(len(touched))
    some = train.examples.take(touched)
    columns = [name for name in trial.kind.pair or () if name in some.columns]
    if not columns:
        return trial.embed(some), places
    sides = tuple(trial.embed(Examples(some.ids, {columns[0]: some[name]})) for name in columns)
    return combined(sides, pair), places


def _learnt(trial: Trial, x: Floats, y: NDArray[Any], test: Floats) -> tuple[Columns, bool]:
    """Return what a learner that saw these rows predicts on test, and whether it converged."""
    labels, options = len(trial.task.labels), trial.options
    if options["learner"] == "prototypes":
        with trial.phase("fit"):
            model = fit_prototypes(x, y, "cosine", labels)
        with trial.phase("predict"):
            return model.predict(test), True
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    iterations = ITERATIONS[options["recipe"]]
    # the seed changes nothing with this solver; it is there because mteb gives one
    head = LogisticRegression(
        C=1 / options["strength"], max_iter=iterations, random_state=MTEB_SEED + trial.seed
    )
    with trial.phase("fit"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is counted instead
        head.fit(x, y)
    with trial.phase("predict"):
        scores = np.zeros((len(test), labels), dtype=np.float32)
        scores[:, head.classes_] = head.predict_proba(test)
        # not the largest score: that of two classes can be equal for a decision that is barely not 0
        return {"scores": scores, "prediction": head.predict(test)}, int(head.n_iter_.max()) < iterations


def _by_own_recipe(
    trial: Trial, draws: list[tuple[int, Positions]]
) -> tuple[list[Columns], dict[str, Any], tuple[str, ...]]:
    """Let a model that fits itself do so on each draw."""
    train, learnt = trial.task.split("train"), []
    notes: dict[str, None] = {own_note(PROTOCOL): None}
    for _, rows in draws:
        fitting, choosing = cut_validation(train.take(rows), SHARE_TO_CHOOSE_ON, trial.seed)
        outcome = own_recipe(trial, fitting, choosing)
        if outcome is None:
            raise ProtocolError(f"few_shot cannot use a {type(trial.model).__name__}: it has no features")
        learnt.append(outcome.columns)
        notes |= dict.fromkeys(outcome.notes)
    return learnt, {}, tuple(notes)


def _shots(options: Mapping[str, Any]) -> list[int]:
    given = options["shots"]
    if given is None:
        return [MTEB_SHOTS] if options["recipe"] == "mteb" else list(SHOTS)
    return [given] if isinstance(given, int) else sorted(set(given))


def _shots_problem(shots: Any) -> str | None:
    given = [shots] if isinstance(shots, int) else shots
    good = given and all(type(k) is int and k >= 1 for k in given)
    return None if good else "whole numbers above 0 were expected, as in [1, 2, 4, 8, 16]"


def _resamples_problem(resamples: int) -> str | None:
    return None if resamples >= 1 else "a number of 1 or more was expected"


def misfit(facts: TaskFacts, options: Mapping[str, Any]) -> str | None:
    """Say what is wrong with options together, or None: mteb's recipe leaves little to choose."""
    if options["recipe"] != "mteb":
        return None
    if options["learner"] != "logistic":
        return f"few_shot: mteb's recipe is logistic regression; learner = '{options['learner']}' was given"
    if options["strength"] != 1:
        return f"few_shot: mteb's recipe has strength = 1; {options['strength']} was given"
    if len(_shots(options)) != 1:
        return f"few_shot: mteb's recipe has one number of shots (8); shots = {options['shots']} was given"
    return None


def refuses(facts: TaskFacts) -> str | None:
    """Say why a few rows per class cannot be drawn, or None."""
    why = "draws examples of each class"
    return wants_labels("few_shot", why, facts) or has_no_train("few_shot", facts)


PROTOCOL = Protocol(
    name="few_shot",
    description="A learner on frozen features of a few training rows per class, drawn several times.",
    requires=("sklearn",),
    options=(
        Option(
            "shots",
            (list, int),
            "Training rows per class; default: [1, 2, 4, 8, 16], and 8 in mteb's recipe.",
            check=_shots_problem,
        ),
        Option("resamples", (int,), "How often each is drawn.", default=10, check=_resamples_problem),
        Option(
            "learner",
            (str,),
            "Logistic regression, or the nearest class mean by cosine.",
            default="logistic",
            choices=("logistic", "prototypes"),
        ),
        Option(
            "strength",
            (float,),
            "Strength of regularisation (1/C) of the logistic regression.",
            default=1.0,
            check=strength_problem,
        ),
        Option(
            "recipe",
            (str,),
            "ptbench: rows scaled to length 1, nested draws. mteb: its draws, features as they are.",
            default="ptbench",
            choices=("ptbench", "mteb"),
        ),
        PAIR,
    ),
    needs=(Capability.EMBED, Capability.FIT, Capability.PEEK),
    run=run,
    refuses=refuses,
    misfit=misfit,
    trains=True,  # and one seed is enough: its draws are what several seeds would be
)

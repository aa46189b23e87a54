"""Fine-tuning as a whole: it learns, chooses on validation, goes on after an interruption, leaks nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.plugins.torch.toys import KIND, fit, learner, model, state, task, toy

from ptbench import Column, ModelError, ModelFacts, ModelRequest, ProtocolError, Reference, TaskFacts
from ptbench.baselines import PROVIDER as BASELINE
from ptbench.progress import listening
from ptbench.testing import check_protocol, make_trial
from ptbench_torch.finetuning import PROTOCOL
from ptbench_torch.keeping import STATES
from ptbench_torch.trainable import Trainable

QUICK = {"rates": [1e-2], "epochs": 2, "head_epochs": 2}
LEARNS = {"rates": [1e-4, 1e-2], "epochs": 25, "head_epochs": 5, "patience": 25, "head_rate": 1e-2}


def scores(fitted: Any, toy_task: Any) -> Any:
    (column,) = fitted.predict(toy_task.split("test").examples).values()
    return column


def untimed(facts: ModelFacts) -> dict[str, Any]:
    return {k: v for k, v in facts.extra.items() if k not in ("steps_per_s", "resumed_at", "earlier_seconds")}


def test_it_learns_what_no_head_on_frozen_features_can() -> None:
    easy = task(train=400)
    targets = easy.split("test").targets
    frozen = fit(model(toy(width=4, layers=1)), easy, stages=["head"], head_epochs=30, head_rate=1e-2)
    whole = fit(model(toy(width=4, layers=1)), easy, **LEARNS)
    assert np.mean(scores(frozen, easy).argmax(axis=1) == targets) < 0.75
    assert np.mean(scores(whole, easy).argmax(axis=1) == targets) > 0.85
    told = whole.facts.extra
    assert (told["stage"], told["rate"], told["search"]) == ("all", 1e-2, 5 + 25 + 25)


def test_numbers_are_learnt_on_their_own_scale() -> None:
    numbers = task(train=400, numbers=True)
    fitted = fit(model(), numbers, **LEARNS)
    (prediction,) = fitted.predict(numbers.split("test").examples).values()
    assert prediction.dtype == np.float64
    assert np.corrcoef(prediction, numbers.split("test").targets)[0, 1] > 0.85
    assert abs(prediction.mean() - 100) < 5
    assert fitted.facts.extra["validation_r2"] > 0.6


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("validation", [False, True])
def test_poisoned_test_rows_change_nothing(numbers: bool, validation: bool) -> None:
    check_protocol(PROTOCOL, model(), task(validation=validation, numbers=numbers), KIND, **QUICK)


def test_a_seed_is_the_same_twice_and_another_seed_another() -> None:
    resident, small = model(), task()
    first, again = (scores(fit(resident, small, **QUICK), small) for _ in range(2))
    other_process = scores(fit(model(), small, **QUICK), small)
    assert first.tobytes() == again.tobytes() == other_process.tobytes()
    assert scores(fit(resident, small, seed=1, **QUICK), small).tobytes() != first.tobytes()


def test_what_was_fitted_before_still_predicts_the_same() -> None:
    resident, small = model(), task()
    fitted = fit(resident, small, **QUICK)
    before = scores(fitted, small)
    fit(resident, small, seed=1, **QUICK)
    assert scores(fitted, small).tobytes() == before.tobytes()


def test_nothing_is_left_behind() -> None:
    resident = model()
    module = resident.learner.backbone
    before = torch.random.get_rng_state()
    with torch.no_grad():
        fit(resident, task(), unfreeze=1, **QUICK)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not any(part.training for part in module.modules())
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_frozen_blocks_stay_as_they_were_bit_for_bit() -> None:
    resident = model()
    module = resident.learner.backbone
    start = state(module)
    fit(resident, task(), unfreeze=1, stages=["all"], **QUICK)
    after = state(module)
    changed = {name for name in start if not torch.equal(start[name], after[name])}
    assert {name.split(".")[1] for name in changed if name.startswith("layers")} == {"2"}
    assert {name for name in changed if "running" in name} == {
        "layers.2.norm.running_mean", "layers.2.norm.running_var",
    }  # fmt: skip
    assert not any(name.startswith("stem") for name in changed)
    assert "norm.weight" in changed


def test_the_best_weights_are_those_of_the_best_epoch() -> None:
    """A rate that is far too high makes later epochs worse; the same run cut off there gives the same."""
    small = task()
    options = {"stages": ["all"], "rates": [0.5], "warmup": 0.0, "patience": 2, "weight_decay": 0.0}
    fitted = fit(model(), small, epochs=12, **options)
    told = fitted.facts.extra
    curve = {c["name"] + c["of"].partition(",")[0]: c["points"] for c in told["curves"]}
    reached = [(score, -loss) for (_, score), (_, loss) in zip(
        curve["accuracyvalidation"], curve["lossvalidation"], strict=True)]  # fmt: skip
    assert told["epoch"] == 1 + reached.index(max(reached))
    assert len(reached) == min(12, told["epoch"] + 2)
    assert fitted.facts.notes == (f"all 0.5 stopped early at epoch {len(reached)} of 12",)
    assert told["stopped_early"] == {"all 0.5": len(reached)}
    assert told["search"] == len(reached)
    validation = small.split("validation")
    (columns,) = fitted.predict(validation.examples).values()
    assert np.mean(columns.argmax(axis=1) == validation.targets) == max(reached)[0]


def test_where_unfreezing_is_no_better_the_head_is_kept() -> None:
    small = task()
    options = {"head_epochs": 3, "head_rate": 1e-2}
    whole = fit(model(), small, rates=[1.0], epochs=1, **options)
    head = fit(model(), small, stages=["head"], **options)
    assert whole.facts.extra["stage"] == "head"
    assert "the head on the frozen backbone was kept" in whole.facts.notes[-1]
    assert scores(whole, small).tobytes() == scores(head, small).tobytes()
    assert (head.facts.extra["search"], whole.facts.extra["search"]) == (3, 4)


def test_what_learnt_is_counted_in_the_state_that_was_kept() -> None:
    small, width, blocks = task(), 16, 3
    head, block, norm = 2 * width + 2, width * width + 3 * width, 2 * width
    for stages, unfreeze, rate, expected in (
        (["head"], "all", 1e-3, head),
        (["head", "all"], "all", 1.0, head),  # a rate that makes it worse: the head is kept
        (["head", "all"], 1, 1.0, head),
        (["all"], "all", 1e-3, head + 5 * width + blocks * block + norm),
        (["all"], 1, 1e-3, head + block + norm),
    ):
        options = {"head_epochs": 3, "head_rate": 1e-2, "rates": [rate], "epochs": 1}
        told = fit(model(), small, stages=stages, unfreeze=unfreeze, **options).facts.extra
        kept = "all" if expected > head else "head"
        assert (told["stage"], told["trained_parameters"]) == (kept, expected)
        assert ("unfrozen" in told) == (kept == "all" and unfreeze == 1)


def test_a_head_that_stops_early_is_a_fact_and_no_note() -> None:
    options = {"stages": ["head"], "head_epochs": 60, "head_rate": 0.3, "patience": 2}
    facts = fit(model(), task(), **options).facts
    (curve,) = (c for c in facts.extra["curves"] if c["name"] == "accuracy")
    assert len(curve["points"]) < 60
    assert facts.extra["stopped_early"] == {"head": len(curve["points"])}
    assert facts.extra["search"] == len(curve["points"])
    assert facts.notes == ()


@pytest.mark.parametrize(("stages", "epochs"), [(["head"], 0), (["head", "all"], 2), (["all"], 2)])
def test_only_what_goes_through_the_network_is_progress(stages: list[str], epochs: int) -> None:
    heard: list[int] = []
    with listening(heard.append):
        fit(model(), task(), stages=stages, rates=[1e-3], epochs=2, head_epochs=7)
    features = 100 + 40 * ("head" in stages)
    assert sum(heard) == features + epochs * (100 + 40)


def test_a_rate_that_diverges_loses() -> None:
    small = task()
    fitted = fit(model(), small, rates=[1e-2, 1e30], epochs=2, head_epochs=2, stages=["all"])
    assert fitted.facts.extra["rate"] == 1e-2
    assert "all 1e+30 diverged in epoch" in " ".join(fitted.facts.notes)
    with pytest.raises(ModelError, match=r"no number under any rate \(1e\+30\): try lower rates"):
        fit(model(), small, rates=[1e30], epochs=2, head_epochs=2)


def test_curves_have_a_point_for_each_epoch() -> None:
    told = fit(model(), task(), rates=[1e-3, 1e-2], epochs=2, head_epochs=3).facts.extra
    named = {(c["name"], c["of"]): [x for x, _ in c["points"]] for c in told["curves"]}
    assert named == {
        (name, f"{split}, {of}"): list(range(1, epochs + 1))
        for of, epochs in (("head", 3), ("all 0.001", 2), ("all 0.01", 2))
        for name, split in (("loss", "train"), ("loss", "validation"), ("accuracy", "validation"))
    }
    assert told["steps_per_s"] > 0
    assert "unfrozen" not in told


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_mixed_precision_keeps_weights_in_float32(precision: torch.dtype) -> None:
    small = task(train=400)
    resident = model(autocast=precision)
    seen: set[torch.dtype] = set()
    linear = resident.learner.backbone.stem
    hook = linear.register_forward_hook(lambda part, args, output: seen.add(output.dtype))  # type: ignore[operator]
    fitted = fit(resident, small, **LEARNS)
    hook.remove()  # type: ignore[union-attr]
    assert seen == {precision}
    assert {p.dtype for p in resident.learner.backbone.parameters()} == {torch.float32}
    assert np.mean(scores(fitted, small).argmax(axis=1) == small.split("test").targets) > 0.8


class InterruptedFitError(Exception):
    pass


def interrupting(after: int) -> Callable[[int], None]:
    heard = 0

    def listen(examples: int) -> None:
        nonlocal heard
        heard += examples
        if heard > after:
            raise InterruptedFitError

    return listen


RESUMED = {"rates": [1e-3, 1e-2], "epochs": 3, "head_epochs": 2, "patience": 2}


@pytest.mark.parametrize("stages", [["head", "all"], ["all"]])
def test_an_interrupted_fit_goes_on_and_ends_with_the_same_bits(stages: list[str], tmp_path: Path) -> None:
    small = task()
    expected = fit(model(), small, stages=stages, **RESUMED)
    resumed = set()
    for after in range(50, 1400, 110):
        scratch = tmp_path / str(after)
        try:
            with listening(interrupting(after)):
                fit(model(), small, scratch=scratch, stages=stages, **RESUMED)
        except InterruptedFitError:
            kept = bool(list(scratch.glob(STATES)))
            fitted = fit(model(), small, scratch=scratch, stages=stages, **RESUMED)
            assert ("resumed_at" in fitted.facts.extra) == kept
            resumed.add(fitted.facts.extra.get("resumed_at"))
            assert untimed(fitted.facts) == untimed(expected.facts)
            assert fitted.facts.notes == expected.facts.notes
            assert scores(fitted, small).tobytes() == scores(expected, small).tobytes()
    assert {"all 0.001, epoch 1", "all 0.01, epoch 1"} <= resumed


KILLED = """
import os, signal, sys
from pathlib import Path
from ptbench.progress import listening
from tests.plugins.torch.toys import fit, model, task
heard = 0
def listen(examples):
    global heard
    heard += examples
    if heard > 600:
        os.kill(os.getpid(), signal.SIGKILL)
with listening(listen):
    fit(model(), task(), scratch=Path(sys.argv[1]), rates=[1e-3, 1e-2], epochs=3, head_epochs=2, patience=2)
"""


def test_a_killed_process_goes_on_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, check=False)
    assert killed.returncode == -signal.SIGKILL
    small = task()
    fitted = fit(model(), small, scratch=tmp_path, **RESUMED)
    assert fitted.facts.extra["resumed_at"] == "all 0.001, epoch 3"
    expected = fit(model(), small, **RESUMED)
    assert scores(fitted, small).tobytes() == scores(expected, small).tobytes()
    assert untimed(fitted.facts) == untimed(expected.facts)


def test_a_damaged_state_or_one_of_other_options_is_not_taken_up(tmp_path: Path) -> None:
    small = task()
    expected = fit(model(), small, scratch=tmp_path, **QUICK)
    other = fit(model(), small, scratch=tmp_path, **{**QUICK, "rates": [1e-3]})
    assert "a state of another training was ignored" in other.facts.notes
    (path,) = tmp_path.glob(STATES)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # one bit: torch.load itself would not see it
    path.write_bytes(content)
    again = fit(model(), small, scratch=tmp_path, **QUICK)
    assert again.facts.notes[0].startswith("a damaged state of training was ignored")
    assert scores(again, small).tobytes() == scores(expected, small).tobytes()


def test_a_disk_that_cannot_be_written_costs_no_training(tmp_path: Path) -> None:
    small = task()
    (tmp_path / "file").write_text("no folder")
    fitted = fit(model(), small, scratch=tmp_path / "file" / "scratch", **QUICK)
    assert fitted.facts.notes[0].startswith("the state of training could not be kept")
    assert scores(fitted, small).tobytes() == scores(fit(model(), small, **QUICK), small).tobytes()


@pytest.mark.parametrize("batch_norm", ["learn", "keep"])
def test_batch_norm_may_keep_its_statistics_and_learns_its_weights(batch_norm: str) -> None:
    resident = model()
    fitted = fit(resident, task(), batch_norm=batch_norm, **LEARNS)
    for name, before in resident.base.items():
        if "running_" in name:
            assert torch.equal(fitted.best.backbone[name], before) == (batch_norm == "keep"), name
        elif name.endswith("norm.weight"):
            assert not torch.equal(fitted.best.backbone[name], before), name


def test_stage_head_reads_the_backbone_once(monkeypatch: pytest.MonkeyPatch) -> None:
    resident, small = model(), task()
    called: list[int] = []
    hook = resident.learner.backbone.register_forward_hook(lambda part, args, out: called.append(len(out)))
    fit(resident, small, stages=["head"], head_epochs=7)
    hook.remove()
    assert sum(called) == 100 + 40


def test_features_that_are_no_numbers_are_an_error() -> None:
    module = toy()
    torch.nn.init.constant_(module.stem.weight, float("nan"))
    broken = Trainable(replace(learner(), backbone=module), ModelFacts())
    with pytest.raises(ModelError, match="features are not finite numbers"):
        fit(broken, task(), **QUICK)


def test_as_many_blocks_as_there_are() -> None:
    with pytest.raises(ModelError, match='unfreeze = 9: this network has 4 blocks to unfreeze; write "all"'):
        fit(model(), task(), unfreeze=9, **QUICK)
    assert fit(model(), task(), unfreeze=4, **QUICK).facts.extra["unfrozen"].startswith("stem, layers.0")


def run(given: Any, toy_task: Any, **options: Any) -> Any:
    return PROTOCOL.run(make_trial(PROTOCOL, given, toy_task, KIND, **options))


def test_validation_is_cut_from_train_where_there_is_none() -> None:
    outcome = run(model(), task(validation=False), validation=0.25, **QUICK)
    assert 15 <= outcome.facts["validation_rows"] <= 35


@pytest.mark.parametrize("name", ["majority", "oracle"])
def test_models_with_a_recipe_of_their_own_follow_it(name: str) -> None:
    small = task()
    outcome = run(BASELINE.load(ModelRequest(Reference("baseline", name))), small)
    right = outcome.columns["prediction"] == small.split("test").targets if name == "oracle" else True
    assert np.all(right)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("stages", ["all", "head"], r'\["head", "all"\], \["head"\] or \["all"\] was expected'),
        ("unfreeze", "last", '"all" or a number of blocks'),
        ("unfreeze", 0, '"all" or a number of blocks'),
        ("epochs", 0, "a whole number of 1 or more"),
        ("rates", [], "a list of different numbers above 0"),
        ("rates", [1e-5, 1e-5], "a list of different numbers above 0"),
        ("rates", ["a"], "a list of different numbers above 0"),
        ("head_rate", 0, "a number above 0"),
        ("warmup", 1.0, "a share from 0 to below 1"),
        ("decay", "exponential", "one of linear, cosine was expected"),
        ("weight_decay", -1, "a number of 0 or more"),
        ("dropout", 1, "a share from 0 to below 1"),
        ("validation", 0, "a share between 0 and 1"),
    ],
)
def test_complaints(option: str, value: Any, message: str) -> None:
    with pytest.raises(ProtocolError, match=f"fine_tune: {option} = .*{message}"):
        run(model(), task(), **{option: value})


def test_what_makes_no_sense_is_refused() -> None:
    assert PROTOCOL.refuses(TaskFacts(KIND, splits={"train": 3, "test": None})) is None
    assert PROTOCOL.refuses(TaskFacts(KIND, splits={"test": 3})) == (
        "fine_tune learns from a train split, and the task has none"
    )
    boxes = replace(KIND, target=Column("target", "any"))
    assert "has neither as target" in str(PROTOCOL.refuses(TaskFacts(boxes)))

    class Nothing:
        facts = ModelFacts()

    with pytest.raises(ProtocolError, match="fine_tune cannot use a Nothing: it does not learn"):
        run(Nothing(), task())


def test_a_plan_can_check_the_options() -> None:
    for option in PROTOCOL.options:
        assert option.check(option.default) is None, option.name
    assert PROTOCOL.stochastic
    assert PROTOCOL.trains


@pytest.mark.parametrize(
    ("given", "idle"),
    [
        ({"stages": ["head"], "rates": [1e-3]}, "rates"),
        ({"stages": ["head"], "unfreeze": 2}, "unfreeze"),
        ({"stages": ["all"], "head_epochs": 3}, "head_epochs"),
        ({"stages": ["head"], "head_epochs": 3}, ""),
        ({"rates": [1e-3], "head_rate": 1e-2}, ""),
    ],
)
def test_the_plan_refuses_options_without_effect(given: dict[str, Any], idle: str) -> None:
    problem = PROTOCOL.misfit(TaskFacts(KIND), PROTOCOL.filled(given))
    assert problem == (
        f"fine_tune: {idle} has no effect, as the only stage is {given['stages'][0]}; leave it out"
        if idle
        else None
    )

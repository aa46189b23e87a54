"""Estimates of how long the cells of a plan take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ptbench.failures import new_record
from ptbench.jobs import Job
from ptbench.model import Capability, ModelDescription
from ptbench.offers import Column, Kind, TaskFacts
from ptbench.records import Cell, Cost, ModelSpec, Record, Status, TaskSpec
from ptbench.runner.estimates import make_jobs
from ptbench.runner.plan import ModelPlan, Plan, PlannedCell, TaskPlan
from ptbench.suite import Suite

KIND = Kind(
    name="texts",
    description="A text with a label.",
    inputs=(Column("text", "text"),),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"),),
)
SUITE = Suite(Path("s.toml"), "s", "", {}, (), {}, {}, ())
SIZES = {"small": {"train": 600, "test": 300}, "large": {"train": 6000, "test": 3000}}


def cell(model: str = "net", task: str = "small", protocol: str = "probe", seed: int = 0) -> Cell:
    return Cell("s", ModelSpec(model, f"x:{model}"), TaskSpec(task, "a", f"file:{task}"), protocol, seed=seed)


def plan(*cells: Cell, capability: Capability = Capability.EMBED, device: str = "cpu") -> Plan:
    models = {
        name: ModelPlan(
            ModelSpec(name, f"x:{name}"), "p", ModelDescription(frozenset(Capability), parameters=size)
        )
        for name, size in (("net", 10**8), ("tiny", 10**6), ("words", None), ("majority", 0))
    }
    tasks = {
        name: TaskPlan(TaskSpec(name, "a", f"file:{name}"), "texts", "p", facts=TaskFacts(KIND, splits=sizes))
        for name, sizes in SIZES.items()
    }
    planned = tuple(
        PlannedCell(one, capability=capability, rows=sum(SIZES[one.task.name].values())) for one in cells
    )
    return Plan(SUITE, planned, models, tasks, device=device)


def record(
    of: Cell, cost: Cost, *, n: int = 300, wall: Mapping[str, float] | None = None, **more: Any
) -> Record:
    facts: dict[str, Any] = {"device": "cpu", "capability": "embed", **more}
    return new_record(of, "r", Status.OK, cost=cost, n=n, wall=wall or {}, **facts)


def only(plan: Plan, *earlier: Record) -> Job:
    (job,) = make_jobs(plan, earlier)
    return job


def test_what_was_measured_on_the_same_data_is_taken() -> None:
    wall = {"load": 2.0, "data": 1.0, "decode": 1.0, "model": 4.0, "fit": 3.0, "metrics": 0.5}
    cost = Cost(seconds=8.0, load_seconds=2.0, phases={"embed": 5.0, "fit": 3.0})
    job = only(plan(cell(seed=7)), record(cell(), cost, wall=wall))
    assert (job.load_seconds, job.shared_seconds, job.own_seconds) == (2.0, 5.0, 4.5)
    assert job.measured


def test_features_that_were_reused_then_count_as_computed() -> None:
    wall = {"load": 0.0, "data": 1.0, "decode": 0.0, "model": 0.0, "fit": 3.0}
    cost = Cost(seconds=8.0, load_seconds=0.0, phases={"embed": 5.0, "fit": 3.0}, features_reused=True)
    job = only(plan(cell()), record(cell(), cost, wall=wall))
    assert (job.shared_seconds, job.own_seconds) == (5.0, 4.0)
    assert job.load_seconds == only(plan(cell())).load_seconds  # it was loaded: nothing was measured


def test_the_usual_one_of_several_records_is_taken() -> None:
    costs = [Cost(seconds=s, phases={"fit": s}) for s in (1.0, 2.0, 30.0)]
    records = [record(cell(), cost, capability="fit") for cost in costs]
    assert only(plan(cell(), capability=Capability.FIT), *records).own_seconds == 2.0


def test_other_data_are_scaled_by_rows() -> None:
    cost = Cost(seconds=7.0, phases={"embed": 7.0})
    job = only(plan(cell(task="large")), record(cell(), cost))
    assert job.shared_seconds == pytest.approx(7.0 * (3000 + 50) / (300 + 50))
    assert not job.measured


@pytest.mark.parametrize(
    "other",
    [
        record(cell(), Cost(seconds=9.0), device="cuda:0"),
        record(cell("tiny"), Cost(seconds=9.0)),
        new_record(cell(), "r", Status.FAILED, cost=Cost(seconds=9.0), device="cpu"),
    ],
)
def test_another_device_model_or_a_failure_says_nothing(other: Record) -> None:
    assert only(plan(cell()), other) == only(plan(cell()))


def test_without_records_parameters_and_rows_say_it() -> None:
    net, tiny = only(plan(cell("net"))), only(plan(cell("tiny")))
    assert net.shared_seconds == pytest.approx(1e-10 * 10**8 * 900)
    assert net.shared_seconds == pytest.approx(100 * tiny.shared_seconds)
    assert net.load_seconds > tiny.load_seconds
    assert not net.measured
    assert only(plan(cell("net"), device="cuda")).shared_seconds < net.shared_seconds


def test_what_has_no_parameters_answers_at_once_and_what_does_not_say_may_take_longer() -> None:
    jobs = [only(plan(cell(name), capability=Capability.FIT)) for name in ("majority", "words", "net")]
    assert [job.own_seconds for job in jobs] == pytest.approx([rate * 950 for rate in (3e-6, 0.0005, 0.01)])


def test_features_without_parameters_still_take_their_time() -> None:
    assert only(plan(cell("majority"))).shared_seconds == only(plan(cell("words"))).shared_seconds


def test_the_import_of_a_framework_is_no_loading_of_each_model() -> None:
    records = [record(cell(), Cost(seconds=1.0, load_seconds=load)) for load in (4.3, 0.2, 4.5)]
    assert only(plan(cell()), *records).load_seconds == 0.2


def test_light_models_come_first_in_the_order_of_the_suite() -> None:
    jobs = make_jobs(plan(*(cell(m, t) for m in ("net", "words", "tiny") for t in ("large", "small"))), [])
    assert [(job.cell.model.name, job.cell.task.name) for job in jobs] == [
        (m, t) for m in ("words", "tiny", "net") for t in ("large", "small")
    ]


def test_protocols_on_features_share_them_and_the_model() -> None:
    jobs = make_jobs(plan(cell(), cell(protocol="knn"), cell(task="large")), [])
    assert len({job.model for job in jobs}) == 1
    assert [jobs[0].shared == job.shared for job in jobs] == [True, True, False]


def test_what_is_fitted_shares_nothing_and_cannot_be_split() -> None:
    job = only(plan(cell(task="large"), capability=Capability.FIT))
    assert (job.shared, job.blocks) == ("", 1)
    assert job.model != only(plan(cell(task="large"))).model


def test_blocks_are_those_of_the_largest_split() -> None:
    assert only(plan(cell(task="large"))).blocks == 3  # 6000 rows of train, 2048 in a block
    assert only(plan(cell(task="small"))).blocks == 1


def test_cells_with_a_problem_have_no_job() -> None:
    broken = PlannedCell(cell(), "no such file")
    assert make_jobs(Plan(SUITE, (broken,), plan().models, plan().tasks), []) == []

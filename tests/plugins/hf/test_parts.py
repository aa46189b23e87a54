"""A cell that is split over slots gives the same bits as one that is not."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from tests.conftest import Written

from ptbench import Record, Status
from ptbench.catalog import load_catalog
from ptbench.jobs import Job, WorkerSpec
from ptbench.runner.resolve import resolve
from ptbench.slots import find_slots
from ptbench.suite import load_suite
from ptbench.workers import LOCAL
from ptbench.workload import Workload

SUITE = """
[suite]
name = "large"
[models]
bert = {{ ref = "hf:{folder}"{labels} }}
[tasks.large]
adapter = "text-classification"
data = "file:large"
input = "text"
target = "label"
[[grid]]
protocols = ["{protocol}"]
"""
WORDS = ("the", "film", "was", "good", "bad", "dull", "fun", "plot", "poor", "great", "not", "very", "!")
LABELS = ("negative", "neutral", "positive")
ROWS = {"train": 2500, "test": 5000}


class InParts:
    """A schedule of one cell that is handed out in parts, some of which are lost, and then whole."""

    def __init__(self, job: Job, parts: int, lost: int) -> None:
        self.whole = job
        self.waiting = [Job(job.cell, job.kind, part=(k, parts)) for k in range(parts)]
        self.waiting = self.waiting[: parts - lost]
        self.running = 0
        self.over = False
        self.handed: list[Job] = []

    def next(self, slot: int) -> Job | None:
        if self.waiting:
            job = self.waiting.pop(0)
        elif self.running or self.over or self.whole in self.handed:
            return None
        else:
            job = self.whole
        self.running += 1
        self.handed.append(job)
        return job

    def ended(self, job: Job, seconds: float, *, lost: bool = False) -> None:
        assert not lost
        self.running -= 1
        self.over = job is self.whole

    def remaining(self) -> None:
        return None


@pytest.fixture
def large(written: Written) -> None:
    chance = random.Random(0)
    for split, n in ROWS.items():
        rows = [
            f"{' '.join(chance.choices(WORDS, k=chance.randint(1, 12)))} {i},{chance.choice(LABELS)}"
            for i in range(n)
        ]
        written(f"large/{split}.csv", "\n".join(["text,label", *rows]) + "\n")


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(("name", "protocol", "lost"), [("named", "as_is", 0), ("bert", "linear_probe", 1)])
def test_whoever_computes_the_parts_the_predictions_are_the_same_bits(
    written: Written, tmp_path: Path, made: Callable[[str], Path], name: str, protocol: str, lost: int
) -> None:
    suite = written("s.toml", SUITE.format(folder=made(name), labels="", protocol=protocol))
    (cell,), mistakes = resolve(load_suite(suite), load_catalog(), {"canonical": True})
    assert mistakes == ()

    def evaluated(place: str, schedule: Any, slots: int) -> Record:
        folder = tmp_path / place
        (folder / "predictions").mkdir(parents=True)
        worker = WorkerSpec("ptbench.evaluate:make_evaluator", place, str(folder))
        workload = Workload(schedule, find_slots(f"cpu:{slots}", canonical=True), worker, folder)
        (record,) = LOCAL.run(workload)
        assert record.status is Status.OK, record.error
        assert not list((folder / "parts").glob("*"))
        return record

    def digest(place: str, record: Record) -> str:
        return hashlib.sha256((tmp_path / place / record.files[0]).read_bytes()).hexdigest()

    job = Job(cell, "text-classification")
    whole = evaluated("whole", InParts(job, 0, 0), 1)
    expected = digest("whole", whole)
    split = InParts(job, 3, lost)
    record = evaluated("split", split, 2)
    assert [handed.part for handed in split.handed] == [*[(0, 3), (1, 3), (2, 3)][: 3 - lost], None]
    assert digest("split", record) == expected
    assert record.scores == whole.scores
    assert record.facts.get("truncated", 0) == whole.facts.get("truncated", 0)
    assert record.wall["model"] < whole.wall["model"]  # it was computed elsewhere
    assert record.cost.seconds is not None
    assert record.cost.seconds > record.wall["model"]

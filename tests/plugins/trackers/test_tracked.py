"""What MLflow's own client reads back from a real local store is what the records say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.hostile import HOSTILE, hostile_report

from ptbench import Cost, PtbenchError, Report, Score, Status, testing
from ptbench_trackers import MLFLOW
from ptbench_trackers.keys import key_of, name_of
from ptbench_trackers.stores import quiet

Store = Any


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables: making them takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with quiet():
        from mlflow.tracking import MlflowClient

        MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A client of an own store that the environment names."""
    (tmp_path / "store").mkdir()
    path = shutil.copy(empty, tmp_path / "store/mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.chdir(tmp_path / "store")  # MLflow puts artifacts there
    with quiet():
        from mlflow.tracking import MlflowClient

        yield MlflowClient()


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """A report with a scored, a failed and an undefined cell; the first has options and costs."""
    sample = testing.sample_report(tmp_path)
    first = replace(
        sample.records[0],
        options={"epochs": 3, "rates": [0.1, 0.2]},
        scores=(*sample.records[0].scores, Score("recall@5", 0.5, 0.4, 0.6, 100, True, "wilson")),
        cost=Cost(seconds=12.5, parameters=1000),
        device="cpu",
        precision="fp32",
        fingerprints={"weights": "abc"},
        version="0.1.0",
        started="2026-01-02T03:04:05.250+00:00",
        finished="2026-01-02T03:04:17.750+00:00",
    )
    run = {**sample.run, "commit": "c0ffee", "packages": {"torch": "2.6"}, "status": "finished"}
    return replace(sample, run=run, records=(first, *sample.records[1:]))


def runs_of(store: Store, experiment: str = "sample") -> dict[str, Any]:
    """Return the runs of an experiment by cell; "" is the one that holds the others."""
    found = store.search_runs([store.get_experiment_by_name(experiment).experiment_id])
    runs = {run.data.tags.get("ptbench.cell", ""): run for run in found}
    assert len(runs) == len(found)
    return runs


def test_every_cell_is_a_run_below_that_of_the_report(store: Store, report: Report, tmp_path: Path) -> None:
    (path,) = MLFLOW.write(report, tmp_path)
    runs = runs_of(store)
    parent = runs.pop("")
    assert set(runs) == {record.cell for record in report.records}
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert json.loads(path.read_text())["run_id"] == parent.info.run_id
    assert parent.info.run_name == "r1"
    assert (parent.info.status, parent.data.metrics["cells/ok"], parent.data.metrics["cells/failed"]) == (
        "FAILED", 2.0, 1.0,
    )  # fmt: skip
    assert parent.data.tags["mlflow.source.git.commit"] == "c0ffee"
    assert json.loads(parent.data.tags["ptbench.packages"]) == {"torch": "2.6"}
    names = {artifact.path for artifact in store.list_artifacts(parent.info.run_id)}
    assert names == {"report.csv", "leaderboard.csv", "report.md"}


def test_what_a_cell_says_reads_back(store: Store, report: Report, tmp_path: Path) -> None:
    MLFLOW.write(report, tmp_path)
    first = report.records[0]
    run = runs_of(store)[first.cell]
    assert run.data.params == {
        "model": "m", "reference": "baseline:majority", "task": "t", "data": "s:d", "seed": "0",
        "kind": "text-classification", "protocol": "as_is", "device": "cpu", "precision": "fp32",
        "option/epochs": "3", "option/rates": "[0.1, 0.2]",
    }  # fmt: skip
    assert run.data.metrics == {
        "accuracy": 0.8, "accuracy/ci_low": 0.7, "accuracy/ci_high": 0.9,
        "recall:40:5": 0.5, "recall:40:5/ci_low": 0.4, "recall:40:5/ci_high": 0.6,
        "cost/seconds": 12.5, "cost/parameters": 1000.0,
    }  # fmt: skip
    assert (run.info.status, run.info.start_time, run.info.end_time) == (
        "FINISHED", 1767323045250, 1767323057750,
    )  # fmt: skip
    tags = run.data.tags
    assert (tags["ptbench.status"], tags["ptbench.fingerprint.weights"]) == ("ok", "abc")


def test_what_failed_or_is_undefined_says_so(store: Store, report: Report, tmp_path: Path) -> None:
    MLFLOW.write(report, tmp_path)
    runs = runs_of(store)
    failed, undefined = (runs[record.cell] for record in report.records[1:])
    assert (failed.info.status, failed.data.tags["ptbench.error"]) == ("FAILED", "it broke")
    assert failed.data.metrics == {}
    assert undefined.data.metrics == {}
    assert undefined.data.tags["ptbench.caveats"] == "f1: no positives"


def test_written_twice_nothing_is_there_twice(store: Store, report: Report, tmp_path: Path) -> None:
    MLFLOW.write(report, tmp_path)
    before = {cell: run.to_dictionary() for cell, run in runs_of(store).items()}
    MLFLOW.write(report, tmp_path)
    assert {cell: run.to_dictionary() for cell, run in runs_of(store).items()} == before
    run = before[report.records[0].cell]["info"]["run_id"]
    assert len(store.get_metric_history(run, "accuracy")) == 1


def test_a_cell_that_was_run_again_is_brought_up_to_date(
    store: Store, report: Report, tmp_path: Path
) -> None:
    MLFLOW.write(report, tmp_path)
    before = runs_of(store)
    good, failed, undefined = report.records
    mended = replace(failed, status=Status.OK, error="", scores=good.scores, device="cuda")
    rescored = replace(good, scores=(replace(good.scores[0], value=0.85), good.scores[1]))
    MLFLOW.write(replace(report, records=(rescored, mended, undefined)), tmp_path)
    after = runs_of(store)
    assert {c: r.info.run_id for c, r in after.items()} == {c: r.info.run_id for c, r in before.items()}
    assert after[good.cell].data.metrics["accuracy"] == 0.85
    assert after[""].info.status == "FINISHED"
    run = after[failed.cell]
    assert (run.info.status, run.data.params["device"]) == ("FINISHED", "cuda")
    assert run.data.metrics["accuracy"] == 0.8
    assert "ptbench.error" not in run.data.tags


def test_what_mlflow_cannot_change_is_made_anew(store: Store, report: Report, tmp_path: Path) -> None:
    MLFLOW.write(report, tmp_path)
    before = runs_of(store)
    good, *others = report.records
    fewer = replace(good, scores=good.scores[:1])
    MLFLOW.write(replace(report, records=(fewer, *others)), tmp_path)
    after = runs_of(store)
    assert set(after) == set(before)
    assert after[good.cell].info.run_id != before[good.cell].info.run_id
    assert "recall:40:5" not in after[good.cell].data.metrics


def test_two_runs_of_a_suite_stand_side_by_side(store: Store, report: Report, tmp_path: Path) -> None:
    MLFLOW.write(report, tmp_path)
    records = tuple(replace(record, run="r2") for record in report.records)
    MLFLOW.write(replace(report, run={**report.run, "run": "r2"}, records=records), tmp_path)
    found = store.search_runs([store.get_experiment_by_name("sample").experiment_id])
    assert len(found) == 8


def test_without_a_store_of_the_users_it_is_in_the_results_folder(
    empty: Path, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "the results?" / "sample" / "r1"
    folder.mkdir(parents=True)
    shutil.copy(empty, tmp_path / "the results?/mlflow.db")
    (path,) = MLFLOW.write(report, folder)
    told = json.loads(path.read_text())
    with quiet():
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=told["tracking_uri"])
        names = {artifact.path for artifact in client.list_artifacts(told["run_id"])}
    assert "report.csv" in names
    assert sorted(p.name for p in (tmp_path / "the results?").iterdir()) == [
        "mlartifacts", "mlflow.db", "sample",
    ]  # fmt: skip


def test_hostile_names_read_back(store: Store, tmp_path: Path) -> None:
    report = hostile_report(tmp_path)
    MLFLOW.write(report, tmp_path)
    runs = runs_of(store, HOSTILE[0])
    for name, record in zip(HOSTILE, report.records[::2], strict=True):
        run = runs[record.cell]
        (key,) = (key for key in run.data.metrics if "/" not in key)
        whole = name_of(key)
        assert whole == name if whole is not None else run.data.tags[f"ptbench.metric.{key}"] == name
        assert key_of(name) == key
        assert "\0" not in "".join((*run.data.params.values(), *run.data.tags.values()))


def test_a_deleted_experiment_is_told_with_the_way_back(store: Store, report: Report, tmp_path: Path) -> None:
    MLFLOW.write(report, tmp_path)
    store.delete_experiment(store.get_experiment_by_name("sample").experiment_id)
    with pytest.raises(PtbenchError, match=r"experiment 'sample' was deleted; mlflow experiments restore -x"):
        MLFLOW.write(report, tmp_path)


def test_an_experiment_may_be_named(
    store: Store, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "/Shared/nights")
    MLFLOW.write(report, tmp_path)
    assert len(runs_of(store, "/Shared/nights")) == 4


def test_a_store_that_does_not_open_is_told_without_secrets(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nosuch://me:secret@host/x")
    with pytest.raises(PtbenchError, match=r"^MLflow at nosuch://host/x: .*MLFLOW_TRACKING_URI") as caught:
        MLFLOW.write(report, tmp_path)
    assert "secret" not in str(caught.value)


def test_it_keeps_the_promises_of_a_reporter(store: Store, tmp_path: Path) -> None:
    assert testing.check_reporter(MLFLOW, tmp_path)

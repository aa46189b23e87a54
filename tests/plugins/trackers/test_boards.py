"""What TensorBoard reads back from its files is what the records say."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.hostile import HOSTILE, hostile_report

from ptbench import Cost, Report, Status, markdown_text, printable, testing
from ptbench_trackers import TENSORBOARD


def read(folder: Path) -> Any:
    """Return what TensorBoard finds in a folder, as its own reader has it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), {"scalars": 0, "tensors": 0})
    found.Reload()
    return found


@pytest.fixture(autouse=True)
def _reading() -> Iterator[None]:
    """Let TensorBoard's reader warn of its own libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorboard.backend.event_processing.event_accumulator  # noqa: F401

        yield


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """A report with two seeds of one entry, a curve over epochs, and one over shots with intervals."""
    sample = testing.sample_report(tmp_path)
    curves = [
        {
            "name": "loss",
            "of": "train, head",
            "x": "epoch",
            "points": [[1, 0.7], [2, 0.4], [3, float("nan")]],
        },
        {"name": "accuracy", "of": "test", "x": "shots", "points": [[8, 0.6, 0.5, 0.7], [1, 0.3, 0.2, 0.4]]},
        {"name": "broken", "of": "test", "x": "epoch", "points": [["a", 1], 3, [0.5, 1.0]]},
        "no curve",
    ]
    first = replace(
        sample.records[0],
        facts={"curves": curves},
        cost=Cost(seconds=12.5, examples_per_s=8.0),
        started="2026-01-02T03:04:05+00:00",
    )
    return replace(sample, records=(first, *sample.records[1:]))


def test_scores_costs_and_curves_read_back(report: Report, tmp_path: Path) -> None:
    TENSORBOARD.write(report, tmp_path)
    found = read(tmp_path / "tensorboard/m-as_is-s0")
    assert {
        tag: [(e.step, pytest.approx(e.value, rel=1e-7)) for e in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    } == {
        "t/accuracy": [(0, 0.8)],
        "t/accuracy/ci_low": [(0, 0.7)],
        "t/accuracy/ci_high": [(0, 0.9)],
        "t/cost/seconds": [(0, 12.5)],
        "t/cost/examples_per_s": [(0, 8.0)],
        "t/epoch/loss (train, head)": [(1, 0.7), (2, 0.4)],
        "t/shots/accuracy (test)": [(1, 0.3), (8, 0.6)],
    }
    assert found.Scalars("t/accuracy")[0].wall_time == 1767323045.0


def test_an_undefined_score_is_left_out(report: Report, tmp_path: Path) -> None:
    TENSORBOARD.write(report, tmp_path)
    assert read(tmp_path / "tensorboard/m-as_is-s2").Tags()["scalars"] == []


def test_the_summary_and_the_settings_are_there(report: Report, tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import metadata

    TENSORBOARD.write(report, tmp_path)
    (event,) = read(tmp_path / "tensorboard").Tensors("report")
    assert event.tensor_proto.string_val[0].decode() == markdown_text(report)
    told = read(tmp_path / "tensorboard/m-as_is-s0").SummaryMetadata(metadata.SESSION_START_INFO_TAG)
    settings = metadata.parse_session_start_info_plugin_data(told.plugin_data.content).hparams
    assert (settings["model"].string_value, settings["seed"].number_value) == ("m", 0.0)


def test_written_twice_it_is_there_once(report: Report, tmp_path: Path) -> None:
    once = [path.read_bytes() for path in TENSORBOARD.write(report, tmp_path)]
    written = TENSORBOARD.write(report, tmp_path)
    assert [path.read_bytes() for path in written] == once
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(written)


def test_entries_whose_names_become_one_have_folders_of_their_own(report: Report, tmp_path: Path) -> None:
    first = report.records[0]
    records = tuple(replace(first, model=model, cell=model) for model in ("a b", "a-b", "A?B", "c"))
    written = TENSORBOARD.write(replace(report, records=records), tmp_path)
    assert len({str(path).lower() for path in written}) == 5
    models = [read(path.parent).Tags()["scalars"] for path in written[1:]]
    assert all(models)


def test_hostile_names_read_back_as_they_are_printed(tmp_path: Path) -> None:
    report = hostile_report(tmp_path)
    written = TENSORBOARD.write(report, tmp_path)
    assert all(path.resolve().is_relative_to(tmp_path / "tensorboard") for path in written)
    tags = {tag for path in written for tag in read(path.parent).Tags()["scalars"]}
    for name in HOSTILE:
        short = printable(name if len(name) <= 100 else name[:99] + "…")
        assert f"{short}/{short}/ci_low" in tags
    failed = sum(record.status is Status.FAILED for record in report.records)
    assert failed == len(HOSTILE)


def test_it_keeps_the_promises_of_a_reporter(tmp_path: Path) -> None:
    assert testing.check_reporter(TENSORBOARD, tmp_path)


def test_neither_tensorflow_nor_torch_is_imported(tmp_path: Path) -> None:
    for name in ("tensorflow", "torch"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('it was imported')", "utf-8")
    code = (
        "import sys; from pathlib import Path; from ptbench import testing; "
        "from ptbench_trackers import TENSORBOARD; testing.check_reporter(TENSORBOARD, Path(sys.argv[1])); "
        "print({'tensorflow', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr

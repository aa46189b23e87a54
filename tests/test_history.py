"""A suite over its nights: what changed, since when, and what else changed then."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ptbench import History, Series, UsageError, causes, read_history, read_summary
from ptbench.comparison import Change, Compared, Comparison, Difference
from ptbench.plain import to_json
from ptbench.records import Cost, Standing
from ptbench.store import COMPARISON, STANDINGS
from ptbench.summaries import SUMMARY
from tests.conftest import Ptbench
from tests.nights import IDENTITY, cell_record, write_night, write_nights

NAN = math.nan


def of(found: History) -> Series:
    """Return the only series."""
    (series,) = found.series
    return series


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the runs of a suite lie."""
    return tmp_path / "results" / "night"


def test_a_change_names_night_levels_and_causes(folder: Path) -> None:
    write_nights(folder, [0.9] * 5)
    now = {"weights": "fedcba9876543210", "code of provider": "plugin = hf (ptbench 0.1.0); torch = 2.7"}
    machine = {"gpus": "H100, 550.1", "cores": 8}
    for number in (5, 6, 7):
        facts = {"packages": {"torch": "2.7"}, "machine": machine, "commit": "ab" * 20, "text": "[suite] "}
        write_night(folder, number, [cell_record(0.8, identity=now)], **facts)
    (point,) = of(read_history(folder)).changes
    assert (point.night, point.last, point.better) == (5, 4, False)
    assert (point.before, point.after) == pytest.approx((0.9, 0.8))
    assert point.causes == (
        "weights changed",
        "code of provider changed (torch 2.6 -> 2.7)",  # and not a second time from the packages
        "commit none -> ababababab",
        "suite text changed",
        "gpus none -> H100, 550.1",
        "cores none -> 8",
    )
    assert point.words == "0.900 -> 0.800, worse"


def test_causes_are_those_between_the_two_nights_about_a_change(folder: Path) -> None:
    nights = [(0.9, "1")] * 4 + [(0.9, "2"), (None, "3"), (0.8, "4"), (0.8, "5"), (0.8, "5")]
    for number, (value, torch) in enumerate(nights):
        write_night(folder, number, [cell_record(value)], packages={"torch": torch})
    (point,) = of(read_history(folder)).changes
    assert (point.last, point.night) == (4, 6)
    assert point.causes == ("torch 2 -> 4",)


def test_only_the_nights_about_a_change_are_read_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_nights(folder, [0.9] * 5)
    other = {**IDENTITY, "weights": "fedcba9876543210"}
    for number in (5, 6, 7):
        write_night(folder, number, [cell_record(0.8, identity=other)])
    read_history(folder)
    read: list[str] = []
    records_of = causes.read_records
    monkeypatch.setattr(causes, "read_records", lambda f: read.append(f.name) or records_of(f))
    (point,) = of(read_history(folder)).changes
    assert point.causes == ("weights changed",)
    assert read == ["20260105-010000", "20260106-010000"]
    read_history(folder, causes=False)
    assert len(read) == 2


@pytest.mark.parametrize(("higher", "better"), [(True, False), (False, True)])
def test_the_direction_of_the_metric_says_what_is_better(folder: Path, higher: bool, better: bool) -> None:
    write_nights(folder, [0.9] * 5 + [0.8] * 3, higher=higher)
    (point,) = of(read_history(folder)).changes
    assert point.better is better


def test_nights_without_a_score_are_gaps(folder: Path) -> None:
    write_nights(folder, [0.5, None, 0.5, 0.5])
    write_night(folder, 4, [cell_record(0.25, task="other")])
    found = read_history(folder)
    first, second = found.series
    assert (first.task, second.task) == ("other", "sst2")  # those of the newest night first
    np.testing.assert_array_equal(second.values, [0.5, NAN, 0.5, 0.5, NAN])
    assert second.nights == [0, 2, 3]
    assert [dict(night.statuses) for night in found.nights[:2]] == [{"ok": 1}, {"failed": 1}]


def test_the_last_nights_one_model_one_task_one_metric(folder: Path) -> None:
    for number in range(4):
        records = [cell_record(0.5, model=m, task=t) for m in "ab" for t in "xy"]
        score = replace(records[0].scores[0], metric="f1", value=0.25)
        records[0] = replace(records[0], scores=(score, *records[0].scores))
        write_night(folder, number, records)
    everything = read_history(folder)
    assert [(s.model, s.task, s.metric) for s in everything.series] == [
        (m, t, "accuracy") for m in "ab" for t in "xy"
    ]
    found = read_history(folder, model="b", task="y", last=3)
    assert (of(found).model, of(found).task, len(found.nights)) == ("b", "y", 3)
    assert list(of(read_history(folder, metric="f1")).values) == [0.25] * 4
    with pytest.raises(UsageError, match="no run has a score of metric 'f2', model 'a'"):
        read_history(folder, metric="f2", model="a")


def test_seconds_are_those_of_nights_that_measured(folder: Path) -> None:
    for number, reused in enumerate(["", "20260101-010000", ""]):
        write_night(folder, number, [cell_record(0.5, reused=reused), cell_record(0.5, seed=1)])
    series = of(read_history(folder, time=True))
    assert (series.metric, series.higher_is_better) == ("seconds", False)
    np.testing.assert_array_equal(series.values, [4.0, NAN, 4.0])


def test_a_mean_over_seeds_is_that_of_the_standings_or_plain(folder: Path) -> None:
    seeds = [cell_record(0.5), cell_record(0.75, seed=1)]
    standing = Standing(
        "sst2", "accuracy", "minilm", "linear_probe", 0.625, 0.5, 0.7, 2, 0.1, True, False, 0.0, 0.0, 0.0
    )
    ended = write_night(folder, 0, seeds)
    (ended / STANDINGS).write_text(json.dumps(to_json([standing])))
    write_night(folder, 1, seeds, status="running")
    write_night(folder, 2, [seeds[0], cell_record(None, seed=1)])
    write_night(folder, 3, seeds[:1])
    series = of(read_history(folder))
    np.testing.assert_array_equal(series.values, [0.625, 0.625, NAN, 0.5])
    np.testing.assert_array_equal(series.low, [0.5, NAN, NAN, 0.45])
    np.testing.assert_array_equal(series.high, [0.7, NAN, NAN, 0.55])


def test_a_summary_is_made_once_and_again_where_the_run_changed(folder: Path) -> None:
    run = write_night(folder, 0, [cell_record(0.5)])
    first = read_summary(run)
    assert first.entries[0].scores[0].value == 0.5
    path = run / SUMMARY
    kept = json.loads(path.read_text())
    kept["summary"]["status"] = "from the file"
    path.write_text(json.dumps(kept))
    assert read_summary(run).status == "from the file"
    (run / STANDINGS).write_text("[]")
    assert read_summary(run) == first
    assert json.loads(path.read_text())["summary"]["status"] == "finished"
    for damaged in ("", "[]", "{", '{"schema": 1}', "\0" * 100):
        path.write_text(damaged)
        assert read_summary(run) == first


def test_a_summary_that_cannot_be_kept_is_made_each_time(folder: Path) -> None:
    run = write_night(folder, 0, [cell_record(0.5)])
    (run / SUMMARY).mkdir()  # stands for a folder that nobody may write to
    assert of(read_history(folder)).values == [0.5]
    assert {path.name for path in run.iterdir()} == {"run.json", "records.jsonl", SUMMARY}


def test_a_summary_has_the_verdict_of_the_gate(folder: Path) -> None:
    run = write_night(folder, 0, [cell_record(0.5)])
    assert read_summary(run).gate is None
    difference = Difference("accuracy", True, 0.6, 0.5, -0.1, -0.2, 0.0, 0.01, "mcnemar", 100, 100, 10)
    side = ("minilm", "linear_probe")
    rows = tuple(
        Compared("sst2", side, side, verdict, differences=(difference,))
        for verdict in (Change.SAME, Change.WORSE)
    )
    for count, passed in ((2, False), (1, True)):
        found = Comparison("night/old", "night/new", rows[:count], gate=True)
        (run / COMPARISON).write_text(json.dumps(to_json(found)))
        summary = read_summary(run)
        assert summary.gate is passed
        assert summary.verdicts == {"same": 1, "worse": 1} if count == 2 else {"same": 1}
        assert summary.against == "night/old"


def test_a_run_of_another_version_is_shown_as_far_as_it_goes(folder: Path) -> None:
    odd = {"plugins": 3, "slots": 1, "machine": "none", "packages": [], "cells": "many", "commit": None}
    write_night(folder, 0, [cell_record(0.5)], **odd, text=7, started=5)
    found = read_history(folder)
    assert list(of(found).values) == [0.5]
    assert dict(found.nights[0].environment) == {"python": "3.11.7"}


def test_a_damaged_run_is_left_out_and_named(folder: Path) -> None:
    runs = write_nights(folder, [0.5, 0.5, 0.5])
    (runs[1] / "records.jsonl").write_text('{"cell": 1}\n')
    found = read_history(folder)
    assert list(of(found).values) == [0.5, 0.5]
    (reason,) = found.damaged
    assert reason.startswith(runs[1].name)
    assert "line 1: is no record" in reason
    lines = (runs[0] / "records.jsonl").read_text()
    (runs[1] / "records.jsonl").write_text(
        lines.replace('"facts": {}', '"facts": 3').replace('"cost": {', '"cost": 3, "c": {')
    )
    (reason,) = read_history(folder).damaged
    assert reason.startswith(runs[1].name)
    for run in runs:
        (run / "records.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match=r"no run in .* can be read"):
        read_history(folder)


def test_a_finished_run_that_lost_records_is_told_of(ptbench: Ptbench, folder: Path) -> None:
    run = write_night(folder, 0, [cell_record(0.5), cell_record(0.5, seed=1)])
    assert "of this finished run" not in ptbench("history", folder).out
    lines = (run / "records.jsonl").read_text().splitlines(keepends=True)
    (run / "records.jsonl").write_text(lines[0])
    said = f"{run.name}: records.jsonl has 1 of the 2 cells of this finished run; the others are lost"
    assert said in ptbench("history", folder).out


def test_what_happened_is_said_in_words(folder: Path) -> None:
    write_nights(folder, [0.5])
    assert read_history(folder).sentence == "1 night is too few for changes (8 are needed)"
    for number in range(1, 8):
        write_night(folder, number, [cell_record(0.5 if number < 5 else 0.75)])
    assert read_history(folder, last=5).sentence == "5 nights are too few for changes (8 are needed)"
    assert read_history(folder).sentence == (
        "1 of 1 series changed in 8 nights; the last change: minilm x sst2 x linear_probe · accuracy, "
        "0.500 -> 0.750, better, in 20260106-010000"
    )


def test_a_jump_in_the_third_night_is_told_by_the_gate_not_by_the_history(
    ptbench: Ptbench, folder: Path
) -> None:
    runs = write_nights(folder, [0.782, 0.782, 0.234])
    difference = Difference("accuracy", True, 0.782, 0.234, -0.548, -0.6, -0.5, 0.0, "mcnemar", 100, 100, 60)
    side = ("minilm", "linear_probe")
    row = Compared("sst2", side, side, Change.WORSE, differences=(difference,))
    found = Comparison("night/old", "night/new", (row,), gate=True)
    (runs[-1] / COMPARISON).write_text(json.dumps(to_json(found)))
    history = read_history(folder)
    assert history.gate == "the gate did not pass in 20260103-010000: 1 worse against night/old"
    assert of(history).too_few == "3 nights are too few for changes (8 are needed)"
    told = ptbench("history", folder)
    assert told.out.count("3 nights are too few for changes (8 are needed)") == 2
    assert history.gate in told.out
    assert json.loads(ptbench("history", folder, "--json").out)["gate"] == history.gate
    assert read_history(folder, last=3).changed == []


def test_seconds_are_cut_by_their_logarithms(folder: Path) -> None:
    spent = [1.0, 100.0, 1.0, 100.0, 1.0, 100.0, 9000.0, 12000.0, 9000.0, 12000.0]
    for number, seconds in enumerate(spent):
        write_night(folder, number, [cell_record(0.5, cost=Cost(seconds=seconds))])
    (point,) = of(read_history(folder, time=True)).changes
    assert (point.night, point.better) == (6, False)
    assert (point.before, point.after) == pytest.approx((10.0, math.sqrt(9000.0 * 12000.0)))
    write_night(folder, 10, [cell_record(0.5, cost=Cost(seconds=0.0))])
    assert [point.night for point in of(read_history(folder, time=True)).changes] == [6]


def test_the_command_shows_a_line_of_blocks_and_each_change(
    ptbench: Ptbench, folder: Path, tmp_path: Path
) -> None:
    write_nights(folder, [0.9, 0.9, None, 0.9, 0.9, 0.9])
    for number in (6, 7, 8):
        write_night(folder, number, [cell_record(0.8)], packages={"torch": "2.7"})
    write_night(folder, 9, [cell_record(0.3)], packages={"torch": "2.7"}, status="interrupted")
    suite = tmp_path / "night.toml"
    suite.write_text('[suite]\nname = "night"\n')
    output = ("--output", folder.parent)
    for given in ((folder,), ("night", *output), (suite, *output)):
        called = ptbench("history", *given)
        assert called.code == 0, called.err
        assert "██ ███▇▇▇▁" in called.out
        assert "2026-01-07 0.900 -> 0.800, worse" in called.out
        assert "torch 2.6 -> 2.7" in called.out
        assert "the last night stands out: 0.300" in called.out
        assert "1 of 1 series changed in 10 nights, 1 stands out in the last; the last change: " in called.out
        assert "1 of the nights did not finish" in called.out


def test_the_command_prints_json(ptbench: Ptbench, folder: Path) -> None:
    write_nights(folder, values := [*[0.9] * 3, None, *[0.9] * 3, *[0.8] * 3])
    called = ptbench("history", folder, "--json")
    told = json.loads(called.out)
    assert [night["status"] for night in told["nights"]] == ["finished"] * 10
    (series,) = told["series"]
    assert series["values"] == values
    assert [point["night"] for point in series["changes"]] == [7]
    assert told["sentence"] in ptbench("history", folder).out.replace("\n", " ")


def test_the_command_names_what_it_left_out(ptbench: Ptbench, folder: Path) -> None:
    runs = write_nights(folder, [0.9, 0.9])
    (runs[0] / "records.jsonl").write_text("{}\n")
    called = ptbench("history", folder)
    assert called.code == 0
    assert f"warning: left out: {runs[0].name}: " in called.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("nigth",), "no run of suite 'nigth' in {output}; did you mean 'night'?"),
        (("{run}",), "is one run; the history is that of its suite"),
        (("none.toml",), "there is no such file"),
        (("night", "--metric", "f9"), "no run has a score of metric 'f9'"),
        (("night", "--time", "--metric", "f1"), "--time and --metric were both given"),
    ],
)
def test_a_wrong_call_is_told(ptbench: Ptbench, folder: Path, given: tuple[str, ...], said: str) -> None:
    (run,) = write_nights(folder, [0.9])
    arguments = [one.format(run=run) for one in given]
    called = ptbench("history", *arguments, "--output", folder.parent)
    assert called.code == 2
    assert said.format(output=folder.parent) in called.err


def test_names_cannot_write_to_the_terminal(ptbench: Ptbench, folder: Path) -> None:
    write_nights(folder, [0.9, 0.9], model="[red]\x1b[31m=cmd()")
    called = ptbench("history", folder)
    assert called.code == 0
    assert "\x1b" not in called.out
    assert "[red]" in called.out.replace("\n", "")


def test_two_real_runs_are_two_nights(ptbench: Ptbench, suite: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert ptbench("run", suite, "--output", tmp_path / "out", "--fresh", "--quiet").code == 0
    found = read_history(tmp_path / "out" / "small")
    assert [series.model for series in found.series] == ["majority", "words"]
    assert [list(series.values) for series in found.series][1] == [1.0, 1.0]
    assert not found.changed
    assert found.nights[0].environment["python"]
    assert found.series[1].low[0] < 1.0


def test_a_run_leaves_its_summary_and_nobody_makes_it_again(ptbench: Ptbench, suite: Path) -> None:
    results = suite.parent / "results"
    assert ptbench("run", suite, "--output", results, "--quiet").code == 0
    (folder,) = results.glob("small/2*")
    kept = (folder / SUMMARY).stat()
    found = read_summary(folder)
    after = (folder / SUMMARY).stat()
    assert (after.st_mtime_ns, after.st_ino) == (kept.st_mtime_ns, kept.st_ino)
    (folder / SUMMARY).unlink()
    assert read_summary(folder) == found  # what the run left is what anybody would make of its files

"""`ptbench gate` and `ptbench baseline`: exit codes, what is kept, what the table says."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ptbench import Change, Compared, Comparison, Difference, Predictions, Report, Timing
from ptbench.bundle import bundle
from ptbench.cli import gating
from ptbench.cli.gatetable import render_gate, summary, worst_first
from ptbench.comparison import comparison_from_json
from ptbench.lock import take
from ptbench.store import read_predictions, read_report, write_predictions
from tests.conftest import SUITE, Ptbench
from tests.edited_runs import change_records, copied, small_run, with_wrong

HOSTILE = "[red]x[/] \x1b[31m\u202e" + "n" * 300 + "\nline"
NEXT, LATER = "20990101-000000", "20990102-000000"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    suite = SUITE + "\n[gate]\nalpha = 0.04\nmargins = { accuracy = 0.01 }\n"
    return small_run(tmp_path_factory.mktemp("gate"), suite)


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A finished run of two models on one task, which a test may change."""
    target = tmp_path / "results" / made.parent.name / made.name
    shutil.copytree(made, target)
    return target


def difference(change: float) -> Difference:
    return Difference(
        "accuracy", True, 0.8, 0.8 + change, change, change - 0.05, change + 0.05, 0.001, "t", 100, 100, 20,
        adjusted=0.004,
    )  # fmt: skip


def row(task: str, verdict: Change, change: float | None = 0.0, **facts: Any) -> Compared:
    differences = () if change is None else (difference(change),)
    return Compared(task, ("m", "knn"), ("m", "knn"), verdict, differences=differences, **facts)


def gate_of(*rows: Compared, **facts: Any) -> Comparison:
    return Comparison("s/1", "s/2", rows, gate=True, **facts)


def drawn(comparison: Comparison, width: int = 160, every: bool = False) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        render_gate(comparison, console, every=every)
        return console.export_text()


# The command


def test_without_a_baseline_it_says_how_to_pin_one(ptbench: Ptbench, run: Path) -> None:
    done = ptbench("gate", run)
    assert (done.code, done.out) == (2, "")
    said = "error: suite small has no baseline: `ptbench baseline set RUN` pins one; or use --against\n"
    assert done.err == said


def test_a_night_like_the_baseline_passes_and_is_kept(ptbench: Ptbench, run: Path) -> None:
    night = copied(run, NEXT)
    assert ptbench("baseline", "set", run).code == 0
    done = ptbench("gate", run.parent)  # the newest
    assert done.code == 0, done.err
    assert "no regression was shown (2 same)" in done.out
    assert "2 rows the same; --all shows them" in done.out
    kept = read_report(night).comparison
    assert kept is not None
    assert (kept.gate, kept.a, kept.b) == (True, f"small/{run.name}", f"small/{NEXT}")
    assert [one.verdict for one in kept.rows] == [Change.SAME, Change.SAME]
    assert not (run / "comparison.json").exists()


def test_a_night_that_is_worse_fails(ptbench: Ptbench, run: Path) -> None:
    night = with_wrong(run, NEXT, "words", 12)
    done = ptbench("gate", night, "--against", run)
    assert done.code == 3
    assert done.out.splitlines()[-1] == "REGRESSED: words x mine x linear_probe (1 worse, 1 same)"
    data = json.loads(ptbench("gate", night, "--against", run, "--json").out)
    assert [one["a"][0] for one in data["regressed"]] == ["words"]
    assert data["summary"] == done.out.splitlines()[-1]
    assert read_report(night).comparison is None
    assert ptbench("gate", night, "--against", run, "--keep").code == 3
    assert comparison_from_json(data) == read_report(night).comparison


def test_margins_and_alpha_of_the_suite_yield_to_those_of_the_call(ptbench: Ptbench, run: Path) -> None:
    night = with_wrong(run, NEXT, "words", 12)
    found = json.loads(ptbench("gate", night, "--against", run, "--json").out)
    assert (found["alpha"], found["margins"]["accuracy"]) == (0.04, 0.01)
    given = ["--margin", "accuracy=0.9", "--margin", "f1=0.5", "--alpha", "0.1"]
    done = ptbench("gate", night, "--against", run, "--json", *given)
    found = json.loads(done.out)
    assert done.code == 0
    assert (found["alpha"], found["margins"]["accuracy"], found["margins"]["f1"]) == (0.1, 0.9, 0.5)
    done = ptbench("gate", night, "--against", run, *given)
    assert "at most 10 % of gates fail" in done.out
    assert "margin: a loss of up to 0.9 of accuracy, 0.5 of f1 counts as none" in done.out


@pytest.mark.parametrize("margin", ["accuracy", "accuracy=much", "=1", "accuracy=-1", "accuracy=nan"])
def test_a_margin_that_is_none(ptbench: Ptbench, run: Path, margin: str) -> None:
    done = ptbench("gate", run, "--margin", margin)
    assert done.code == 2
    assert "is no METRIC=NUMBER" in done.err


def test_a_margin_of_a_metric_that_nobody_offers(ptbench: Ptbench, run: Path) -> None:
    night = copied(run, NEXT)
    done = ptbench("gate", night, "--against", run, "--margin", "acuracy=0.1")
    assert done.code == 2
    assert "did you mean 'accuracy'?" in done.err


def test_where_nothing_can_be_compared_it_is_said(ptbench: Ptbench, run: Path) -> None:
    night = copied(run, NEXT)
    change_records(night, lambda record: {**record, "fingerprints": {**record["fingerprints"], "data": "ff"}})
    done = ptbench("gate", night, "--against", run)
    assert done.code == 4
    assert done.out.splitlines()[-1] == "nothing could be compared: 2 not comparable"
    assert ptbench("gate", night, "--against", run, "--allow", "data").code == 0


def test_a_score_that_is_lost_fails(ptbench: Ptbench, run: Path) -> None:
    night = copied(run, NEXT)
    lost = {"status": "failed", "error": "[red]boom", "scores": [], "files": []}
    change_records(night, lambda record: {**record, **(lost if record["model"] == "words" else {})})
    done = ptbench("gate", night, "--against", run)
    assert done.code == 3
    assert "failed: [red]boom" in done.out
    assert "(1 gone, 1 same)" in done.out


@pytest.mark.parametrize("how", ["gone", "damaged", "changed", "no longer named"])
def test_predictions_that_are_lost_fail(ptbench: Ptbench, run: Path, how: str) -> None:
    night = copied(run, NEXT)
    (record,) = [one for one in read_report(night).records if one.model == "words"]
    path = night / record.files[0]
    if how == "gone":
        path.unlink()
    elif how == "damaged":
        path.write_bytes(b"PAR1 nonsense PAR1")
    elif how == "changed":
        table = read_predictions(path)
        columns = {name: 1 - table[name] if name == "prediction" else table[name] for name in table}
        write_predictions(path, Predictions(table.ids, columns, table.labels))
    else:
        change_records(night, lambda one: {**one, "files": []} if one["model"] == "words" else one)
    done = ptbench("gate", night, "--against", run)
    assert done.code == 3
    assert done.out.splitlines()[-1] == "REGRESSED: words x mine x linear_probe (1 gone, 1 same)"
    again = ptbench("gate", run, "--against", night)  # the baseline's are no loss of the run
    assert again.code == 0
    last = again.out.splitlines()[-1]
    assert last == "no regression was shown on 1 of 2 rows; 1 not comparable (1 same)"


def without(run: Path, model: str) -> None:
    """Take away the records of a model."""
    path = run / "records.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["model"] != model), "utf-8")


@pytest.mark.parametrize("text", [True, False])
def test_a_record_that_is_missing_fails(ptbench: Ptbench, run: Path, text: bool) -> None:
    night = copied(run, NEXT, **({} if text else {"text": None}))
    without(night, "words")
    done = ptbench("gate", night, "--against", run, "--json")
    assert done.code == 3
    (lost,) = json.loads(done.out)["regressed"]
    said = "its record is missing" if text else "its record may be missing: the run has 1 for 2 cells"
    assert (lost["b"][0], lost["verdict"], lost["reason"]) == ("words", "gone", said)


def test_what_the_suite_no_longer_asks_for_is_named_and_no_regression(ptbench: Ptbench, run: Path) -> None:
    text = json.loads((run / "run.json").read_text("utf-8"))["text"]
    night = copied(run, NEXT, text=re.sub(r"(?m)^words = .*$", "", text), cells=1)
    without(night, "words")
    done = ptbench("gate", night, "--against", run)
    assert done.code == 0
    assert done.out.splitlines()[-1] == (
        "no regression was shown (1 same, 1 no longer in the suite); "
        "no longer in the suite: words x mine x linear_probe"
    )
    (row,) = [one for one in read_kept(ptbench, night, run).rows if one.verdict is Change.GONE]
    assert row.reason == ""


def read_kept(ptbench: Ptbench, night: Path, run: Path) -> Comparison:
    ptbench("gate", night, "--against", run, "--keep")
    kept = read_report(night).comparison
    assert kept is not None
    return kept


@pytest.mark.parametrize("given", [["--margin", "accuracy=0.9"], ["--alpha", "0.001"], ["--allow", "data"]])
def test_another_question_does_not_overwrite_what_is_kept(
    ptbench: Ptbench, run: Path, given: list[str]
) -> None:
    night = with_wrong(run, NEXT, "words", 12)
    assert ptbench("baseline", "set", run).code == 0
    assert ptbench("gate", night).code == 3
    kept = read_report(night).comparison
    assert kept is not None
    ptbench("gate", night, *given)
    assert ptbench("gate", night, "--against", copied(night, LATER)).code == 0
    assert read_report(night).comparison == kept
    (night / "comparison.json").unlink()
    assert "is not kept in comparison.json" in ptbench("gate", night, *given).err
    assert read_report(night).comparison is None
    ptbench("gate", night, *given, "--keep")
    assert read_report(night).comparison is not None


def test_a_run_that_is_not_over(ptbench: Ptbench, run: Path) -> None:
    night = copied(run, NEXT, status="running")
    without(night, "words")
    done = ptbench("gate", night, "--against", run)
    assert done.code == 3
    assert "note: the run was interrupted: the same command goes on with it" in done.out
    assert "the run has not finished (interrupted)" in done.out
    lock = take(night)
    assert lock is not None
    with lock:
        done = ptbench("gate", night, "--against", run)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: {night} still runs; `ptbench status` shows how far it is\n"


def test_a_baseline_of_the_same_name_is_called_by_its_path(
    ptbench: Ptbench, run: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere" / run.name
    shutil.copytree(run, other)
    done = ptbench("gate", run, "--against", other)
    assert done.out.splitlines()[:2] == [f"baseline: {other}", f"run: {run}"]
    done = ptbench("compare", other, run)
    assert done.out.splitlines()[:2] == [f"A: {other}", f"B: {run}"]


def test_a_bundle_is_a_baseline(ptbench: Ptbench, run: Path, tmp_path: Path) -> None:
    packed = bundle(run, tmp_path / "good.ptbundle").path
    night = with_wrong(run, NEXT, "words", 12)
    assert ptbench("gate", night, "--against", packed).code == 3
    assert ptbench("gate", copied(run, LATER), "--against", packed).code == 0
    packed.write_bytes(b"no bundle")
    done = ptbench("gate", night, "--against", packed)
    assert (done.code, done.out) == (2, "")
    assert "is no bundle" in done.err


def test_a_run_is_no_baseline_of_itself(ptbench: Ptbench, run: Path) -> None:
    done = ptbench("gate", run, "--against", run)
    assert done.code == 2
    assert "is the baseline itself" in done.err
    done = ptbench("gate", run, "--against", run.parent / "gone")
    assert done.code == 2
    assert "there is no such run" in done.err


def test_the_noise_is_learned_from_finished_runs_before_it(
    ptbench: Ptbench, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = copied(run, LATER)
    copied(run, NEXT)
    copied(run, "20980101-000000", status="interrupted")
    copied(run, "20980102-000000", suite="another of the same folder")
    copied(run, "20990103-000000")  # after it
    broken = copied(run, "20980103-000000")
    (broken / "standings.json").write_text("no JSON")
    seen: list[str] = []

    def noted(
        report: Report, baseline: Report, catalog: object, *, nights: Sequence[Report], **_: Any
    ) -> Comparison:
        seen.extend(one.folder.name for one in nights)
        return gate_of(row("t", Change.SAME))

    monkeypatch.setattr("ptbench.runner.gating.gate", noted)
    done = ptbench("gate", night, "--against", run)
    assert done.code == 0, done.err
    assert seen == [NEXT, run.name]
    assert "warning: left out: " in done.err
    monkeypatch.setattr(gating, "NIGHTS", 1)
    seen.clear()
    assert ptbench("gate", night, "--against", run).code == 0
    assert seen == [NEXT]


# The baseline


def test_the_baseline_is_set_and_shown(ptbench: Ptbench, run: Path) -> None:
    done = ptbench("baseline", "show", run.parent)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: no baseline is pinned in {run.parent}; ")
    done = ptbench("baseline", "set", run, "--by", "Ada")
    assert (done.code, done.out) == (0, f"baseline of small: {run.name}\n")
    copied(run, NEXT)
    for folder in (run.parent, run.parents[1]):
        (shown,) = json.loads(ptbench("baseline", "show", folder, "--json").out)
        assert (shown["suite"], shown["run"], shown["by"], shown["newer"]) == ("small", run.name, "Ada", 1)
        line = ptbench("baseline", "show", folder).out
        assert line == f"small: {run.name}, set {shown['set']} by Ada; 1 newer run\n"


def test_a_baseline_with_a_failure_is_told(ptbench: Ptbench, run: Path) -> None:
    lost = {"status": "failed", "error": "boom", "scores": [], "files": []}
    change_records(run, lambda record: {**record, **(lost if record["model"] == "words" else {})})
    assert "note: 1 cell has no score in it" in ptbench("baseline", "set", run).out


def test_a_baseline_that_is_gone_or_damaged(ptbench: Ptbench, run: Path) -> None:
    assert ptbench("baseline", "set", run).code == 0
    file = run.parent / "baseline.json"
    shutil.rmtree(run)
    done = ptbench("baseline", "show", file.parent)
    assert done.code == 2
    assert "is gone" in done.err
    file.write_text("[]")
    done = ptbench("baseline", "show", file.parent)
    assert done.code == 2
    assert "is damaged" in done.err


# The table


def test_what_regressed_stands_first_and_the_worst_of_it_above() -> None:
    slow = Timing(10.0, 14.0, 8, 0.03, 0.001, 0.004, slower=True)
    rows = [
        row("even", Change.SAME),
        row("better", Change.BETTER, 0.1),
        row("new", Change.NEW, None),
        row("dropped", Change.GONE, None),
        row("slow", Change.SAME, timing=slow),
        row("lost", Change.GONE, None, reason="oom"),
        row("worse", Change.WORSE, -0.01),
        row("worst", Change.WORSE, -0.2),
        row("other", Change.NOT_COMPARABLE, None, reason="other examples"),
    ]
    found = gate_of(*rows)
    order = [one.task for one in worst_first(found)]
    assert order == ["worst", "worse", "lost", "slow", "dropped", "other", "new", "better", "even"]
    assert summary(found) == (
        "REGRESSED: 4 rows (2 worse, 1 gone, 1 not comparable, 1 new, 1 better, 2 same, 1 slower, "
        "1 no longer in the suite); no longer in the suite: m x dropped x knn"
    )
    text = drawn(found)
    assert "1 row the same; --all shows it" in text
    assert "│ even " not in text
    assert "10.0 s -> 14.0 s (+40 %, noise 3 %)" in text
    assert "slower" in text
    every = drawn(found, every=True)
    assert "--all" not in every
    assert every.count("│ even ") == 1


def test_what_the_verdict_means_is_said() -> None:
    timed = Timing(10.0, 10.1, 8, 0.03, 0.4, 1.0)
    untimed = Timing(1.0, 1.1, 1, math.nan, math.nan)
    rows = (
        row("t", Change.SAME, timing=timed, reused=True),
        row("u", Change.SAME, timing=untimed),
        row("v", Change.NOT_COMPARABLE, None),
    )
    text = drawn(gate_of(*rows, alpha=0.05, margins={"accuracy": 0.002, "time": 0.1}))
    lines = text.splitlines()
    said = "false alarms: where nothing got worse, at most 5 % of gates fail, over all 3 questions together "
    said += "(Holm): 2 of scores, 1 of times"
    assert said in lines
    assert "margin: a loss of up to 0.002 of accuracy counts as none" in lines
    assert any("the margin of 10%; 1 of 2 timed rows have enough of them" in line for line in lines)
    assert "reused: 1 of 3 rows were not run again" in lines
    assert "intervals are for each question alone, so that verdict and interval may differ" in lines
    assert lines[-1] == "no regression was shown on 2 of 3 rows; 1 not comparable (2 same)"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_hostile_names_break_no_table(width: int) -> None:
    side = (HOSTILE, HOSTILE)
    one = replace(difference(-0.1), metric=HOSTILE, caveat=HOSTILE)
    rows = (
        Compared(HOSTILE, side, side, Change.WORSE, differences=(one,), differs=(HOSTILE,)),
        Compared(HOSTILE, side, side, Change.GONE, reason=HOSTILE),
    )
    text = drawn(Comparison(HOSTILE, HOSTILE, rows, gate=True, notes=(HOSTILE,)), width)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]" in text
    frame = [line for line in text.splitlines() if line[:1] in "│┏┡└"]
    assert len({len(line) for line in frame}) == 1
    assert len(frame[0]) <= width

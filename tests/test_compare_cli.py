"""`ptbench compare`: two runs, or two models of one, the flips, and tables that hold whatever names say."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ptbench import Change, Compared, Comparison, Difference, Predictions, Report
from ptbench.catalog import load_catalog
from ptbench.cli.comparetable import render_comparison
from ptbench.cli.comparing import ALLOWED
from ptbench.cli.fliptable import render_flips
from ptbench.cli.words import answer
from ptbench.runner import inputs
from ptbench.runner.comparability import ALLOWANCES
from ptbench.runner.flips import Flip, Flips, find_flips
from ptbench.store import read_predictions, read_report, write_predictions
from tests.conftest import REVIEWS, Called, Ptbench
from tests.edited_runs import change_records, copied, small_run, with_wrong
from tests.running import cells, ended

N = 23
"""Test examples of the small suite."""
HOSTILE = "[red]x[/] \x1b[31m\u202e" + "n" * 300 + "\nline"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("compare"))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A finished run of two models on one task, which a test may change."""
    target = tmp_path / "results" / made.parent.name / made.name
    shutil.copytree(made, target)
    return target


def told(done: Called) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(done.out)
    return data


def difference(change: float = 0.1, **facts: Any) -> Difference:
    given = {"low": change - 0.05, "high": change + 0.05, "p": 0.001, "adjusted": 0.004, "detectable": 0.02}
    return Difference(
        higher_is_better=True, a=0.8, b=0.8 + change, change=change, test="mcnemar", n=100, units=100,
        differing=20, **{"metric": "accuracy", **given, **facts},
    )  # fmt: skip


def row(task: str, verdict: Change, change: float | None = 0.1, **facts: Any) -> Compared:
    differences = () if change is None else (difference(change),)
    return Compared(task, ("m", "knn"), ("m", "knn"), verdict, differences=differences, **facts)


def drawn(comparison: Comparison, width: int = 160, **options: Any) -> str:
    console = Console(width=width, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        render_comparison(comparison, console, **options)
        return console.export_text()


# Two models of one run


def test_models_of_the_newest_run(ptbench: Ptbench, run: Path) -> None:
    done = ptbench("compare", "majority", "words", "--output", run.parents[1])
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == "B is better on the one task."
    (line,) = [line for line in done.out.splitlines() if line.startswith("│ mine")]
    assert "accuracy" in line
    assert "better" in line


def test_the_json_has_the_numbers_and_the_answer(ptbench: Ptbench, run: Path) -> None:
    done = ptbench("compare", "majority", "words x linear_probe", "--run", run, "--json")
    data = told(done)
    scores = {record.model: record.scores[0].value for record in read_report(run).records}
    (found,) = data["rows"]
    assert (found["a"], found["b"]) == (["majority", "linear_probe"], ["words", "linear_probe"])
    first = found["differences"][0]
    assert first["metric"] == "accuracy"
    assert first["change"] == pytest.approx(scores["words"] - scores["majority"])
    assert first["n"] == N
    assert data["answer"] == "B is better on the one task."
    assert "flips" not in data


def test_another_metric_stands_beside_the_first(ptbench: Ptbench, run: Path) -> None:
    done = ptbench("compare", "majority", "words", "--run", run)
    assert " f1 " not in done.out
    done = ptbench("compare", "majority", "words", "--run", run, "--metric", "f1")
    assert " f1 " in done.out


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (
            "majority",
            "wrods",
            "no model 'wrods' in this run; did you mean 'words'? ({run}; --run names another)",
        ),
        (
            "majority",
            "results/x",
            "results/x: there is no such run; give two runs, or two models of one run (--run), "
            "beside 'majority'",
        ),
    ],
)
def test_what_is_neither_model_nor_run(ptbench: Ptbench, run: Path, a: str, b: str, said: str) -> None:
    done = ptbench("compare", a, b, "--output", run.parents[1])
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: {said.format(run=run)}\n"


def test_a_name_that_is_longer_than_a_path_may_be(ptbench: Ptbench, run: Path) -> None:
    done = ptbench("compare", "n" * 5000, "words", "--output", run.parents[1])
    assert (done.code, done.out) == (2, "")
    assert "no model 'nnn" in done.err


def test_a_run_beside_a_model_is_refused(ptbench: Ptbench, run: Path) -> None:
    done = ptbench("compare", run, "words", "--output", run.parents[1])
    assert done.code == 2
    assert done.err.startswith(f"error: {run}: is a run; give two runs")
    done = ptbench("compare", "majority", "words", "--model", "words", "--output", run.parents[1])
    assert (done.code, done.err) == (2, "error: --model is for two runs; A and B are models here\n")


def test_a_metric_that_nobody_offers(ptbench: Ptbench, run: Path) -> None:
    done = ptbench("compare", "majority", "words", "--run", run, "--metric", "acuracy")
    assert done.code == 2
    assert "did you mean 'accuracy'?" in done.err


# Two runs


def test_a_run_beside_itself_is_the_same(ptbench: Ptbench, run: Path) -> None:
    again = copied(run, "20990101-000000")
    done = ptbench("compare", run, again)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        f"A: small/{run.name}",
        "B: small/20990101-000000",
        "2 rows have the same predictions; --all shows them",
        "B predicts the same as A, example by example, on all 2 rows.",
    ]
    assert ptbench("compare", run, again, "--all").out.count("│ same ") == 2


def test_a_run_that_is_worse_and_only_the_model_asked_for(ptbench: Ptbench, run: Path) -> None:
    worse = with_wrong(run, "20990101-000000", "words", 12)
    rows = told(ptbench("compare", run, worse, "--json"))["rows"]
    assert {one["a"][0]: one["verdict"] for one in rows} == {"majority": "same", "words": "worse"}
    rows = told(ptbench("compare", run, worse, "--model", "majority", "--json"))["rows"]
    assert [one["verdict"] for one in rows] == ["same"]
    done = ptbench("compare", run, worse, "--task", "mien")
    assert (done.code, done.out) == (2, "")
    assert "--task mien: run" in done.err
    assert "did you mean 'mine'?" in done.err


def test_other_data_is_refused_with_the_reason_unless_allowed(ptbench: Ptbench, run: Path) -> None:
    other = copied(run, "20990101-000000")
    change_records(other, lambda record: {**record, "fingerprints": {**record["fingerprints"], "data": "ff"}})
    done = ptbench("compare", run, other)
    assert done.code == 4
    assert done.out.count("not comparable:") == 2
    assert done.out.splitlines()[-1].startswith("Nothing could be compared")
    rows = told(ptbench("compare", run, other, "--json"))["rows"]
    assert all("the data" in one["reason"] for one in rows)
    assert ptbench("compare", run, other, "--allow", "data").code == 0


def test_the_words_of_allow_are_those_of_the_comparison() -> None:
    assert ALLOWED == ALLOWANCES


# Flips


def test_flips_have_ids_both_predictions_and_inputs(ptbench: Ptbench, run: Path) -> None:
    worse = with_wrong(run, "20990101-000000", "words", 7)
    then, now = (
        read_predictions(folder / record.files[0])
        for folder in (run, worse)
        for record in read_report(folder).records
        if record.model == "words"
    )
    flipped = {then.ids[i] for i in np.flatnonzero(then["prediction"] != now["prediction"])}
    data = told(ptbench("compare", run, worse, "--flips", "--json"))
    (words,) = [one for one in data["flips"] if one["a"][0] == "words"]
    assert words["lost_count"] == 7
    assert {one["id"] for one in words["lost"]} == flipped
    assert words["gained"] == []
    for one in words["lost"]:
        assert one["a"] == one["target"] != one["b"]
        adjective = "splendid" if one["target"] == "good" else "dreadful"
        assert one["inputs"]["text"].startswith(adjective)
    table = ptbench("compare", run, worse, "--flips", "--most", "2").out
    assert "right to wrong: 7 of 23 examples" in table
    assert "5 more: --most, or --json" in table
    assert "wrong to right: 0 of 23 examples" in table
    assert words["lost"][0]["inputs"]["text"] in table


def test_data_that_is_gone_or_changed_is_a_note(ptbench: Ptbench, tmp_path: Path) -> None:
    run = small_run(tmp_path)
    worse = with_wrong(run, "20990101-000000", "words", 3)
    swapped = {",good": ",bad", ",bad": ",good"}
    rows = re.sub(",(good|bad)$", lambda found: swapped[found[0]], REVIEWS, flags=re.MULTILINE)
    (tmp_path / "reviews.csv").write_text(rows)
    data = told(ptbench("compare", run, worse, "--flips", "--json"))
    (words,) = [one for one in data["flips"] if one["a"][0] == "words"]
    assert words["note"].startswith("without inputs: the data of task 'mine' is no longer what the run saw")
    assert [one["inputs"] for one in words["lost"]] == [{}, {}, {}]
    (tmp_path / "reviews.csv").unlink()
    data = told(ptbench("compare", run, worse, "--flips", "--json"))
    (words,) = [one for one in data["flips"] if one["a"][0] == "words"]
    assert words["note"].startswith("without inputs: ")
    assert words["lost_count"] == 3


def kept(folder: Path, *tables: Predictions) -> Report:
    """Return a report of one model on one task, a seed per table."""
    (cell,) = cells(1)
    records = []
    for seed, table in enumerate(tables):
        name = f"predictions/{seed}.parquet"
        write_predictions(folder / name, table)
        records.append(ended(replace(cell, seed=seed), files=(name,)))
    return Report({"suite": "s"}, tuple(records), folder=folder)


def numbers(*prediction: float) -> Predictions:
    target = np.array([1.0, 2.0, 3.0, 4.0])
    return Predictions(list("abcd"), {"target": target, "prediction": np.array(prediction)})


def labels(*prediction: int) -> Predictions:
    target = np.array([0, 1, 0, 1])
    return Predictions(list("abcd"), {"target": target, "prediction": np.array(prediction)}, ("no", "yes"))


COMPARED = Compared("t0", ("minilm", "as_is"), ("minilm", "as_is"), Change.SAME, differences=(difference(),))


def test_numbers_flip_by_how_much_their_error_grew(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a, b = kept(tmp_path / "a", numbers(1, 2, 3, 5)), kept(tmp_path / "b", numbers(1.5, 2, 5, 4))
    found = find_flips([COMPARED], a, b, load_catalog())[0]
    assert [(flip.id, flip.error_a, flip.error_b) for flip in found.lost] == [("c", 0, 2), ("a", 0, 0.5)]
    assert [(flip.id, flip.target, flip.a, flip.b) for flip in found.gained] == [("d", 4, 5, 4)]
    assert (found.n, found.lost_count, found.gained_count) == (4, 2, 1)
    assert find_flips([COMPARED], a, b, load_catalog(), most=1)[0].lost == found.lost[:1]
    assert found.note == "without inputs: the run does not tell its suite"


def test_seeds_flip_by_the_share_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a = kept(tmp_path / "a", labels(0, 1, 0, 0), labels(0, 1, 0, 0), labels(0, 1, 0, 1))
    b = kept(tmp_path / "b", labels(1, 1, 0, 1), labels(1, 1, 1, 1), labels(1, 1, 0, 1))
    found = find_flips([COMPARED], a, b, load_catalog())[0]
    assert found.runs == 3
    shares = [(flip.id, flip.error_a, pytest.approx(flip.error_b)) for flip in found.lost]
    assert shares == [("a", 0, 1), ("c", 0, 1 / 3)]
    (back,) = found.gained
    assert (back.id, back.target, back.a, back.b) == ("d", "yes", "no", "yes")
    assert (back.error_a, back.error_b) == (pytest.approx(2 / 3), 0)


def test_rows_in_another_order_are_paired_by_id(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a = kept(tmp_path / "a", labels(0, 1, 0, 1))
    b = kept(tmp_path / "b", labels(0, 1, 1, 1).take([3, 2, 1, 0]))
    found = find_flips([COMPARED], a, b, load_catalog())[0]
    assert [flip.id for flip in found.lost] == ["c"]
    assert found.gained == ()


@pytest.mark.parametrize("seed", range(3))
def test_what_is_lost_one_way_is_gained_the_other(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a = kept(tmp_path / "a", *(labels(*rng.integers(0, 2, 4)) for _ in range(2)))
    b = kept(tmp_path / "b", *(labels(*rng.integers(0, 2, 4)) for _ in range(3)))
    there, back = (find_flips([COMPARED], *pair, load_catalog())[0] for pair in ((a, b), (b, a)))
    assert {flip.id for flip in there.lost} == {flip.id for flip in back.gained}
    assert {flip.id for flip in there.gained} == {flip.id for flip in back.lost}
    for flip in there.lost:
        (other,) = [one for one in back.gained if one.id == flip.id]
        assert (flip.a, flip.error_a, flip.b, flip.error_b) == (
            other.b,
            other.error_b,
            other.a,
            other.error_a,
        )


def test_the_data_of_a_task_is_read_once(
    ptbench: Ptbench, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse = with_wrong(with_wrong(run, "20990101-000000", "words", 5), "20990102-000000", "majority", 5)
    read = []
    real = inputs.load_task

    def load(spec: Any, *rest: Any) -> Any:
        read.append(spec.name)
        return real(spec, *rest)

    monkeypatch.setattr(inputs, "load_task", load)
    flips = told(ptbench("compare", run, worse, "--flips", "--json"))["flips"]
    assert [one["lost_count"] for one in flips] == [5, 5]
    assert all(flip["inputs"] for one in flips for flip in one["lost"])
    assert read == ["mine"]


def test_predictions_that_are_gone_are_a_note(tmp_path: Path) -> None:
    report = kept(tmp_path, labels(0, 1, 0, 1))
    (tmp_path / "predictions" / "0.parquet").unlink()
    assert "is no file of predictions" in find_flips([COMPARED], report, report, load_catalog())[0].note
    empty = replace(report, records=())
    note = find_flips([COMPARED], empty, empty, load_catalog())[0].note
    assert note == "there are no predictions of minilm x t0 x as_is"


# Words and tables


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"accuracy": [0.02, 0.05]}, "; these examples show differences from 0.020 or 0.050 on."),
        (
            {"accuracy": [0.02, 1.5], "mae": [6.0]},
            "; these examples show differences of accuracy from 0.020 on; of mae from 6.000 on.",
        ),
        ({"accuracy": [1.5]}, "; these examples can show nothing."),
    ],
)
def test_what_could_be_seen_is_told_by_metric_as_far_as_it_is_possible(
    sizes: dict[str, list[float]], said: str
) -> None:
    rows = [
        replace(row(f"{name} {size}", Change.SAME), differences=(difference(metric=name, detectable=size),))
        for name, of_metric in sizes.items()
        for size in of_metric
    ]
    found = Comparison("a", "b", tuple(rows))
    assert answer(found, ranges={"accuracy": 1.0}).endswith(said)
    assert ("nothing │" in drawn(found, ranges={"accuracy": 1.0})) is (1.5 in sizes["accuracy"])


def test_where_no_row_is_on_both_sides_that_is_said() -> None:
    rows = (row("t", Change.GONE, None), row("u", Change.NEW, None))
    found = Comparison("a", "b", rows)
    said = "Nothing could be compared: A and B have no row in common. Besides: 1 gone, 1 new."
    assert answer(found) == said
    assert "gone: no longer in the suite" in drawn(found)
    assert "no longer in the suite" not in drawn(found, models=True)


def test_a_p_that_is_not_corrected_stands_in_parentheses() -> None:
    beside = difference(metric="f1", p=0.03, adjusted=math.nan)
    rows = (replace(row("t", Change.BETTER), differences=(difference(), beside)),)
    found = Comparison("a", "b", rows)
    text = drawn(found, metrics=("f1",))
    assert "│ p (Holm) │" in text.replace("┃", "│")
    assert "(0.030) │" in text
    lines = text.splitlines()
    whole = "intervals are for each question alone, so that verdict and interval may differ"
    plain = "; in parentheses it is not corrected"
    assert f"p is corrected over the rows that differ{plain}; {whole}" in lines
    assert f"p is corrected over the rows that differ; {whole}" in drawn(found).splitlines()
    letters = "the letters and ~ of a run are corrected over all pairs of models of one task"
    assert letters not in lines
    assert letters in drawn(found, models=True).splitlines()


@pytest.mark.parametrize(
    ("rows", "average", "said"),
    [
        ([row("t", Change.BETTER)], None, "B is better on the one task."),
        ([row("t", Change.WORSE, -0.1)], None, "B is worse on the one task."),
        (
            [row("t", Change.BETTER), row("u", Change.SAME), row("v", Change.BETTER)],
            difference(0.012, low=0.004, high=0.02),
            "B is better on 2 of 3 tasks, worse on none; on average +0.012 [+0.004, +0.020].",
        ),
        (
            [row("t", Change.SAME), row("t", Change.SAME)],
            None,
            "No difference was shown on any of 2 rows; these examples show differences from 0.020 on.",
        ),
        (
            [row("t", Change.WORSE), row("u", Change.SAME), row("v", Change.GONE, None)],
            None,
            "B is better on none of 2 tasks, worse on 1. Besides: 1 gone.",
        ),
        (
            [row("t", Change.NOT_COMPARABLE, None, reason="other examples")],
            None,
            "Nothing could be compared: the reasons stand in the table. Besides: 1 not comparable.",
        ),
    ],
)
def test_the_answer(rows: list[Compared], average: Difference | None, said: str) -> None:
    assert answer(Comparison("a", "b", tuple(rows), average=average)) == said


def test_models_of_one_run_are_neither_gone_nor_new() -> None:
    rows = (row("t", Change.BETTER), row("u", Change.GONE, None), row("v", Change.NEW, None))
    found = Comparison("minilm", "tfidf", rows)
    said = "B is better on the one task. Besides: 1 that only A has, 1 that only B has."
    assert answer(found, models=True) == said
    assert "only A has it" in drawn(found, models=True)


def test_remarks_stand_once_with_their_rows() -> None:
    rows = tuple(row(name, Change.SAME, differs=("weights changed",)) for name in "tuv")
    rows = (*rows[:2], replace(rows[2], differs=("weights changed", "device changed (cpu -> cuda)")))
    text = drawn(Comparison("a", "b", rows, environment=("torch changed (2.6 -> 2.7)",), notes=("a note",)))
    lines = text.splitlines()
    assert lines.count("differs: weights changed (every row)") == 1
    assert "differs: device changed (cpu -> cuda) (m x v x knn)" in lines
    assert "differs: torch changed (2.6 -> 2.7)" in lines
    assert "note: a note" in lines


def test_a_table_shows_the_numbers() -> None:
    lines = drawn(
        Comparison(
            "a",
            "b",
            (row("t", Change.BETTER), row("u", Change.NOT_COMPARABLE, None, reason="why")),
            average=difference(0.05),
        )
    ).splitlines()
    (first,) = [line for line in lines if line.startswith("│ t ")]
    cells_of = [cell.strip() for cell in first.strip("│").split("│")]
    assert cells_of == [
        "t",
        "accuracy",
        "0.800",
        "0.900",
        "+0.100 [+0.050, +0.150]",
        "0.004",
        "better",
        "0.020",
    ]
    assert any("not comparable: why" in line for line in lines)
    assert any(line.startswith("average over tasks: 0.800 -> 0.850, change +0.050") for line in lines)


def test_an_undefined_p_and_interval_are_left_empty() -> None:
    nan = math.nan
    one = difference(0.1, low=nan, high=nan, p=nan, adjusted=nan, detectable=nan)
    lines = drawn(Comparison("a", "b", (replace(row("t", Change.SAME), differences=(one,)),))).splitlines()
    (first,) = [line for line in lines if line.startswith("│ t ")]
    assert "nan" not in first
    assert [cell.strip() for cell in first.strip("│").split("│")] == [
        "t",
        "accuracy",
        "0.800",
        "0.900",
        "+0.100",
        "same",
    ]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_hostile_names_break_no_table(width: int) -> None:
    side = (HOSTILE, HOSTILE)
    one = replace(difference(), metric=HOSTILE, caveat=HOSTILE)
    rows = (
        Compared(HOSTILE, side, side, Change.BETTER, differences=(one,), differs=(HOSTILE,)),
        Compared("t", ("m", "p"), ("m", "q"), Change.NOT_COMPARABLE, reason=HOSTILE),
    )
    text = drawn(Comparison(HOSTILE, HOSTILE, rows, environment=(HOSTILE,), notes=(HOSTILE,)), width)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]x[/]" in re.sub(r"[│\s]", "", text)
    frame = [line for line in text.splitlines() if line[:1] in "│┏┡└"]
    assert len({len(line) for line in frame}) == 1
    assert len(frame[0]) <= width


def test_hostile_flips_break_no_table() -> None:
    flip = Flip(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 0, 1, {"text": HOSTILE, HOSTILE: "b"})
    found = Flips(HOSTILE, (HOSTILE, "p"), (HOSTILE, "q"), 10, lost=(flip,), lost_count=3, note=HOSTILE)
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        render_flips([found], console)
        text = console.export_text()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "2 more: --most, or --json" in text


def test_an_interrupted_change_of_records_is_no_matter(ptbench: Ptbench, run: Path) -> None:
    """A cell that failed in B is gone, with its error, and the rest is compared."""
    again = copied(run, "20990101-000000")
    change_records(
        again,
        lambda record: (
            {**record, "status": "failed", "error": "[red]boom", "scores": [], "files": []}
            if record["model"] == "words"
            else record
        ),
    )
    done = ptbench("compare", run, again)
    assert done.code == 0
    assert "gone: failed: [red]boom" in " ".join(done.out.split())
    assert "Besides: 1 gone." in done.out

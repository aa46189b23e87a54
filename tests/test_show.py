"""`ptbench show`: which cell is meant, and all that is known of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from ptbench import Predictions, Record, Report, Score, Status, confusion, reliability
from ptbench.bundle import bundle
from ptbench.cli.detailtable import confusion_table
from ptbench.cli.showing import look
from ptbench.cli.showtable import render_cell
from ptbench.cli.whichcell import find_cell
from ptbench.details import Confusion
from ptbench.errors import DataError, UnknownNameError, UsageError
from ptbench.records import Cell, ModelSpec, TaskSpec
from ptbench.store import read_predictions, read_report, write_predictions
from tests.conftest import Ptbench
from tests.edited_runs import change_records, small_run, with_wrong
from tests.running import ended

HOSTILE = "[red]x[/] \x1b[31m\u202e" + "n" * 300 + "\nline"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in which a model is wrong about four examples."""
    folder = tmp_path_factory.mktemp("show")
    return with_wrong(small_run(folder), "20990101-000000", "words", 4)


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    target = tmp_path / "results" / made.parent.name / made.name
    shutil.copytree(made, target)
    return target


def cell(model: str = "m", task: str = "t", seed: int = 0, **options: Any) -> Cell:
    return Cell("s", ModelSpec(model, "x:y"), TaskSpec(task, "a", "d:e"), "knn", options, seed)


def kept(folder: Path, record: Record, *tables: Predictions) -> Report:
    name = "predictions/a.parquet"
    write_predictions(folder / name, *tables)
    return Report({"suite": "s"}, (replace(record, files=(name,)),), folder=folder)


def drawn(report: Report, most: int = 5, width: int = 120) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        render_cell(look(report, report.records[0], most), report, console)
        return console.export_text()


# Which cell


def test_a_cell_is_found_by_id_beginning_and_title() -> None:
    records = tuple(map(ended, (cell(), cell("mini", "u"), cell("mini", "v", k=5))))
    report = Report({}, records, folder=Path("r"))
    assert find_cell(report, records[0].cell) is records[0]
    assert find_cell(report, "mini-u") is records[1]
    assert find_cell(report, "mini x u") is records[1]
    assert find_cell(report, "mini x v x knn (k=5)") is records[2]
    assert find_cell(report, "mini x v x knn") is records[2]
    assert find_cell(report, "m x t  x knn seed 0") is records[0]
    assert find_cell(report, "mini x v seed 0") is records[2]
    with pytest.raises(UnknownNameError, match="no cell 'm x t x knn seed 1'"):
        find_cell(report, "m x t x knn seed 1")
    for text in ("", "  "):
        with pytest.raises(UsageError, match=r"which cell\? give"):
            find_cell(report, text)


def test_an_id_is_itself_where_others_begin_with_it() -> None:
    first = ended(cell())
    longer = replace(ended(cell("other")), cell=f"{first.cell}-more")
    assert find_cell(Report({}, (longer, first), folder=Path("r")), first.cell) is first


def test_seeds_are_asked_for_where_there_are_several() -> None:
    report = Report({}, tuple(ended(cell(seed=seed)) for seed in range(3)), folder=Path("r"))
    with pytest.raises(UsageError, match="'m x t x knn' may be 3 cells; add seed 0, seed 1 or seed 2"):
        find_cell(report, "m x t x knn")
    assert find_cell(report, "m x t x knn seed 2").seed == 2
    assert find_cell(report, "m x t x knn seed 0").seed == 0


def test_several_and_unknown_cells_are_answered_with_names() -> None:
    report = Report({}, (ended(cell("mini")), ended(cell("mine"))), folder=Path("r"))
    with pytest.raises(UsageError, match="'min' may be 2 cells; say which: mine x t x knn; mini x t x knn"):
        find_cell(report, "min")
    with pytest.raises(UnknownNameError, match="run r has no cell 'minx x t x knn'; did you mean 'min"):
        find_cell(report, "minx x t x knn")


# The command


def test_a_cell_with_its_worst_errors_and_inputs(ptbench: Ptbench, run: Path) -> None:
    (record,) = [one for one in read_report(run).records if one.model == "words"]
    table = read_predictions(run / record.files[0])
    done = ptbench("show", "words", "--output", run.parents[1], "--json")
    assert done.code == 0, done.err
    data = json.loads(done.out)
    assert data["record"]["cell"] == record.cell
    assert data["wrong"] == 4
    wrong = [
        name for name, t, p in zip(table.ids, table["target"], table["prediction"], strict=True) if t != p
    ]
    assert {one["id"] for one in data["worst"]} == set(wrong)
    for one in data["worst"]:
        adjective = "splendid" if one["target"] == "good" else "dreadful"
        assert one["inputs"]["text"].startswith(adjective)
    assert [one["id"] for one in data["predictions"]] == list(table.ids[:5])
    found = confusion(table)
    assert found is not None
    assert data["confusion"]["counts"] == found.counts.tolist()
    assert [one["n"] for one in data["reliability"]] == [one.n for one in reliability(table)]


def test_the_tables_of_a_cell(ptbench: Ptbench, run: Path) -> None:
    done = ptbench("show", "words x mine x linear_probe", "--run", run, "--most", "2")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "words x mine x linear_probe"
    assert f"examples: {read_report(run).records[0].n} of test" in lines
    assert "worst errors (4 of 23 wrong)" in [line.strip() for line in lines]
    assert sum(line.startswith("│ ") and " number " in line for line in lines) == 4  # 2 worst, 2 first
    for title in ("scores", "confusion: targets down, predictions across", "first predictions"):
        assert title in [line.strip() for line in lines]
    assert any(line.startswith("reliability (expected calibration error") for line in lines)
    assert any("strength" in line for line in lines)


def test_data_is_not_read_unless_asked_for_or_where_it_is_gone(ptbench: Ptbench, tmp_path: Path) -> None:
    run = small_run(tmp_path)
    data = json.loads(ptbench("show", "words", "--run", run, "--no-inputs", "--json").out)
    assert all(one["inputs"] == {} for one in data["predictions"])
    assert data["notes"] == []
    (tmp_path / "reviews.csv").unlink()
    done = ptbench("show", "words", "--run", run)
    assert done.code == 0
    assert "note: without inputs: " in done.out


def test_a_bundle_is_shown_with_the_data_that_it_carries(ptbench: Ptbench, tmp_path: Path) -> None:
    run = small_run(tmp_path)
    before = json.loads(ptbench("show", "words", "--run", run, "--json").out)
    packed = bundle(run, tmp_path / "a.ptbundle").path
    (tmp_path / "reviews.csv").unlink()
    after = json.loads(ptbench("show", "words", "--run", packed, "--json").out)
    assert after["predictions"] == before["predictions"]
    assert after["predictions"][0]["inputs"]["text"]


def test_a_cell_that_failed_shows_error_advice_and_log(ptbench: Ptbench, run: Path) -> None:
    (run / "logs").mkdir(exist_ok=True)
    (run / "logs" / "a.log").write_text("".join(f"line {i}\n" for i in range(100)) + "\x1b[31m[red]boom\n")
    failed = {"status": "oom", "error": "[red]14 GiB\x1b needed", "advice": "batch_size = 4",
              "log": "logs/a.log", "scores": [], "files": []}  # fmt: skip
    change_records(run, lambda record: {**record, **failed} if record["model"] == "words" else record)
    done = ptbench("show", "words", "--run", run)
    assert done.code == 0
    lines = done.out.splitlines()
    at = lines.index(r"oom: [red]14 GiB\x1b needed")
    assert lines[at + 1 : at + 3] == ["try: batch_size = 4", "log: logs/a.log"]
    assert lines[at + 3] == "    line 81"
    assert lines[-1] == r"    \x1b[31m[red]boom"
    data = json.loads(ptbench("show", "words", "--run", run, "--json").out)
    assert data["log"].splitlines()[0] == "line 81"


def test_a_log_outside_of_the_run_is_not_read(ptbench: Ptbench, run: Path) -> None:
    (run.parent / "secret.txt").write_text("secret")
    failed = {"status": "failed", "error": "boom", "log": "../secret.txt", "scores": [], "files": []}
    change_records(run, lambda record: {**record, **failed})
    assert "secret\n" not in ptbench("show", "words", "--run", run).out


def test_an_unknown_cell_is_answered_with_the_nearest(ptbench: Ptbench, run: Path) -> None:
    done = ptbench("show", "wrods x mine x linear_probe", "--run", run)
    assert (done.code, done.out) == (2, "")
    assert "did you mean 'words x mine x linear_probe'?" in done.err


# Cells of other kinds


def test_numbers_have_worst_errors_and_no_confusion(tmp_path: Path) -> None:
    target, prediction = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.5, 1.0])
    table = Predictions(["a", "b", "c"], {"target": target, "prediction": prediction})
    report = kept(tmp_path, ended(cell()), table)
    found = look(report, report.records[0], 5)
    assert found.confusion is None
    assert [(one.id, one.target, one.prediction) for one in found.worst] == [("c", 3, 1), ("b", 2, 2.5)]
    assert "worst errors" in drawn(report)


def test_draws_of_training_rows_are_counted_together(tmp_path: Path) -> None:
    tables = [
        Predictions(["a", "b"], {"target": np.array([0, 1]), "prediction": np.array(p)}, ("no", "yes"))
        for p in ([0, 1], [1, 1], [1, 0])
    ]
    report = kept(tmp_path, ended(cell()), *tables)
    found = look(report, report.records[0], 5)
    assert found.draws == 3
    assert found.confusion is not None
    assert found.confusion.counts.tolist() == [[1, 2], [1, 2]]
    assert found.worst == ()  # of the first draw
    over = "confusion: targets down, predictions across, summed over 3 draws of training rows"
    assert over in drawn(report)


def test_reliability_is_that_of_one_draw_and_says_what_it_takes_for_independent(tmp_path: Path) -> None:
    scores = np.array([[0.9, 0.1], [0.3, 0.7], [0.4, 0.6]])
    tables = [
        Predictions(
            ["a", "b", "c"],
            {"target": np.array([0, 1, 1]), "prediction": np.array(p), "scores": scores},
            ("no", "yes"),
            ["x", "x", "y"],
        )
        for p in ([0, 1, 1], [1, 1, 1])
    ]
    report = kept(tmp_path, ended(cell()), *tables)
    found = look(report, report.records[0], 5)
    assert found.reliability == reliability(tables[0])
    assert (found.draws, found.clusters) == (2, 2)
    assert (
        "; of the first of 2 draws of training rows; intervals take examples as independent, "
        "though they fall into 2 clusters"
    ) in " ".join(drawn(report, width=250).split())


def test_a_table_of_others_is_no_file_of_predictions(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for columns, said in (
        ({"id": ["a"]}, "it does not say its labels, and so was not written by ptbench"),
        ({"name": ["a"]}, "it has no column 'id'"),
    ):
        pq.write_table(pa.table(columns), path)
        with pytest.raises(DataError) as error:
            read_predictions(path)
        assert str(error.value) == f"{path}: is no file of predictions: {said}"
    path.unlink()
    with pytest.raises(DataError, match=r"is no file of predictions: it is not there$"):
        read_predictions(path)


def test_predictions_that_are_gone_are_a_note(tmp_path: Path) -> None:
    report = Report({}, (replace(ended(cell()), files=("predictions/gone.parquet",)),), folder=tmp_path)
    text = drawn(report)
    assert "is no file of predictions" in text
    assert "0.755" in text


def test_many_labels_are_told_by_the_pairs_that_are_confused() -> None:
    counts = np.eye(30, dtype=np.int64) * 9
    counts[3, 4], counts[7, 1] = 2, 5
    table = confusion_table(Confusion(tuple(f"label {i}" for i in range(30)), counts))
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(table)
        lines = console.export_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert rows == [["label 7", "label 1", "5"], ["label 3", "label 4", "2"]]
    assert lines[0].strip() == "the 2 most frequent confusions of 30 labels"


def test_facts_that_are_short_stand_there_and_the_others_are_named(tmp_path: Path) -> None:
    facts = {
        "strength": 0.1,
        "converged": True,
        "path": [{"strength": 0.1, "accuracy": 0.5}, {"strength": 1.0, "accuracy": 0.625}],
        "curves": [{"step": i} for i in range(50)],
        "names": "n" * 500,
    }
    table = Predictions(["a"], {"target": np.array([1.0]), "prediction": np.array([1.0])})
    text = drawn(kept(tmp_path, ended(cell(), facts=facts), table))
    assert "strength: 0.1; converged: yes" in text
    assert "0.625" in text
    assert "too long for here, --json has them: names, curves" in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_hostile_names_break_no_table(tmp_path: Path, width: int) -> None:
    labels = (HOSTILE, "b")
    columns = {"target": np.array([0, 1]), "prediction": np.array([1, 0]), "scores": np.eye(2)}
    score = Score(HOSTILE, 0.5, 0.4, 0.6, 2, True, "wilson", HOSTILE)
    facts = {HOSTILE: HOSTILE, "curve": [{HOSTILE: HOSTILE}]}
    given = {"scores": (score,), "primary": HOSTILE, "facts": facts, "notes": (HOSTILE,), "device": HOSTILE}
    record = ended(cell(HOSTILE, HOSTILE), **given)
    text = drawn(kept(tmp_path, record, Predictions([HOSTILE, "b"], columns, labels)), width=width)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]" in text
    frame = [line for line in text.splitlines() if line[:1] in "│┏┡└"]
    assert max(map(len, frame)) <= width


def test_what_ended_badly_without_a_log_is_told(tmp_path: Path) -> None:
    report = Report({}, (ended(cell(), Status.CRASHED),), folder=tmp_path)
    assert "crashed: nobody knows why" in drawn(report)

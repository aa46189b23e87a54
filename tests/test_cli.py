"""The command line as a user meets it: what it prints, what it leaves behind, its exit codes."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ptbench.report import COLUMNS
from tests.conftest import Ptbench, Written

ROOT = Path(__file__).resolve().parent.parent


def folder_of(results: Path) -> Path:
    """Return the folder of the only run under a results folder."""
    (folder,) = (path.parent for path in results.glob("*/*/run.json"))
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as text."""
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_everything_that_the_dictionary_names(
    ptbench: Ptbench, suite: Path, tmp_path: Path
) -> None:
    called = ptbench("run", suite, "--output", tmp_path / "out")
    assert called.code == 0, called.err
    folder = folder_of(tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == {
        "run.json", "run.lock", "records.jsonl", "events.jsonl", "live.json", "predictions",
        "standings.json", "averages.json", "summary.json", "report.csv", "leaderboard.csv",
    }  # fmt: skip
    rows = rows_of(folder / "report.csv")
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["model"], row["metric"]) for row in rows] == [
        ("majority", "accuracy"), ("majority", "f1"), ("words", "accuracy"), ("words", "f1"),
    ]  # fmt: skip
    words = rows[2]
    assert float(words["value"]) == 1.0
    assert float(words["ci_low"]) < 1.0
    assert words["best"] == "True"
    assert words["status"] == "ok"
    predictions = pd.read_parquet(folder / "predictions" / f"{words['cell']}.parquet")
    assert (predictions["target"] == predictions["prediction"]).all()
    assert len(predictions) == int(words["n"])
    board = rows_of(folder / "leaderboard.csv")
    assert [row["model"] for row in board] == ["majority", "words"]
    run = json.loads((folder / "run.json").read_text())
    assert run["text"] == suite.read_text()
    assert run["status"] == "finished"
    assert "1.000" in called.out
    assert str(folder) in called.out


def test_a_report_is_redrawn_without_a_framework(ptbench: Ptbench, suite: Path, tmp_path: Path) -> None:
    run = ptbench("run", suite, "--output", tmp_path / "out", "--quiet")
    folder = folder_of(tmp_path / "out")
    before = (folder / "report.csv").read_bytes()
    (folder / "report.csv").unlink()
    code = (
        "import sys; from ptbench.cli import run; code = run(['report', sys.argv[1]]); "
        "heavy = {'torch', 'transformers', 'sklearn', 'scipy'} & set(sys.modules); "
        "sys.exit(code or (f'imported {heavy}' if heavy else 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True, text=True, check=False, env={"COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (folder / "report.csv").read_bytes() == before
    table = run.out.split("results:")[0]
    assert done.stdout.startswith(table)


def test_quiet_and_json(ptbench: Ptbench, suite: Path, tmp_path: Path) -> None:
    quiet = ptbench("run", suite, "--output", tmp_path / "a", "--quiet")
    assert quiet.err == ""
    as_json = ptbench("run", suite, "--output", tmp_path / "b", "--json")
    report = json.loads(as_json.out)
    assert as_json.err == ""
    assert [record["status"] for record in report["records"]] == ["ok", "ok"]


def test_without_a_terminal_progress_is_plain_lines(ptbench: Ptbench, suite: Path, tmp_path: Path) -> None:
    called = ptbench("run", suite, "--output", tmp_path / "out")
    lines = called.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("[1/2] ok      majority x mine x linear_probe  accuracy 0.")
    assert "left" in lines[0]
    assert "left" not in lines[1]
    assert "\x1b" not in called.err + called.out


def test_a_failed_cell_says_why_and_the_others_go_on(
    ptbench: Ptbench, suite: Path, tmp_path: Path, written: Written
) -> None:
    text = suite.read_text().replace(
        "[[grid]]", '[tasks.gone]\nadapter = "text-classification"\ndata = "file:gone.csv"\n\n[[grid]]'
    )
    called = ptbench("run", written("two.toml", text), "--output", tmp_path / "out")
    assert called.code == 1
    statuses = [row["status"] for row in rows_of(folder_of(tmp_path / "out") / "report.csv")]
    assert statuses == ["ok", "ok", "skipped", "ok", "ok", "skipped"]
    assert "2 of 4 cells cannot run" in called.err
    assert "gone.csv" in called.out
    assert "skipped: 2 cells:" in called.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument"),
        (["run", "nowhere.toml"], "error: nowhere.toml: there is no such file"),
        (["runn"], "No such command 'runn'"),
        (["run", "SUITE", "--devices", "gpu"], "gpu"),
        (["run", "--colour"], "No such option"),
        (["report", "/"], "error: / holds no run"),
        (["run", "SUITE", "--reporter", "cssv"], "no plugin offers the reporter 'cssv'; did you mean 'csv'?"),
    ],
)
def test_a_wrong_call_exits_with_2(ptbench: Ptbench, suite: Path, arguments: list[str], message: str) -> None:
    called = ptbench(*[suite if argument == "SUITE" else argument for argument in arguments])
    assert called.code == 2
    assert message in called.err
    assert "Traceback" not in called.err


def test_an_interrupted_run_keeps_what_is_finished_and_exits_with_130(
    ptbench: Ptbench, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptbench.evaluate import Evaluator

    whole = Evaluator.__call__

    def interrupted(self: Evaluator, cell: object) -> object:
        if getattr(cell, "model").name == "words":  # noqa: B009
            raise KeyboardInterrupt
        return whole(self, cell)  # type: ignore[arg-type]

    monkeypatch.setattr(Evaluator, "__call__", interrupted)
    called = ptbench("run", suite, "--output", tmp_path / "out")
    assert called.code == 130
    folder = folder_of(tmp_path / "out")
    assert [row["model"] for row in rows_of(folder / "report.csv")] == ["majority", "majority"]
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"


def test_plan_loads_no_model_and_tells_every_mistake(ptbench: Ptbench, suite: Path, written: Written) -> None:
    plan = json.loads(ptbench("plan", suite, "--json").out)
    assert plan["problems"] == []
    assert plan["tasks"]["mine"]["labels"] == ["bad", "good"]
    assert [cell["capability"] for cell in plan["cells"]] == ["fit", "fit"]
    wrong = (
        suite.read_text()
        .replace("baseline:majority", "basline:majority")
        .replace("text-classification", "text-clasification")
        .replace('"linear_probe"', '{ use = "linear_probe", strenghts = [1.0], validation = 7.0 }')
    )
    wrong = wrong.replace("[models]", "[suit]\n[models]").replace(
        "[[grid]]",
        """
[tasks.gone]
adapter = "text-classification"
data = "file:gone.csv"
[[grid]]""",
    )
    called = ptbench("plan", written("wrong.toml", wrong))
    assert called.code == 2
    assert "gone.csv" in called.out.split("problem: ")[1]
    first, *lines = called.err.splitlines()
    assert "key 'suit': unknown; did you mean 'suite'?" in first
    assert len(lines) == 4
    assert "key 'validation' is 7.0; a share between 0 and 1 was expected" in lines[3]
    as_json = json.loads(ptbench("plan", written("wrong.toml", wrong), "--json").out)
    assert len(as_json["mistakes"]) == 5
    assert len(as_json["problems"]) == 1
    assert "[models.majority] key 'ref': no plugin offers the provider 'basline'" in lines[0]
    assert "did you mean 'baseline'?" in lines[0]
    assert "did you mean 'text-classification'?" in lines[1]
    assert "key 'strenghts': unknown to protocol 'linear_probe'; did you mean 'strengths'?" in lines[2]


def test_list_shows_every_offer_with_its_owner(ptbench: Ptbench) -> None:
    rows = json.loads(ptbench("list", "--json").out)
    found = {(row["group"], row["name"]): row["plugin"] for row in rows}
    assert found["provider", "hf"] == "hf (ptbench 0.1.0)"
    assert found["provider", "baseline"] == "core (ptbench 0.1.0)"
    assert ("protocol", "linear_probe") in found
    assert ("task", "lite/sst2") in found
    text = ptbench("list").out
    assert "linear_probe" in text
    hooks = ptbench("list", "hooks").out
    assert "ptbench_providers() -> Iterable[Provider]" in hooks
    plugins = json.loads(ptbench("list", "plugins", "--json").out)
    assert {"core", "hf", "lite", "sklearn"} <= {plugin["plugin"] for plugin in plugins}


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "plugins"], ["plan", "SUITE"]])
def test_no_framework_is_imported_where_none_is_needed(suite: Path, arguments: list[str]) -> None:
    given = [str(suite) if argument == "SUITE" else argument for argument in arguments]
    code = (
        "import sys; from ptbench.cli import run; code = run(sys.argv[1:]); "
        "heavy = {'torch', 'transformers', 'timm', 'sklearn', 'scipy', 'datasets'} & set(sys.modules); "
        "sys.exit(code or (f'imported {heavy}' if heavy else 0))"
    )
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_hostile_names_are_inert_in_csv_and_on_the_terminal(
    ptbench: Ptbench, suite: Path, tmp_path: Path, written: Written
) -> None:
    text = suite.read_text().replace("majority =", '"=cmd()[red]<script>" =')
    called = ptbench("run", written("hostile.toml", text), "--output", tmp_path / "out")
    assert called.code == 0
    rows = rows_of(folder_of(tmp_path / "out") / "report.csv")
    assert rows[0]["model"] == "'=cmd()[red]<script>"
    assert "[red]" in called.err


def test_a_killed_run_is_reported_with_the_scores_of_what_was_finished(
    ptbench: Ptbench, suite: Path, tmp_path: Path
) -> None:
    whole = ptbench("run", suite, "--output", tmp_path / "out").out
    folder = folder_of(tmp_path / "out")
    (folder / "standings.json").unlink()
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**facts, "status": "running"}))
    before = (folder / "report.csv").read_bytes()
    called = ptbench("report", folder)
    assert called.code == 0
    assert "this run has not finished: 2 of 2 cells" in called.out
    assert called.out.split("score ±")[0] == whole.split("score ±")[0]
    assert (folder / "report.csv").read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_in_order(suite: Path, tmp_path: Path, number: int) -> None:
    text = suite.read_text().replace(
        "[[grid]]", "[[grid]]\nseeds = [" + ", ".join(map(str, range(400))) + "]"
    )
    suite.write_text(text)
    command = [sys.executable, "-c", "from ptbench.cli import main; main()", "run", str(suite)]
    running = subprocess.Popen(
        [*command, "--output", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    while not running.stderr.readline().startswith("[ 20/800]"):
        assert running.poll() is None
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in out + err
    assert "this run has not finished" in out
    rows = rows_of(folder_of(tmp_path / "out") / "report.csv")
    assert 20 <= len(rows) // 2 < 800


def test_a_reader_that_goes_away_does_not_stop_a_run(suite: Path, tmp_path: Path) -> None:
    command = (
        f"{sys.executable} -c 'from ptbench.cli import main; main()' run {suite} --output {tmp_path}/out"
    )
    done = subprocess.run(
        ["bash", "-c", f"{command} 2>&1 | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert json.loads((folder_of(tmp_path / "out") / "run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("run.json", "[]"),
        ("run.json", '{"order": 3}'),
        ("standings.json", '[{"value": "high"}]'),
        ("records.jsonl", '{"status": "ok", "scores": [3]}\n{}\n'),
        ("records.jsonl", '{"status": "ok", "cost": 3}\n{}\n'),
    ],
)
def test_a_damaged_run_is_told_in_one_line(
    ptbench: Ptbench, suite: Path, tmp_path: Path, file: str, text: str
) -> None:
    ptbench("run", suite, "--output", tmp_path / "out")
    folder = folder_of(tmp_path / "out")
    (folder / file).write_text(text)
    called = ptbench("report", folder)
    assert called.code == 2
    assert len(called.err.splitlines()) == 1
    assert file in called.err


def test_a_task_may_be_called_model(ptbench: Ptbench, suite: Path, tmp_path: Path) -> None:
    suite.write_text(suite.read_text().replace("[tasks.mine]", "[tasks.model]"))
    assert ptbench("run", suite, "--output", tmp_path / "out").code == 0
    header = (folder_of(tmp_path / "out") / "leaderboard.csv").read_text().splitlines()[0]
    assert header == "model,protocol,model"


def test_waiting_threads_sleep_sooner_unless_the_user_says_otherwise(
    ptbench: Ptbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given, expected in (
        ({}, "10000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "passive"}, None),
    ):
        monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        assert ptbench("--version").code == 0
        assert os.environ.get("GOMP_SPINCOUNT") == expected

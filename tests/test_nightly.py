"""Nights: run, gate, report, one line; and the workflow, units and cron line of the documents, really run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import SUITE, Called, Ptbench
from tests.test_docs import ROOT, blocks

NIGHTS = ROOT / "harness" / "docs" / "nights.md"


def _night(ptbench: Ptbench, suite: Path, *more: object) -> Called:
    return ptbench("nightly", suite, "--output", suite.parent / "results", *more)


def _runs(suite: Path) -> list[Path]:
    return sorted(path.parent for path in suite.parent.glob("results/small/*/run.json"))


def _worse(suite: Path) -> None:
    """Let the suite's best model be one that guesses."""
    suite.write_text(SUITE.replace('words = "sklearn:tfidf"', 'words = "baseline:random"'))


def test_the_first_night_pins_itself_and_the_next_is_compared_with_it(ptbench: Ptbench, suite: Path) -> None:
    first = _night(ptbench, suite)
    assert first.code == 0
    assert first.out.startswith("small ")
    assert "all 2 cells are ok; pinned as the baseline" in first.out
    second = _night(ptbench, suite, "--reporter", "markdown", "--reporter", "csv")
    assert (second.code, len(second.out.splitlines())) == (0, 1)
    assert "no regression was shown (2 same)" in second.out
    before, after = _runs(suite)
    told = json.loads((after / "comparison.json").read_text())
    assert (told["gate"], told["a"], told["b"]) == (True, f"small/{before.name}", f"small/{after.name}")
    assert before.name in (after / "report.md").read_text()
    assert (after / "report.csv").is_file()
    records = [json.loads(line) for line in (after / "records.jsonl").read_text().splitlines()]
    assert {record["reused"] for record in records} == {""}  # a night measures


def test_what_got_worse_is_named_with_its_numbers(ptbench: Ptbench, suite: Path) -> None:
    _night(ptbench, suite)
    _worse(suite)
    called = _night(ptbench, suite)
    assert called.code == 3
    assert re.search(
        r"REGRESSED: words x mine x linear_probe \(.*; words x mine x linear_probe: accuracy 1\.0+ -> 0\.\d+",
        called.out,
    )
    data: dict[str, Any] = json.loads(_night(ptbench, suite, "--json").out)
    assert (data["exit_code"], data["comparison"]["rows"][0]["task"]) == (3, "mine")
    assert _night(ptbench, suite, "--margin", "accuracy=0.9").code == 0


def test_a_cell_that_lost_its_score_is_a_regression(
    ptbench: Ptbench, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _night(ptbench, suite)

    def fails(*given: object) -> None:
        raise RuntimeError("the disk is upside down")

    monkeypatch.setattr("ptbench.evaluate.write_predictions", fails)
    called = _night(ptbench, suite)
    assert called.code == 3
    assert "2 gone" in called.out


def test_other_data_cannot_be_compared(ptbench: Ptbench, suite: Path) -> None:
    _night(ptbench, suite)
    reviews = suite.parent / "reviews.csv"
    reviews.write_text(reviews.read_text().replace("film", "movie"))
    called = _night(ptbench, suite)
    assert called.code == 4
    assert (
        "nothing could be compared: 2 not comparable; majority x mine x linear_probe: other examples"
        in called.out
    )


def test_an_interrupted_night_goes_on(ptbench: Ptbench, suite: Path) -> None:
    _night(ptbench, suite)
    _night(ptbench, suite)
    (_, cut) = _runs(suite)
    facts = json.loads((cut / "run.json").read_text())
    (cut / "run.json").write_text(json.dumps({**facts, "status": "interrupted"}))
    first, *_ = (cut / "records.jsonl").read_text().splitlines()
    (cut / "records.jsonl").write_text(first + "\n")
    assert _night(ptbench, suite).code == 0
    assert len(_runs(suite)) == 2
    assert len((cut / "records.jsonl").read_text().splitlines()) == 2


def test_a_first_night_with_failures_is_no_baseline(
    ptbench: Ptbench, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("ptbench.evaluate.write_predictions", fails)
    called = _night(ptbench, suite)
    assert called.code == 1
    assert "2 of 2 cells did not end well, so no baseline was pinned (majority x mine" in called.out
    assert not list(suite.parent.glob("results/small/baseline.json"))


def test_a_baseline_that_is_gone_is_told_before_the_night(ptbench: Ptbench, suite: Path) -> None:
    _night(ptbench, suite)
    shutil.rmtree(_runs(suite)[0])
    called = _night(ptbench, suite)
    assert called.code == 2
    assert "is gone" in called.err
    assert _runs(suite) == []
    assert _night(ptbench, suite, "--against", suite.parent / "none").code == 2


def _commands(suite: Path, text: str) -> str:
    """Return commands of the documents with the suite, folder and program of this test."""
    program = Path(sys.executable).with_name("ptbench")
    text = text.replace("suites/glue_lite.toml", str(suite)).replace("results/glue_lite", "results/small")
    text = text.replace("/srv/ptbench/.venv/bin/ptbench", str(program)).replace("/srv/ptbench", ".")
    return text.replace(".venv/bin/ptbench", str(program))


def test_the_steps_of_the_workflow_work(suite: Path) -> None:
    (text,) = blocks(NIGHTS, "yaml")
    workflow = yaml.safe_load(text)
    assert set(workflow) == {"name", True, "permissions", "concurrency", "jobs"}  # YAML reads "on" as true
    steps = [step for step in workflow["jobs"]["ptbench"]["steps"] if "run" in step]
    assert [step["name"] for step in steps] == ["Install", "Run and compare with the baseline", "Summary"]
    folder = Path(sys.executable).parent
    summary = suite.parent / "summary.md"
    for step in steps[1:]:
        subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", _commands(suite, step["run"])],
            cwd=suite.parent,
            env={
                "PATH": f"{folder}:/usr/bin:/bin",
                "GITHUB_STEP_SUMMARY": str(summary),
                "HOME": str(suite.parent),
            },
            check=True,
        )
    assert "words" in summary.read_text()
    uploaded = workflow["jobs"]["ptbench"]["steps"][-1]["with"]["path"].split()
    assert all(list(suite.parent.glob(_commands(suite, path))) for path in uploaded)


def test_the_units_are_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not here")
    for name, text in zip(("ptbench.service", "ptbench.timer"), blocks(NIGHTS, "ini"), strict=True):
        (tmp_path / name).write_text(text.replace("/srv/ptbench/.venv/bin/ptbench", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if "ptbench" in line]
    assert (done.returncode, told) == (0, [])


def test_the_cron_line_speaks_only_of_trouble(suite: Path) -> None:
    (*_, line) = blocks(NIGHTS, "text")
    schedule = re.fullmatch(r"(\S+ \S+ \* \* \*) (.+)\n", line)
    assert schedule is not None
    command = _commands(suite, schedule[2])

    def night() -> str:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(suite.parent)}
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=suite.parent, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout + done.stderr

    assert night() == ""
    _worse(suite)
    assert "REGRESSED" in night()

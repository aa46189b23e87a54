"""Guests: a real distribution is installed beside a broken one, and a suite runs with the good one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SUITE = """
[suite]
name = "weather"
reporters = ["csv", "acme-text"]

[models]
hashed = "acme:words"
majority = "baseline:majority"

[tasks.sky]
adapter = "acme-weather"
data = "acme:headlines"

[[grid]]
protocols = ["linear_probe"]
"""


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install both guests into a folder of their own, with pip and without a network."""
    folder = tmp_path_factory.mktemp("guests")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--target", str(folder)]
    for name in ("acme_ptbench", "acme_broken"):
        subprocess.run([*command, str(HERE / name)], check=True, capture_output=True)
    return folder


def call(guests: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the command line in a process that sees the guests."""
    return subprocess.run(
        [sys.executable, "-c", "from ptbench.cli import main; main()", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(guests), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_suite_runs_with_a_guests_offers(guests: Path, tmp_path: Path) -> None:
    (tmp_path / "weather.toml").write_text(SUITE.replace('"acme-text"', '"csv"'), "utf-8")
    done = call(guests, tmp_path, "run", "weather.toml")
    assert done.returncode == 0, done.stderr
    (folder,) = (path.parent for path in tmp_path.glob("results/*/*/run.json"))
    records = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert [record["model"] for record in records] == ["hashed", "majority"]
    hashed = records[0]
    assert hashed["plugins"]["provider:acme"] == "acme (acme-ptbench 1.2.3)"
    assert hashed["plugins"]["protocol:linear_probe"] == "sklearn (ptbench 0.1.0)"
    error_rate, accuracy = hashed["scores"]
    assert error_rate["metric"] == "acme_error_rate"
    assert error_rate["value"] == pytest.approx(1 - accuracy["value"])
    assert error_rate["value"] < records[1]["scores"][0]["value"]  # that of the majority
    standings = json.loads((folder / "standings.json").read_text())
    best = {row["metric"]: row["model"] for row in standings if row["best"]}
    assert best == {"acme_error_rate": "hashed", "accuracy": "hashed"}  # lower is better, higher is better
    observed = (folder / "acme-observed.txt").read_text().splitlines()
    assert observed == [f"{record['cell']} ok" for record in records]
    assert "warning: acme-broken:raising_observer: ptbench_run_finished failed" in done.stderr


def test_a_clash_names_both_owners_and_stops_only_who_needs_it(guests: Path, tmp_path: Path) -> None:
    (tmp_path / "weather.toml").write_text(SUITE, "utf-8")
    done = call(guests, tmp_path, "run", "weather.toml")
    assert done.returncode == 2
    assert "the reporter 'acme-text' is offered by clash (acme-broken 0.0.1)" in done.stderr
    assert "and acme (acme-ptbench 1.2.3)" in done.stderr


def test_list_plugins_says_why_a_broken_one_is_broken(guests: Path, tmp_path: Path) -> None:
    rows = json.loads(call(guests, tmp_path, "list", "plugins", "--json").stdout)
    states = {(row["distribution"], row["plugin"]): row["error"] for row in rows}
    why = {name: error for (distribution, name), error in states.items() if distribution == "acme-broken"}
    assert why == {
        "acme": "",  # the same entry-point name as the good one: both are loaded
        "clash": "",
        "import_error": "ModuleNotFoundError: No module named 'no_such_framework'",
        "misspelt_hook": "there is no hook 'ptbench_provider'; did you mean 'ptbench_providers'?",
        "missing_extra": "",
        "missing_module": "ModuleNotFoundError: No module named 'acme_broken.no_such_module'",
        "raising_observer": "",
        "unmarked_hook": "ptbench_metrics is not marked; put @ptbench.hookimpl above it",
        "wrong_offer": "ptbench_metrics must return Metric or FileMetric offers, not a str",
    }
    assert states["acme-ptbench", "acme"] == ""
    (extra,) = (row for row in rows if row["plugin"] == "missing_extra")
    assert extra["missing"] == {"no_such_framework": "pip install 'acme-broken[quantum]'"}
    text = call(guests, tmp_path, "list", "plugins").stdout
    assert "broken: " in text
    assert "clash: the reporter 'acme-text'" in text


def test_a_missing_extra_is_named_with_the_command_that_brings_it(guests: Path, tmp_path: Path) -> None:
    (tmp_path / "weather.toml").write_text(SUITE.replace('"acme-text"', '"csv"'), "utf-8")
    done = call(guests, tmp_path, "run", "weather.toml", "--reporter", "acme-quantum")
    assert done.returncode == 1
    assert "needs the package 'no_such_framework'" in done.stderr
    assert "pip install 'acme-broken[quantum]'" in done.stderr


def test_the_guest_conforms(guests: Path, tmp_path: Path) -> None:
    code = f"""
import pathlib, sys
sys.path.insert(0, {str(guests)!r})
import acme_ptbench as acme
from ptbench import testing
testing.check_plugin(acme)
rows = testing.check_source(acme.SOURCE, "acme:headlines")
task = testing.check_adapter(acme.ADAPTER, rows)
testing.check_provider(acme.PROVIDER, "acme:words", testing.texts(), task=task)
testing.check_reporter(acme.REPORTER, pathlib.Path({str(tmp_path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

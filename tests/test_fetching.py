"""`ptbench fetch`: what plugins bring, what they cannot, and what is said of it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from ptbench import Download, PtbenchError
from ptbench.offers import Fetching
from ptbench.runner.fetching import Fetched, Item, fetch
from tests.conftest import Ptbench, Written

PLUGIN = """
import os
from pathlib import Path
from ptbench import (Capability, DataDescription, Download, ModelDescription, ModelError, Provider, Source, hookimpl)

def place(request):
    return request.base / "store" / request.reference.name

def missing(request):
    path = place(request)
    return () if path.is_file() else (Download(f"file {path.name}", 6),)

def describe(request):
    return ModelDescription(capabilities=frozenset({Capability.FIT}), downloads=missing(request))

def fetch(request, told):
    path = place(request)
    if path.name == "broken":
        raise ModelError(f"{request.reference}: the server is on holiday")
    if path.parent.name == "away":
        name, revision = request.reference.name, request.reference.revision
        raise ModelError(f"{name}@{revision} is not here, and the hub is away: hub get {name} --revision {revision}")
    if path.name == "bug":
        return 1 / 0
    if path.name == "forgetful":
        return []
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        told(f"file {path.name}", 3, 6)
        path.write_text("weight")
    return [path]

@hookimpl
def ptbench_providers():
    return [
        Provider(name="far", description="x", describe=describe, load=None, fetch=fetch),
        Provider(name="late", description="x", describe=describe, load=None),
    ]

def describe_data(request):
    return DataDescription(downloads=missing(request))

@hookimpl
def ptbench_sources():
    return [Source(name="far", description="x", describe=describe_data, load=None, fetch=fetch)]
"""  # noqa: E501
SUITE = """
[suite]
name = "far"

[models]
{models}

[tasks.mine]
adapter = "text-classification"
data = "far:rows"
input = "text"
target = "label"

[[grid]]
protocols = ["linear_probe"]
"""


@pytest.fixture
def far(written: Written, tmp_path: Path) -> Path:
    """A folder with an installed plugin that brings things."""
    written("far_plugin/__init__.py", PLUGIN)
    written("far_plugin-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: far-plugin\nVersion: 1\n")
    written("far_plugin-1.dist-info/entry_points.txt", "[ptbench]\nfar = far_plugin\n")
    return tmp_path


def called(folder: Path, models: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    lines = "\n".join(f'm{number} = "{model}"' for number, model in enumerate(models))
    (folder / "far.toml").write_text(SUITE.format(models=lines), "utf-8")
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from ptbench.cli import main; main()",
            arguments[0],
            "far.toml",
            *arguments[1:],
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_missing_is_brought_and_told_of(far: Path) -> None:
    done = called(far, ["far:weights", "baseline:majority"], "fetch")
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha256(b"weight").hexdigest()
    row = next(line for line in done.stdout.splitlines() if "far:weights" in line)
    assert all(told in row for told in ("m0", "brought", "6 B", digest[:12], str(far / "store")))
    assert "3 of 3 are here, 12 B" in done.stdout
    assert "file weights: 3 B of 6 B" in done.stderr
    assert "far:weights: brought, 6 B" in done.stderr
    again = called(far, ["far:weights", "baseline:majority"], "fetch", "--json")
    assert again.stderr == ""
    weights, majority, rows = json.loads(again.stdout)["items"]
    assert [weights["state"], majority["state"], rows["state"]] == ["there"] * 3
    path = str(far / "store" / "weights")
    assert weights["files"] == [{"path": path, "bytes": 6, "sha256": digest}]
    assert weights["sha256"] == digest
    plan = called(far, ["far:weights"], "plan", "--json")
    assert json.loads(plan.stdout)["downloads"] == []


def test_what_fails_costs_itself_alone(far: Path) -> None:
    models = ["far:broken", "far:bug", "far:forgetful", "late:one", "far:good", "hf:./nowhere"]
    done = called(far, models, "fetch", "--json")
    assert done.returncode == 1
    items = {item["what"]: item for item in json.loads(done.stdout)["items"]}
    states = {what: item["state"] for what, item in items.items()}
    expected = {"late:one": "later", "far:good": "brought", "far:rows": "brought"}
    assert states == {**dict.fromkeys(models, "failed"), **expected}
    assert items["far:broken"]["error"] == "far:broken: the server is on holiday"
    assert items["far:bug"]["error"] == "far:bug: ZeroDivisionError: division by zero"
    assert "its plugin still misses file forgetful" in items["far:forgetful"]["error"]
    assert "there is no folder" in items["hf:./nowhere"]["error"]
    shown = called(far, ["far:broken", "late:one"], "fetch", "--quiet")
    assert shown.returncode == 1
    assert "error: far:broken: the server is on holiday" in shown.stdout
    assert "note: late:one: its plugin brings it when a cell runs, and not before" in shown.stdout
    assert shown.stderr == ""
    assert called(far, ["late:one"], "fetch").returncode == 0


def test_what_fails_for_one_reason_is_told_once(far: Path) -> None:
    names = [f"away/{letter * 3}@{number}234567" for number, letter in enumerate("abcd", start=1)]
    done = called(far, [f"far:{name}" for name in names] + ["far:bug", "far:broken"], "fetch", "--quiet")
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("error: ")] == [
        "error: far:away/aaa@1234567 is not here, and the hub is away: hub get away/aaa --revision 1234567 "
        "(and 3 more for the same reason: m1, m2, m3)",
        "error: far:bug: ZeroDivisionError: division by zero",
        "error: far:broken: the server is on holiday",
    ]
    told = json.loads(called(far, [f"far:{name}" for name in names], "fetch", "--json").stdout)["items"]
    assert [item["error"].count("away/") for item in told[:4]] == [2] * 4


def test_a_wrong_suite_brings_nothing(ptbench: Ptbench, written: Written) -> None:
    done = ptbench("fetch", written("wrong.toml", SUITE.format(models='m = "baseline:majorty"')))
    assert done.code == 2
    assert done.out == ""
    assert "far" in done.err


def test_what_shares_a_reference_comes_one_after_the_other() -> None:
    """And different ones at once."""
    running: dict[str, int] = {}
    most: dict[str, int] = {}
    meeting = threading.Barrier(2, timeout=30)
    lock = threading.Lock()

    def item(what: str, number: int) -> Item:
        def bring(told: Fetching) -> list[Path]:
            with lock:
                running[what] = running.get(what, 0) + 1
                most[what] = max(most.get(what, 0), running[what])
            if number == 0:
                meeting.wait()  # the other reference is being brought at the same time
            with lock:
                running[what] -= 1
            return []

        return Item(what, (f"{what}{number}",), (Download("x"),), bring=bring)

    items = [item(what, number) for what in ("a", "b") for number in range(5)]
    found = list(fetch(items, lambda *told: None))
    assert {fetched.item.names for fetched in found} == {each.names for each in items}
    assert most == {"a": 1, "b": 1}


def test_the_digest_of_several_files_is_that_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name, text in (("b", "1"), ("deep/a", "2")):
        (tmp_path / name).write_text(text)
    paths = [tmp_path / "deep" / "a", tmp_path / "b"]
    item = Item("x", ("x",), (), bring=lambda told: paths)
    (fetched,) = fetch([item], lambda *told: None)
    printed = subprocess.run(["sha256sum", "b", "deep/a"], cwd=tmp_path, capture_output=True, check=True)
    assert fetched.sha256 == hashlib.sha256(printed.stdout).hexdigest()
    assert (fetched.state, fetched.bytes, fetched.folder) == ("there", 2, tmp_path)


def test_what_nobody_can_describe_has_failed() -> None:
    (fetched,) = fetch([Item("x", ("m",), (), problem="model 'm' (x): no")], lambda *told: None)
    assert fetched == Fetched(fetched.item, "failed", error="model 'm' (x): no")


def test_a_terminal_shows_bars_and_hears_several_threads() -> None:
    from rich.console import Console

    from ptbench.cli.fetching import _Progress

    shown = io.StringIO()
    item = Item("far:weights", ("m",), (Download("x"),))
    with _Progress(Console(file=shown, force_terminal=True, width=120), quiet=False) as progress:
        tellers = [
            threading.Thread(target=progress.told, args=(item, f"file {n}", 2**20 * n, 2**22))
            for n in range(4)
        ]
        for teller in tellers:
            teller.start()
        for teller in tellers:
            teller.join()
        progress.bars.refresh()
        told = {(bar.description, bar.completed, bar.total) for bar in progress.bars.tasks}
        assert told == {(f"file {n}", 2**20 * n, 2**22) for n in range(4)}
        progress.ended(Fetched(item, "brought"))
        assert progress.bars.tasks == []
    assert "file 3" in shown.getvalue()
    assert "/4.2 MB" in shown.getvalue()
    assert "far:weights: brought, 0 B" in shown.getvalue()


def test_an_interruption_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops listening need not wait for what is being brought."""
    begun, go_on = threading.Event(), threading.Event()

    def bring(told: Fetching) -> list[Path]:
        begun.set()
        go_on.wait(30)
        raise PtbenchError("late")

    both = [Item("slow", ("m",), (), bring=bring), Item("fast", ("m",), ())]
    found = fetch(both, lambda *told: None)
    assert next(found).item.what == "fast"
    assert begun.wait(30)
    found.close()  # type: ignore[attr-defined]
    go_on.set()

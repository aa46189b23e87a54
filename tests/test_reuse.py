"""What is finished is not run again, and what changed is: small suites, run by the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ptbench import Record, Status, journal, lock, store
from ptbench.cellidentity import UNTOLD
from ptbench.runner.plan import Plan
from ptbench.runner.reuse import adopt, find_finished
from tests.conftest import Called, Ptbench, Written

TWO_SEEDS = 'protocols = ["linear_probe"]\nseeds = [0, 1]'


@pytest.fixture
def run(ptbench: Ptbench, suite: Path, tmp_path: Path) -> Callable[..., Called]:
    """Run the small suite, one cell after another in this process."""
    suite.write_text(suite.read_text().replace('protocols = ["linear_probe"]', TWO_SEEDS))
    return lambda *more: ptbench("run", suite, "--output", tmp_path / "out", "--executor", "serial", *more)


@pytest.fixture
def states(ptbench: Ptbench, suite: Path, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Return what the plan says of each cell: ``finished`` or why it runs."""

    def look(path: Path = suite) -> dict[str, str]:
        called = ptbench("plan", path, "--output", tmp_path / "out", "--executor", "serial", "--json")
        cells = json.loads(called.out)["cells"]
        return {f"{c['model']} {c['seed']}": c.get("why", c["state"]) for c in cells}

    return look


def folders(results: Path) -> list[Path]:
    return sorted(path.parent for path in (results / "out").glob("*/*/run.json"))


def measured(folder: Path) -> dict[str, str]:
    """Return in which run each cell was measured."""
    return {f"{r.model} {r.seed}": r.reused or r.run for r in journal.read_records(folder)}


def set_status(folder: Path, status: str) -> None:
    """Leave a run as an interruption would have."""
    path = folder / store.RUN
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": status}))


def drop(folder: Path, keep: int) -> list[Record]:
    """Leave so many records in the journal, and the last one half written."""
    records = journal.read_records(folder)
    lines = (folder / journal.RECORDS).read_bytes().splitlines(keepends=True)
    (folder / journal.RECORDS).write_bytes(b"".join(lines[:keep]) + lines[keep][:50])
    return records[:keep]


ALL = ["majority 0", "majority 1", "words 0", "words 1"]
TIMES = {
    "seconds",
    "load_seconds",
    "examples_per_s",
    "peak_memory_mb",
    "run",
    "reused",
    "started",
    "finished",
}


def test_the_same_command_again_measures_nothing(
    run: Callable[..., Called], states: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    assert states() == dict.fromkeys(ALL, "new")
    assert run().code == 0
    assert states() == dict.fromkeys(ALL, "finished")
    assert run().code == 0
    first, second = folders(tmp_path)
    assert measured(second) == dict.fromkeys(ALL, first.name)
    run()
    *_, third = folders(tmp_path)
    assert measured(third) == dict.fromkeys(ALL, first.name)  # where it was measured, not where it was last
    for one in journal.read_records(first):
        (parquet,) = [name for name in one.files if name.endswith(".parquet")]
        assert (first / parquet).stat().st_ino == (third / parquet).stat().st_ino
        assert (first / parquet).read_bytes() == (third / parquet).read_bytes()
    assert (first / store.STANDINGS).read_text() == (third / store.STANDINGS).read_text()
    shutil.rmtree(first)
    assert store.read_report(third).standings
    assert states() == dict.fromkeys(ALL, "finished")


def test_what_was_interrupted_goes_on_in_its_folder(run: Callable[..., Called], tmp_path: Path) -> None:
    run()
    (folder,) = folders(tmp_path)
    set_status(folder, "running")
    kept = drop(folder, 2)
    assert run().code == 0
    assert folders(tmp_path) == [folder]
    records = journal.read_records(folder)
    assert records[:2] == kept  # not run again, and not written again
    assert len((folder / journal.RECORDS).read_bytes().splitlines()) == 4
    assert measured(folder) == dict.fromkeys(ALL, folder.name)
    assert json.loads((folder / store.RUN).read_text())["status"] == "finished"


def test_the_plan_says_what_will_run(
    run: Callable[..., Called], ptbench: Ptbench, suite: Path, tmp_path: Path
) -> None:
    run()
    (folder,) = folders(tmp_path)
    suite.write_text(suite.read_text().replace("seeds = [0, 1]", "seeds = [0, 1, 2]"))
    shown = ptbench("plan", suite, "--output", tmp_path / "out", "--executor", "serial").out
    assert "4 of 6 cells are finished, 2 will run" in shown
    assert f"finished in {folder.name}" in shown
    assert "will run (fit): new" in shown


def test_fresh_runs_all(run: Callable[..., Called], tmp_path: Path) -> None:
    run()
    run("--fresh")
    _, second = folders(tmp_path)
    assert measured(second) == dict.fromkeys(ALL, second.name)


def test_a_row_that_changed(
    run: Callable[..., Called], states: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    run()
    with (tmp_path / "reviews.csv").open("a") as file:
        file.write("a splendid afterthought,good\n")
    assert states() == dict.fromkeys(ALL, "data changed")
    assert run().code == 0
    *_, last = folders(tmp_path)
    assert measured(last) == dict.fromkeys(ALL, last.name)
    assert states() == dict.fromkeys(ALL, "finished")


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (
            '"sklearn:tfidf"',
            '{ ref = "sklearn:tfidf", max_features = 5 }',
            "model changed (sklearn:tfidf -> ",
        ),
        ('["accuracy", "f1"]', '["accuracy", "mcc"]', "metrics changed (accuracy, f1 -> accuracy, mcc)"),
        ("test = 0.3", "test = 0.4", "data changed"),
        ('"sklearn:tfidf"', '{ ref = "sklearn:tfidf", batch_size = 7 }', "finished"),
        ('name = "small"', 'name = "small"\ndescription = "other words"', "finished"),
    ],
)
def test_what_a_suite_says_otherwise(
    run: Callable[..., Called],
    states: Callable[..., dict[str, str]],
    suite: Path,
    before: str,
    after: str,
    why: str,
) -> None:
    run()
    suite.write_text(suite.read_text().replace(before, after))
    assert states()["words 1"].startswith(why)


def test_more_seeds_and_models_are_new(
    run: Callable[..., Called], states: Callable[..., dict[str, str]], suite: Path
) -> None:
    run()
    suite.write_text(suite.read_text().replace("seeds = [0, 1]", "seeds = [1, 2]"))
    expected = {"majority 1": "finished", "majority 2": "new", "words 1": "finished", "words 2": "new"}
    assert states() == expected


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_record_without_its_predictions_does_not_serve(
    run: Callable[..., Called], states: Callable[..., dict[str, str]], tmp_path: Path, how: str
) -> None:
    run()
    (folder,) = folders(tmp_path)
    record = next(r for r in journal.read_records(folder) if (r.model, r.seed) == ("words", 0))
    path = folder / record.files[0]
    path.unlink()
    if how == "empty":
        path.touch()
    expected = {**dict.fromkeys(ALL, "finished"), "words 0": f"{record.files[0]} is gone or empty"}
    assert states() == expected
    assert run().code == 0
    *_, last = folders(tmp_path)
    assert {cell for cell, run in measured(last).items() if run == last.name} == {"words 0"}


def test_what_failed_is_tried_again_by_the_next_run(
    run: Callable[..., Called],
    states: Callable[..., dict[str, str]],
    tmp_path: Path,
    ptbench: Ptbench,
    suite: Path,
) -> None:
    run()
    (folder,) = folders(tmp_path)
    bad = next(r for r in journal.read_records(folder) if (r.model, r.seed) == ("words", 0))
    failed = replace(bad, status=Status.CRASHED, error="a signal", scores=(), files=())
    journal.append_record(folder, failed)
    assert states() == {**dict.fromkeys(ALL, "finished"), "words 0": "crashed before: a signal"}

    set_status(folder, "interrupted")
    assert run().code == 1  # the run goes on, and what failed in it is left alone
    assert folders(tmp_path) == [folder]
    assert failed in journal.read_records(folder)

    assert run("--retry-failed").code == 0  # in place, though it has finished
    assert folders(tmp_path) == [folder]
    assert {r.status for r in journal.read_records(folder)} == {Status.OK}
    assert len(journal.read_records(folder)) == 4

    journal.append_record(folder, failed)
    assert run().code == 0  # a new run
    _, second = folders(tmp_path)
    assert {cell for cell, name in measured(second).items() if name == second.name} == {"words 0"}


def test_of_several_runs_the_newest_record_serves(
    run: Callable[..., Called], states: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    run()
    run("--fresh")
    first, second = folders(tmp_path)
    drop(second, 3)
    run("--retry-failed")  # goes on with the second, which is to use nothing of the first
    assert folders(tmp_path) == [first, second]
    assert set(measured(second).values()) == {second.name}
    drop(second, 3)
    text = (second / "run.json").read_text()
    (second / "run.json").write_text(text.replace('"fresh": true', '"fresh": false'))
    run("--retry-failed")  # one that may, finds the fourth cell there
    assert folders(tmp_path) == [first, second]
    assert sorted(measured(second).values()) == [first.name, *[second.name] * 3]


def test_a_run_that_goes_on_never_mixes_two_states_of_the_data(
    run: Callable[..., Called], suite: Path, tmp_path: Path
) -> None:
    run()
    (first,) = folders(tmp_path)
    drop(first, 2)
    set_status(first, "interrupted")
    (data,) = suite.parent.glob("*.csv")
    lines = data.read_text().splitlines()
    data.write_text("\n".join([*lines, "again " + lines[-1]]) + "\n")
    run()
    kept, second = folders(tmp_path)
    assert kept == first
    assert len(journal.read_records(first)) == 2  # as it was left
    records = journal.read_records(second)
    assert len(records) == 4
    assert len({record.fingerprints["data"] for record in records}) == 1
    assert not any(record.reused for record in records)


def test_a_damaged_journal_costs_its_own_run_only(
    run: Callable[..., Called], states: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    run()
    run()
    _, second = folders(tmp_path)
    (second / journal.RECORDS).write_bytes(b"nonsense\n{}\n")
    assert states() == dict.fromkeys(ALL, "finished")


def test_a_record_of_a_version_that_kept_no_identity_does_not_serve(
    run: Callable[..., Called], states: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    run()
    (folder,) = folders(tmp_path)
    records = journal.read_records(folder)
    journal.append_records(folder, [replace(record, identity={}) for record in records])
    (why,) = set(states().values())
    assert why.endswith("did not note what it depends on")


def test_code_that_changed_without_its_version(
    run: Callable[..., Called],
    states: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ptbench import identity

    run()
    digests = identity.source_digests

    def edited(file: str, others: Any = ()) -> dict[str, str]:
        found = digests(file, others)
        return {k: "f" * 16 if k == "ptbench_sklearn" else v for k, v in found.items()}

    monkeypatch.setattr(identity, "source_digests", edited)
    protocol, metrics = (
        "code of protocol changed (source of ptbench_sklearn)",
        "code of metrics changed (source of ptbench_sklearn)",
    )
    assert states()["majority 0"] == f"{metrics}; {protocol}"
    assert states()["words 0"] == (
        f"code of provider changed (source of ptbench_sklearn); {metrics}; {protocol}"
    )


PLUGIN = """
import numpy as np
import ptbench

@ptbench.hookimpl
def ptbench_metrics():
    return [ptbench.SumMetric(
        name="half_accuracy", description="Half.", higher_is_better=True, target="label",
        rows=lambda p: np.stack([p["target"] == p["prediction"], np.ones(len(p))], axis=1).astype(float),
        value=lambda sums: FACTOR * sums[..., 0] / sums[..., 1],
    )]
"""


def test_who_edits_a_metric_is_not_served_yesterdays_number(
    run: Callable[..., Called], suite: Path, written: Written, tmp_path: Path
) -> None:
    metadata = "Metadata-Version: 2.1\nName: acme-half\nVersion: 1\n"
    written("site/acme_half-1.dist-info/METADATA", metadata)
    written("site/acme_half-1.dist-info/entry_points.txt", "[ptbench]\nhalf = acme_half\n")
    suite.write_text(suite.read_text().replace('"f1"]', '"half_accuracy"]'))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", "from ptbench.cli import main; main()"]
    arguments = [str(suite), "--output", str(tmp_path / "out"), "--executor", "serial"]

    def call(what: str, *more: str) -> str:
        done = subprocess.run(
            [*command, what, *arguments, *more], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    values = []
    for factor in ("0.5", "0.25"):
        written("site/acme_half/__init__.py", PLUGIN.replace("FACTOR", factor))
        if values:
            cells = json.loads(call("plan", "--json"))["cells"]
            assert {cell["why"] for cell in cells} == {"code of metrics changed (source of acme_half)"}
        call("run", "--quiet")
        records = journal.read_records(folders(tmp_path)[-1])
        values.append([(r.scores[0].value, r.scores[1].value) for r in records])
    assert [half / 2 for _, half in values[0]] == [half for _, half in values[1]]
    assert [accuracy for accuracy, _ in values[0]] == [accuracy for accuracy, _ in values[1]]


def test_runs_at_once_do_not_harm_each_other(suite: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from ptbench.cli import main; main()", "run", str(suite)]
    command += ["--output", str(tmp_path / "out"), "--executor", "serial", "--quiet"]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    found = folders(tmp_path)
    assert len(found) == 4
    for folder in found:
        report = store.read_report(folder)
        assert report.run["status"] == "finished"
        assert [record.status for record in report.records] == [Status.OK] * 2
        for record in report.records:
            assert len(store.read_predictions(folder / record.files[0])) > 0
        assert lock.is_running(folder) is False


# through the functions


def planned(suite: Path) -> Plan:
    from ptbench.cli.looking import look

    return look(suite, {"executor": "serial"}, None).plan


def marked(plan: Plan, why: str) -> Plan:
    """Return a plan of whose cells nobody can tell whether they changed."""
    cells = [replace(one, identity={**one.identity, UNTOLD: why}) for one in plan.cells]
    return replace(plan, cells=tuple(cells))


def test_own_code_counts_as_finished_in_its_own_run_only(
    run: Callable[..., Called], suite: Path, tmp_path: Path
) -> None:
    run()
    (folder,) = folders(tmp_path)
    plan = marked(planned(suite), "the model runs code of its own")
    records = journal.read_records(folder)
    identities = {one.cell.id: one.identity for one in plan.cells}
    journal.append_records(folder, [replace(r, identity=identities[r.cell]) for r in records])
    elsewhere = find_finished(plan, tmp_path / "out")
    assert not elsewhere.cells
    assert set(elsewhere.why.values()) == {"may have changed: the model runs code of its own"}
    assert len(find_finished(plan, tmp_path / "out", folder).cells) == 4


def test_adopting_brings_every_file_and_keeps_runs_apart(run: Callable[..., Called], tmp_path: Path) -> None:
    run()
    (folder,) = folders(tmp_path)
    record = replace(
        journal.read_records(folder)[0],
        files=(*journal.read_records(folder)[0].files, "predictions/x.csv"),
        log="logs/x.log",
    )
    (folder / "predictions" / "x.csv").write_text("a,b\n")
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs" / "x.log").write_text("said")
    target = tmp_path / "target"
    (target / "predictions").mkdir(parents=True)
    (target / "predictions" / "x.csv").write_text("of an attempt that was interrupted")
    found = adopt(record, folder, target)
    assert (found.run, found.reused, found.log) == ("target", folder.name, "logs/x.log")
    for name in (*record.files, record.log):
        assert (target / name).read_bytes() == (folder / name).read_bytes()
    with (target / "predictions" / "x.csv").open("a") as file:
        file.write("written in place")
    assert (folder / "predictions" / "x.csv").read_text() == "a,b\n"
    assert adopt(found, target, tmp_path / "third").reused == folder.name
    (folder / "predictions" / "x.csv").unlink()
    with pytest.raises(FileNotFoundError):
        adopt(record, folder, tmp_path / "fourth")


def test_without_links_files_are_copied(
    run: Callable[..., Called], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: object, target: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    run()
    assert run().code == 0
    first, second = folders(tmp_path)
    assert measured(second) == dict.fromkeys(ALL, first.name)
    for record in journal.read_records(second):
        assert (first / record.files[0]).read_bytes() == (second / record.files[0]).read_bytes()
        assert (first / record.files[0]).stat().st_ino != (second / record.files[0]).stat().st_ino


def test_what_cannot_be_brought_is_run(run: Callable[..., Called], suite: Path, tmp_path: Path) -> None:
    run()
    (folder,) = folders(tmp_path)
    finished = find_finished(planned(suite), tmp_path / "out")
    record = journal.read_records(folder)[0]
    (folder / record.files[0]).unlink()  # between the look and the bringing
    target = store.create_run(tmp_path / "out", "small")
    adopted = finished.adopted(target)
    assert len(adopted) == 3
    assert record.cell not in adopted
    assert journal.read_records(target) == list(adopted.values())

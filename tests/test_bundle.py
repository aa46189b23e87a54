"""`ptbench bundle` and `ptbench replay`: one file, equal bytes, no paths, no secrets; and the run again."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ptbench.archive import MANIFEST, write_archive
from ptbench.bundle import bundle
from ptbench.journal import read_records
from tests.conftest import Called, Ptbench

TOKEN = "hf_" + "s3cret" * 6


@pytest.fixture
def run(ptbench: Ptbench, suite: Path) -> Path:
    """The folder of a finished run of the small suite."""
    done = ptbench("run", suite, "--output", suite.parent / "results", "--executor", "serial", "--no-cache")
    assert done.code == 0, done.err
    (folder,) = (path.parent for path in suite.parent.glob("results/*/*/run.json"))
    return folder


@pytest.fixture
def packed(run: Path, suite: Path, tmp_path: Path) -> Path:
    return bundle(run, tmp_path / "a.ptbundle", base=suite.parent).path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def replayed(ptbench: Ptbench, file: Path, tmp_path: Path, *more: object) -> tuple[Called, dict[str, Any]]:
    done = ptbench("replay", file, "--output", tmp_path / "again", "--executor", "serial", "--json", *more)
    return done, json.loads(done.out) if done.out else {}


def altered(packed: Path, target: Path, **changes: bytes | None) -> Path:
    """Write a bundle again with other members; None: without it."""
    names = {
        "suite": "suite.toml",
        "lock": "lock.json",
        "records": "run/records.jsonl",
        "run": "run/run.json",
    }
    kept: dict[str, Any] = members(packed)
    about = json.loads(kept.pop(MANIFEST))
    for key, content in changes.items():
        kept[names[key]] = content
    about.pop("members")
    write_archive(target, about, {name: content for name, content in kept.items() if content is not None})
    return target


def test_what_is_in_it(packed: Path, run: Path, suite: Path) -> None:
    inside = members(packed)
    predictions = {f"run/predictions/{path.name}" for path in (run / "predictions").iterdir()}
    texts = {"suite.toml", "lock.json", "run/run.json", "run/records.jsonl", "run/standings.json"}
    assert {*inside} >= predictions | texts | {MANIFEST, "data/reviews.csv"}
    assert inside["suite.toml"] == suite.read_bytes()
    assert inside["data/reviews.csv"] == (suite.parent / "reviews.csv").read_bytes()
    lock, records = json.loads(inside["lock.json"]), read_records(run)
    assert {*lock["cells"]} == {record.cell for record in records}
    for record in records:
        told = lock["cells"][record.cell]
        assert told["identity"] == record.identity
        assert told["fingerprints"] == record.fingerprints
        assert (told["seed"], told["device"], told["plugins"]) == (0, "cpu", record.plugins)
    assert {"python", "packages", "machine", "plugins", "device", "seeds"} <= {*lock}
    (data,) = lock["data"]
    assert (data["path"], data["included"]) == ("reviews.csv", True)


def test_the_same_run_gives_the_same_bytes(packed: Path, run: Path, suite: Path, tmp_path: Path) -> None:
    for path in run.rglob("*"):
        os.utime(path, (1, 1))
    again = bundle(run, tmp_path / "b.ptbundle", base=suite.parent)
    assert again.path.read_bytes() == packed.read_bytes()


def test_no_path_and_no_secret_is_in_it(
    run: Path, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "correct horse")
    text = suite.read_text("utf-8")
    facts = json.loads((run / "run.json").read_text("utf-8"))
    facts["text"] = text.replace("file:reviews.csv", f"file:{suite.parent}/reviews.csv")
    facts["command"] = ["ptbench", "run", str(suite), "--output", f"{tmp_path}/x"]
    (run / "run.json").write_text(json.dumps(facts), "utf-8")
    record = json.loads((run / "records.jsonl").read_text("utf-8").splitlines()[0])
    record |= {"cell": "broken", "status": "failed", "files": [], "log": "logs/broken.log"}
    record["error"] = f"no {run}/x, no {Path.home()}/.netrc, no /opt/data/deep/y.bin, {TOKEN}, correct horse"
    with (run / "records.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    (run / "logs").mkdir(exist_ok=True)
    log = f'  File "{os.__file__}", line 3\n  Authorization: Bearer {TOKEN}\n  correct horse {suite}\n'
    (run / "logs" / "broken.log").write_text(log, "utf-8")
    done = bundle(run, tmp_path / "s.ptbundle", base=suite.parent)
    inside = members(done.path)
    for name, content in inside.items():
        shown = content.decode("utf-8", "replace")
        for secret in (TOKEN, "correct horse", str(tmp_path), str(Path.home()), os.__file__, "/opt/data"):
            assert secret not in shown, (name, secret)
    records = inside["run/records.jsonl"].decode().splitlines()
    (error,) = [told["error"] for told in map(json.loads, records) if told["cell"] == "broken"]
    assert error == "no <run>/x, no <home>/.netrc, no …/y.bin, <secret>, <MY_API_KEY>"
    assert "file:reviews.csv" in inside["suite.toml"].decode()  # it means the same file, and says so
    assert json.loads(inside["run/run.json"])["command"] == ["ptbench", "run", "small.toml", "--output", "x"]


def test_data_is_left_out_where_it_is_large_or_unwanted(
    run: Path, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = bundle(run, tmp_path / "no.ptbundle", base=suite.parent, data=False)
    monkeypatch.setattr("ptbench.bundle.DATA_BYTES", 100)
    large = bundle(run, tmp_path / "large.ptbundle", base=suite.parent)
    assert members(without.path) == members(large.path)
    assert "data/reviews.csv" not in members(large.path)
    (data,) = json.loads(members(large.path)["lock.json"])["data"]
    size = (suite.parent / "reviews.csv").stat().st_size
    assert data["included"] is False
    assert data["files"]["reviews.csv"]["bytes"] == size


def test_what_is_hidden_or_lies_outside_is_left_out(
    ptbench: Ptbench, run: Path, suite: Path, tmp_path: Path
) -> None:
    """Only plain files of the suite's folder go into a bundle; of all else the name is told."""
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "secret.csv").write_text("not yours")
    base, data = suite.parent, suite.parent / "d"
    (data / "sub" / ".git").mkdir(parents=True)
    for name, text in (
        ("a.csv", "a"),
        ("sub/b.csv", "b"),
        (".env", "not mine"),
        ("sub/.git/config", "not mine"),
    ):
        (data / name).write_text(text)
    (base / ".hidden.csv").write_text("not mine")
    (data / "inside.csv").symlink_to(base / "reviews.csv")
    (data / "to_hidden.csv").symlink_to(base / ".hidden.csv")
    (data / "secret.csv").symlink_to(outside / "secret.csv")
    (data / "deep").symlink_to(outside / "deep")
    (data / "inner").symlink_to(data / "sub")
    (data / "gone.csv").symlink_to(outside / "gone")
    (data / "loop").symlink_to(data / "loop")
    (base / "link.csv").symlink_to(outside / "secret.csv")
    os.mkfifo(data / "pipe")
    (run / "logs").mkdir(exist_ok=True)
    (run / "logs" / "x.log").symlink_to(outside / "secret.csv")
    facts = json.loads((run / "run.json").read_text("utf-8"))
    refs = ("folder:d", "file:link.csv", f"file:{outside}/secret.csv", "file:.hidden.csv")
    tables = "".join(f'[tasks.t{n}]\nadapter = "x"\ndata = "{ref}"\n' for n, ref in enumerate(refs))
    (run / "run.json").write_text(json.dumps({**facts, "text": facts["text"] + tables}), "utf-8")
    done = ptbench("bundle", run, "--base", base, "-o", tmp_path / "x.ptbundle")
    assert done.code == 0, done.err
    inside = members(tmp_path / "x.ptbundle")
    assert {name for name in inside if name.startswith("data/")} == {
        "data/reviews.csv", "data/d/a.csv", "data/d/sub/b.csv", "data/d/inside.csv",
    }  # fmt: skip
    assert "run/logs/x.log" not in inside
    assert not any(b"not mine" in content or b"not yours" in content for content in inside.values())
    for name, why in (
        ("d/.env", "is hidden"),
        ("d/sub/.git", "is hidden"),
        ("d/to_hidden.csv", "is a link to what is hidden"),
        ("d/secret.csv", "is a link out of the suite's folder"),
        ("d/deep", "is a link out of the suite's folder"),
        ("d/inner", "is a link to a folder"),
        ("d/gone.csv", "is a link out of the suite's folder"),
        ("d/loop", "is no plain file"),
        ("d/pipe", "is no plain file"),
        ("link.csv", "is a link out of the suite's folder"),
        (".hidden.csv", "is hidden"),
        (f"{outside}/secret.csv", "lies outside the suite's folder"),
    ):
        assert f"note: left out: {name} {why}" in done.out
    told = json.loads(ptbench("bundle", run, "--base", base, "-o", tmp_path / "y", "--json").out)
    assert len(told["left_out"]) == 12


def test_what_a_run_has_lost_is_told(ptbench: Ptbench, run: Path, tmp_path: Path) -> None:
    file, records = tmp_path / "x.ptbundle", run / "records.jsonl"
    for path in (run / "predictions").iterdir():
        path.unlink()
    done = ptbench("bundle", run, "-o", file)
    assert done.code == 0, done.err
    assert "warning: 2 files that records name are gone, such as predictions/" in done.out
    assert "replay cannot compare them" in done.out
    lines = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(lines[0])
    done = ptbench("bundle", run, "-o", file)
    assert done.code == 0
    assert "warning: run.json says finished, 2 cells; 1 record can be read" in done.out
    file.unlink()
    for damaged in (b"", bytes(300), lines[0][:40]):
        records.write_bytes(damaged)
        done = ptbench("bundle", run, "-o", file)
        assert done.code == 2
        assert "run.json says finished, 2 cells; 0 records can be read from records.jsonl" in done.err
    records.unlink()
    assert ptbench("bundle", run, "-o", file).code == 2
    assert not file.exists()


def test_the_command_line_of_bundle(
    ptbench: Ptbench, run: Path, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(suite.parent)
    done = ptbench("bundle", run)
    assert done.code == 0, done.err
    name = f"small-{run.name}.ptbundle"
    assert f"wrote {name}" in done.out
    assert "data reviews.csv (1 file, " in done.out
    assert (suite.parent / name).is_file()
    told = json.loads(ptbench("bundle", run, "--base", suite.parent, "-o", "x.ptbundle", "--json").out)
    assert told["base"] == str(suite.parent)
    assert (told["cells"], told["unfinished"]) == (2, "")
    assert (suite.parent / "x.ptbundle").read_bytes() == (suite.parent / name).read_bytes()
    assert ptbench("bundle", tmp_path).code == 2
    facts = json.loads((run / "run.json").read_text("utf-8"))
    facts |= {"base": str(tmp_path / "another machine"), "status": "interrupted", "command": []}
    (run / "run.json").write_text(json.dumps(facts), "utf-8")
    done = ptbench("bundle", run)
    assert "note: local data was not looked for" in done.out
    assert "note: the run is interrupted" in done.out


def test_a_replay_has_the_same_bits(ptbench: Ptbench, packed: Path, suite: Path, tmp_path: Path) -> None:
    shutil.move(suite.parent / "reviews.csv", suite.parent / "gone.csv")  # the bundle brings its own
    done, told = replayed(ptbench, packed, tmp_path)
    assert done.code == 0, done.err
    assert [cell["verdict"] for cell in told["cells"]] == ["same bits", "same bits"]
    assert [cell["then"] == cell["now"] for cell in told["cells"]] == [True, True]
    assert told["problems"] == told["downloads"] == []
    written = json.loads((Path(told["results"]) / "replay.json").read_text("utf-8"))
    assert written["cells"] == told["cells"]
    table = ptbench("replay", packed, "--output", tmp_path / "more", "--executor", "serial", "--quiet")
    assert "2 same bits" in table.out


def test_scores_that_differ(ptbench: Ptbench, packed: Path, tmp_path: Path) -> None:
    lines = members(packed)["run/records.jsonl"].decode().splitlines()
    records = [json.loads(line) for line in lines]
    records[0]["scores"][0]["value"] += 1e-7  # rounding
    records[1]["scores"][0]["value"] -= 0.25
    changed = "\n".join(map(json.dumps, records)) + "\n"
    done, told = replayed(ptbench, altered(packed, tmp_path / "b", records=changed.encode()), tmp_path)
    assert done.code == 1
    one, other = told["cells"]
    assert (one["verdict"], other["verdict"]) == ("same scores", "differs")
    assert other["difference"] == pytest.approx(0.25)
    assert other["metric"] == "accuracy"


def test_predictions_that_differ(ptbench: Ptbench, packed: Path, tmp_path: Path) -> None:
    """Two cells of then change their files: each prediction that is not the same is counted."""
    inside = members(packed)
    names = sorted(name for name in inside if name.endswith(".parquet"))
    about = json.loads(inside.pop(MANIFEST))
    about.pop("members")
    inside[names[0]], inside[names[1]] = inside[names[1]], inside[names[0]]
    write_archive(tmp_path / "swapped", about, inside)
    done, told = replayed(ptbench, tmp_path / "swapped", tmp_path)
    assert done.code == 0  # the scores that were written down are the same
    assert [cell["verdict"] for cell in told["cells"]] == ["same scores", "same scores"]
    assert all(0 < cell["changed"] <= cell["rows"] == 23 for cell in told["cells"])


def test_predictions_that_cannot_be_compared(
    ptbench: Ptbench, run: Path, suite: Path, tmp_path: Path
) -> None:
    one, other = sorted((run / "predictions").iterdir())
    one.unlink()
    other.write_bytes(b"no parquet")
    packed = bundle(run, tmp_path / "b", base=suite.parent).path
    done = ptbench("replay", packed, "--output", tmp_path / "again", "--executor", "serial", "--quiet")
    assert done.code == 0, done.err
    assert done.out.count("not compared") == 2
    assert "same scores: its predictions are not in the bundle" in done.out
    assert "same scores: its predictions in the bundle cannot be read" in done.out
    assert "all 23 equal" not in done.out
    assert "ptbench-replay" not in done.out


def test_data_that_is_not_in_the_bundle(ptbench: Ptbench, run: Path, suite: Path, tmp_path: Path) -> None:
    packed = bundle(run, tmp_path / "b", base=suite.parent, data=False).path
    done, told = replayed(ptbench, packed, tmp_path)
    assert done.code == 1
    hint = "task 'mine': reviews.csv is not in the bundle: --base DIR names the folder it lies in"
    assert all(hint in cell["reason"] for cell in told["cells"])
    assert all(hint in problem for problem in told["problems"])
    assert "ptbench-replay" not in done.out
    checked = ptbench("replay", packed, "--check")
    assert checked.code == 1
    assert "is whole: 8 members, 2 cells; 2 of them could not run here" in checked.out
    assert "ptbench-replay" not in checked.out
    assert json.loads(ptbench("replay", packed, "--check", "--json").out)["could_not_run"] == 2
    assert ptbench("replay", packed, "--check", "--base", suite.parent).code == 0


def test_other_code_of_the_same_version(ptbench: Ptbench, packed: Path, tmp_path: Path) -> None:
    records = members(packed)["run/records.jsonl"].decode()
    (digest,) = {
        item.partition(" = ")[2]
        for line in records.splitlines()
        for item in json.loads(line)["identity"]["code of ptbench"].split("; ")
        if item.startswith("source of ptbench = ")
    }
    older = altered(packed, tmp_path / "b", records=records.replace(digest, "f" * len(digest)).encode())
    done = ptbench("replay", older, "--check", "--json")
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)["differences"]
    assert found == {"what": "source of ptbench", "then": "f" * 12, "now": digest[:12]}
    shown = ptbench("replay", packed, "--check").out
    assert "nothing differs here: Python, packages, plugins, code, machine, device, data" in shown


def test_a_suite_that_reads_what_lies_on_this_machine(
    ptbench: Ptbench, packed: Path, suite: Path, tmp_path: Path
) -> None:
    text = suite.read_text("utf-8").replace("file:reviews.csv", f"file:{suite.parent}/reviews.csv")
    own = altered(packed, tmp_path / "b", suite=text.encode())
    told = f"the suite reads what lies on this machine, not in the bundle: {suite.parent}/reviews.csv"
    assert f"warning: {told}" in ptbench("replay", own, "--check").out
    assert json.loads(ptbench("replay", own, "--check", "--json").out)["warnings"] == [told]
    assert "warning" not in ptbench("replay", packed, "--check").out


def test_what_could_not_run(ptbench: Ptbench, packed: Path, suite: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done, told = replayed(ptbench, packed, tmp_path, "--base", empty)
    assert done.code == 1
    assert [cell["verdict"] for cell in told["cells"]] == ["could not run"] * 2
    assert all("reviews.csv" in cell["reason"] for cell in told["cells"])
    (difference,) = told["differences"]
    assert (difference["what"], difference["now"]) == ("data reviews.csv", "missing")
    text = suite.read_text("utf-8").replace("linear_probe", "linear_prob").encode()
    done, told = replayed(ptbench, altered(packed, tmp_path / "b", suite=text), tmp_path)
    assert done.code == 1
    assert all("did you mean 'linear_probe'?" in cell["reason"] for cell in told["cells"])
    assert "/ptbench-" not in done.out


def test_check_says_what_differs_and_runs_nothing(ptbench: Ptbench, packed: Path, tmp_path: Path) -> None:
    lock = json.loads(members(packed)["lock.json"])
    lock["packages"]["numpy"] = "1.0"
    lock["python"] = "2.7"
    lock["machine"]["cores"] = 4096
    lock["plugins"].append({"plugin": "acme (acme 3)", "error": ""})
    file = altered(packed, tmp_path / "b", lock=json.dumps(lock).encode())
    done = ptbench("replay", file, "--check", "--json", "--output", tmp_path / "again")
    assert done.code == 0, done.err
    found = {one["what"]: (one["then"], one["now"]) for one in json.loads(done.out)["differences"]}
    assert found["package numpy"][0] == "1.0"
    assert found["python"][0] == "2.7"
    assert found["machine: cores"][0] == "4096"
    assert found["plugin acme"] == ("acme 3", "none")
    assert len(found) == 4
    assert not (tmp_path / "again").exists()
    shown = ptbench("replay", packed, "--check")
    assert "nothing differs here" in shown.out
    assert "is whole: 9 members, 2 cells" in shown.out


def test_code_of_a_stranger_is_not_run(ptbench: Ptbench, packed: Path, suite: Path, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    (tmp_path / "w.pth").write_bytes(b"PK")
    model = f"""
evil = {{ ref = "checkpoint:{tmp_path}/w.pth", architecture = "os:abort", size = 8, mean = [0, 0, 0], std = [1, 1, 1] }}
"""  # noqa: E501
    text = suite.read_text("utf-8").replace("[tasks.mine]", f"{model}\n[tasks.mine]")
    file = altered(packed, tmp_path / "b", suite=text.encode())
    done, _ = replayed(ptbench, file, tmp_path)
    assert done.code == 2
    assert "its suite allows code os:abort (evil), which can run any code here" in done.err
    assert ptbench("replay", file, "--check").code == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lock": b"{}"}, "lock.json has no cells"),
        ({"lock": b'{"cells": {}, "machine": [3]}'}, "is no bundle of a run"),
        (
            {"lock": b'{"cells": {}, "data": [{"path": "a", "included": false, "files": {"../a": {}}}]}'},
            "'../a'",
        ),
        ({"lock": b"["}, "is no bundle of a run"),
        ({"records": None}, "has no run/records.jsonl"),
        ({"records": b"{}\n{}\n"}, "b: records.jsonl, line 1: is no record"),
        ({"records": b""}, "has no records: there is nothing to compare with"),
        ({"records": b"[" * 100_000 + b"\n"}, "b is no bundle of a run: records.jsonl"),
        ({"records": 1, "cell": []}, "b is no bundle of a run: records.jsonl: "),
        ({"records": 1, "model": 3}, "b is no bundle of a run: records.jsonl: model"),
        ({"records": 1, "files": [3]}, "b is no bundle of a run: records.jsonl: files"),
        ({"records": 1, "identity": {"code of x": 3}}, "b is no bundle of a run: records.jsonl: identity"),
        ({"records": 1, "scores": [3]}, "b: records.jsonl, line 1: is no record"),
        ({"records": 1, "n": "many"}, "b is no bundle of a run: records.jsonl: n"),
        ({"run": b'{"request": [3]}'}, "b is no bundle of a run: run.json: request"),
        ({"run": b'{"request": {"precision": 3}}'}, "b is no bundle of a run: run.json: request"),
        ({"suite": b"= 3"}, "is no bundle of a run"),
        ({"run": b"[]"}, "is no bundle of a run"),
    ],
)
def test_a_bundle_of_nothing(
    changes: dict[str, Any], told: str, ptbench: Ptbench, packed: Path, tmp_path: Path
) -> None:
    if changes.get("records") == 1:  # a record with other fields
        first = json.loads(members(packed)["run/records.jsonl"].splitlines()[0]) | changes
        changes = {"records": json.dumps({**first, "records": 0}).encode() + b"\n"}
    done = ptbench("replay", altered(packed, tmp_path / "b", **changes), "--check")
    assert done.code == 2
    assert told in done.err
    assert "ptbench-replay" not in done.err
    assert done.err.count("\n") == 1


def test_a_damaged_file(ptbench: Ptbench, packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    for file in (tmp_path / "cut", tmp_path / "nothing"):
        done = ptbench("replay", file)
        assert done.code == 2
        assert done.err.count("\n") == 1

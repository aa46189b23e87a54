"""Digests of sources: code that changes is noticed, code that no score depends on is not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptbench import sourcecode
from ptbench.sourcecode import source_digests


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    forget()
    yield
    forget()


def forget() -> None:
    for function in (sourcecode._root, sourcecode._digest, sourcecode._imported, sourcecode._sources):
        function.cache_clear()


def package(root: Path, **modules: str) -> str:
    """Write a package and return the file of its front door."""
    root.mkdir(parents=True, exist_ok=True)
    for name, text in {"__init__": "", **modules}.items():
        (root / f"{name}.py").write_text(text)
    return str(root / "__init__.py")


def test_any_source_of_a_plugin_counts(tmp_path: Path) -> None:
    file = package(tmp_path / "acme", metrics="a = 1")
    package(tmp_path / "acme" / "deep", more="b = 1")
    before = source_digests(file)
    assert set(before) == {"acme", "ptbench"}
    for path, text in (("acme/metrics.py", "a = 2"), ("acme/deep/more.py", "b = 2"), ("acme/new.py", "")):
        forget()
        (tmp_path / path).write_text(text)
        now = source_digests(file)
        assert now["acme"] != before["acme"]
        assert now["ptbench"] == before["ptbench"]
        before = now
    forget()
    (tmp_path / "acme" / "notes.txt").write_text("no code")
    assert source_digests(file) == before
    assert source_digests(str(tmp_path / "acme" / "deep" / "__init__.py")) == before  # a door further in


def test_a_module_that_is_renamed_is_another(tmp_path: Path) -> None:
    file = package(tmp_path / "acme", metrics="a = 1")
    before = source_digests(file)
    forget()
    (tmp_path / "acme" / "metrics.py").rename(tmp_path / "acme" / "other.py")
    assert source_digests(file) != before


def test_engines_that_plugins_share_count_for_those_that_import_them(tmp_path: Path) -> None:
    engine = package(tmp_path / "engine", run="from base import x")
    base = package(tmp_path / "base")
    user = package(tmp_path / "user", models="def load():\n    import engine.run\n")
    alone = package(tmp_path / "alone", text="# from engine import run\nname = 'engine'")
    files = [engine, base, user, alone]
    assert set(source_digests(user, files)) == {"user", "engine", "base", "ptbench"}
    assert set(source_digests(alone, files)) == {"alone", "ptbench"}


def test_a_plugin_may_be_a_single_module_or_have_no_source(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("a = 1")
    assert set(source_digests(str(tmp_path / "one.py"))) == {"one", "ptbench"}
    for file in ("", "acme.broken:plugin", str(tmp_path / "gone.py"), str(tmp_path / "binary.so")):
        assert set(source_digests(file)) == {"ptbench"}


@pytest.mark.parametrize(
    ("module", "counts"),
    [
        ("statistics.py", True),
        ("protocols.py", True),
        ("brand_new.py", True),
        ("cli/running.py", False),
        ("runner/plan.py", False),
        ("workers.py", False),
        ("schedule.py", False),
        ("report.py", False),
    ],
)
def test_of_the_harness_counts_what_can_change_a_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, counts: bool
) -> None:
    copy = Path(shutil.copytree(sourcecode.HARNESS, tmp_path / "ptbench"))
    monkeypatch.setattr(sourcecode, "HARNESS", copy)
    before = source_digests("")
    forget()
    with (copy / module).open("a") as file:
        file.write("\n# changed\n")
    assert (source_digests("") != before) == counts


def test_every_module_that_does_not_count_is_there() -> None:
    names = {path.stem for path in sourcecode.HARNESS.iterdir()}
    assert sourcecode.SCORELESS - {"workers"} <= names

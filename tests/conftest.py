"""Fixtures that every test may use."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that would reach for a hub must fail at once
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what fixtures of modules compute out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PTBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give every test a cache that nobody wrote to."""
    path = tmp_path_factory.getbasetemp() / "caches" / secrets.token_hex(8)
    monkeypatch.setenv("PTBENCH_CACHE", str(path))


@pytest.fixture(autouse=True)
def _serial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run cells in this process unless a test says otherwise: it can be patched, and has its imports done."""
    monkeypatch.setattr("ptbench.runner.execution.DEFAULT", "serial")


@dataclass(frozen=True)
class Called:
    """What a call of the command line left behind."""

    code: int
    out: str
    err: str


Ptbench = Callable[..., Called]
Written = Callable[..., Path]


@pytest.fixture
def ptbench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ptbench:
    """Call the command line in this process."""
    from ptbench.cli import run

    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Called:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Called(code, out, err)

    return call


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Write a file into the test's folder and return its path."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def truth() -> Path:
    """Return the folder of published data, or skip."""
    folder = os.environ.get("PTBENCH_TRUTH")
    if not folder:
        pytest.skip("PTBENCH_TRUTH is unset: it names the folder with published data and weights")
    return Path(folder)


REVIEWS = "review,stars\n" + "".join(
    f"{adjective} {thing} number {i},{stars}\n"
    for i in range(20)
    for thing in ("film", "book")
    for adjective, stars in (("splendid", "good"), ("dreadful", "bad"))
)

SUITE = """
[suite]
name = "small"

[models]
majority = "baseline:majority"
words = "sklearn:tfidf"

[tasks.mine]
adapter = "text-classification"
data = "file:reviews.csv"
input = "review"
target = "stars"
metrics = ["accuracy", "f1"]
cut = { validation = 0.2, test = 0.3 }
labels = ["bad", "good"]

[[grid]]
protocols = ["linear_probe"]
"""


@pytest.fixture
def suite(written: Written) -> Path:
    """A small suite over a CSV file: two models, one task."""
    written("reviews.csv", REVIEWS)
    return written("small.toml", SUITE)

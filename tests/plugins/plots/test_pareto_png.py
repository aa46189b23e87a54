"""The picture: it is there, it has something in it, and no name can break it."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import ptbench_plots
from ptbench import Cost, Record, Report, Score, Standing, Status
from ptbench.testing import check_plugin, check_reporter
from ptbench_plots import PARETO
from ptbench_plots.labels import MAX_NAME, plain

HOSTILE = [
    "$x^{2$", r"\frac{a}{b}", "$", "名前 😀", "two\nlines", "m" * 300, "<b>&", "\ud800", "\x1b[31m", "%s {}",
]  # fmt: skip


def report(models: list[str], *, tasks: int = 1, suite: str = "s", higher: bool = True) -> Report:
    random = np.random.default_rng(0)
    records, standings = [], []
    for task in (f"task {i} $" for i in range(tasks)):
        for i, model in enumerate(models):
            value = float(random.uniform(0.5, 0.9))
            record = Record(
                cell=f"c{i}", suite=suite, run="r1", model=model, reference="p:m", task=task, data="d:d",
                kind="k", protocol=("as_is", "knn $k$")[i % 2], options={}, seed=0, status=Status.OK,
                scores=(Score("accuracy", value, value - 0.1, value + 0.1, 10, higher, "wilson"),),
                primary="accuracy", n=10, cost=Cost(examples_per_s=float(10 ** random.uniform(0, 4))),
            )  # fmt: skip
            records.append(record)
            nan = float("nan")
            low, high = (value - 0.1, value + 0.1) if i % 3 else (nan, nan)
            standings.append(
                Standing(
                    task, "accuracy", model, record.label, value, low, high, 1, nan, False, False, 0, 0, 0
                )
            )
    return Report({"suite": suite, "run": "r1"}, tuple(records), tuple(standings))


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height from the header of a PNG file."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def colours(path: Path) -> int:
    from matplotlib.image import imread

    return len(np.unique(imread(path)[..., 0]))


def test_a_picture_with_points(tmp_path: Path) -> None:
    (path,) = PARETO.write(report(["a", "b", "c"]), tmp_path)
    assert path == tmp_path / "pareto.png"
    assert min(size_of(path)) > 400
    assert colours(path) > 5


def test_a_panel_per_task(tmp_path: Path) -> None:
    sizes = [size_of(PARETO.write(report(["a"], tasks=tasks), tmp_path)[0]) for tasks in (2, 4)]
    assert sizes[0][0] < sizes[1][0], "three panels stand side by side"
    assert sizes[0][1] < sizes[1][1], "the fourth begins a row"


def test_hostile_names_are_inert(tmp_path: Path) -> None:
    (path,) = PARETO.write(report(HOSTILE, suite="$\\bad{$ 名"), tmp_path)
    assert size_of(path)


def test_hundreds_of_points_and_metrics_where_lower_is_better(tmp_path: Path) -> None:
    (path,) = PARETO.write(report([f"model {i}" for i in range(300)], higher=False), tmp_path)
    assert size_of(path)


def test_without_numbers_there_is_no_file(tmp_path: Path) -> None:
    assert list(PARETO.write(Report({}, ()), tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_it_conforms(tmp_path: Path) -> None:
    assert PARETO in check_plugin(ptbench_plots).offers
    check_reporter(PARETO, tmp_path)


def test_pyplot_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    PARETO.write(report(["a"]), tmp_path)
    assert "matplotlib.pyplot" not in sys.modules


def test_names_are_short_and_printable() -> None:
    for name in HOSTILE:
        assert len(plain(name)) <= MAX_NAME
        assert plain(name).isprintable()

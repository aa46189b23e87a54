"""Pictures of learning curves and of trainings: there where there are curves, and no name can break them."""

from __future__ import annotations

import math
import struct
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")

from ptbench import Record, Report, Status
from ptbench.testing import check_reporter
from ptbench_plots import CURVES
from ptbench_plots.canvas import new_figure
from ptbench_plots.curves import Curve, fit_height, mean_curve, read_curves
from ptbench_plots.labels import distinct, variants

HOSTILE = [
    "$x^{2$",
    r"\frac{a}{b}",
    "<b>&",
    "名前 😀",
    "two\nlines",
    "m" * 300,
    "\ud800",
    "\x1b[31m",
    "%s {}",
    "_hidden",
]


def record(model: str, curves: Any, *, task: str = "t", protocol: str = "few_shot", seed: int = 0) -> Record:
    return Record(
        cell=f"{model}-{task}-{seed}", suite="s", run="r", model=model, reference="p:m", task=task,
        data="d:d", kind="k", protocol=protocol, options={}, seed=seed, status=Status.OK, primary="accuracy",
        facts={"curves": curves},
    )  # fmt: skip


def over_shots(*values: float, name: str = "accuracy", first: int = 1) -> dict[str, Any]:
    points = [[first * 2**i, value, value - 0.1, value + 0.1] for i, value in enumerate(values)]
    return {"name": name, "of": "test", "x": "shots", "points": points}


def over_epochs(name: str, of: str, *values: float) -> dict[str, Any]:
    return {"name": name, "of": of, "x": "epoch", "points": [[i, v] for i, v in enumerate(values, start=1)]}


def report(*records: Record) -> Report:
    return Report({"suite": "s $", "run": "r1"}, records)


def size_of(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def colours(path: Path) -> int:
    import numpy as np
    from matplotlib.image import imread

    pixels = imread(path)[..., :3]
    return len(np.unique((pixels.reshape(-1, 3) * 255).astype(int), axis=0))


def test_learning_curves_stand_together(tmp_path: Path) -> None:
    found = report(*(record(m, [over_shots(0.5, 0.6, 0.7)], task=t) for m in "ab" for t in ("t", "u")))
    (path,) = CURVES.write(found, tmp_path)
    assert path == tmp_path / "curves" / "shots.png"
    (one,) = CURVES.write(report(record("a", [over_shots(0.5, 0.6)])), tmp_path)
    assert size_of(one)[0] > 400
    assert colours(one) > 20


def test_a_panel_per_task(tmp_path: Path) -> None:
    sizes = []
    for tasks in (1, 2, 4):
        found = report(*(record("a", [over_shots(0.5, 0.6)], task=f"t{i}") for i in range(tasks)))
        sizes.append(size_of(CURVES.write(found, tmp_path)[0]))
    assert sizes[0][0] < sizes[1][0]
    assert sizes[1][1] < sizes[2][1]


def test_a_training_has_a_file_per_task_and_protocol(tmp_path: Path) -> None:
    curves = [
        over_epochs("loss", "train, head", 1.0, 0.8), over_epochs("loss", "validation, head", 1.1, 0.9),
        over_epochs("accuracy", "validation, head", 0.5, 0.6),
        over_epochs("loss", "train, all 2e-05", 0.7, 0.5),
    ]  # fmt: skip
    tuned = [
        record(m, curves, protocol="fine_tune", task=t, seed=s)
        for m in "ab"
        for t in ("t", "u/v")
        for s in (0, 1)
    ]
    paths = CURVES.write(report(*tuned, record("a", [over_shots(0.5, 0.6)])), tmp_path)
    names = ["shots.png", "epoch-t-fine_tune.png", "epoch-u-v-fine_tune.png"]
    assert [path.name for path in paths] == names
    two = size_of(paths[1])
    (alone,) = CURVES.write(report(record("a", curves, protocol="fine_tune")), tmp_path)
    assert size_of(alone)[1] < two[1], "a row of panels per model"
    loss_only = [c for c in curves if c["name"] == "loss"]
    (narrow,) = CURVES.write(report(record("a", loss_only, protocol="fine_tune")), tmp_path)
    assert size_of(narrow)[0] < two[0], "a panel per name"


def test_names_that_are_the_same_in_a_path_have_files_of_their_own(tmp_path: Path) -> None:
    curve = [over_epochs("loss", "train", 1.0, 0.5)]
    found = report(
        *(record("a", curve, task=task, protocol="fine_tune") for task in ("a b", "a-b", "A-B", "a/b"))
    )
    paths = CURVES.write(found, tmp_path)
    assert len({path.name.lower() for path in paths}) == 4
    assert all(size_of(path) for path in paths)


def test_hostile_names_are_inert(tmp_path: Path) -> None:
    records = [
        record(
            name,
            [over_shots(0.5, 0.6, name=name), over_epochs(name, f"train, {name}", 1, 2)],
            task=name,
            protocol=name,
        )
        for name in HOSTILE
    ]
    paths = CURVES.write(report(*records), tmp_path)
    assert len(paths) == 1 + len(HOSTILE)
    assert all(size_of(path) and path.parent == tmp_path / "curves" for path in paths)


@pytest.mark.parametrize(
    "curves",
    [
        None, "text", 5, [5], [None], [{}], [{"points": "text"}], [{"name": "a", "x": "shots", "points": []}],
        [{"name": "a", "x": "shots", "points": [[1], [1, None], [None, 2], "ab", [1, 2, 3]]}],
        [{"name": "a", "x": "shots", "points": [[math.nan, 1], [True, 1]]}],
    ],
)  # fmt: skip
def test_without_points_there_is_no_file(tmp_path: Path, curves: Any) -> None:
    assert list(CURVES.write(report(record("a", curves)), tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_malformed_is_left_out_and_the_rest_is_drawn() -> None:
    points = [[4, 0.5], [1, 0.25, None, None], [2, None], "x"]
    (curve,) = read_curves(record("a", [{"name": "f1", "of": "test", "x": "shots", "points": points}, 7]))
    assert [point[:2] for point in curve.points] == [(1, 0.25), (4, 0.5)]


def test_seeds_are_averaged_where_all_have_a_point() -> None:
    def curve(*points: tuple[float, float, float, float]) -> Curve:
        return Curve(record("a", []), "f1", "test", "shots", points)

    several = [curve((1, 0.2, 0.1, 0.3), (2, 0.4, 0.3, 0.5)), curve((1, 0.4, 0.3, 0.5))]
    ((x, y, low, high),) = mean_curve(several)
    assert (x, y, low, high) == pytest.approx((1, 0.3, 0.2, 0.4))


def test_no_shots_at_all_come_before_one(tmp_path: Path) -> None:
    zero = {"name": "accuracy", "of": "test", "x": "shots", "points": [[0, 0.4], [1, 0.5], [8, 0.7]]}
    assert size_of(CURVES.write(report(record("a", [zero])), tmp_path)[0])


def test_what_is_cut_stays_different() -> None:
    long = "microsoft/a-model-with-a-long-name"
    names = distinct([f"{long}-a", f"{long}-b", "short", f"{long}-a"], 20)
    assert list(names.values()) == ["microsoft/…ng-name-a", "microsoft/…ng-name-b", "short"]
    inside = distinct([f"{long}-{i}-{long}" for i in range(3)], 20)
    assert list(inside.values()) == ["microsoft/…long-name", "microsoft/a-mode… #1", "microsoft/a-mode… #2"]
    assert distinct(["a\tb", "a\nb"], 20) == {"a\tb": "a?b #1", "a\nb": "a?b #2"}


@given(st.lists(st.text(max_size=60)), st.integers(12, 40))
def test_names_are_told_apart_and_short(names: list[str], longest: int) -> None:
    found = distinct(names, longest)
    assert set(found) == set(names)
    assert len(set(found.values())) == len(found)
    assert all(len(shown) <= longest for shown in found.values())


def test_variants_of_a_protocol_are_called_by_what_differs() -> None:
    same = {"backbone": "frozen", "optimiser": "adamw", "schedule": "cosine with a long warm-up"}
    records = [
        replace(record("a", [], protocol="fine_tune"), options={**same, "lr": rate}) for rate in (0.1, 0.2)
    ]
    records.append(record("a", [], protocol="few_shot"))
    assert list(variants(records, 40).values()) == ["fine_tune (lr=0.1)", "fine_tune (lr=0.2)", "few_shot"]
    assert list(variants(records, 200).values()) == [each.label for each in records]


@pytest.mark.parametrize(
    ("name", "values", "scale"),
    [
        ("loss", (0.5, 0.4, 0.02), "linear"),
        ("loss", (0.5, 400.0, 0.3), "log"),
        ("validation loss", (0.5, 400.0, 0.3), "log"),
        ("loss", (0.5, 400.0, 0.0), "symlog"),
        ("loss", (0.0, 0.0), "linear"),
        ("accuracy", (0.001, 0.9), "linear"),
    ],
)
def test_a_loss_that_diverged_hides_no_other(name: str, values: tuple[float, ...], scale: str) -> None:
    panel = new_figure(3, 3, "").subplots()
    fit_height(panel, name, values)
    assert panel.get_yscale() == scale


def test_many_models_fill_several_files(tmp_path: Path) -> None:
    curve = [over_epochs("loss", "train", *(1 / i for i in range(1, 60)))]
    paths = CURVES.write(report(*(record(f"m{i}", curve, protocol="fine_tune") for i in range(10))), tmp_path)
    assert len(paths) == 2


def test_it_conforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    check_reporter(CURVES, tmp_path)
    CURVES.write(report(record("a", [over_shots(0.5, 0.6)])), tmp_path)
    assert "matplotlib.pyplot" not in sys.modules

"""Pictures of inspections: made from their tables alone, whatever these hold."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from ptbench import Inspection, Report
from ptbench.inspection import cka_rows, write_inspection, write_table
from ptbench.testing import check_reporter
from ptbench_plots import INSPECTION
from ptbench_plots.inspection import _spread

HOSTILE = ["$x^{2$", r"\frac{a}{b}", "<b>&", "名前 😀", "two\nlines", "m" * 300, "\ud800", "%s {}"]


def inspection(layers: list[str], *, seed: int = 0) -> Inspection:
    random = np.random.default_rng(seed)
    weights, gradients, activations, histograms = [], [], [], []
    for i, layer in enumerate(layers):
        place = {"block": layer, "layer": layer}
        name = f"{layer}.weight"
        weights.append(
            {
                **place,
                "name": name,
                "shape": "8x4",
                "count": 32,
                "rms": 0.1 * (i + 1),
                "std": 0.1 * (i + 1),
                "effective_rank": 3.0,
            }
        )
        norm = 10.0 ** -(i % 7)
        flag = "vanishing" if i % 7 == 6 else ""
        gradients += [
            {"level": "block", **place, "norm": norm, "relative": norm, "flag": ""},
            {"level": "layer", **place, "norm": norm, "relative": norm, "flag": flag},
            {"level": "tensor", **place, "name": name, "norm": norm, "relative": norm, "flag": flag},
        ]
        activations.append(
            {"level": "layer", **place, "shape": 8, "std": 1.0 + i, "zeros": 0.5, "dead": i % 8, "flag": ""}
        )
        for part, key in (("weights", name), ("activations", layer)):
            counts = random.integers(0, 100, 20)
            histograms += [
                {
                    "part": part,
                    "layer": key,
                    "bin": b,
                    "low": b / 10 - 1,
                    "high": b / 10 - 0.9,
                    "count": int(c),
                }
                for b, c in enumerate(counts)
            ]
        edges = [0.0, 1e-14, 1e-3, 1e-2, float("inf")]
        histograms += [
            {"part": "gradients", "layer": name, "bin": b, "low": edges[b], "high": edges[b + 1], "count": 5}
            for b in range(4)
        ]
    representations = {layer: random.normal(size=(12, 3)).astype(np.float32) for layer in layers}
    return Inspection(weights, gradients, activations, histograms, representations)


def written(folder: Path, name: str, found: Inspection, **about: Any) -> Path:
    where = folder / "inspect" / name
    write_inspection(where, "m", found)
    facts = {"status": "ok", "model": "m $", "task": "t_{", "examples": 12, "split": "train", **about}
    (where / "inspection.json").write_text(json.dumps(facts))
    return where


def size_of(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_four_pictures(tmp_path: Path) -> None:
    where = written(tmp_path, "m-t", inspection([f"layer{i}" for i in range(9)]))
    paths = INSPECTION.write(Report({}, (), (), tmp_path), tmp_path)
    assert {path.name for path in paths} == {"gradients.png", "weights.png", "activations.png", "cka.png"}
    assert all(path.parent == where and min(size_of(path)) > 300 for path in paths)


def test_flagged_layers_are_marked(tmp_path: Path) -> None:
    from matplotlib.image import imread

    def alarms(layers: int) -> int:
        folder = tmp_path / str(layers)
        written(folder, "m-t", inspection([f"layer{i}" for i in range(layers)]))
        paths = {path.name: path for path in INSPECTION.write(Report({}, (), (), folder), folder)}
        pixels = (imread(paths["gradients.png"])[..., :3] * 255).astype(int)
        return int((np.abs(pixels - [0xD5, 0x5E, 0x00]).sum(axis=2) < 12).sum())

    assert alarms(7) > alarms(6) + 40, "the seventh vanishes"


def test_hostile_names_are_inert(tmp_path: Path) -> None:
    written(tmp_path, "m-t", inspection(HOSTILE), model="$\\bad{$ 名", task="_x^")
    assert len(INSPECTION.write(Report({}, (), (), tmp_path), tmp_path)) == 4


def test_hundreds_of_layers(tmp_path: Path) -> None:
    written(tmp_path, "m-t", inspection([f"layer{i}" for i in range(120)]))
    paths = INSPECTION.write(Report({}, (), (), tmp_path), tmp_path)
    assert all(max(size_of(path)) < 4_000 for path in paths)


def test_two_models_have_a_matrix(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    left, right = (
        {f"{m}{i}": random.normal(size=(9, 4)).astype(np.float32) for i in range(n)}
        for m, n in (("a", 3), ("b", 5))
    )
    where = tmp_path / "inspect" / "a-against-b-t"
    where.mkdir(parents=True)
    write_table(where, "cka", cka_rows("a", left, "b", right))
    (where / "inspection.json").write_text(
        json.dumps({"status": "ok", "model": "a", "against": "b", "task": "t", "examples": 9})
    )
    assert [path.name for path in INSPECTION.write(Report({}, (), (), tmp_path), tmp_path)] == ["cka.png"]


def test_without_tables_there_are_no_pictures(tmp_path: Path) -> None:
    assert list(INSPECTION.write(Report({}, (), (), tmp_path), tmp_path)) == []
    written(tmp_path, "m-t", Inspection(), status="failed")
    assert list(INSPECTION.write(Report({}, (), (), tmp_path), tmp_path)) == []
    written(
        tmp_path,
        "m-t",
        Inspection(gradients=[{"level": "layer", "block": "b", "layer": "l", "flag": "unused"}]),
    )
    (path,) = INSPECTION.write(Report({}, (), (), tmp_path), tmp_path)
    assert path.name == "gradients.png", "a layer without a gradient is still a layer"


def test_bins_are_spread_evenly_over_others() -> None:
    spread = _spread([(0.0, 1.0, 3), (1.0, 3.0, 1)], np.array([0.0, 0.5, 1.0, 2.0, 3.0, 4.0]))
    assert spread.tolist() == pytest.approx([0.375, 0.375, 0.125, 0.125, 0])


def test_it_conforms(tmp_path: Path) -> None:
    check_reporter(INSPECTION, tmp_path)

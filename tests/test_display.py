"""What a person sees while a run goes on, and how honest the estimate of the time left is."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from ptbench import Cell, Record, Status
from ptbench.cli.display import Display
from ptbench.evaluate import new_record
from ptbench.records import ModelSpec, TaskSpec
from ptbench.runner.eta import Eta
from ptbench.runner.plan import Plan, PlannedCell
from ptbench.suite import Suite


def cells(*models: str, rows: int = 950, protocol: str = "as_is") -> list[PlannedCell]:
    """Return one planned cell per model name, on tasks of their own."""
    return [
        PlannedCell(Cell("s", ModelSpec(name, "x:y"), TaskSpec(f"t{i}", "a", "d:e"), protocol), rows=rows)
        for i, name in enumerate(models)
    ]


def test_the_live_view_names_the_cell_and_the_rate() -> None:
    (planned,) = cells("minilm")
    suite = Suite(Path("s.toml"), "s", "", {}, (), {}, {}, ())
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with Display(Plan(suite, (planned,)), console) as display:
        display.cell_started(planned.cell)
        display.advanced(512)
        console.print(display._view())
        display.cell_ended(new_record(planned.cell, "r", Status.FAILED, "it broke"), 1.5)
    text = stream.getvalue()
    assert "slot 0: minilm x t0 x as_is" in text
    assert "512 examples" in text
    assert "0/1" in text
    assert "[1/1] failed  minilm x t0 x as_is  it broke  1.5 s" in text


def test_the_estimate_is_exact_where_cells_of_a_model_cost_alike() -> None:
    planned = cells("a", "a", "a", "a")
    eta = Eta(planned, {})
    assert eta.remaining() is None
    eta.finished(planned[0].cell.id, 10.0)
    assert eta.remaining() == pytest.approx(30.0)
    assert eta.remaining(spent=4.0) == pytest.approx(26.0)


def test_a_model_not_seen_yet_is_estimated_by_its_parameters() -> None:
    planned = cells("small", "large", "words")
    eta = Eta(planned, {"small": 10_000_000, "large": 100_000_000})
    eta.finished(planned[0].cell.id, 10.0)
    assert eta.remaining() == pytest.approx(100.0, rel=0.01)  # words cost next to nothing


def test_protocols_have_rates_of_their_own() -> None:
    planned = [*cells("a", "a", "b", "c"), *cells("a", "b", "c", protocol="fine_tune")]
    eta = Eta(planned, {"a": 100, "b": 100, "c": 100})
    for cell, seconds in zip(planned[:4], (10.0, 10.0, 20.0, 20.0), strict=True):
        eta.finished(cell.cell.id, seconds)
    assert eta.remaining() == pytest.approx(10.0 + 20.0 + 20.0)  # nobody was fine-tuned yet
    eta.finished(planned[4].cell.id, 90.0)
    assert eta.remaining() == pytest.approx(2 * 9 * 20.0)  # nine times as dear, as for the first model


def test_a_record_is_titled_like_its_cell() -> None:
    cell = Cell("s", ModelSpec("m", "x:y"), TaskSpec("t", "a", "d:e"), "knn", {"k": [1, 5]}, seed=2)
    record: Record = new_record(cell, "r", Status.OK)
    assert record.title == cell.title == "m x t x knn (k=1,5) seed 2"


def test_a_narrow_terminal_loses_columns_and_no_name(tmp_path: Path) -> None:
    from rich.console import Console

    from ptbench.cli.tables import render
    from ptbench.records import Cost, Record, Report, Score, Status

    cost = Cost(
        seconds=1.0, examples_per_s=1234.0, parameters=25_557_032, macs=4_089_000_000, peak_memory_mb=900
    )
    facts = {
        "cell": "c", "suite": "s", "run": "r", "model": "mobilenet_v3_small", "reference": "p:m",
        "task": "digits", "data": "d:d", "kind": "k", "protocol": "linear_probe", "options": {}, "seed": 0,
        "status": Status.OK,
        "scores": (Score("accuracy", 0.9, 0.8, 1.0, 10, True, "wilson"),), "primary": "accuracy", "n": 10,
        "cost": cost, "device": "cpu", "precision": "fp32",
    }  # fmt: skip
    for width in (60, 80, 100, 160):
        console = Console(width=width, record=True, file=(tmp_path / "out.txt").open("w"))
        render(Report({"status": "finished"}, (Record(**facts),)), console)
        console.file.close()
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= width
        assert text.count("mobilenet_v3_small") == 2  # whole, in both tables
        assert ("cpu fp32" in text) == (width >= 100)
        assert "1,234" in text

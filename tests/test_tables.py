"""The tables of a run: what did not end well, what is reused, what is marked."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from ptbench.cli.tables import render
from ptbench.records import Cell, Cost, ModelSpec, Record, Report, Status, TaskSpec
from ptbench.report import tidy
from tests.running import cells, ended

COST = Cost(seconds=1.0, examples_per_s=1234.0, parameters=25_557_032, macs=4_089_000_000, peak_memory_mb=900)
RAN = {"cost": COST, "device": "cuda", "precision": "bf16", "n": 10}


def drawn(tmp_path: Path, *records: Record, width: int = 160, **run: object) -> str:
    """Return the tables of a run as text."""
    with (tmp_path / "out.txt").open("w") as file:
        console = Console(width=width, record=True, file=file)
        render(Report({"status": "finished", **run}, records, folder=tmp_path), console)
    return console.export_text()


def test_a_narrow_terminal_loses_columns_and_no_name(tmp_path: Path) -> None:
    (cell,) = cells(1, "mobilenet_v3_small")
    for width in (60, 80, 100, 160):
        text = drawn(tmp_path, ended(cell, **{**RAN, "device": "cpu", "precision": "fp32"}), width=width)
        assert max(map(len, text.splitlines())) <= width
        assert text.count("mobilenet_v3_small") == 2  # whole, in both tables
        assert ("cpu fp32" in text) == (width >= 100)
        assert "1,234" in text


def seeds(*statuses: Status) -> list[Record]:
    """Return the records of a model on a task, a seed each."""
    return [
        ended(Cell("s", ModelSpec("m", "x:y"), TaskSpec("t", "a", "d:e"), "knn", {}, seed), status, "why")
        for seed, status in enumerate(statuses)
    ]


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ([Status.OOM], "oom"),
        ([Status.TIMEOUT, Status.TIMEOUT], "timeout"),
        ([Status.OK, Status.OOM, Status.OK], "oom 1/3"),
        ([Status.CRASHED, Status.OOM, Status.OK, Status.CRASHED], "crashed 2/4, oom 1/4"),
    ],
)
def test_the_leaderboard_says_what_became_of_a_cell(
    tmp_path: Path, statuses: list[Status], said: str
) -> None:
    row = next(line for line in drawn(tmp_path, *seeds(*statuses)).splitlines() if "│ m " in line)
    assert row.split("│")[3].strip() == said


def test_every_reason_is_told_once_with_advice_logs_and_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    of = cells(9)
    records = [
        *(
            ended(c, Status.OOM, "14 GiB needed", advice="batch_size = 4", log=f"logs/{c.id}.log")
            for c in of[:7]
        ),
        ended(of[7], Status.CRASHED, "signal \x1b[31m11"),
        ended(of[8], Status.SKIPPED, "t8: there is no file"),
    ]
    lines = drawn(tmp_path, *records, width=400).splitlines()
    at = lines.index("oom: 7 cells: 14 GiB needed")
    assert lines[at + 1 : at + 4] == [
        "    try: batch_size = 4",
        f"    log: {tmp_path.name}/logs/{of[0].id}.log, {tmp_path.name}/logs/{of[1].id}.log and 5 more",
        "    cells: " + "; ".join(cell.title for cell in of[:5]) + " and 2 more",
    ]
    assert "crashed: minilm x t7 x as_is: signal \\x1b[31m11" in lines
    assert "skipped: t8: there is no file" in lines


def test_very_many_reasons_are_counted(tmp_path: Path) -> None:
    text = drawn(tmp_path, *(ended(c, Status.FAILED, f"reason {i}") for i, c in enumerate(cells(50))))
    assert text.count("failed: ") == 20
    assert "and 30 more cells for 30 other reasons; report.csv has all" in text


def test_reused_cells_are_noted_in_one_line(tmp_path: Path) -> None:
    one, two, three = cells(3)
    records = (ended(one, reused="20261121-2"), ended(two, reused="20261121-1"), ended(three))
    assert "2 cells were measured in earlier runs: 20261121-1, 20261121-2\n" in drawn(tmp_path, *records)
    assert "measured in" not in drawn(tmp_path, ended(three))


def test_halved_batches_and_strangers_on_the_gpu_are_marked(tmp_path: Path) -> None:
    (one,), (two,), (three,) = cells(1, "small"), cells(1, "large"), cells(1, "shared")
    whole = {"unit": "tokens", "asked": 16384, "used": 16384}
    half = {**whole, "used": 8192}
    records = (
        ended(one, facts={"batch": whole}, **RAN),
        ended(two, facts={"batch": [whole, half]}, **RAN),
        ended(
            three,
            notes=("another process (4242, python, 3.1 GiB) was on the GPU: times are too long",),
            **RAN,
        ),
    )
    text = drawn(tmp_path, *records)
    cost = {line.split("│")[1].strip(): line for line in text.split("cost (")[1].splitlines() if "│" in line}
    assert "cuda bf16 ½" in cost["large"]
    assert "½" not in cost["small"]
    assert "1,234†" in cost["shared"]
    assert "†" not in cost["small"] + cost["large"]
    assert "½ memory was short" in text
    assert "† another process was on the GPU" in text
    plain = drawn(tmp_path, records[0])
    assert "½" not in plain
    assert "†" not in plain
    batches = tidy(Report({}, records)).set_index("model")["batch"]
    assert batches.to_dict() == {
        "small": "16384 tokens", "large": "16384 tokens; 8192 tokens (16384 asked)", "shared": "",
    }  # fmt: skip


def test_the_csv_has_what_became_of_a_cell_where_and_when(tmp_path: Path) -> None:
    (one,) = cells(1)
    record = ended(
        one, Status.OOM, "too large", advice="less", log="logs/a.log", slot="cuda:0", reused="20261121-1"
    )
    (row,) = tidy(Report({}, (record,))).to_dict("records")
    assert {key: row[key] for key in ("status", "error", "advice", "log", "slot", "reused", "batch")} == {
        "status": "oom", "error": "too large", "advice": "less", "log": "logs/a.log", "slot": "cuda:0",
        "reused": "20261121-1", "batch": "",
    }  # fmt: skip


def test_the_account_of_the_time_stands_at_the_end(tmp_path: Path) -> None:
    timing = {
        "seconds": 151.0, "inspections": 0.0,
        "predicted": {"seconds": 160.0, "low": 100.0, "high": 200.0, "after": 0.0},
        "least": 140.0, "slots": {"cpu:0": {"jobs": 3, "share": 0.0}}, "idle": 0.0, "harness": 0.021,
        "shares": {"metrics": 0.015, "write": 0.0058, "idle": 0.0, "other": 0.0002},
    }  # fmt: skip
    text = drawn(tmp_path, *(ended(c) for c in cells(1)), timing=timing)
    assert text.splitlines()[-1] == (
        "took 2 min 31 s (predicted 2 min 40 s); slots idle 0 %; harness 2.1 %: metrics 1.5 %, write 0.6 %"
    )


def test_very_large_tables_are_cut_and_say_so(tmp_path: Path) -> None:
    """The costs are those of all tasks."""
    records = [
        ended(Cell("s", ModelSpec(f"m{m:03}", "x:y"), TaskSpec(f"t{t:02}", "a", "d:e"), "knn"), **RAN)
        for m in range(120)
        for t in range(40)
    ]
    text = drawn(tmp_path, *records)
    assert "shown: the first 100 of 120 models under protocols on the first 30 of 40 tasks" in text
    assert ("m099" in text, "m100" in text, "t29" in text, "t30" in text) == (True, False, True, False)
    costs = text.split("cost (")[1]
    assert costs.count("40/40") == 100
    assert "shown:" not in drawn(tmp_path, *records[:40][:30])

"""Names that somebody chose to do harm, or by accident, and a report that is full of them."""

from __future__ import annotations

from pathlib import Path

from ptbench import Average, Cell, Cost, Record, Report, Score, Standing, Status
from ptbench.records import ModelSpec, TaskSpec

HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "＝cmd()",  # noqa: RUF001
    "x" * 300,
    "abc\u202edcba\u2066",
    "lone\ud800surrogate",
    "two\nlines\r\n| and | a table |",
    "nul\0bell\x07esc\x1b[31m",
    "@everyone #1 https://evil.example www.evil.example GH-7",
    "[a](javascript:alert(1)) ![i](http://x) **b** `c` ~~d~~ $x$ _e_ \\*f",
    "]]>&amp;<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>&y;",
    "../../etc/passwd",
    "שלום مرحبا",
)


def hostile_report(folder: Path) -> Report:
    """Return a report in which every text that a user, a model or a library may choose is hostile."""
    records = tuple(record for name in HOSTILE for record in _records(name))
    standings = tuple(
        Standing(name, name, name, "as_is", 0.8, 0.7, 0.9, 1, float("nan"), True, False, 0.0, 0.0, 0.0)
        for name in HOSTILE
    )
    averages = tuple(Average(name, "as_is", 0.8, 0.7, 0.9, 2, 1, 3, "a") for name in HOSTILE)
    run = {"suite": HOSTILE[0], "run": HOSTILE[4], "description": HOSTILE[8], "status": "finished"}
    return Report(run, records, standings, folder, averages)


def _records(name: str) -> tuple[Record, Record]:
    spec = TaskSpec(name, "a", "s:d")
    cell = Cell(name, ModelSpec(name, f"baseline:{name}"), spec, "as_is", {name: name}, 0)
    good = Record(
        cell=cell.id,
        suite=name,
        run=name,
        model=name,
        reference=f"baseline:{name}",
        task=name,
        data=name,
        kind=name,
        protocol="as_is",
        options={},
        seed=0,
        status=Status.OK,
        scores=(Score(name, 0.8, 0.7, 0.9, 100, True, "wilson", caveat=name),),
        primary=name,
        n=100,
        cost=Cost(seconds=1.5, examples_per_s=66.0, parameters=10),
        facts={name: name, "curves": [{"name": name, "of": name, "x": "epoch", "points": [[1, 0.5]]}]},
        notes=(name,),
        trust=(name,),
        fingerprints={"weights": name},
        plugins={"provider:x": name},
        version="0.1.0",
        started="2026-01-02T03:04:05.678+00:00",
        finished="2026-01-02T03:04:07.178+00:00",
    )
    changed = {"status": Status.FAILED, "error": name, "advice": name, "log": name, "scores": (), "seed": 1}
    other = {field: getattr(good, field) for field in good.__dataclass_fields__}
    return good, Record(**{**other, **changed, "cell": f"{cell.id}-1"})

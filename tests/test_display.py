"""What a person sees while a run goes on."""

from __future__ import annotations

import io
import threading
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from ptbench import Cell, Record, Status
from ptbench.cli.display import Display
from ptbench.cli.slotview import left_text, view
from ptbench.evaluate import new_record
from ptbench.jobs import Event
from ptbench.records import ModelSpec, TaskSpec
from ptbench.slots import Slot
from ptbench.tracking import SlotState, Snapshot
from tests.running import LOCAL, cells, ended, event, knows, plan


def shown(now: Snapshot, width: int = 100, height: int = 40) -> list[str]:
    """Return the lines of a view, without colours."""
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(view(now, width, height))
    return captured.get().splitlines()


def on_paper(width: int = 200) -> tuple[Console, io.StringIO]:
    """Return a console that is no terminal."""
    stream = io.StringIO()
    return Console(file=stream, width=width, highlight=False), stream


def test_the_live_view_has_a_line_per_slot_and_a_bar() -> None:
    of = cells(3)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    with Display(plan(of), console, folder=Path("results/s/r")) as display:
        display.run_began(LOCAL, knows(720.0, 540.0, 1020.0), 0)
        display.told(event("started", "cpu:0", of[0], "#3/8"))
        display.told(event("progress", "cpu:0", of[0], "#3/8", phase="embed", examples=512, memory_mb=900.0))
        console.print(display._view())
        view_lines = stream.getvalue().splitlines()
        display.cell_ended(ended(of[1], Status.FAILED, "it broke", advice="mend it", log="logs/c.log"))
    text = stream.getvalue()
    (slot,) = (line for line in view_lines if "part 3 of 8" in line)
    assert "cpu:0  minilm x t0 x as_is" in slot
    assert "embed" in slot
    assert "512 ex" in slot
    assert "900 MiB" in slot
    assert any(line.strip("\x1b[2K\r ").startswith("cpu:1  idle") for line in view_lines)
    assert "0/3" in text
    assert "about 12 min left (9 to 17)" in text
    assert "[1/3] failed  minilm x t1 x as_is  it broke  3.2 s" in text
    assert "try: mend it" in text
    assert "log: results/s/r/logs/c.log" in text
    assert "Traceback" not in text


def test_plain_lines_tell_scores_time_and_what_is_left() -> None:
    of = cells(2)
    console, stream = on_paper()
    with Display(plan(of), console) as display:
        display.run_began(LOCAL, knows(120.0, 60.0, 180.0), 0)
        for cell in of:
            display.told(event("started", "cpu:0", cell))
            display.told(event("progress", "cpu:0", cell, phase="embed", examples=1))
            display.told(event("ended", "cpu:0", cell))
            display.cell_ended(ended(cell))
        display.warned("look out")
        display.told(Event("warning", text="another process (4242) is on the GPU"))
    assert stream.getvalue().splitlines() == [
        "[1/2] ok      minilm x t0 x as_is  accuracy 0.755 -.025+.035  3.2 s  about 2 min left (1 to 3)",
        "[2/2] ok      minilm x t1 x as_is  accuracy 0.755 -.025+.035  3.2 s",
        "warning: look out",
        "warning: another process (4242) is on the GPU",
    ]


@pytest.mark.parametrize("earlier", ["20261121-101010", ""])
def test_reused_cells_are_told_in_one_line(earlier: str) -> None:
    of = cells(40)
    console, stream = on_paper()
    with Display(plan(of), console) as display:
        display.run_began(LOCAL, knows(), 31)
        for cell in of[:30]:
            display.cell_ended(ended(cell, reused=earlier))
        display.cell_ended(ended(of[30], Status.OOM, "too large", reused=earlier))
        display.cell_ended(ended(of[31], Status.SKIPPED, "cannot run"))
        display.told(event("started", "cpu:0", of[32]))
        display.cell_ended(ended(of[32]))
    where = earlier or "this run"
    assert stream.getvalue().splitlines() == [
        f"31 of 40 cells are finished already (measured in {where}): reused; 1 of them did not end well "
        "(--retry-failed runs them again)",
        "[33/40] ok      minilm x t32 x as_is  accuracy 0.755 -.025+.035  3.2 s",
    ]


def test_that_nothing_was_left_to_do_is_told_too() -> None:
    (one,) = of = cells(1)
    console, stream = on_paper()
    with Display(plan(of), console) as display:
        display.run_began(LOCAL, knows(), 1)
        display.cell_ended(ended(one, reused="20261121-101010"))
    assert stream.getvalue() == "1 of 1 cells is finished already (measured in 20261121-101010): reused\n"


def test_a_quiet_display_says_nothing_of_cells_and_still_counts() -> None:
    of = cells(2)
    console, stream = on_paper()
    with Display(plan(of), console, quiet=True) as display:
        display.run_began(LOCAL, knows(), 1)
        display.cell_ended(ended(of[0], reused="20261121-101010"))
        display.cell_ended(ended(of[1], Status.FAILED, "x"))
        display.inspection_started("minilm")
        display.inspection_ended(SimpleNamespace(title="minilm", status="failed", error="x", seconds=1.0))  # type: ignore[arg-type]
        assert stream.getvalue() == ""
        display.report_failed("reporter 'csv' failed")
    assert (display.failed_reports, display.failed_inspections) == (1, 1)
    assert "reporter 'csv' failed" in stream.getvalue()


def test_an_inspection_is_seen_while_it_goes_on() -> None:
    console, _ = on_paper()
    with Display(plan([]), console) as display:
        display.inspection_started("minilm [red]x[/] t0")
        display.advanced(1500)
        assert "inspecting minilm [red]x[/] t0  0:00  1,500 examples" in shown(display.tracker.snapshot())
        display.inspection_ended(SimpleNamespace(title="a", status="ok", error="", seconds=1.0))  # type: ignore[arg-type]
        assert not any("inspecting" in line for line in shown(display.tracker.snapshot()))


def test_a_disk_that_is_full_below_the_terminal_costs_no_run() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    (one,) = of = cells(1)
    with Display(plan(of), Console(file=Full())) as display:
        display.run_began(LOCAL, knows(), 0)
        display.cell_ended(ended(one))
        display.warned("x")


def busy(n: int, **facts: object) -> tuple[SlotState, ...]:
    """Return slots at work, the last one longest."""
    return tuple(
        SlotState(
            f"cuda:{i}", f"bert x task{i} x knn", phase="embed", per_second=10.0, seconds=float(i), **facts
        )  # type: ignore[arg-type]
        for i in range(n)
    )


def test_very_many_slots_are_summed_up_and_the_longest_shown() -> None:
    slots = (*busy(62), SlotState("cuda:62"), SlotState("cuda:63"))
    lines = shown(Snapshot(total=100, slots=slots), width=120)
    assert lines[0] == "64 slots  62 at work, 2 idle  embed 62  620 ex/s"
    assert [line.split()[0] for line in lines[2:-1]] == [f"cuda:{i}" for i in range(61, 53, -1)]
    assert lines[-1].startswith("cells ")
    assert len(shown(Snapshot(total=100, slots=busy(16)), width=120)) == 17
    assert len(shown(Snapshot(total=100, slots=busy(16)), width=120, height=12)) <= 12


def test_a_narrow_terminal_keeps_cell_and_time_and_drops_the_rest() -> None:
    now = Snapshot(total=2, slots=busy(1, examples=1000, memory_mb=900.0), left=(60.0, 45.0, 90.0))
    wide, usual, narrow = (shown(now, width)[0] for width in (200, 70, 40))
    assert all(word in wide for word in ("1,000 ex", "10 ex/s", "900 MiB", "embed", "0:00"))
    assert "1,000 ex" not in usual
    assert "embed" in usual
    for line in (usual, narrow):
        assert "bert x task0 x knn" in line
        assert "0:00" in line
    assert "about 60 s left (45 to 90)" in shown(now, 40)[-1]


HOSTILE = st.one_of(
    st.sampled_from(
        [
            "[red]x[/]",
            "[/]",
            "\x1b[31m",
            "a\nb\r\t",
            "\u202egnp.exe",
            "שלום עולם",
            "🤗" * 30,
            "\ud800",
            "日本" * 40,
        ]
    ),
    st.text(max_size=40),
)


@given(
    names=st.lists(HOSTILE, min_size=1, max_size=20),
    width=st.integers(1, 130),
    height=st.integers(1, 50),
    memory=st.none() | st.floats(0, 1e7),
    rate=st.none() | st.floats(0, 1e9),
    ended=st.integers(0, 30),
    left=st.none() | st.tuples(st.floats(0, 1e8), st.floats(0, 1e8), st.floats(0, 1e8)),
)
def test_no_name_and_no_terminal_breaks_the_view(
    names: list[str],
    width: int,
    height: int,
    memory: float | None,
    rate: float | None,
    ended: int,
    left: tuple[float, float, float] | None,
) -> None:
    slots = tuple(
        SlotState(f"s{i}{name[:3]}", name, "3 of 8" * (i % 2), name, 10**i, rate, memory, 10.0**i)
        for i, name in enumerate(names)
    )
    now = Snapshot(total=25, statuses={"ok": ended}, slots=slots, left=left, inspecting=names[0])
    for line in shown(now, width, height):
        assert cell_len(line) <= width
        assert all(c.isprintable() for c in line)
        assert not any(unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE") for c in line)


def test_hostile_records_are_shown_as_they_are() -> None:
    cell = Cell("s", ModelSpec("[red]m\x1b[2J", "x:y"), TaskSpec("t", "a", "d:e"), "as_is")
    console, stream = on_paper()
    with Display(plan([cell]), console) as display:
        display.run_began(LOCAL, knows(), 0)
        display.cell_ended(ended(cell, Status.CRASHED, "[/] \x07", advice="[b]try\n", log="\u202e.log"))
        display.cell_ended(ended(cell, Status.FAILED, None, wall={}, started=None, finished=None))  # type: ignore[arg-type]
    assert stream.getvalue().splitlines() == [
        "[1/1] crashed [red]m\\x1b[2J x t x as_is  [/] \\x07  3.2 s",
        "        try: [b]try\\n",
        "        log: \\u202e.log",
        "[2/2] failed  [red]m\\x1b[2J x t x as_is  nobody knows why",
    ]


def test_events_from_many_threads_while_the_screen_is_drawn() -> None:
    of = cells(8)
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Display(plan(of), console) as display:
        display.run_began([Slot(f"cuda:{i}") for i in range(8)], knows(), 0)

        def work(i: int) -> None:
            for n in range(300):
                display.told(event("started" if not n else "progress", f"cuda:{i}", of[i], examples=n))
            display.told(event("ended", f"cuda:{i}", of[i]))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            display._live.refresh()
        for cell in of:
            display.cell_ended(ended(cell))
    assert display.tracker.snapshot().ended == 8


@pytest.mark.parametrize(
    ("left", "text"),
    [
        ((720.0, 540.0, 1020.0), "about 12 min left (9 to 17)"),
        ((89.6, 80.0, 100.0), "about 90 s left (80 to 100)"),
        ((0.4, 0.1, 0.6), "about 1 s left (under 1 to 1)"),
        ((5400.0, 5400.0, 5400.0), "about 1.5 h left"),
        ((40 * 3600.0, 30 * 3600.0, 60 * 3600.0), "about 40 h left (30 to 60)"),
        ((3 * 86400.0, 2 * 86400.0, 5 * 86400.0), "about 3.0 days left (2.0 to 5.0)"),
        ((0.0, 0.0, 80.0), "up to 80 s left"),
        ((0.0, 0.0, 0.0), "longer than estimated"),
    ],
)
def test_the_time_left_is_told_in_one_unit(left: tuple[float, float, float], text: str) -> None:
    assert left_text(left) == text


def test_a_record_is_titled_like_its_cell() -> None:
    cell = Cell("s", ModelSpec("m", "x:y"), TaskSpec("t", "a", "d:e"), "knn", {"k": [1, 5]}, seed=2)
    record: Record = new_record(cell, "r", Status.OK)
    assert record.title == cell.title == "m x t x knn (k=1,5) seed 2"

"""The executor ``local``: what becomes of cells whose workers die, hang, or cannot be started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptbench import Event, Job, Record, Schedule, Slot, Status, WorkerSpec, Workload, testing
from ptbench.deaths import OomKills, death
from ptbench.executors import SERIAL
from ptbench.workers import LOCAL
from tests.executor_workers import cell, jobs

ROOT = Path(__file__).resolve().parent.parent
MAKE = "tests.executor_workers:make_evaluator"
ONE = (Slot("cpu:0"),)
TWO = (Slot("cpu:0"), Slot("cpu:1"))


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PTBENCH_TEST_PARENT", str(os.getpid()))


@pytest.fixture
def told() -> list[Event]:
    """What the executor told."""
    return []


Run = Callable[..., list[Record]]


@pytest.fixture
def run(tmp_path: Path, told: list[Event]) -> Run:
    """Run jobs on `LOCAL`; return their records in the order of their seeds."""

    def call(work: Sequence[Job], slots: tuple[Slot, ...] = ONE, **how: Any) -> list[Record]:
        records = list(LOCAL.run(workload(work, tmp_path, slots, tell=told.append, **how)))
        return sorted(records, key=lambda record: record.seed)

    return call


def workload(
    work: Sequence[Job],
    folder: Path,
    slots: tuple[Slot, ...] = ONE,
    options: Any = None,
    make: str = MAKE,
    **how: Any,
) -> Workload:
    spec = WorkerSpec(make, "r1", str(folder), options=options or {})
    return Workload(Schedule(work, len(slots)), slots, spec, folder, **how)


def gone(pid: int, seconds: float = 2.0) -> bool:
    """Whether a process ends within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("executor", [LOCAL, SERIAL], ids=lambda one: one.name)
def test_the_executors_of_the_core_conform(executor: Any) -> None:
    testing.check_executor(executor)


def test_workers_of_this_machine_need_no_network() -> None:
    assert LOCAL.offline  # else --offline refuses the default


def test_a_dead_workers_record_says_how_it_died_and_what_it_said_last(run: Run, tmp_path: Path) -> None:
    segfault, words, alloc, fine = run(jobs("segfault", "last words", "bad alloc", ""))
    assert (segfault.status, words.status, alloc.status) == (Status.CRASHED, Status.CRASHED, Status.OOM)
    assert segfault.error.startswith("killed by SIGSEGV: in string_at, __init__.py, line ")
    assert words.error == "exit code 7: no licence was found"
    assert alloc.error.startswith("killed by SIGABRT: ")
    assert "std::bad_alloc" in (tmp_path / alloc.log).read_text()
    assert "smaller batch" in alloc.advice
    assert "--retry-failed" in segfault.advice
    assert "Segmentation fault" in (tmp_path / segfault.log).read_text()
    assert (segfault.kind, segfault.run, segfault.slot) == ("kind", "r1", "cpu:0")
    assert segfault.started < segfault.finished < fine.finished
    assert fine.status is Status.OK


def test_a_hang_is_ended_and_the_log_shows_where_it_was(run: Run, tmp_path: Path) -> None:
    began = time.monotonic()
    hang, fine = run(jobs("hang", ""), timeout=0.8)
    assert time.monotonic() - began < 5
    assert (hang.status, fine.status) == (Status.TIMEOUT, Status.OK)
    assert hang.error == "ended after 0.8 s, the most a cell may take, it was in phase 'embed'"
    assert "in _in_embed" in (tmp_path / hang.log).read_text()


def test_a_process_of_no_more_use_is_replaced(run: Run) -> None:
    first, poisoned, later = run(jobs("", "poison", ""))
    assert poisoned.status is Status.CRASHED
    assert first.facts["pid"] == poisoned.facts["pid"] != later.facts["pid"]


def test_progress_is_told_four_times_a_second_at_most(run: Run, told: list[Event]) -> None:
    (record,) = run(jobs("progress"))
    heard = [event for event in told if event.what == "progress"]
    assert 2 <= len(heard) <= 5  # it takes a second
    examples = [event.examples for event in heard]
    assert examples == sorted(examples)
    assert 0 < examples[-1] <= 300
    assert {event.phase for event in heard} == {"embed"}
    assert all(event.memory_mb and 10 < event.memory_mb < 2000 for event in heard)
    assert [event.text for event in told if event.what == "warning"] == ["the cache is full"]
    assert told[0].what == "started"
    assert told[-1].what == "ended"
    assert {event.cell for event in told} == {record.cell}


def test_a_worker_that_dies_idle_costs_no_cell(tmp_path: Path) -> None:
    work = jobs("", "say", "")
    running = LOCAL.run(workload(work, tmp_path))
    first = next(running)
    log = tmp_path / "logs" / f"{work[1].cell.id}.log"
    while not (log.exists() and log.stat().st_size):
        time.sleep(0.01)
    time.sleep(0.5)  # the next cell is done by now, and its worker has nothing to do
    os.kill(first.facts["pid"], signal.SIGKILL)
    assert gone(first.facts["pid"])
    time.sleep(0.2)  # its threads too
    rest = list(running)
    assert [record.status for record in rest] == [Status.OK, Status.OK]
    assert rest[0].facts["pid"] == first.facts["pid"] != rest[1].facts["pid"]


def test_a_slot_that_cannot_start_is_left_out_and_the_others_go_on(run: Run, told: list[Event]) -> None:
    slots = (Slot("cpu:0", threads=1), Slot("cpu:1", threads=2))
    work = [Job(cell(seed, "wait"), "kind", f"m{seed}", own_seconds=1.0) for seed in range(4)]
    records = run(work, slots, options={"only_threads": "1"})
    failed = [record for record in records if record.status is Status.FAILED]
    assert [record.slot for record in failed] == ["cpu:1"]
    assert failed[0].error == "no worker could be started: RuntimeError: this slot is broken"
    assert {record.slot for record in records if record.status is Status.OK} == {"cpu:0"}
    warnings = [event.text for event in told if event.what == "warning"]
    assert warnings == [f"slot cpu:1 is left out: {failed[0].error}"]


def test_a_worker_that_cannot_even_find_its_function_fails_its_cells(run: Run) -> None:
    records = run(jobs("", ""), make="no_such_module:make")
    assert [record.status for record in records] == [Status.FAILED] * 2
    assert all("No module named 'no_such_module'" in record.error for record in records)


def test_a_vanished_folder_does_not_hang_the_run(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    records = list(LOCAL.run(workload(jobs("gone", "print", "segfault", ""), folder)))
    statuses = [record.status for record in sorted(records, key=lambda record: record.seed)]
    assert statuses == [Status.OK, Status.OK, Status.CRASHED, Status.OK]
    assert not folder.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to try")
def test_a_log_on_a_full_disk_stops_nobody_else(run: Run, tmp_path: Path) -> None:
    work = jobs("say", "print", "segfault", "say")
    (tmp_path / "logs").mkdir()
    for job in work[:3]:
        (tmp_path / "logs" / f"{job.cell.id}.log").symlink_to("/dev/full")
    *without, fine = run(work)
    assert [record.status for record in without] == [Status.FAILED, Status.OK, Status.CRASHED]
    assert "No space left" in without[0].error
    assert "free space" in without[0].advice
    assert all(not record.log for record in without[:2])
    assert (tmp_path / fine.log).read_text() == "said by Python\n" * 1000 + "\n"


def test_where_no_process_can_be_started_cells_fail(
    run: Run, told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/no/such/python")
    records = run(jobs("", "", ""), TWO)
    assert [record.status for record in records] == [Status.FAILED] * 3
    assert all("no worker could be started: FileNotFoundError" in record.error for record in records)
    assert [event.slot for event in told if event.what == "warning"] == ["cpu:0", "cpu:1"]


ENDS = {"": Status.OK, "segfault": Status.CRASHED, "last words": Status.CRASHED, "nothing": Status.FAILED}


@settings(max_examples=6, deadline=None)
@given(st.lists(st.sampled_from(sorted(ENDS)), max_size=6), st.integers(1, 3))
def test_whatever_happens_there_is_one_record_per_cell(deeds: list[str], n: int) -> None:
    work = [Job(job.cell, "kind", job.model, own_seconds=1.0) for job in jobs(*deeds)]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.syspath_prepend(str(ROOT))
        slots = tuple(Slot(f"cpu:{i}") for i in range(n))
        records = list(LOCAL.run(workload(work, Path(folder), slots)))
    found = sorted((record.cell, record.status) for record in records)
    assert found == sorted((job.cell.id, ENDS[do]) for job, do in zip(work, deeds, strict=True))


def test_a_record_that_cannot_travel_is_a_failed_cell(run: Run) -> None:
    unwritable, unreadable, nothing, fine = run(jobs("unwritable", "unreadable", "nothing", ""))
    assert unwritable.status is Status.FAILED
    assert "pickle" in unwritable.error
    assert unreadable.status is Status.FAILED
    assert unreadable.error == "its record cannot be read: RuntimeError: it explodes where it is read"
    assert nothing.status is Status.FAILED
    assert "gave no record" in nothing.error
    assert fine.status is Status.OK


def test_a_child_that_a_plugin_forked_answers_nothing(run: Run) -> None:
    records = run(jobs(*["fork", ""] * 3))
    assert [record.status for record in records] == [Status.OK] * 6
    assert len({record.facts["pid"] for record in records}) == 1


def test_of_a_log_that_is_too_long_both_ends_are_kept(run: Run, tmp_path: Path) -> None:
    (record,) = run(jobs("flood"))
    log = (tmp_path / record.log).read_bytes()
    assert 4 << 20 <= len(log) < (4 << 20) + 100
    assert log.startswith(b"part 0 ")
    assert b"bytes were left out" in log
    assert b"part 11 " in log
    assert b"part 6 " not in log


def test_a_worker_that_closes_its_pipe_is_ended(run: Run) -> None:
    deaf, fine = run(jobs("close everything", ""))
    assert (deaf.status, fine.status) == (Status.CRASHED, Status.OK)
    assert "closed the pipe" in deaf.error


def test_modules_in_the_folder_of_the_call_do_not_shadow_those_installed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "statistics.py").write_text("raise ImportError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    (record,) = run(jobs("fetch"))
    assert record.status is Status.OK, record.error
    assert not Path(record.facts["statistics"]).is_relative_to(tmp_path)
    assert record.facts["oom_score"] in ("500", "")  # where memory ends, workers go before the run


PARENT = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.executor_workers import jobs
from tests.test_workers import workload, TWO
from ptbench.workers import LOCAL
for record in LOCAL.run(workload(jobs("", sys.argv[2]), Path(sys.argv[1]), TWO[:1])):
    print(record.status, flush=True)
"""


Parent = Callable[[str], tuple[subprocess.Popen[str], list[int]]]


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    """Start a run in a process of its own; return it with the pids of a worker that hangs and its child."""
    started: list[subprocess.Popen[str]] = []

    def call(deed: str) -> tuple[subprocess.Popen[str], list[int]]:
        pids = tmp_path / "pids"
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(tmp_path), deed],
            env={**os.environ, "PTBENCH_TEST_PIDS": str(pids)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        end = time.monotonic() + 30
        while not (pids.exists() and len(pids.read_text().split()) == 2) and time.monotonic() < end:
            time.sleep(0.01)
        return process, [int(pid) for pid in pids.read_text().split()]

    yield call
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("deed", ["bear and hang", "hold the interpreter"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_workers_and_their_children_end_with_the_run(parent: Parent, deed: str, how: signal.Signals) -> None:
    process, pids = parent(deed)
    began = time.monotonic()
    process.send_signal(how)
    out, _ = process.communicate(timeout=10)
    assert time.monotonic() - began < 2
    assert out.split() == ["ok"]
    assert [pid for pid in pids if not gone(pid)] == []


def test_a_second_interruption_leaves_nothing_behind(parent: Parent) -> None:
    process, pids = parent("bear and hang")
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    process.communicate(timeout=10)
    assert [pid for pid in pids if not gone(pid)] == []


def test_a_kill_by_the_kernel_for_want_of_memory_is_told_from_one_by_somebody() -> None:
    starved, killed = death(-9, "", starved=True), death(-9, "", starved=False)
    assert (starved.status, killed.status) == (Status.OOM, Status.CRASHED)
    assert "memory" in starved.error
    assert "fewer slots" in starved.advice
    assert killed.error == "killed by SIGKILL, sent from outside"
    assert death(-11, "", starved=True).status is Status.CRASHED


def test_the_kernels_counters_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups, mount, vmstat = tmp_path / "cgroup", tmp_path / "mount", tmp_path / "vmstat"
    groups.write_text("4:memory:/old/one\n0::/new/one\n")
    events = mount / "new/one/memory.events"
    control = mount / "memory/old/one/memory.oom_control"
    for path in (events, control):
        path.parent.mkdir(parents=True)
    vmstat.write_text("nr_free_pages 17\noom_kill 3\n")
    events.write_text("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\n")
    control.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
    for name, path in (("_CGROUPS", groups), ("_MOUNT", mount), ("_VMSTAT", vmstat)):
        monkeypatch.setattr(f"ptbench.deaths.{name}", path)
    before = OomKills.now()
    assert sorted(count for count in before.counts if count) == [1, 3, 4]
    assert not OomKills.now().since(before)
    for path, old, new in (
        (vmstat, "oom_kill 3", "oom_kill 4"),
        (events, "oom_kill 1", "oom_kill 2"),
        (control, "oom_kill 4", "oom_kill 5"),
    ):
        text = path.read_text()
        path.write_text(text.replace(old, new))
        assert OomKills.now().since(before)
        path.write_text(text)
    control.unlink()
    assert not OomKills.now().since(before)

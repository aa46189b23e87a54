"""What nvidia-smi says: which GPUs there are, and who is on them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptbench import Event, Slot, Status, gpus
from ptbench.gpus import GpuUser, GpuWatch, NoGpuError, gpu_users, visible_gpus
from ptbench.workers import LOCAL
from tests import fake_gpus
from tests.executor_workers import jobs
from tests.fake_gpus import MIGS, UUIDS
from tests.test_workers import ROOT, workload


@pytest.fixture
def other() -> Iterator[int]:
    """A process of somebody else."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command, start_new_session=True) as process:
        yield process.pid
        process.kill()


@pytest.mark.parametrize(
    ("allowed", "pins"),
    [
        (None, ("0", "1", "2")),
        ("2,0", ("2", "0")),
        ("1", ("1",)),
        ("0,7,1", ("0",)),  # CUDA stops at the first that it does not know
        ("0,0", ("0",)),
        (UUIDS[1], (UUIDS[1],)),
        ("GPU-cccc, 1", ("GPU-cccc", "1")),
        (" 1 ", ("1",)),
    ],
)
def test_visible_are_those_that_cuda_would_see(
    allowed: str | None, pins: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_gpus.install(monkeypatch, tmp_path / "bin")
    if allowed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    found = visible_gpus()
    assert tuple(gpu.pin for gpu in found) == pins
    letters = {"0": "a", "1": "b", "2": "c"}
    expected = [UUIDS["abc".index(letters.get(pin) or pin[4])] for pin in pins]
    assert [gpu.uuid for gpu in found] == expected


def test_a_gpu_that_is_cut_up_counts_as_its_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_gpus.install(monkeypatch, tmp_path / "bin", fake_gpus.WITH_PARTS)
    assert [(gpu.pin, gpu.part, gpu.uuid) for gpu in visible_gpus()] == [
        (MIGS[0], True, UUIDS[0]),
        (MIGS[1], True, UUIDS[0]),
        ("1", False, UUIDS[1]),
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", MIGS[1])
    assert [gpu.pin for gpu in visible_gpus()] == [MIGS[1]]


@pytest.mark.parametrize("allowed", ["", "-1", "NoDevFiles", "9", "gpu0"])
def test_where_the_user_allows_none_the_reason_says_so(
    allowed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_gpus.install(monkeypatch, tmp_path / "bin")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    with pytest.raises(NoGpuError, match=f"CUDA_VISIBLE_DEVICES is '{allowed}'"):
        visible_gpus()


def test_a_broken_driver_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_gpus.install(monkeypatch, tmp_path / "bin", fails="echo 'no driver is loaded' >&2; exit 9")
    with pytest.raises(NoGpuError, match="nvidia-smi says: no driver is loaded"):
        visible_gpus()
    assert gpu_users() == ()


def test_a_driver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_gpus.install(monkeypatch, tmp_path / "bin", fails="exec sleep 600")
    monkeypatch.setattr(gpus, "ANSWER", 0.1)
    with pytest.raises(NoGpuError, match=r"no answer within 0\.1 s"):
        visible_gpus()


def test_without_nvidia_smi_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoGpuError, match="there is no nvidia-smi"):
        visible_gpus()


def test_users_are_read_and_what_is_no_process_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processes = fake_gpus.install(monkeypatch, tmp_path / "bin")
    processes.write_text(f"12, 4096, {UUIDS[0]}\n13, [N/A], {UUIDS[1]}\nNo running processes found\n")
    users = gpu_users()
    assert users == (GpuUser(12, UUIDS[0], 4096), GpuUser(13, UUIDS[1], None))
    assert [str(user) for user in users] == ["pid 12, 4,096 MiB", "pid 13"]


def test_foreign_is_who_is_in_no_workers_session(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: int
) -> None:
    processes = fake_gpus.install(monkeypatch, tmp_path / "bin")
    unknown = 2**22 + 5  # no process of this machine has such a number
    processes.write_text(f"{unknown}, 7, {UUIDS[0]}\n")
    watch = GpuWatch(interval=0.05)
    own = os.getsid(0)
    lines = [
        f"{other}, 4096, {UUIDS[0]}",
        f"{os.getpid()}, 100, {UUIDS[0]}",
        f"{os.getpid()}, 20, {UUIDS[1]}",
    ]
    processes.write_text("\n".join([*lines, f"{unknown}, 7, {UUIDS[0]}", f"{unknown + 1}, 7, {UUIDS[0]}\n"]))
    end = time.monotonic() + 10
    while len(found := watch.foreign(frozenset(UUIDS), frozenset({own}))) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    watch.close()
    # The second unknown one came later: in a container, it could be a worker under its number outside.
    assert [user.pid for user in found] == [other, unknown]
    assert watch.memory_mb(own) == 120
    assert [user.pid for user in watch.foreign(frozenset(UUIDS[1:]), frozenset())] == [os.getpid()]


def test_records_beside_a_process_of_somebody_else_are_marked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: int
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    processes = fake_gpus.install(monkeypatch, tmp_path / "bin")
    processes.write_text(f"{other}, 4096, {UUIDS[0]}\n")
    told: list[Event] = []
    slots = (Slot("cuda:0", ("0",)), Slot("cuda:1", ("1",)))
    records = list(
        LOCAL.run(workload(jobs("wait", "wait", "wait", "wait"), tmp_path, slots, tell=told.append))
    )
    assert {record.status for record in records} == {Status.OK}
    notes = {record.slot: record.notes for record in records}
    note = f"another process (pid {other}, 4,096 MiB) was on the GPU: times are too long"
    assert notes == {"cuda:0": (note,), "cuda:1": ()}
    warnings = [(event.slot, event.text) for event in told if event.what == "warning"]
    text = f"another process (pid {other}, 4,096 MiB) is on the GPU of slot cuda:0"
    assert warnings == [("cuda:0", f"{text}: cells that run beside it are marked")]

"""Slots: what ``--devices`` means here, and what pins a process to one of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench import Slot, UsageError, slots
from ptbench.slots import cores, find_slots
from tests import fake_gpus
from tests.fake_gpus import MIGS


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with four cores and no GPU."""
    monkeypatch.setattr(slots, "cores", lambda: 4)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with eight cores and three GPUs."""
    monkeypatch.setattr(slots, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    fake_gpus.install(monkeypatch, tmp_path / "bin")


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    ("devices", "threads"),
    [
        ("auto", [4]),
        ("cpu", [4]),
        ("cpu:1", [4]),
        ("cpu:2", [2, 2]),
        ("cpu:3", [2, 1, 1]),
        ("cpu:5", [1] * 5),
    ],
)
def test_cpu_slots_share_the_cores(devices: str, threads: list[int]) -> None:
    found = find_slots(devices)
    assert found == tuple(Slot(f"cpu:{i}", (), n) for i, n in enumerate(threads))
    assert [slot.threads for slot in find_slots(devices, canonical=True)] == [1] * len(threads)


@given(st.integers(1, 200), st.integers(1, 200))
def test_shares_add_up_and_differ_by_one_at_most(n: int, there: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "cores", lambda: there)
        patch.delenv("OMP_NUM_THREADS", raising=False)
        threads = [slot.threads for slot in find_slots(f"cpu:{n}")]
    assert sum(threads) == max(n, there)
    assert max(threads) - min(threads) <= 1


@pytest.mark.usefixtures("four")
def test_the_users_own_limit_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert [slot.threads for slot in find_slots("cpu:2")] == [1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert [slot.threads for slot in find_slots("cpu:2")] == [2, 2]


@pytest.mark.usefixtures("three_gpus")
@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ("auto", [("cuda:0", ("0",), 3), ("cuda:1", ("1",), 3), ("cuda:2", ("2",), 2)]),
        ("cuda", [("cuda:0", ("0",), 3), ("cuda:1", ("1",), 3), ("cuda:2", ("2",), 2)]),
        ("cuda:2", [("cuda:2", ("2",), 8)]),
        ("cuda:0,2", [("cuda:0", ("0",), 4), ("cuda:2", ("2",), 4)]),
        ("cuda:0+1,2", [("cuda:0+1", ("0", "1"), 4), ("cuda:2", ("2",), 4)]),
        ("cpu", [("cpu:0", (), 8)]),
    ],
)
def test_gpu_slots(devices: str, expected: list[tuple[str, tuple[str, ...], int]]) -> None:
    assert [(slot.name, slot.gpus, slot.threads) for slot in find_slots(devices)] == expected


@pytest.mark.usefixtures("three_gpus")
def test_numbers_count_among_the_visible_ones_as_cuda_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,1")
    assert find_slots("cuda:0") == (Slot("cuda:0", ("2",), 8),)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert find_slots("auto") == (Slot("cpu:0", (), 8),)


def test_parts_of_a_gpu_are_slots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_gpus.install(monkeypatch, tmp_path / "bin", fake_gpus.WITH_PARTS)
    assert [slot.gpus for slot in find_slots("auto")] == [(MIGS[0],), (MIGS[1],), ("1",)]
    with pytest.raises(UsageError, match="one MIG part only"):
        find_slots("cuda:0+1")


THERE = (
    "there are cuda:0 (NVIDIA A100-SXM4-80GB), cuda:1 (NVIDIA A100-SXM4-80GB), cuda:2 (NVIDIA H100 80GB HBM3)"
)


@pytest.mark.usefixtures("three_gpus")
@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ("cuda:3", f"--devices cuda:3: there is no cuda:3; {THERE}"),
        ("cuda:0,0", "--devices cuda:0,0: cuda:0 is named twice"),
        ("cuda:0+1,1+2", "--devices cuda:0+1,1+2: cuda:1 is named twice"),
        ("cuda:a", f"--devices cuda:a: 'a' is no number, as in cuda:0,2; {THERE}"),
        ("cuda:", f"--devices cuda:: '' is no number, as in cuda:0,2; {THERE}"),
        ("cpu:0", "devices 'cpu:0': write cpu:N, N from 1 to 4096, for N slots that share the 8 cores"),
        ("cpu:-1", "devices 'cpu:-1': write cpu:N, N from 1 to 4096, for N slots that share the 8 cores"),
        ("cpu:two", "devices 'cpu:two': write cpu:N, N from 1 to 4096, for N slots that share the 8 cores"),
        ("cdua", "devices 'cdua' are not known; did you mean 'cuda'?"),
        ("auto:1", "devices 'auto:1' are not known; did you mean 'auto'?"),
        (
            "tpu7000",
            "devices 'tpu7000' are not known; known: auto, cpu, cpu:N, cuda, cuda:0+1,2+3, cuda:0,2",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_what_is_there(devices: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_slots(devices)
    assert str(caught.value) == message


@pytest.mark.usefixtures("four")
def test_without_a_gpu_cuda_says_why() -> None:
    with pytest.raises(UsageError) as caught:
        find_slots("cuda")
    message = "devices 'cuda': there is no GPU here: there is no nvidia-smi; use auto or cpu"
    assert str(caught.value) == message


def test_on_apple_silicon_the_device_is_left_to_the_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    (slot,) = find_slots("auto")
    assert (slot.name, slot.device, slot.gpus) == ("mps:0", "mps", ())
    assert find_slots("cpu")[0].device == "cpu"


def test_the_environment_pins_device_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKENIZERS_PARALLELISM", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    cpu, gpu = Slot("cpu:0", threads=3).environment(), Slot("cuda:1+2", ("1", "GPU-cccc")).environment()
    assert (cpu["CUDA_VISIBLE_DEVICES"], gpu["CUDA_VISIBLE_DEVICES"]) == ("", "1,GPU-cccc")
    assert gpu["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        assert (cpu[name], gpu[name]) == ("3", "1")
    assert (cpu["TOKENIZERS_PARALLELISM"], gpu["TOKENIZERS_PARALLELISM"]) == ("true", "false")
    assert cpu["GOMP_SPINCOUNT"] == "10000"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert "GOMP_SPINCOUNT" not in cpu.__class__(Slot("cpu:0").environment())
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    assert Slot("cpu:0", threads=3).environment()["TOKENIZERS_PARALLELISM"] == "false"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity of processes")
def test_cores_are_those_that_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert 1 <= cores() <= len(allowed)


@pytest.mark.parametrize(
    ("text", "old", "expected"),
    [
        ("150000 100000", None, 2),
        ("max 100000", None, 64),
        (None, ("300000", "100000"), 3),
        (None, ("-1", "1"), 64),
    ],
)
def test_threads_of_one_core_and_a_containers_share_count(
    text: str | None,
    old: tuple[str, str] | None,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    paths = [tmp_path / name for name in ("cpu.max", "quota", "period")]
    for path, content in zip(paths, (text, *(old or (None, None))), strict=True):
        if content is not None:
            path.write_text(content + "\n")
    for cpu in range(128):  # 64 cores of two threads each
        (tmp_path / f"cpu{cpu}").write_text(f"{cpu % 64},{cpu % 64 + 64}\n")
    monkeypatch.setattr(slots, "_QUOTA", paths[0])
    monkeypatch.setattr(slots, "_OLD_QUOTA", tuple(paths[1:]))
    monkeypatch.setattr(slots, "_SIBLINGS", str(tmp_path / "cpu{}"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(128)), raising=False)
    assert cores() == expected

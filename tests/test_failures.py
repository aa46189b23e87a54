"""What an exception makes of the cell that raised it: a status, a reason, and what to try."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import numpy as np
import pytest

from ptbench import DataError, Failure, ModelError, Status
from ptbench.failures import failure_of, held_memory
from ptbench.records import Status as Statuses
from tests import fake_gpus
from tests.fake_gpus import UUIDS

LOG = "logs/x.log"


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


class LocalEntryNotFoundError(FileNotFoundError):
    """As huggingface_hub names it."""


def raised_from(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


CUDA = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.10 GiB"
CPU = (
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), Status.OOM),
        (OutOfMemoryError(CUDA), Status.OOM),
        (RuntimeError("CUDA error: out of memory"), Status.OOM),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            Status.OOM,
        ),
        (RuntimeError(CPU), Status.OOM),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Status.OOM),
        (raised_from(ModelError("the model cannot be loaded"), OutOfMemoryError(CUDA)), Status.OOM),
        (RuntimeError("CUDA error: device-side assert triggered"), Status.CRASHED),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), Status.CRASHED),
        (raised_from(ModelError("it broke"), RuntimeError("device-side assert triggered")), Status.CRASHED),
        (OSError(errno.ENOSPC, "No space left on device"), Status.FAILED),
        (FileNotFoundError(errno.ENOENT, "No such file"), Status.FAILED),
        (ModelError("hf:x: scores are not finite in row 3"), Status.FAILED),
        (DataError("the text says: out of memory, illegal memory"), Status.FAILED),
        (KeyError("x"), Status.FAILED),
        (SystemExit(3), Status.FAILED),
    ],
    ids=lambda one: one if isinstance(one, str) else f"{type(one).__name__}",
)
def test_the_status_is_that_of_the_vocabulary(error: BaseException, status: Status) -> None:
    assert failure_of(error, LOG).status is status


def test_a_real_array_that_is_too_large_says_how_much_it_needed() -> None:
    with pytest.raises(MemoryError) as caught:
        np.empty(2**62, dtype=np.uint8)
    failure = failure_of(caught.value, LOG)
    assert failure.status is Status.OOM
    assert "4.00 EiB" in failure.error
    assert re.search(r"this process holds [\d,]+ MiB, [\d,]+ MiB of the machine are free", failure.advice)
    assert "smaller batch_tokens or batch_size" in failure.advice


def test_memory_of_a_gpu_names_who_holds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    processes = fake_gpus.install(monkeypatch, tmp_path / "bin")
    processes.write_text(f"12, 4096, {UUIDS[0]}\n4711, 70000, {UUIDS[0]}\n")
    failure = failure_of(OutOfMemoryError(CUDA), LOG)
    assert "Tried to allocate 20.00 GiB" in failure.error
    assert failure.advice.endswith("on the GPU now: pid 12, 4,096 MiB, pid 4711, 70,000 MiB")
    processes.write_text("")
    assert held_memory(gpu=True) == "nvidia-smi names no process on the GPU"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "PTBENCH_CACHE"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "--output"),
        (raised_from(DataError("it cannot be written"), OSError(errno.ENOSPC, "full")), "free space"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "ptbench fetch"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "ptbench fetch"),
        (LocalEntryNotFoundError("not in the cache"), "ptbench fetch"),
        (OSError("We couldn't connect to 'https://hub' to load it: offline mode is on"), "ptbench fetch"),
        (ModelError("3 of 9 outputs are not finite numbers"), "fp32"),
        (ModelError("m on t: embed returned NaN or infinity for 3 of 9 examples"), "fp32"),
        (RuntimeError("CUDA error: device-side assert triggered"), "CUDA_LAUNCH_BLOCKING=1"),
    ],
    ids=str,
)
def test_advice_says_what_to_try(error: Exception, advice: str) -> None:
    assert advice in failure_of(error, LOG).advice


def test_what_nobody_knows_has_its_traceback_named() -> None:
    assert failure_of(KeyError("x"), LOG) == Failure(Status.FAILED, "KeyError: 'x'")
    assert failure_of(KeyError("x")) == Failure(Status.FAILED, "KeyError: 'x'")
    assert failure_of(DataError("no column 'a'"), LOG) == Failure(Status.FAILED, "no column 'a'")


def test_a_nan_in_the_data_is_no_matter_of_precision() -> None:
    assert failure_of(DataError("row 3: the target is NaN, and not finite")).advice == ""


def test_a_cause_that_is_its_own_cause_ends() -> None:
    error = RuntimeError("round")
    error.__cause__ = other = ValueError("and round")
    other.__cause__ = error
    assert failure_of(error).status is Status.FAILED


def test_the_documented_vocabulary_is_that_of_the_records() -> None:
    text = (Path(__file__).resolve().parent.parent / "results" / "README.md").read_text("utf-8")
    section = text.split("## Statuses\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [status.value for status in Statuses]

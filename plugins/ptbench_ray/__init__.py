"""Many machines: an executor that hands cells to the nodes of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ptbench import Executor, Option, Record, Slot, Workload, hookimpl


def _run(workload: Workload) -> Iterator[Record]:
    from ptbench_ray.pool import run

    return run(workload)


def _slots(devices: str, options: Mapping[str, Any]) -> tuple[Slot, ...] | None:
    if not options["address"]:
        return None
    from ptbench_ray.slots import cluster_slots

    return cluster_slots(devices, options)


def _address(value: str) -> str | None:
    if value == "auto" or (":" in value and "://" not in value and value.rpartition(":")[2].isdigit()):
        return None
    return "'auto', or 'HOST:PORT' as `ray start --head` prints it, was expected"


def _positive(value: float) -> str | None:
    return None if value > 0 else "a number above 0 was expected"


RAY = Executor(
    name="ray",
    description="One actor per slot in a Ray cluster, or in a Ray that is started on this machine.",
    requires=("ray",),
    options=(
        Option(
            "address",
            (str,),
            "Which cluster to join: 'auto' (the one that this machine belongs to) or 'HOST:PORT'; "
            "without it Ray is started on this machine.",
            check=_address,
        ),
        Option("gpus", (int,), "GPUs of one slot, in a cluster.", default=1, check=_positive),
        Option(
            "wait",
            (float,),
            "Seconds to wait for a first worker, where no slot finds room in the cluster.",
            default=300.0,
            check=_positive,
        ),
    ),
    run=_run,
    slots=_slots,
)


@hookimpl
def ptbench_executors() -> Iterable[Executor]:
    """Offer the executor for those who outgrow one machine."""
    return [RAY]

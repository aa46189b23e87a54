"""The slots of a cluster: what ``--devices`` means where the nodes are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ptbench import Slot, UsageError
from ptbench_ray.cluster import join, nodes


def cluster_slots(devices: str, options: Mapping[str, Any]) -> tuple[Slot, ...]:
    """Return the slots of the cluster at ``options["address"]``; which node has which is Ray's affair.

    ``auto``: one for each GPU (or each ``gpus`` of them on one node), and without GPUs one for each node,
    with all of its CPUs. ``cuda``: those with GPUs. ``cpu``: one for each node; ``cpu:N``: N of them.
    Raises `UsageError` for anything else, and where the cluster has none.
    """
    join(options["address"])
    return sharing(devices, nodes(), options["gpus"])


def sharing(devices: str, nodes: Sequence[tuple[int, int]], gpus: int) -> tuple[Slot, ...]:
    """Return the slots of nodes with so many (CPUs, GPUs).

    >>> [slot.threads for slot in sharing("cpu:3", [(8, 0), (4, 0)], 1)]
    [4, 4, 4]
    >>> [(slot.name, slot.threads) for slot in sharing("auto", [(16, 2), (4, 0)], 1)]
    [('cuda:0', 8), ('cuda:1', 8)]
    """
    kind, _, count = devices.partition(":")
    if kind == "cpu" and (not count or (count.isdigit() and int(count))):
        return _on_cpus([cpus for cpus, _ in nodes if cpus], int(count) if count else None)
    if devices not in ("auto", "cuda"):
        raise UsageError(
            f"devices '{devices}' name those of one machine; in a Ray cluster 'auto', 'cuda', 'cpu' or "
            "'cpu:N' was expected, and the option 'gpus' says how many GPUs a slot has"
        )
    found = _on_gpus(nodes, gpus)
    if not found and devices == "auto":
        return _on_cpus([cpus for cpus, _ in nodes if cpus], None)
    if not found:
        raise UsageError(f"no node of the Ray cluster has {gpus} GPU{'s' if gpus > 1 else ''}")
    return found


def _on_gpus(nodes: Sequence[tuple[int, int]], gpus: int) -> tuple[Slot, ...]:
    shares = [(cpus, min(cpus, has // gpus)) for cpus, has in nodes]  # each needs a CPU that feeds it
    threads = [cpus // share for cpus, share in shares for _ in range(share)]
    names = [[str(gpus * i + j) for j in range(gpus)] for i in range(len(threads))]
    return tuple(
        Slot(f"cuda:{'+'.join(group)}", tuple(group), n) for group, n in zip(names, threads, strict=True)
    )


def _on_cpus(cpus: Sequence[int], count: int | None) -> tuple[Slot, ...]:
    """Give every node one slot, or give ``count`` slots, one after another, where the share is largest."""
    if not cpus or (count or 0) > sum(cpus):
        raise UsageError(f"the Ray cluster has {sum(cpus)} CPUs, and {count or 'some'} were asked for")
    shares = [1] * len(cpus) if count is None else [0] * len(cpus)
    for _ in range(count or 0):
        shares[max(range(len(cpus)), key=lambda i: cpus[i] / (shares[i] + 1))] += 1
    threads = [n // share for n, share in zip(cpus, shares, strict=True) for _ in range(share)]
    return tuple(Slot(f"cpu:{i}", threads=n) for i, n in enumerate(threads))

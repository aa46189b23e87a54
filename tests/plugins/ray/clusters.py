"""Small clusters on this machine, and workloads for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.plugins.ray.toys import make_cell

from ptbench import Event, Executor, Job, Record, Schedule, Slot, WorkerSpec, Workload, installed_versions
from ptbench.catalog import load_catalog

ROOT = Path(__file__).resolve().parents[3]
RAY = load_catalog().get(Executor, "ray")
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}


def start_cluster(**head: Any) -> Any:
    """Start a cluster of one node; its nodes can import the tests."""
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return Cluster(initialize_head=True, head_node_args={**NODE, "env_vars": environment("one"), **head})


def add_node(cluster: Any, name: str, **options: Any) -> Any:
    given = {**NODE, "env_vars": environment(name), **options}
    given.pop("include_dashboard")
    return cluster.add_node(**given)


def environment(name: str, *paths: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(map(str, [*paths, ROOT])), "TOY_NODE": name}


def workload(
    folder: Path,
    does: Sequence[str],
    slots: int = 2,
    *,
    make: str = "make",
    timeout: float | None = None,
    tell: Callable[[Event], None] = lambda event: None,
    base: str = "/",
    versions: dict[str, str] | None = None,
    **options: Any,
) -> Workload:
    """Return a workload of toy cells."""
    cells = [make_cell(name, i, base) for i, name in enumerate(does)]
    jobs = [Job(cell, kind="toy", model=cell.model.name) for cell in cells]
    folder.mkdir(exist_ok=True)
    return Workload(
        schedule=Schedule(jobs, slots),
        slots=tuple(Slot(f"cpu:{i}") for i in range(slots)),
        worker=WorkerSpec(f"tests.plugins.ray.toys:{make}", "a-run", str(folder)),
        folder=folder,
        timeout=timeout,
        tell=tell,
        versions=versions or installed_versions(),
        options=RAY.filled(options),
    )


def run(given: Workload) -> dict[str, Record]:
    """Run a workload; return the records by what the cells do."""
    return {record.model: record for record in RAY.run(given)}

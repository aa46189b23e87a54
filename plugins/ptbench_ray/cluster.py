"""The connection to Ray: a cluster that is joined, or a Ray of our own on this machine."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray

from ptbench import Slot, UsageError
from ptbench_ray.folders import own_folder

STORE = 256 * 2**20
"""Bytes of shared memory for answers on their way; what does not fit goes to the disk."""
CONNECTING = 10.0
"""Seconds for a cluster to answer at its address."""
LONGEST = 8
"""Characters of a temporary folder; a socket's path in it has some 95 more, and may have 107."""

_joined: list[str] = []
"""The address of the cluster that `join` connected this process to."""


@contextmanager
def connected(address: str | None, slots: Sequence[Slot]) -> Iterator[str | None]:
    """Be connected to Ray inside the block; yield the folder of a Ray of our own, of this machine alone.

    A connection that the program had before is used, and left as it is. Raises `UsageError` where there
    is no cluster at the address.
    """
    if ray.is_initialized() and not _joined:
        yield None
        return
    with _quiet():
        if address:
            join(address)
            try:
                yield None
            finally:
                leave()
        else:
            leave()
            with _own_ray(slots) as folder:
                yield folder


def join(address: str) -> None:
    """Connect to a cluster, unless the program is connected. Raises `UsageError` where there is none."""
    if ray.is_initialized() and _joined in ([], [address]):
        return
    leave()
    host, _, port = address.rpartition(":")
    if host:
        try:
            socket.create_connection((host, int(port)), CONNECTING).close()
        except OSError as error:  # Ray itself would try for minutes, or end the process
            raise UsageError(f"no Ray cluster at {address}: {error.strerror or error}") from None
    try:
        _init(address=address)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"no Ray cluster at '{address}' that this machine can join: {reason}") from None
    _joined.append(address)


def leave() -> None:
    """Disconnect from the cluster that `join` connected to."""
    if _joined:
        _joined.clear()
        ray.shutdown()


@contextmanager
def _own_ray(slots: Sequence[Slot]) -> Iterator[str]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine unasked
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a slot without a GPU hides them itself
    base = tempfile.gettempdir()
    folder = own_folder(base if len(base) <= LONGEST else "/tmp", "ptb-ray")  # noqa: S108
    try:
        _init(
            num_cpus=sum(slot.threads for slot in slots),
            num_gpus=0,  # the slots say which GPU is whose
            object_store_memory=STORE,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
        yield folder
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _init(**options: Any) -> None:
    with _own_signals():
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Leave SIGTERM to whom it belonged: Ray takes it while it connects."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Ray says of workers that died off the terminal: the records say it."""
    from ray._private import worker  # there is no public switch

    before = getattr(worker, "_worker_logs_enabled", True)
    level = logging.getLogger("ray").level
    logging.getLogger("ray").setLevel(logging.ERROR)
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before
        logging.getLogger("ray").setLevel(level)


def home() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


def own_node() -> str:
    """Return Ray's id of the node that this process is on."""
    return str(ray.get_runtime_context().get_node_id())


def room() -> str:
    """Return what is free in the cluster, as people read it."""
    free = ray.available_resources()
    return f"{free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs are free on {len(_alive())} nodes"


def nodes() -> list[tuple[int, int]]:
    """Return CPUs and GPUs of each node that is alive, the largest first."""
    found = [node["Resources"] for node in _alive()]
    return sorted(((int(r.get("CPU", 0)), int(r.get("GPU", 0))) for r in found), reverse=True)


def living() -> set[str]:
    """Return Ray's ids of the nodes that are alive."""
    return {node["NodeID"] for node in _alive()}


def _alive() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]

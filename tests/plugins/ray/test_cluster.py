"""A cluster of two nodes on this machine: who works where, what comes home, and what dies."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Ptbench, Written
from tests.plugins.ray.clusters import RAY, add_node, environment, run, start_cluster, workload
from tests.plugins.ray.toys import make_cell

from ptbench import Event, Slot, Status, UsageError, testing

pytest.importorskip("ray")


SUITE = """
[suite]
name = "small"

[models]
majority = "baseline:majority"
random = "baseline:random"
words = "sklearn:tfidf"

[tasks]
sst2 = { use = "lite/sst2", limit = { train = 200, validation = 60, test = 80 } }
cola = { use = "lite/cola", limit = { train = 200, validation = 60, test = 80 } }

[[grid]]
protocols = ["linear_probe"]
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    cluster = start_cluster()
    add_node(cluster, "two")
    yield cluster
    cluster.shutdown()


def ended(pid: int, within: float = 2.0) -> bool:
    """Return whether a process is gone, or a zombie, within so many seconds."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.timeout(600)  # a dozen runs, each with new actors
def test_ray_keeps_the_promises_of_executors(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ptbench_ray.pool.LATE", 0.5)  # one of its runs has three slots for two CPUs
    testing.check_executor(RAY, {"address": cluster.address})


def test_each_node_works_in_a_folder_of_its_own_and_files_come_home(cluster: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    given = workload(folder, ["sleep-1", "sleep-1", *["write"] * 6, "print"], address=cluster.address)
    records = list(RAY.run(given))
    assert [record.status for record in records] == [Status.OK] * 9
    assert {record.facts["node"] for record in records} == {"one", "two"}
    assert {record.slot for record in records} == {"cpu:0", "cpu:1"}
    assert len({record.facts["folder"] for record in records} - {str(folder)}) == 2
    assert all(
        record.facts["pinned"] == {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} for record in records
    )
    written = [record for record in records if record.model == "write"]
    for record in written:
        assert (folder / record.files[0]).read_bytes() == record.cell.encode() * 1000
        assert not (Path(record.facts["folder"]) / record.files[0]).exists()
    (printed,) = (record for record in records if record.model == "print")
    said = (folder / printed.log).read_text().split("\n")
    assert sorted(filter(None, said)) == ["said by a child", "said out loud", "said to stderr"]
    expected = {f"predictions/{record.cell}.bin" for record in written} | {printed.log}
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == expected


def test_whatever_a_cell_does_is_its_own_affair(
    cluster: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    does = ["raise", "leave", "interrupt", "exit", "segfault", "escape", "forget", "fail", "warn", "write"]
    records = run(workload(folder, does, address=cluster.address))
    assert {name: record.status for name, record in records.items()} == {
        "raise": Status.FAILED, "leave": Status.FAILED, "interrupt": Status.FAILED, "exit": Status.CRASHED,
        "segfault": Status.CRASHED, "escape": Status.FAILED, "forget": Status.FAILED, "fail": Status.FAILED,
        "warn": Status.OK, "write": Status.OK,
    }  # fmt: skip
    here = socket.gethostname()
    assert records["raise"].error.startswith("RuntimeError: broken in two lines")
    assert "SystemExit: 3" in records["leave"].error
    assert records["interrupt"].error == "KeyboardInterrupt"
    assert "toys.py" in (folder / records["interrupt"].log).read_text()
    assert f"its process on node {here} died" in records["exit"].error
    died = f"its process on node {here} died (Segmentation fault): in string_at, __init__.py, line "
    assert records["segfault"].error.startswith(died)
    assert all("--retry-failed" in records[name].advice for name in ("exit", "segfault"))
    assert "last words" in (folder / records["segfault"].log).read_text()
    assert "RuntimeError: broken" in (folder / records["raise"].log).read_text()
    assert "outside of the folder of the run: '../escaped'" in records["escape"].error
    assert "never-written.bin" in records["forget"].error
    assert records["fail"].error == "no file 'a.csv'"
    assert "beware" in (folder / records["warn"].log).read_text()
    assert all(record.kind == "toy" and record.run == "a-run" for record in records.values())
    assert not list(tmp_path.rglob("escaped"))
    assert capfd.readouterr() == ("", "")


def test_a_suite_gives_the_bits_of_serial(
    cluster: Any, ptbench: Ptbench, written: Written, tmp_path: Path
) -> None:
    suite = written("small.toml", SUITE)
    found: dict[str, dict[str, bytes]] = {}
    for executor, options in (("serial", ["--devices", "cpu"]), ("ray", ["--address", cluster.address])):
        called = ptbench("run", suite, "--executor", executor, *options, "--output", tmp_path / executor)
        assert called.code == 0, called.err
        (folder,) = (tmp_path / executor / "small").iterdir()
        found[executor] = {path.name: path.read_bytes() for path in (folder / "predictions").iterdir()}
        slots = json.loads((folder / "run.json").read_text())["slots"]
    assert slots == ["cpu:0", "cpu:1"]
    assert len(found["serial"]) == 6
    assert found["ray"] == found["serial"]


def test_ray_says_which_gpus_a_slot_has(cluster: Any, tmp_path: Path) -> None:
    node = add_node(cluster, "gpus", num_cpus=4, num_gpus=4)  # Ray takes our word for it
    cluster.wait_for_nodes()
    try:
        options = {"address": cluster.address, "gpus": 2}
        slots = RAY.slots("auto", RAY.filled(options)) if RAY.slots else None
        assert slots == (Slot("cuda:0+1", ("0", "1"), 2), Slot("cuda:2+3", ("2", "3"), 2))
        given = replace(workload(tmp_path, ["sleep-1", "sleep-1.1"], **options), slots=slots)
        records = run(given)
    finally:
        cluster.remove_node(node)
    pinned = [record.facts["pinned"] for record in records.values()]
    assert {one["CUDA_VISIBLE_DEVICES"] for one in pinned} == {"0,1", "2,3"}
    assert {one["OMP_NUM_THREADS"] for one in pinned} == {"2"}


def test_a_cell_that_takes_too_long_is_ended_and_the_slot_works_on(cluster: Any, tmp_path: Path) -> None:
    given = workload(tmp_path, ["hang", "write"], 1, timeout=1.0, address=cluster.address)
    records = run(given)
    assert records["hang"].status is Status.TIMEOUT
    assert records["hang"].error == "ended after 1 s, the most a cell may take, it was in phase 'embed'"
    assert "toys.py" in (tmp_path / records["hang"].log).read_text()
    assert "the end of the log" in records["hang"].advice
    assert records["write"].status is Status.OK


def test_closing_ends_the_workers_and_leaves_the_cluster(cluster: Any, tmp_path: Path) -> None:
    started: list[Event] = []
    given = workload(
        tmp_path, ["write", "hang", "hang", "hang"], address=cluster.address, tell=started.append
    )
    pids = set()
    with closing(RAY.run(given)) as records:  # type: ignore[type-var]
        first = next(iter(records))
        pids.add(first.facts["pid"])
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert all(ended(pid) for pid in pids)
    assert run(workload(tmp_path, ["write"], 1, address=cluster.address))["write"].status is Status.OK


def test_progress_and_events_are_told_while_cells_run(cluster: Any, tmp_path: Path) -> None:
    told: list[Event] = []
    run(workload(tmp_path, ["sleep-2"], 1, tell=told.append, address=cluster.address))
    assert [event.what for event in told if event.what != "progress"] == ["started", "ended"]
    progress = [event.examples for event in told if event.what == "progress"]
    assert 2 <= len(progress) <= 6
    assert progress == sorted(progress)
    assert 0 < progress[-1] <= 70
    assert all(event.memory_mb and event.memory_mb > 10 for event in told if event.what == "progress")
    assert {event.cell for event in told} == {make_cell("sleep-2").id}


def test_a_node_that_lacks_the_suites_folder_is_named(cluster: Any, tmp_path: Path) -> None:
    base = str(tmp_path / "only-at-home")
    record = run(workload(tmp_path, ["fail"], 1, base=base, address=cluster.address))["fail"]
    assert record.error == f"no file 'a.csv' (node {socket.gethostname()} lacks the suite's folder {base})"


def test_a_worker_that_cannot_be_made_fails_every_cell_with_the_reason(cluster: Any, tmp_path: Path) -> None:
    told: list[Event] = []
    given = workload(
        tmp_path, ["write", "print"], make="make_nothing", address=cluster.address, tell=told.append
    )
    records = run(given)
    assert {record.status for record in records.values()} == {Status.FAILED}
    assert all("ValueError: no way to make a-run" in record.error for record in records.values())
    assert sum(event.what == "warning" for event in told) == 2


def test_a_slot_without_room_does_not_hold_the_others(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ptbench_ray.pool.LATE", 0.5)
    records = list(RAY.run(workload(tmp_path, ["write"] * 5, 3, address=cluster.address)))
    assert [record.status for record in records] == [Status.OK] * 5


def test_a_cluster_without_room_is_told_before_any_cell(cluster: Any, tmp_path: Path) -> None:
    given = workload(tmp_path, ["write"], 1, address=cluster.address, wait=0.5)
    given = replace(given, slots=(Slot("cpu:0", threads=64),))
    with pytest.raises(
        UsageError, match=r"no worker came up in the Ray cluster for 0.5 s: a slot needs 64 CPUs"
    ):
        list(RAY.run(given))


def test_there_is_no_cluster_at_the_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UsageError, match=f"no Ray cluster at 127.0.0.1:{port}: Connection refused"):
        list(RAY.run(workload(tmp_path, ["write"], 1, address=f"127.0.0.1:{port}")))


def test_the_slots_of_a_cluster_are_those_of_its_nodes(cluster: Any) -> None:
    assert RAY.slots is not None
    slots = RAY.slots("auto", RAY.filled({"address": cluster.address}))
    assert slots is not None
    assert [(slot.name, slot.gpus, slot.threads) for slot in slots] == [("cpu:0", (), 1), ("cpu:1", (), 1)]
    with pytest.raises(UsageError, match="no node of the Ray cluster has 1 GPU"):
        RAY.slots("cuda", RAY.filled({"address": cluster.address}))
    assert RAY.slots("auto", RAY.filled({})) is None


def test_a_node_that_dies_costs_the_cell_that_it_had(cluster: Any, tmp_path: Path) -> None:
    third = add_node(cluster, "three")
    cluster.wait_for_nodes()
    told: list[Event] = []

    def tell(event: Event) -> None:
        told.append(event)
        busy = {event.slot for event in told if event.what == "progress" and event.examples}
        if len(busy) == 3 and third in cluster.list_all_nodes():
            cluster.remove_node(third, allow_graceful=False)

    does = ["sleep-3", "sleep-3.1", "sleep-3.2", "sleep-0.1"]
    records = run(workload(tmp_path, does, 3, address=cluster.address, tell=tell))
    assert len(records) == 4
    (lost,) = (record for record in records.values() if record.status is not Status.OK)
    assert lost.status is Status.CRASHED
    assert lost.error.startswith(f"its node {socket.gethostname()} ")
    assert lost.advice == "it may work on another node: --retry-failed"
    nodes = {record.facts["node"] for record in records.values() if record is not lost}
    assert nodes == {"one", "two"}


def test_versions_that_differ_stop_the_run_before_any_cell(cluster: Any, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    info = packages / "timm-99.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: timm\nVersion: 99.1\n")
    other = add_node(cluster, "other", env_vars=environment("other", packages))
    cluster.wait_for_nodes()
    told: list[Event] = []
    try:
        with pytest.raises(UsageError) as caught:
            list(RAY.run(workload(tmp_path, ["write"] * 4, 3, address=cluster.address, tell=told.append)))
    finally:
        cluster.remove_node(other)
    here = socket.gethostname()
    assert str(caught.value).startswith(f"node {here} has other versions than this machine, {here}: timm")
    assert "99.1 there" in str(caught.value)
    assert told == []

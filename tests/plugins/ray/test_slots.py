"""What --devices means in a cluster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench import UsageError

pytest.importorskip("ray")

from ptbench_ray.slots import sharing

NODES = [(32, 8), (16, 2), (8, 0)]


@pytest.mark.parametrize(
    ("devices", "gpus", "expected"),
    [
        ("auto", 1, [("cuda", 4, 1)] * 8 + [("cuda", 8, 1)] * 2),
        ("cuda", 2, [("cuda", 8, 2)] * 4 + [("cuda", 16, 2)]),
        ("cuda", 4, [("cuda", 16, 4)] * 2),
        ("auto", 16, [("cpu", 32, 0), ("cpu", 16, 0), ("cpu", 8, 0)]),
        ("cpu", 1, [("cpu", 32, 0), ("cpu", 16, 0), ("cpu", 8, 0)]),
        ("cpu:4", 1, [("cpu", 10, 0)] * 3 + [("cpu", 16, 0)]),
        ("cpu:1", 1, [("cpu", 32, 0)]),
    ],
)
def test_slots_are_shares_of_nodes(devices: str, gpus: int, expected: list[tuple[str, int, int]]) -> None:
    slots = sharing(devices, NODES, gpus)
    assert [(slot.device, slot.threads, len(slot.gpus)) for slot in slots] == expected
    assert len({slot.name for slot in slots}) == len(slots)


@given(nodes=st.lists(st.tuples(st.integers(1, 64), st.integers(0, 8)), min_size=1), data=st.data())
def test_no_node_is_given_more_than_it_has(nodes: list[tuple[int, int]], data: st.DataObject) -> None:
    cpus = sum(n for n, _ in nodes)
    asked = data.draw(st.integers(1, cpus))
    slots = sharing(f"cpu:{asked}", nodes, 1)
    assert len(slots) == asked
    assert min(slot.threads for slot in slots) >= 1
    assert sum(slot.threads for slot in slots) <= cpus
    gpus = data.draw(st.integers(1, 4))
    if any(has >= gpus for _, has in nodes):
        slots = sharing("cuda", nodes, gpus)
        assert sum(slot.threads for slot in slots) <= cpus
        assert sum(len(slot.gpus) for slot in slots) <= sum(n for _, n in nodes)
        assert len({gpu for slot in slots for gpu in slot.gpus}) == gpus * len(slots)


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ("cuda:0,2", "devices 'cuda:0,2' name those of one machine"),
        ("cpu:0", "'cpu:N' was expected"),
        ("cpu:57", "the Ray cluster has 56 CPUs, and 57 were asked for"),
        ("cuda", "no node of the Ray cluster has 9 GPUs"),
    ],
)
def test_what_a_cluster_does_not_have_is_refused(devices: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sharing(devices, NODES, 9)

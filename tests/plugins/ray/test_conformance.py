"""The executor keeps the promises of all executors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.plugins.ray.clusters import RAY, add_node, start_cluster

import ptbench_ray
from ptbench import testing

pytest.importorskip("ray")


@pytest.fixture
def cluster() -> Iterator[Any]:
    cluster = start_cluster(num_cpus=2)
    add_node(cluster, "two")
    yield cluster
    cluster.shutdown()


def test_the_plugin_conforms() -> None:
    (offer,) = testing.check_plugin(ptbench_ray).offers
    assert offer == RAY


def test_ray_keeps_the_promises_of_executors(cluster: Any) -> None:
    testing.check_executor(RAY, {"address": cluster.address})

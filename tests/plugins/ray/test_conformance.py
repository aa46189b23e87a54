"""The plugin loads, and imports nothing heavy before it is used."""

from __future__ import annotations

import pytest
from tests.plugins.ray.clusters import RAY

import ptbench_ray
from ptbench import testing


def test_the_plugin_conforms() -> None:
    (offer,) = testing.check_plugin(ptbench_ray).offers
    assert offer == RAY


@pytest.mark.parametrize(
    ("address", "expected"), [("auto", None), ("10.0.0.1:6379", None), ("ray://a:10001", str), ("here", str)]
)
def test_an_address_is_checked_before_anything_runs(address: str, expected: type | None) -> None:
    (option,) = (option for option in RAY.options if option.name == "address")
    found = option.check(address)
    assert found is None if expected is None else isinstance(found, expected)

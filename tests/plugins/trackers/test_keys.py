"""Names of metrics go to MLflow and come back."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ptbench_trackers.keys import MAX_KEY, key_of, name_of

NAMES = st.one_of(st.text(max_size=30), st.text("ab:./_- 0", max_size=12))


@given(NAMES)
def test_a_name_comes_back(name: str) -> None:
    assert name_of(key_of(name)) == name


@given(NAMES, NAMES)
def test_names_that_differ_have_keys_that_differ(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)


@given(st.text(max_size=400))
def test_every_key_is_one_that_mlflow_takes(name: str) -> None:
    key = key_of(name)
    assert re.fullmatch(r"[A-Za-z0-9_.\- :]+", key)
    assert len(key) <= MAX_KEY
    assert key not in (".", "..")


def test_a_name_that_is_too_long_is_told_from_others_and_not_decoded() -> None:
    one, other = "x" * 300, "x" * 299 + "y"
    assert key_of(one) != key_of(other)
    assert name_of(key_of(one)) is None

"""Holm's correction against statsmodels."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from ptbench.statistics.multiple import holm

P = st.floats(0, 1)


@settings(max_examples=30, deadline=None)
@given(st.lists(P, min_size=1, max_size=30))
def test_it_equals_statsmodels(p: list[float]) -> None:
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]), abs=1e-12)


@settings(deadline=None)
@given(st.lists(P | st.just(math.nan), max_size=30))
def test_nan_stays_and_counts_as_no_question(p: list[float]) -> None:
    adjusted = holm(p)
    asked = [value for value in p if not math.isnan(value)]
    assert [math.isnan(value) for value in adjusted] == [math.isnan(value) for value in p]
    assert [value for value in adjusted if not math.isnan(value)] == holm(asked)


@settings(deadline=None)
@given(st.lists(P, min_size=2, max_size=30))
def test_a_smaller_p_never_becomes_a_larger_one(p: list[float]) -> None:
    pairs = sorted(zip(p, holm(p), strict=True))
    assert all(before <= after for (_, before), (_, after) in pairwise(pairs))
    assert all(value <= adjusted <= 1 for value, adjusted in pairs)


def test_nothing_asked_is_nothing_adjusted() -> None:
    assert holm([]) == []
    assert holm([0.05]) == [0.05]

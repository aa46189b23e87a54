"""Places and letters: what they say is just what was shown."""

from __future__ import annotations

import time
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ptbench.statistics.multiple import holm
from ptbench.statistics.ranks import compact_letters, different, places


@st.composite
def relations(draw: st.DrawFn) -> np.ndarray:
    m = draw(st.integers(1, 12))
    apart = np.zeros((m, m), dtype=bool)
    for i, j in combinations(range(m), 2):
        apart[i, j] = apart[j, i] = draw(st.booleans())
    return apart


def _letters(groups: list[str]) -> list[set[str]]:
    spaced = any(" " in group for group in groups)
    return [set(group.split() if spaced else group) for group in groups]


@settings(deadline=None)
@given(relations())
def test_two_share_a_letter_just_if_they_cannot_be_told_apart(apart: np.ndarray) -> None:
    letters = _letters(compact_letters(apart, range(len(apart))))
    assert all(letters)
    for i, j in combinations(range(len(apart)), 2):
        assert bool(letters[i] & letters[j]) == (not apart[i, j])


@settings(deadline=None)
@given(relations(), st.randoms(use_true_random=False))
def test_places_count_who_is_shown_to_be_better_or_worse(apart: np.ndarray, random: object) -> None:
    m = len(apart)
    goodness = np.arange(m, 0, -1, dtype=float)  # the first is the best
    for i, place in enumerate(places(goodness, apart)):
        assert place.low == 1 + apart[i, :i].sum()
        assert place.high == m - apart[i, i + 1 :].sum()
        assert place.low <= i + 1 <= place.high


def test_the_best_has_the_first_letter() -> None:
    apart = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]], dtype=bool)
    assert [place.group for place in places(np.array([3.0, 2.0, 1.0]), apart)] == ["a", "ab", "b"]
    assert [place.group for place in places(np.array([1.0, 2.0, 3.0]), apart)] == ["b", "ab", "a"]
    assert [(place.low, place.high) for place in places(np.array([3.0, 2.0, 1.0]), apart)] == [
        (1, 2), (1, 3), (2, 3),
    ]  # fmt: skip


def test_beyond_z_letters_are_doubled_and_spaced() -> None:
    letters = compact_letters(~np.eye(30, dtype=bool), range(30))
    assert (letters[0], letters[25], letters[26], letters[29]) == ("a", "z", "aa", "ad")
    chain = abs(np.subtract.outer(np.arange(30), np.arange(30))) > 1
    assert compact_letters(chain, range(30))[26:28] == ["z aa", "aa ab"]


def test_who_differs_is_found_by_holm_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    p = rng.random((9, 9)) ** 6
    p = np.triu(p, 1) + np.triu(p, 1).T
    upper = np.triu_indices(9, 1)
    expected = [adjusted <= 0.05 for adjusted in holm(p[upper].tolist())]
    found = different(p)
    assert found[upper].tolist() == expected
    assert any(expected)
    assert not all(expected)
    assert (found == found.T).all()
    p[0, 1] = p[1, 0] = np.nan
    assert not different(p)[0, 1]


def test_many_models_take_no_time() -> None:
    rng = np.random.default_rng(1)
    apart = rng.random((100, 100)) < 0.5  # the worst that there is: no order at all
    apart = np.triu(apart, 1) | np.triu(apart, 1).T
    began = time.perf_counter()
    compact_letters(apart, range(100))
    assert time.perf_counter() - began < 10

"""Change points against brute force, against noise of known size, and on series whose answer is plain."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ptbench.segmentation import SHORTEST, Segmentation, estimate_noise, partition, penalty_of, segment

NAN = math.nan
CHANCE = 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / 2000)
"""One series of twenty, as far as 2,000 series can tell."""
numbers = st.floats(-5, 5, allow_nan=False, width=32)
rows = st.lists(numbers, max_size=9)


def cost(values: list[float], cuts: list[int], penalty: float) -> float:
    """Squares about the means of the stretches, and the penalties."""
    ends = [0, *cuts, len(values)]
    parts = [np.array(values[a:b]) for a, b in itertools.pairwise(ends)]
    return sum(float(((part - part.mean()) ** 2).sum()) for part in parts if len(part)) + penalty * len(cuts)


def least(values: list[float], penalty: float) -> float:
    """The least cost of all ways to cut a series: every one is tried."""
    found = []
    for count in range(len(values)):
        for cuts in itertools.combinations(range(1, len(values)), count):
            if all(b - a >= SHORTEST for a, b in itertools.pairwise([0, *cuts, len(values)])):
                found.append(cost(values, list(cuts), penalty))  # noqa: PERF401
    return min(found, default=cost(values, [], penalty))


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=4), st.floats(0.1, 20))
def test_the_cuts_are_the_best_of_all_there_are(series: list[list[float]], penalty: float) -> None:
    found = partition([np.array(one, dtype=float) for one in series], [penalty] * len(series))
    for values, cuts in zip(series, found, strict=True):
        ends = [0, *cuts, len(values)]
        assert not cuts or min(b - a for a, b in itertools.pairwise(ends)) >= SHORTEST
        assert least(values, penalty) == pytest.approx(cost(values, cuts, penalty), abs=1e-8)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 1000), st.floats(-100, 100))
def test_units_make_no_difference(seed: int, factor: float, offset: float) -> None:
    values = stepped(seed, 40, 20, 3.0)
    (expected,), (found,) = segment([values]), segment([values * factor + offset])
    assert (found.starts, found.outliers) == (expected.starts, expected.outliers)
    assert found.levels == pytest.approx([level * factor + offset for level in expected.levels])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 29), max_size=20))
def test_nights_without_a_number_are_as_if_they_were_not(seed: int, gaps: list[int]) -> None:
    values = stepped(seed, 30, 15, 4.0)
    with_gaps = np.insert(values, gaps, NAN)
    there = np.flatnonzero(np.isfinite(with_gaps))
    (expected,), (found,) = segment([values]), segment([with_gaps])
    assert found.starts == tuple(there[list(expected.starts)]) if expected.starts else not found.starts
    assert found.levels == expected.levels
    assert found.noise == expected.noise


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5))
def test_series_do_not_touch_each_other(seeds: list[int]) -> None:
    series = np.stack([stepped(seed, 25, 3 + seed % 20, 3.0) for seed in seeds])
    series[0, :10] = NAN
    assert segment(series) == [one for row in series for one in segment(row[None])]


def stepped(seed: int, nights: int, at: int, step: float) -> NDArray[np.float64]:
    """Normal noise of standard deviation 1 about a level that moves once."""
    values = np.random.default_rng(seed).normal(size=nights)
    values[at:] += step
    return values


@pytest.mark.parametrize("nights", [4, 6, 10, 30, 100])
def test_noise_alone_changes_in_less_than_one_series_of_twenty(nights: int) -> None:
    series = np.random.default_rng(nights).normal(size=(2000, nights))
    found = segment(series)
    assert np.mean([bool(one.starts) for one in found]) < CHANCE
    known = segment(series, np.ones(2000))
    assert np.mean([bool(one.starts) for one in known]) < CHANCE
    assert np.mean([len(one.outliers) for one in found]) < 0.02


def test_a_step_of_two_deviations_is_found_in_some_nights_and_at_its_place() -> None:
    series = np.random.default_rng(0).normal(size=(1000, 108))
    series[:, 100:] += 2
    found = [one.starts for one in segment(series)]
    assert np.mean([len(starts) == 1 for starts in found]) > 0.88
    places = np.array([starts[0] for starts in found if len(starts) == 1])
    assert np.mean(np.abs(places - 100) <= 2) > 0.9
    assert np.mean(np.abs(places - 100) <= 4) > 0.97


def test_a_series_that_repeats_itself_shows_any_change() -> None:
    values = [0.9] * 20 + [0.8999] * 2
    (found,) = segment([values])
    assert found.starts == (20,)
    assert found.levels == pytest.approx((0.9, 0.8999))
    (found,) = segment([[0.2] * 5 + [0.9] * 10 + [0.9001] * 5])  # a small one beside a large one
    assert found.starts == (5, 15)


def test_rounding_is_no_change() -> None:
    (found,) = segment([[0.1 + 0.2] * 10 + [0.3] * 10])
    assert found.starts == ()


def test_scores_that_flip_now_and_then_are_noise() -> None:
    values = np.full(60, 0.8)
    values[[5, 6, 10, 14, 15, 16, 21, 25, 29, 33, 34, 42, 46, 50, 51, 58]] = 0.81
    (found,) = segment([values])
    assert found.noise == pytest.approx(0.01 / 1.1503494 / math.sqrt(2))
    assert found.starts == ()


def test_one_night_off_is_an_outlier_and_no_two_changes() -> None:
    values = np.random.default_rng(1).normal(size=40)
    values[17] += 30
    (found,) = segment([values])
    assert (found.starts, found.outliers) == ((), (17,))
    (found,) = segment([[0.9] * 8 + [0.1] + [0.9] * 8])
    assert (found.starts, found.outliers, found.levels) == ((), (8,), (pytest.approx(0.9),))


def test_the_last_night_stands_out_until_another_confirms_it() -> None:
    (night,) = segment([[0.9] * 8 + [0.5]])
    assert (night.starts, night.outliers) == ((), (8,))
    (next_night,) = segment([[0.9] * 8 + [0.5] * 2])
    assert (next_night.starts, next_night.outliers) == ((8,), ())


def test_two_bad_nights_are_a_change_there_and_back() -> None:
    (found,) = segment([[0.9] * 8 + [0.5] * 2 + [0.9] * 8])
    assert found.starts == (8, 10)
    assert found.levels == pytest.approx((0.9, 0.5, 0.9))


def test_an_outlier_beside_a_step_hides_nothing() -> None:
    (found,) = segment([[0.9] * 8 + [0.1] + [0.8] * 8])
    assert (found.starts, found.outliers) == ((9,), (8,))


@pytest.mark.parametrize(
    ("values", "levels"),
    [([], ()), ([NAN] * 5, ()), ([0.5], (0.5,)), ([0.0] * 9, (0.0,)), ([0.5, NAN, 0.9], (0.7,))],
)
def test_what_is_too_short_or_never_moves_has_no_change(
    values: list[float], levels: tuple[float, ...]
) -> None:
    (found,) = segment(np.array([values], dtype=float))
    assert (found.starts, found.outliers) == ((), ())
    assert found.levels == pytest.approx(levels)


def test_the_noise_is_that_of_the_nights_whatever_the_level_does() -> None:
    values = np.random.default_rng(2).normal(size=20_000) * 0.3
    values += np.repeat(np.arange(20), 1000)
    assert estimate_noise(values) == pytest.approx(0.3, rel=0.03)
    assert estimate_noise(np.array([1.0, 2.0, 1.0, 2.0])) == pytest.approx(
        1 / 0.6744897501960817 / math.sqrt(2)
    )
    assert estimate_noise(np.array([1.0])) == 0


def test_known_noise_is_believed() -> None:
    values = [0.0] * 10 + [1.0] * 10
    assert [one.starts for one in segment([values, values], [0.1, 10.0])] == [(10,), ()]


def test_the_penalty_is_that_of_the_modified_bic() -> None:
    assert penalty_of(100, known=True) == pytest.approx(3 * math.log(100))
    assert penalty_of(100, known=False) == pytest.approx(3.3 * math.log(100))


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3,\).*\[series, nights\]"):
        segment([1.0, 2.0, 3.0])


def test_what_is_found_is_told() -> None:
    (found,) = segment([[1.0, 1.0, 2.0, 2.0]])
    assert found == Segmentation((2,), (), (1.0, 2.0), pytest.approx(1e-5))

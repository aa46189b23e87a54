"""Change points against brute force, against noise of known size, and on series whose answer is plain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ptbench.confirmation import FEWEST, chance_of, confirmed
from ptbench.segmentation import (
    SHORTEST,
    Segmentation,
    estimate_noise,
    partition,
    penalty_of,
    robust_noise,
    segment,
)

NAN = math.nan
CHANCE = 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / 2000)
"""One series of twenty, as far as 2,000 series can tell."""
numbers = st.floats(-5, 5, allow_nan=False, width=32)
rows = st.lists(numbers, max_size=9)
Noise = Callable[[np.random.Generator, tuple[int, int], float], NDArray[np.float64]]


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
    assert np.mean([len(one.outliers) for one in found]) < 0.04


def flips(draw: np.random.Generator, shape: tuple[int, int], share: float) -> NDArray[np.float64]:
    """Scores in which one example is now right and now wrong."""
    return 0.8 + 0.001 * (draw.random(shape) < share)


def hiccups(draw: np.random.Generator, shape: tuple[int, int], share: float) -> NDArray[np.float64]:
    """Logarithms of seconds that now and then are 30 % more."""
    return 0.03 * draw.normal(size=shape) + math.log(1.3) * (draw.random(shape) < share)


@pytest.mark.parametrize("nights", [8, 20, 60, 300, 1000])
@pytest.mark.parametrize(
    ("noise", "share"), [(flips, 0.05), (flips, 0.1), (flips, 0.4), (hiccups, 0.1), (hiccups, 0.03)]
)
def test_noise_that_is_not_normal_changes_no_more_often(noise: Noise, share: float, nights: int) -> None:
    count = 600 if nights < 300 else 150
    series = noise(np.random.default_rng(nights), (count, nights), share)
    alarms = np.mean([bool(one.starts) for one in segment(series)])
    assert alarms < 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / count)


def test_a_step_in_scores_that_flip_is_found() -> None:
    series = flips(np.random.default_rng(0), (200, 70), 0.1)
    series[:, 60:] -= 0.002
    starts = [one.starts for one in segment(series)]
    assert np.mean([len(one) == 1 for one in starts]) > 0.95
    assert np.mean([60 in one for one in starts]) > 0.95


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=3, max_size=20), st.integers(1, 19))
def test_the_chance_of_a_cut_is_that_of_fishers_exact_test(values: list[float], cut: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    cut = min(cut, len(values) - 1)
    before, after = np.array(values[:cut]), np.array(values[cut:])
    short, long = sorted((before, after), key=len)
    middle = (short.mean() + long.mean()) / 2
    sign = 1 if short.mean() > middle else -1
    table = [[int((sign * one > sign * middle).sum()), int((sign * one <= sign * middle).sum())]
             for one in (short, long)]  # fmt: skip
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    levels = float(before.mean()), float(after.mean())
    assert chance_of(before, after, levels) == pytest.approx(expected)


def test_a_cut_that_convinces_nobody_goes_and_the_others_are_asked_anew() -> None:
    values = np.array([0.0] * 12 + [1.0] * 12)
    assert confirmed(values, [12]) == [12]
    assert confirmed(values, [5, 12, 20]) == [12]
    assert confirmed(values[:14], [12]) == []
    assert confirmed(values, []) == []
    values = np.array([0.9] * 5 + [0.8] * 3 + [0.3])  # the last is beyond the middle of the levels without it
    assert confirmed(values, [5], [8]) == [5]


def test_so_many_nights_are_needed_to_tell_a_change_from_chance() -> None:
    found = {
        nights: [a for a in range(nights + 1) if segment([[0.9] * a + [0.5] * (nights - a)])[0].starts]
        for nights in range(1, FEWEST + 1)
    }
    assert found == {**{few: [] for few in range(1, FEWEST)}, FEWEST: [3, 4, 5]}


def test_a_step_of_two_deviations_is_found_in_some_nights_and_at_its_place() -> None:
    series = np.random.default_rng(0).normal(size=(1000, 108))
    series[:, 100:] += 2
    found = [one.starts for one in segment(series)]
    assert np.mean([len(starts) == 1 for starts in found]) > 0.83
    places = np.array([starts[0] for starts in found if len(starts) == 1])
    assert np.mean(np.abs(places - 100) <= 2) > 0.9
    assert np.mean(np.abs(places - 100) <= 4) > 0.97


def test_a_series_that_repeats_itself_shows_any_change() -> None:
    values = [0.9] * 20 + [0.8999] * 3
    (found,) = segment([values])
    assert found.starts == (20,)
    assert found.levels == pytest.approx((0.9, 0.8999))
    (found,) = segment([[0.2] * 5 + [0.9] * 10 + [0.9001] * 5])  # a small one beside a large one
    assert found.starts == (5, 15)


def test_rounding_is_no_change() -> None:
    (found,) = segment([[0.1 + 0.2] * 10 + [0.3] * 10])
    assert found.starts == ()


def test_one_night_off_is_an_outlier_and_no_two_changes() -> None:
    values = np.random.default_rng(1).normal(size=40)
    values[17] += 30
    (found,) = segment([values])
    assert (found.starts, found.outliers) == ((), (17,))
    (found,) = segment([[0.9] * 8 + [0.1] + [0.9] * 8])
    assert (found.starts, found.outliers, found.levels) == ((), (8,), (pytest.approx(0.9),))


def test_the_last_nights_stand_out_until_a_third_confirms_them() -> None:
    for many in (1, 2):
        (night,) = segment([[0.9] * 8 + [0.5] * many])
        assert (night.starts, night.outliers) == ((), tuple(range(8, 8 + many)))
    (next_night,) = segment([[0.9] * 8 + [0.5] * 3])
    assert (next_night.starts, next_night.outliers) == ((8,), ())


@pytest.mark.parametrize("nights", [5, 20, 300, 1000])
def test_three_nights_show_a_step_in_a_series_that_repeats_itself(nights: int) -> None:
    assert segment([[0.8] * nights + [0.79] * 3])[0].starts == (nights,)


def test_two_bad_nights_are_outliers_and_three_are_a_change_there_and_back() -> None:
    (found,) = segment([[0.9] * 8 + [0.5] * 2 + [0.9] * 8])
    assert (found.starts, found.outliers) == ((), (8, 9))
    (found,) = segment([[0.9] * 8 + [0.5] * 3 + [0.9] * 8])
    assert found.starts == (8, 11)
    assert found.levels == pytest.approx((0.9, 0.5, 0.9))


def test_jumps_that_are_not_rare_are_noise_and_no_outliers() -> None:
    values = np.zeros(60)
    values[5:60:7] = 1
    (found,) = segment([values])
    assert (found.starts, found.outliers) == ((), ())
    assert found.noise == pytest.approx(math.sqrt(16 / 59 / 2))


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
    assert robust_noise(values) == pytest.approx(0.3, rel=0.03)
    assert estimate_noise(values, range(1000, 20_000, 1000)) == pytest.approx(0.3, rel=0.02)
    assert estimate_noise(np.array([1.0, 2.0, 1.0, 2.0])) == pytest.approx(math.sqrt(0.5))
    assert (estimate_noise(np.array([1.0])), robust_noise(np.array([1.0]))) == (0, 0)
    assert robust_noise(np.array([1.0, 2.0, 1.0, 2.0])) == pytest.approx(
        1 / 0.6744897501960817 / math.sqrt(2)
    )


def test_the_penalty_is_that_of_the_modified_bic_and_more_in_few_nights() -> None:
    assert penalty_of(100) == pytest.approx(3.3 * math.log(100))
    assert penalty_of(10) == pytest.approx(6 * math.log(10))


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3,\).*\[series, nights\]"):
        segment([1.0, 2.0, 3.0])


def test_what_is_found_is_told() -> None:
    (found,) = segment([[1.0] * 4 + [2.0] * 4])
    assert found == Segmentation((4,), (), (1.0, 2.0), pytest.approx(1e-5))

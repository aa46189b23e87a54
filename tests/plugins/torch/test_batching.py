"""Token-budget batches are a partition, within budget, longest first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench_torch.batching import token_batches

LENGTHS = st.lists(st.integers(0, 300), max_size=80)


@given(LENGTHS, st.integers(1, 1000))
def test_batches_are_a_partition_within_budget_longest_first(lengths: list[int], budget: int) -> None:
    batches = token_batches(lengths, budget)
    order = [int(i) for batch in batches for i in batch]
    assert sorted(order) == list(range(len(lengths)))
    places = [max(1, length) for length in lengths]  # an empty row takes a place
    assert [places[i] for i in order] == sorted(places, reverse=True)
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert len(batch) == 1 or padded <= budget


@given(LENGTHS, st.integers(1, 1000))
def test_no_batch_could_take_the_next_row(lengths: list[int], budget: int) -> None:
    batches = token_batches(lengths, budget)
    for batch in batches[:-1]:
        assert (len(batch) + 1) * max(1, *(lengths[i] for i in batch)) > budget


@given(LENGTHS, st.integers(1, 1000))
def test_even_batches_need_no_padding(lengths: list[int], budget: int) -> None:
    batches = token_batches(lengths, budget, even=True)
    assert sorted(int(i) for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len({max(1, lengths[i]) for i in batch}) == 1  # an empty row takes a place
        assert len(batch) == 1 or len(batch) * lengths[batch[0]] <= budget


def test_equal_rows_keep_their_order() -> None:
    assert [batch.tolist() for batch in token_batches(np.array([4, 4, 4]), 8)] == [[0, 1], [2]]


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 token"):
        token_batches([1], 0)

"""Canonical batches: their shapes depend on the length of an example, and on nothing beside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from ptbench import Settings  # noqa: E402
from ptbench_torch import device  # noqa: E402
from ptbench_torch.batching import Batching, Index  # noqa: E402
from ptbench_torch.collect import collect  # noqa: E402

CPU = torch.device("cpu")
LENGTHS = st.lists(st.integers(0, 130), min_size=1, max_size=60)
LONGEST = 130


def batching(*, even: bool = False) -> Batching:
    return Batching("tokens", 512, canonical=True, even=even, longest=LONGEST)


def shapes(lengths: list[int], *, even: bool) -> dict[int, tuple[int, int, bool]]:
    """Return for each row the shape that a model sees it in, and whether no row beside it is padded."""
    found: dict[int, tuple[int, int, bool]] = {}
    own, sizes = batching(even=even), np.maximum(lengths, 1)

    def step(rows: Index) -> torch.Tensor:
        width = own.width(sizes[rows])
        assert (sizes[rows] <= width).all()
        found.update(dict.fromkeys(rows.tolist(), (len(rows), width, bool((sizes[rows] == width).all()))))
        return torch.zeros(len(rows), 1)

    collect(own.cut(lengths), step, batching=own, width=1)
    return found


@given(LENGTHS, st.booleans())
def test_a_shape_depends_on_the_length_alone(lengths: list[int], even: bool) -> None:
    together = shapes(lengths, even=even)
    assert sorted(together) == list(range(len(lengths)))
    for i, length in enumerate(lengths):
        assert together[i] == shapes([length], even=even)[0], "alone it is seen in the same shape"
        rows, width, full = together[i]
        assert rows == 1 << rows.bit_length() - 1
        assert rows * width <= 512
        assert full == (even or length == LONGEST or max(length, 1) == width)


@given(LENGTHS)
def test_padding_stays_small(lengths: list[int]) -> None:
    for i, (_, width, _) in shapes(lengths, even=False).items():
        assert width <= max(lengths[i], 1) * 1.125 + 9


@given(LENGTHS)
def test_what_does_not_bear_padding_has_none(lengths: list[int]) -> None:
    for i, (_, width, _) in shapes(lengths, even=True).items():
        assert width == max(lengths[i], 1)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 30])
def test_a_batch_of_images_is_filled_up_with_its_own(n: int) -> None:
    own = Batching("images", 8, canonical=True)
    seen: list[list[int]] = []

    def step(pixels: np.ndarray) -> torch.Tensor:
        seen.append(pixels.tolist())
        return torch.from_numpy(pixels)[:, None].float()

    batches = own.cut(np.ones(n, np.int64))
    fed = [batch.rows + 100 for batch in batches]
    assert collect(batches, step, batching=own, width=1, fed=fed)[:, 0].tolist() == [*range(100, 100 + n)]
    assert {len(some) for some in seen} == {8}
    assert {number for some in seen for number in some} == set(range(100, 100 + n))


def test_the_settings_have_no_effect() -> None:
    for settings in (Settings(canonical=True), Settings(canonical=True, batch_tokens=7, batch_size=3)):
        assert device.text_batching(settings, CPU, 99).asked == device.CANONICAL_TOKENS["cpu"]
        assert device.image_batching(settings, CPU).asked == device.CANONICAL_SIZE["cpu"]
    assert device.text_batching(Settings(batch_tokens=7), CPU, 99).asked == 7
    assert device.image_batching(Settings(batch_size=3), CPU).asked == 3

"""Into how many parts a cell is split."""

from __future__ import annotations

from typing import Any

from ptbench.dividing import PARTS_PER_SLOT, count_parts

IDLE = (0.0,) * 4


def parts(blocks: int = 64, work: float = 100.0, own: float = 0.0, load: float = 0.0, **how: Any) -> int:
    told: dict[str, Any] = {"held": True, "measured": True, "ready": IDLE, "waiting": work + own, **how}
    return count_parts(blocks, work, own, load, **told)


def test_a_cell_alone_is_shared_out_to_all() -> None:
    assert parts() == 4 * PARTS_PER_SLOT


def test_there_are_no_more_parts_than_blocks() -> None:
    assert parts(blocks=3) == 3


def test_as_many_help_as_it_takes_to_be_done_with_all_else() -> None:
    assert parts(waiting=220.0) == 2 * PARTS_PER_SLOT  # all is done in 55 seconds, and two take 50


def test_what_holds_nobody_is_not_split() -> None:
    assert parts(waiting=400.0) == 1
    assert parts(waiting=100.0, ready=(0.0, 100.0, 100.0, 100.0)) == parts(waiting=400.0, ready=(0.0,) * 4)


def test_what_loading_takes_longer_than_is_not_split() -> None:
    assert parts(load=101.0) == 1


def test_what_comes_after_the_parts_cannot_be_won() -> None:
    assert parts(work=1.0, own=99.0) == 1


def test_a_guess_is_split_where_it_might_hold_the_others() -> None:
    assert parts(waiting=3000.0) == 1
    assert parts(waiting=3000.0, measured=False) == 4 * PARTS_PER_SLOT
    assert parts(waiting=4000.0, measured=False) == 1  # not even if it takes eight times as long

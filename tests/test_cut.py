"""Cutting: a row's side depends on the seed and the row alone."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench import DataError, Examples, Split, cut_positions, cut_rows, cut_validation
from ptbench.cut import checked_shares

SHARES = {"validation": 0.1, "test": 0.2}


def sides(rows: dict[str, list[Any]], **options: Any) -> dict[Any, set[str]]:
    """Return the splits in which each value of the first column stands."""
    found: dict[Any, set[str]] = {}
    for split, columns in cut_rows(rows, SHARES, **options).items():
        for value in columns[next(iter(rows))]:
            found.setdefault(value, set()).add(split)
    return found


def test_sizes_are_near_the_shares() -> None:
    cut = cut_rows({"n": range(50_000)}, SHARES)
    assert {name: round(len(part["n"]) / 50_000, 2) for name, part in cut.items()} == {
        "train": 0.7,
        "validation": 0.1,
        "test": 0.2,
    }
    assert sorted(n for part in cut.values() for n in part["n"]) == list(range(50_000))
    assert all(list(part["n"]) == sorted(part["n"]) for part in cut.values())


@given(st.lists(st.text(max_size=3), min_size=60, max_size=120), st.integers(0, 5))
def test_neither_order_nor_duplicates_nor_later_rows_move_a_row(texts: list[str], seed: int) -> None:
    distinct = [f"{i} {text}" for i, text in enumerate(texts)]
    try:
        before = sides({"text": distinct}, seed=seed)
    except DataError:
        return  # a split had no row
    shuffled = [*distinct, *distinct, *(f"later {i}" for i in range(30))]
    random.Random(seed).shuffle(shuffled)
    after = sides({"text": shuffled}, seed=seed)
    assert all(len(splits) == 1 for splits in after.values())
    assert {text: after[text] for text in before} == before


def test_one_share_moves_no_row_between_the_other_splits() -> None:
    small = cut_rows({"n": range(1000)}, {"validation": 0.1, "test": 0.2})
    large = cut_rows({"n": range(1000)}, {"validation": 0.3, "test": 0.2})
    assert large["test"] == small["test"]
    assert set(small["validation"]["n"]) < set(large["validation"]["n"])


def test_rows_are_cut_by_what_names_stand_for(tmp_path: Path) -> None:
    names = [f"{i}.txt" for i in range(80)]
    for i, name in enumerate(names[:60]):  # the others are lost, and one is far too long for a name
        (tmp_path / name).write_text(str(i % 30))
    rows: dict[str, list[Any]] = {"file": [*names, "x" * 5000, "null\0byte", None]}
    found = {"file": lambda name: name and tmp_path / name}
    cut = cut_rows(rows, {"test": 0.4}, by=["file"], content=found)
    sides = {name: split for split, part in cut.items() for name in part["file"]}
    assert len(sides) == 83
    assert all(sides[names[i]] == sides[names[i + 30]] for i in range(30))
    by_name = cut_rows(rows, {"test": 0.4}, by=["file"])
    lost = {name: split for split, part in by_name.items() for name in part["file"] if name not in names[:60]}
    assert {name: sides[name] for name in lost} == lost


def test_the_seed_matters_and_columns_have_no_order() -> None:
    rows = {"a": list(range(300)), "b": list(range(300))}
    assert cut_rows(rows, SHARES, 1) != cut_rows(rows, SHARES, 0)
    assert cut_rows(dict(reversed(rows.items())), SHARES) == cut_rows(rows, SHARES)


def test_rows_that_are_equal_in_the_named_columns_stay_together() -> None:
    rows = {"patient": [i % 40 for i in range(400)], "visit": list(range(400))}
    assert any(len(splits) > 1 for splits in sides(rows).values())
    assert all(len(splits) == 1 for splits in sides(rows, by=["patient"]).values())


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"dev": 0.1}, "d: cut has an unknown split 'dev'; known: test, validation (the rest is train)"),
        ({"tset": 0.1}, "did you mean 'test'?"),
        ({"test": 0}, "cut.test is 0; a share between 0 and 1 was expected"),
        ({"test": 1.0}, "cut.test is 1.0; a share between 0 and 1"),
        ({"test": True}, "cut.test is True"),
        ({"test": "0.1"}, "cut.test is '0.1'"),
        ({"test": float("nan")}, "cut.test is nan"),
        ({"test": 0.5, "validation": 0.5}, "cut takes 1 of the rows and leaves none for train"),
        ({}, "write cut = { validation = 0.1, test = 0.2 }"),
        (0.2, "cut is 0.2; write cut ="),
    ],
)
def test_impossible_shares(shares: Any, message: str) -> None:
    with pytest.raises(DataError) as error:
        cut_rows({"n": range(100)}, shares, where="d")
    assert message in str(error.value)


def test_a_split_without_a_row_is_an_error() -> None:
    with pytest.raises(
        DataError, match="d: cut leaves no test row out of 3; choose other shares, or a cut_seed"
    ):
        cut_rows({"n": [1, 2, 3]}, {"test": 0.01}, where="d")
    with pytest.raises(DataError, match="there is no column 'm' to cut by; known: n"):
        cut_rows({"n": [1, 2, 3]}, {"test": 0.01}, by=["m"])
    by: Any = [["n"]]
    with pytest.raises(DataError, match=r"cut_by has \['n'\]; names of columns were expected"):
        cut_rows({"n": [1, 2, 3]}, {"test": 0.01}, by=by)


def test_shares_come_in_one_order() -> None:
    assert list(checked_shares({"test": 0.1, "validation": 0.2}, "d")) == ["validation", "test"]


def split(ids: list[str]) -> Split:
    return Split(Examples(ids, {"n": list(range(len(ids)))}), np.arange(len(ids)))


def test_validation_is_cut_by_id() -> None:
    ids = [f"train-{i}" for i in range(2000)]
    rest, cut = cut_validation(split(ids), 0.1, 7)
    assert 150 < len(cut) < 250
    assert sorted([*rest.targets, *cut.targets]) == list(range(2000))
    again = cut_validation(split(ids[::-1][:1000]), 0.1, 7)[1]
    assert set(again.examples.ids) == set(cut.examples.ids) & set(ids[::-1][:1000])
    assert set(cut_validation(split(ids), 0.1, 8)[1].examples.ids) != set(cut.examples.ids)
    positions = cut_positions(split(ids), 0.1, 7)
    assert [ids[i] for i in positions[1]] == list(cut.examples.ids)


def test_rows_without_equals_are_cut_by_id_alone() -> None:
    ids = [f"train-{i}" for i in range(40)]
    for texts in (range(40), [f"{i} text" for i in range(40)]):
        rows = Split(Examples(ids, {"text": list(texts)}), np.arange(40))
        assert cut_positions(rows, 0.2, 7)[1].tolist() == [12, 13, 16, 18, 19, 20, 21, 32, 36]


class Held:
    """What stands for bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __bytes__(self) -> bytes:
        return self.data


def column(kind: str, values: list[int], folder: Path) -> list[Any]:
    """Return one object for each value, and equal content for equal values."""
    match kind:
        case "text":
            return [f"text {value}" for value in values]
        case "array":
            return [np.array([0.0, value]) for value in values]
        case "numbers":
            return [[0.0, float(value)] for value in values]
        case "bytes":
            return [Held(str(value).encode()) if i % 2 else str(value).encode()
                    for i, value in enumerate(values)]  # fmt: skip
    paths = [folder / f"{i}.bin" for i in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        path.write_text(str(value))
    return paths


@pytest.mark.parametrize("kind", ["text", "array", "numbers", "bytes", "path"])
def test_rows_with_equal_inputs_stay_on_one_side(kind: str, tmp_path: Path) -> None:
    values = [i % 200 for i in range(600)]
    ids = [f"train-{i:03}" for i in range(600)]
    rows = Split(Examples(ids, {"input": column(kind, values, tmp_path)}), np.array(values))
    rest, cut = cut_validation(rows, 0.2, 3)
    assert not set(rest.targets.tolist()) & set(cut.targets.tolist())
    assert 80 < len(cut) < 160
    # where the smallest ids of the groups fall, which are the first 200
    alone = rows.take(range(200))
    assert set(cut_validation(alone, 0.2, 3)[1].targets.tolist()) == set(cut.targets.tolist())
    order = np.random.default_rng(0).permutation(600)
    assert set(cut_validation(rows.take(order), 0.2, 3)[1].examples.ids) == set(cut.examples.ids)


def test_pairs_are_equal_where_both_sides_are() -> None:
    one, two = [i % 30 for i in range(900)], [i // 30 for i in range(900)]
    ids = [f"train-{i}" for i in range(900)]
    pairs = Split(Examples(ids, {"a": list(map(str, one)), "b": list(map(str, two))}), np.arange(900))
    different = Split(Examples(ids, {"n": list(range(900))}), np.arange(900))
    assert cut_positions(pairs, 0.2, 0)[1].tolist() == cut_positions(different, 0.2, 0)[1].tolist()
    turned = Split(Examples(ids[:2], {"a": ["x", "y"], "b": ["y", "x"]}), np.arange(2))
    assert len(cut_positions(turned, 0.5, 0)[1]) == 1


@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=30), st.sampled_from([1e-9, 0.1, 0.5, 1 - 1e-9]),
    st.integers(0, 9),
)  # fmt: skip
def test_neither_side_is_empty_whatever_is_equal(values: list[int], fraction: float, seed: int) -> None:
    ids = [f"train-{i}" for i in range(len(values))]
    rows = Split(Examples(ids, {"text": list(map(str, values))}), np.array(values))
    rest, cut = cut_validation(rows, fraction, seed)
    assert 0 < len(cut) < len(values)
    assert len(rest) + len(cut) == len(values)
    if len(set(values)) > 1:
        assert not set(rest.targets.tolist()) & set(cut.targets.tolist())
    else:  # all are equal, and something must be chosen on
        different = Split(Examples(ids, {"n": list(range(len(ids)))}), rows.targets)
        assert cut.examples.ids == cut_validation(different, fraction, seed)[1].examples.ids


@pytest.mark.parametrize("fraction", [1e-9, 1 - 1e-9])
def test_each_side_has_a_row(fraction: float) -> None:
    rest, cut = cut_validation(split(["a", "b"]), fraction, 0)
    assert len(rest) == len(cut) == 1


def test_one_row_cannot_be_cut() -> None:
    with pytest.raises(DataError, match="cannot be cut from 1 training rows"):
        cut_validation(split(["a"]), 0.5, 0)

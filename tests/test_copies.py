"""Copies of texts: what is equal once normalised, what is near, and what one word keeps apart."""

from __future__ import annotations

import csv
import tracemalloc
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ptbench import Copy, Examples, Kind, exact_copies, text_copies, textcopies
from ptbench.catalog import load_catalog
from ptbench.textcopies import normalised

NONE, NEAR, EXACT = map(int, Copy)
WORDS = [f"word{i}" for i in range(60)]


def one(train: str, test: str) -> int:
    return int(text_copies([[train]], [[test]])[0])


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("The film was good.", "the  film\twas GOOD"),
        ("Straße", "STRASSE"),
        ("ﬁne “quotes”", 'fine "quotes"'),
        ("half\u00adway", "halfway"),
        ("e\u0301t\u00e9", "\u00e9te\u0301"),
        ("film , good .", "film, good."),
        ("He said: “it\u2019s good” …", "he said 'it's good'..."),
        ("``good''", "good"),
        ("good — or bad", "GOOD \N{EN DASH} or bad"),
        ("\N{MINUS SIGN}5", "-5"),
        ("“.5”", ".5"),
        ("中文。", "中 文"),
        ("?!", " ?! "),
        ("😀", "😀!"),
        ("", ""),
    ],
)
def test_equal_once_normalised(train: str, test: str) -> None:
    assert one(train, test) == one(test, train) == EXACT


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("The film was good", "The film was bad"),
        ("It works", "It works not"),
        ("5 > 3", "5 < 3"),
        ("I love it :)", "I love it :("),
        ("fine :)", "fine )"),
        ("-5 degrees", "5 degrees"),
        ("C#", "C"),
        ("1.5 and 2", "1 5 and 2"),
        (".5 and 2", "5 and 2"),
        ("at 10:30", "at 10 30"),
        ("we're", "were"),
        ("well-known", "well known"),
        ("😀", "😡"),
        ("?", "!"),
        ("", "a"),
        ("The officer on duty told the crowd at the gate that they may leave now",
         "The officer on duty told the crowd at the gate that they may not leave now"),
    ],
)  # fmt: skip
def test_a_word_that_may_change_the_meaning_makes_no_copy(train: str, test: str) -> None:
    assert one(train, test) == one(test, train) == NONE


@pytest.mark.parametrize("place", [0, 1, 12, -2, -1])
@pytest.mark.parametrize(("n", "changed", "added"), [(19, NONE, NONE), (20, NONE, NEAR), (24, NONE, NEAR),
                                                     (25, NEAR, NEAR), (40, NEAR, NEAR)])  # fmt: skip
def test_how_long_a_text_must_be_for_one_word_not_to_count(
    n: int, changed: int, added: int, place: int
) -> None:
    words = WORDS[:n]
    other, longer = [*words], [*words]
    other[place] = "another"
    longer.insert(place % n, "more")
    assert one(" ".join(words), " ".join(other)) == changed
    assert one(" ".join(words), " ".join(longer)) == added


def test_the_characters_of_a_script_without_spaces_count_as_words() -> None:
    text = "".join(chr(0x4E00 + i) for i in range(30))
    assert one(text, text[:10] + "龍" + text[11:]) == NEAR
    assert one(text[:20], text[:10] + "龍" + text[11:20]) == NONE


LONG = " ".join(WORDS[:40])
LONGER = LONG + " more"


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ((LONG, "yes"), EXACT),
        ((LONGER, "yes"), NEAR),
        ((LONG, "no"), NONE),
        (("yes", LONG), NONE),
        ((LONG, LONG), NONE),
    ],
)
def test_both_texts_of_a_pair_must_be_copies(pair: tuple[str, str], expected: int) -> None:
    train = [[LONG, "other"], ["yes", LONGER]]
    assert text_copies(train, [[pair[0]], [pair[1]]]).tolist() == [expected]


def jaccard(left: str, right: str) -> float:
    """As the definition says it, on text that is normalised."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = ["<", "<", *text.split(), ">", ">"]
        return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}

    return len(runs(left) & runs(right)) / len(runs(left) | runs(right))


@st.composite
def corpora(draw: st.DrawFn) -> tuple[list[list[str]], list[list[str]]]:
    """Training texts, and test texts that were made of them by changing, adding and dropping words."""
    sides = draw(st.integers(1, 2))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    vocabulary = WORDS[: draw(st.sampled_from([1, 2, 5, 60]))]
    train = [
        [" ".join(random.choice(vocabulary, random.integers(1, 60))) for _ in range(sides)] for _ in range(12)
    ]
    test = []
    for row in random.integers(0, 12, 24):
        pair = []
        for text in train[row]:
            words = text.split()
            for _ in range(random.integers(0, 4)):
                place = random.integers(0, len(words))
                words[place : place + random.integers(0, 2)] = random.choice(WORDS, random.integers(0, 2))
                words = words or ["w"]
            pair.append(" ".join(words))
        test.append(pair)
    return [list(side) for side in zip(*train, strict=True)], [list(side) for side in zip(*test, strict=True)]


@settings(max_examples=150, deadline=None)
@given(corpora())
def test_all_near_copies_are_found_and_no_others(given_: tuple[list[list[str]], list[list[str]]]) -> None:
    train, test = given_
    pairs = list(zip(*train, strict=True))
    expected = [
        EXACT
        if row in pairs
        else NEAR
        if any(min(map(jaccard, row, other)) >= 0.8 for other in pairs)
        else NONE
        for row in zip(*test, strict=True)
    ]
    assert text_copies(train, test).tolist() == expected


@settings(deadline=None)
@given(corpora(), st.randoms(use_true_random=False))
def test_neither_order_nor_size_of_the_parts_matters(
    given_: tuple[list[list[str]], list[list[str]]], random: object
) -> None:
    train, test = given_
    expected = text_copies(train, test)
    order = list(range(len(train[0])))
    random.shuffle(order)  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textcopies, "HELD", 7)
        shuffled = text_copies([[side[i] for i in order] for side in train], test)
    assert shuffled.tolist() == expected.tolist()


def test_two_texts_that_differ_in_what_stays_are_near_where_they_are_long() -> None:
    assert one(f"{LONG} -5", f"{LONG} 5") == one(f"{LONG} :)", f"{LONG} :(") == NEAR
    assert one(" ".join(f"({word})" for word in WORDS), " ".join(f"( {word} )" for word in WORDS)) == NEAR


TEXTS = st.text() | st.text(" .,:;'\"!?-()15aß。…—\u00ad\u0301中`😀_\u00b4\u00b8", max_size=8)


@given(TEXTS, st.sampled_from(["-", "+", "#", "%", "*", "/", "(", ")", "😀"]))
def test_marks_that_are_not_of_sentences_stay(text: str, mark: str) -> None:
    assert normalised(f"{text} {mark}") != normalised(text)


@given(st.lists(st.text("abc15-#()😀中", min_size=1, max_size=5), min_size=1), st.data())
def test_case_spacing_and_sentence_punctuation_do_not_matter(words: list[str], data: st.DataObject) -> None:
    """The last word of each has a letter, or a lone mark before punctuation would be an emoticon."""
    ends = [data.draw(st.sampled_from(["", ".", " ,", "!?", "…", "”", "\n"])) for _ in words]
    other = "\t ".join(f"{word.upper()}z{end}" for word, end in zip(words, ends, strict=True))
    assert normalised(other) == normalised(" ".join(f"{word}Z" for word in words))


@given(TEXTS)
@example("İ")
@example("ᾳ\u0345")
@example("e\u00ad\u0301")
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


def test_nothing_at_all() -> None:
    assert text_copies([["a"]], [[]]).tolist() == []
    assert text_copies([[]], [["a"]]).tolist() == [NONE]
    assert exact_copies([], ["a"]).tolist() == [NONE]
    assert text_copies([["a"]], [["a"]]).dtype == exact_copies([1], [1]).dtype == np.int8


def test_many_texts_take_seconds_and_little_memory() -> None:
    random = np.random.default_rng(0)
    words = random.choice([f"w{i}" for i in range(5000)], (20_000, 25))
    train = [" ".join(row) for row in words]
    words[:2000, 12] = "changed"
    test = [" ".join(row) for row in words[:4000]]
    started = perf_counter()
    found = text_copies([train], [test])
    assert perf_counter() - started < 30  # measured: 2 s
    assert np.bincount(found, minlength=3).tolist() == [0, 2000, 2000]


def test_texts_of_one_template_stay_within_memory() -> None:
    """All have most of their runs in common, and yet none is near another: the most pairs to look at."""
    words = np.tile(np.array(WORDS[:40]), (3000, 1)).astype("<U12")
    words[:, 3::10] = np.random.default_rng(0).integers(0, 10**6, (3000, 4))
    texts = [" ".join(row) for row in words]
    tracemalloc.start()
    found = text_copies([texts[:2000]], [texts[2000:]])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not found.any()
    assert peak < 250 << 20


def found(kind: str, train: dict[str, list[Any]], test: dict[str, list[Any]]) -> list[int]:
    copies = load_catalog().get(Kind, kind).copies
    assert copies
    sides = [Examples(["id"] * len(next(iter(columns.values()))), columns) for columns in (train, test)]
    return copies(*sides).tolist()


def test_the_kinds_of_text() -> None:
    one, two = ["a film", "a play"], ["a book", "a song"]
    assert found("text-classification", {"text": one}, {"text": ["A play!", "a song"]}) == [EXACT, NONE]
    swapped = {"text": [two[0], one[0]], "text_pair": [one[0], two[0]]}
    train = {"text": one, "text_pair": two}
    assert found("text-classification", train, swapped) == [NONE, EXACT]  # it may be: does it follow from?
    assert found("sentence-similarity", train, swapped) == [EXACT, EXACT]


@pytest.mark.parametrize("name", ["tabular-classification", "tabular-regression"])
def test_rows_of_numbers_are_copies_where_they_are_equal(name: str) -> None:
    train = {"features": [[0.0, 1.5], [2.0, 3.0]]}
    assert found(name, train, {"features": [[-0.0, 1.5], [2.0, 3.0000001], [2.0, 3.0]]}) == [
        EXACT,
        NONE,
        EXACT,
    ]


@pytest.mark.truth
def test_published_sets(truth: Path) -> None:
    """Counted once by brute force over all pairs of texts."""
    sst2 = [
        [line.rpartition("\t")[0] for line in (truth / "sst2" / f"{name}.tsv").read_text().splitlines()[1:]]
        for name in ("train", "test")
    ]
    assert np.bincount(text_copies(sst2[:1], sst2[1:]), minlength=3).tolist() == [870, 0, 2]
    pairs = {}
    for name in ("train", "test"):
        with (truth / "stsb" / f"stsb-en-{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        pairs[name] = {"text": [row[0] for row in rows], "text_pair": [row[1] for row in rows]}
    assert np.bincount(found("sentence-similarity", pairs["train"], pairs["test"])).tolist() == [1365, 2, 12]

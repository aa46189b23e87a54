"""Copies of texts: equal once they are normalised, or nearly equal by their runs of three words.

Words end at white space, and a punctuation mark that normalising keeps, such as a hyphen, is a word too.
Nearly equal means a Jaccard similarity of at least 0.8 between the sets of runs ("shingles", Broder 1997;
the threshold is that of Lee et al. 2022, "Deduplicating training data makes language models better"). The
beginning and the end of a text count as words, so that every word is in three runs: a changed word leaves a
similarity of (n - 1) / (n + 5) in a text of n different words, which is 0.8 at 25, and an added one
n / (n + 5), which is 0.8 at 20. In a shorter text one word may be all the difference there is, and only what
is equal counts.

Pairs are found by prefix filtering (Chaudhuri et al. 2006; Bayardo et al. 2007), which loses none, unlike
MinHash: two sets of that similarity have one of their rarest runs in common.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ptbench.copies import Copy

Ints = NDArray[np.int64]
Side = Sequence[str]
"""One column of texts; what has two columns has two sides."""

NEAR = (4, 5)
"""The least similarity of a near copy, as a fraction: whole numbers round nowhere."""
HELD = 1 << 21
"""Pairs that are looked at together: memory does not grow with the number of texts alike."""
_MIXERS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], dtype=np.uint64
)
"""Odd constants (those of splitmix and xxHash) that make three words and a side one number of 64 bits."""
# Scripts that are written without spaces: each character counts as a word.
_UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF),
             (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))  # fmt: skip


class _Table(dict[int, str]):
    """What a character becomes, for `str.translate`: made when it is first met."""

    def __init__(self, becomes: Callable[[str], str]) -> None:
        self.becomes = becomes

    def __missing__(self, code: int) -> str:
        self[code] = self.becomes(chr(code))
        return self[code]


def _plain(character: str) -> str:
    """Write a character plainly: one dash, two quotation marks, no control; what has no spaces gets them."""
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    if character in "\u2018\u2019\u201a\u201b\u2039\u203a`":
        return "'"
    if character in "\u201c\u201d\u201e\u201f«»「」『』〝〞〟":
        return '"'
    spaced = any(first <= ord(character) <= last for first, last in _UNSPACED)
    return f" {character} " if spaced else character


_SEEN = _Table(lambda character: "" if unicodedata.category(character) == "Cf" else character)
"""Drops soft hyphens and joiners, which nobody sees."""
_PLAIN = _Table(_plain)
_APART = _Table(
    lambda character: f" {character} " if unicodedata.category(character)[0] == "P" else character
)

_SENTENCE = r""".,;:!?"'¡¿。、،؛؟।॥"""
_MARKS = re.compile(
    rf"""(
        (?<!\S) (?=[{_SENTENCE}]*[^{_SENTENCE}\s]) [!-/:-@\[-`{{-~]+ (?!\S)  # an emoticon
        | (?<=\d) [{_SENTENCE}] (?=\d)  # 1.5, 10:30
        | (?<![\w.]) \. (?=\d)  # .5
    ) | [{_SENTENCE}]""",
    re.VERBOSE,
)
"""Sentence punctuation, and first, as a group, where it stays."""


def normalised(text: str) -> str:
    """Return a text without what does not change its meaning, with single spaces.

    That is NFKC, case, the kind of white space, quotation mark and dash, characters that nobody sees, and
    sentence punctuation: full stop, comma, semicolon, colon, exclamation and question mark, quotation
    marks and apostrophes. These count as a space, but stay between two digits, in a number such as .5,
    and in an emoticon, which is a word of ASCII marks not all of which are sentence punctuation. All
    other marks, symbols and emoji stay, and so does the punctuation of a text that is nothing else.

    >>> normalised("The film: «Good»!"), normalised("-1.5 , I think. :)"), normalised("?!")
    ('the film good', '-1.5 i think :)', '?!')
    """
    seen = unicodedata.normalize("NFKC", text.translate(_SEEN)).casefold()
    plain = unicodedata.normalize("NFKC", seen).translate(_PLAIN)
    return " ".join(_MARKS.sub(_kept, plain).split()) or " ".join(plain.split())


def _kept(mark: re.Match[str]) -> str:
    return mark[1] or " "


def text_copies(train: Sequence[Side], test: Sequence[Side]) -> NDArray[np.int8]:
    """Return int8[test] of `Copy`: which test texts stand in train already.

    Args:
        train: The columns of texts, one or several of one length: ``[texts]``, or ``[texts, pairs]``.
        test: As many columns. All sides of an example must be copies of those of one training example, in
            their order; what is near on one side is near.

    >>> text_copies([["A good film.", "A bad film."]], [["a GOOD film", "A good play."]]).tolist()
    [2, 0]
    """
    known = list(dict.fromkeys(_keys(train)))
    keys = list(_keys(test))
    seen = set(known)
    asked = list(dict.fromkeys(key for key in keys if key not in seen))
    near = {key for key, found in zip(asked, _near(known, asked), strict=True) if found}
    return np.array(
        [Copy.EXACT if key in seen else Copy.NEAR if key in near else Copy.NONE for key in keys],
        dtype=np.int8,
    )


def _keys(sides: Sequence[Side]) -> Iterator[tuple[str, ...]]:
    return zip(*(map(normalised, side) for side in sides), strict=True)


def _near(train: list[tuple[str, ...]], test: list[tuple[str, ...]]) -> NDArray[np.bool_]:
    """Return bool[test]: which have a near one in train. All are normalised, and each is there once."""
    found = np.zeros(len(test), dtype=np.bool_)
    if not train or not test:
        return found
    runs = _Runs(train + test)
    for tests, trains in runs.candidates(len(train)):
        found[tests[runs.similar(tests + len(train), trains)]] = True
    return found


class _Runs:
    """The sets of runs of many examples, the rarest first, one after the other in one array.

    ``keys`` is sorted: row of the example x ``kinds`` + rank of the run. Runs of different sides differ.
    """

    def __init__(self, examples: list[tuple[str, ...]]) -> None:
        sides = len(examples[0])
        parts = [_runs([example[side] for example in examples], side) for side in range(sides)]
        rows = np.concatenate([rows for rows, _ in parts])
        side = np.repeat(np.arange(sides), [len(values) for _, values in parts])
        _, first, kind, counts = np.unique(
            np.concatenate([values for _, values in parts]),
            return_index=True, return_inverse=True, return_counts=True,
        )  # fmt: skip
        rarest = np.argsort(counts, kind="stable")
        rank = np.empty(len(rarest), dtype=np.int64)
        rank[rarest] = np.arange(len(rarest))
        self.kinds = len(rarest)
        self.side = side[first[rarest]]
        self.keys = np.unique(rows * self.kinds + rank[kind.ravel()])
        self.rows, self.ranks = np.divmod(self.keys, self.kinds)
        self.sizes = np.bincount(self.rows, minlength=len(examples)).astype(np.int64)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.by_side = self._by_side(self.rows, self.ranks, len(examples))

    def candidates(self, train: int) -> Iterator[tuple[Ints, Ints]]:
        """Yield pairs (test, train) that have one of their rarest runs in common; the first are train."""
        place = np.arange(len(self.keys)) - self.starts[self.rows]
        rare = np.flatnonzero(place <= self.sizes[self.rows] - _least(self.sizes[self.rows]))
        mine, theirs = rare[self.rows[rare] < train], rare[self.rows[rare] >= train]
        mine = mine[np.argsort(self.ranks[mine], kind="stable")]
        first = np.searchsorted(self.ranks[mine], self.ranks[theirs], "left")
        number = np.searchsorted(self.ranks[mine], self.ranks[theirs], "right") - first
        theirs, first, number = theirs[number > 0], first[number > 0], number[number > 0]
        for part in _parts(number):
            test = np.repeat(self.rows[theirs[part]], number[part])
            match = self.rows[mine[_spread(first[part], number[part])]]
            small = np.minimum(self.sizes[test], self.sizes[match])
            fit = small >= _least(np.maximum(self.sizes[test], self.sizes[match]))
            pairs = np.unique((test[fit] - train) * train + match[fit])
            yield np.divmod(pairs, train)

    def similar(self, left: Ints, right: Ints) -> NDArray[np.bool_]:
        """Return whether the sets of these examples are similar, pair by pair, on every side."""
        similar = np.zeros(len(left), dtype=np.bool_)
        for part in _parts(self.sizes[left]):
            sizes = self.sizes[left[part]]
            pair = np.repeat(np.arange(len(sizes)), sizes)
            ranks = self.ranks[_spread(self.starts[left[part]], sizes)]
            wanted = right[part][pair] * self.kinds + ranks
            place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            shared = self.keys[place] == wanted
            common = self._by_side(pair[shared], ranks[shared], len(sizes))
            union = self.by_side[left[part]] + self.by_side[right[part]] - common
            similar[part] = (NEAR[1] * common >= NEAR[0] * union).all(axis=1)
        return similar

    def _by_side(self, rows: Ints, ranks: Ints, n: int) -> Ints:
        """Return int64[n, sides]: how many runs each row has on each side."""
        sides = int(self.side.max()) + 1
        flat = np.bincount(rows * sides + self.side[ranks], minlength=n * sides)
        return flat.reshape(n, sides).astype(np.int64)


def _runs(texts: list[str], side: int) -> tuple[Ints, NDArray[np.uint64]]:
    """Return the row and the number of every run of three words of one side."""
    known: dict[str, int] = {}
    ids = array("q")
    lengths = np.empty(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        words = text.translate(_APART).split()
        ids.extend((0, 0))  # the end of the text before, and the beginning of this one
        ids.extend([known.setdefault(word, len(known) + 1) for word in words])
        lengths[row] = len(words) + 2
    ids.extend((0, 0))
    flat = np.frombuffer(ids, dtype=np.int64).astype(np.uint64)
    values = flat[:-2] * _MIXERS[0] + flat[1:-1] * _MIXERS[1] + flat[2:] * _MIXERS[2]
    return np.repeat(np.arange(len(texts)), lengths), values + np.uint64(side) * _MIXERS[3]


def _least(size: Ints) -> Ints:
    """Return how much a set must have in common with another one at least, to be near it."""
    return -(-NEAR[0] * size // NEAR[1])


def _parts(numbers: Ints) -> Iterator[slice]:
    """Cut what stands for so many pairs each into slices of about `HELD` pairs, at least one element."""
    ends = np.cumsum(numbers)
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + HELD, "right")))
        yield slice(start, stop)
        start = stop


def _spread(first: Ints, number: Ints) -> Ints:
    """Return first, first + 1, … as many as there are, for each of them.

    >>> _spread(np.array([7, 2]), np.array([2, 3])).tolist()
    [7, 8, 2, 3, 4]
    """
    offsets = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    spread: Ints = np.repeat(first, number) + offsets
    return spread

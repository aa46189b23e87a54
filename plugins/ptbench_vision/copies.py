"""Copies of images: equal pixels, or nearly equal ones, as after encoding or resizing a picture again.

Equal means the same decoded RGB values and size, whatever the file. Nearly equal means, for pictures that
are shrunk to 16 x 16 and to 8 x 8 RGB values (the low frequencies that perceptual hashes keep), a
correlation of at least 0.96 and 0.98, and a root mean square difference of at most 10 and 5 of 255 levels.
The correlation keeps dull pictures apart, the difference those of much contrast that show the same thing,
such as two hand-written ones. So are found: JPEG of quality 75, a resize to 75 %, and both on a photo. Not
found: crops, turns, flips, and changes of brightness.

Pictures with a side of less than 16 pixels, and plain areas of one colour, are copies only where they are
equal: shrunk, many of them look alike.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import Copy, Examples, exact_copies
from ptbench_torch.images import read_image

SIDE = 16
"""Height and width of what is compared; no picture is enlarged for it."""
CORRELATION, DISTANCE = 0.96, 10.0
HALF_CORRELATION, HALF_DISTANCE = 0.98, 5.0
"""At half of that height and width, where what an encoder adds has averaged out."""
FLAT = 2.0
"""The standard deviation in levels below which a picture is a plain area."""
THREADS = 8
_PART = 64
_TESTS, _TRAINS, _PAIRS = 512, 8192, 256
"""How many are compared at once: 16 MiB of products, and a few of pictures."""

Floats = NDArray[np.float32]


def copies(train: Examples, test: Examples) -> NDArray[np.int8]:
    """Return int8[test] of `ptbench.Copy`: which images stand in train already.

    Every image is decoded once, by threads; 800 bytes are kept of each. Raises `ptbench.DataError` for one
    that cannot be read.
    """
    known, asked = look(train["image"]), look(test["image"])
    found = exact_copies(known.digests, asked.digests)
    rest = np.flatnonzero((found == Copy.NONE) & asked.detailed)
    found[rest[near(known.small[known.detailed], asked.small[rest])]] = Copy.NEAR
    return found


@dataclass(frozen=True, slots=True)
class Looks:
    """What is kept of images to compare them."""

    digests: list[bytes]
    """Of size and pixels."""
    small: NDArray[np.uint8]
    """uint8[n, 16, 16, 3]."""
    detailed: NDArray[np.bool_]
    """bool[n]: neither tiny nor plain, so that what is nearly equal is no accident."""


def look(cells: Sequence[Any]) -> Looks:
    """Decode every image once."""
    parts = [cells[start : start + _PART] for start in range(0, len(cells), _PART)]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, THREADS)) as pool:
        seen = [one for part in pool.map(lambda part: [*map(_look, part)], parts) for one in part]
    small = np.frombuffer(b"".join(pixels for _, pixels, _ in seen), np.uint8).reshape(-1, SIDE, SIDE, 3)
    large = np.array([large for _, _, large in seen], dtype=np.bool_)
    return Looks([digest for digest, _, _ in seen], small, large & (_rows(small).std(axis=1) >= FLAT))


def _look(cell: Any) -> tuple[bytes, bytes, bool]:
    from PIL.Image import Resampling

    image = read_image(cell)
    digest = hashlib.sha256(f"{image.size}".encode())
    digest.update(image.tobytes())
    small = image.resize((SIDE, SIDE), Resampling.BILINEAR)
    return digest.digest(), small.tobytes(), min(image.size) >= SIDE


def near(train: NDArray[np.uint8], test: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return bool[test]: which of these small images have a near one among those of train."""
    found = np.zeros(len(test), dtype=np.bool_)
    mine, theirs = _halved(train), _halved(test)
    for tests, trains in _candidates(theirs, mine):
        for start in range(0, len(tests), _PAIRS):
            a, b = tests[start : start + _PAIRS], trains[start : start + _PAIRS]
            a, b = a[~found[a]], b[~found[a]]
            half = _alike(theirs[a], mine[b], HALF_CORRELATION, HALF_DISTANCE)
            a, b = a[half], b[half]
            found[a[_alike(_rows(test[a]), _rows(train[b]), CORRELATION, DISTANCE)]] = True
    return found


def _rows(small: NDArray[np.uint8]) -> Floats:
    return small.reshape(len(small), SIDE * SIDE * 3).astype(np.float32)


def _halved(small: NDArray[np.uint8]) -> Floats:
    """Return the means of 2 x 2 pixels, one row per image."""
    blocks = small.reshape(len(small), SIDE // 2, 2, SIDE // 2, 2, 3)
    means: Floats = blocks.mean(axis=(2, 4), dtype=np.float32)
    return means.reshape(len(small), SIDE * SIDE // 4 * 3)


def _candidates(tests: Floats, trains: Floats) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield all pairs (test, train) within `HALF_DISTANCE`, and few that are just beyond.

    Two images cannot be nearer than their mean levels are: of images in order of these, few are compared.
    """
    means, mine = tests.mean(axis=1), trains.mean(axis=1)
    order, known = np.argsort(means, kind="stable"), np.argsort(mine, kind="stable")
    mine = mine[known]
    reach = 1.01 * HALF_DISTANCE  # float32 rounds
    for start in range(0, len(order), _TESTS):
        rows = order[start : start + _TESTS]
        first = np.searchsorted(mine, means[rows[0]] - reach, "left")
        last = np.searchsorted(mine, means[rows[-1]] + reach, "right")
        left = _lifted(tests[rows], own=-2)
        for low in range(first, last, _TRAINS):
            columns = known[low : min(low + _TRAINS, last)]
            close = left @ _lifted(trains[columns], own=-1).T >= -(reach**2) * tests.shape[1] / 2
            row, column = np.nonzero(close)
            yield rows[row], columns[column]


def _lifted(images: Floats, *, own: int) -> Floats:
    """Add two columns, so that a product of rows is minus half of their squared distance."""
    centred = images - 128
    lifted = np.concatenate([centred, np.ones((len(images), 2), np.float32)], axis=1)
    lifted[:, own] = -(centred**2).sum(axis=1) / 2
    return lifted


def _alike(a: Floats, b: Floats, correlation: float, distance: float) -> NDArray[np.bool_]:
    """Return whether images are near, pair by pair."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    close = ((a - b) ** 2).mean(axis=1) <= distance**2
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    lengths = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    similar: NDArray[np.bool_] = close & ((a * b).sum(axis=1) >= correlation * lengths)
    return similar

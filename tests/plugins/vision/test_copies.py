"""Copies of images: what is found again after another encoder, and what only looks alike is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.Image import Resampling, Transpose
from tests.plugins.vision.pictures import encoded, jpeg, noise, write

from ptbench import Copy, DataError, Examples, Kind
from ptbench.catalog import load_catalog
from ptbench_vision import copies as module
from ptbench_vision.copies import near

NONE, NEAR, EXACT = map(int, Copy)


def copies(train: list[Any], test: list[Any]) -> list[int]:
    kind = load_catalog().get(Kind, "image-classification")
    assert kind.copies
    sides = [Examples([str(i) for i in range(len(cells))], {"image": cells}) for cells in (train, test)]
    return kind.copies(*sides).tolist()


def scene(size: int = 160, seed: int = 0) -> Any:
    """A picture with an even ground, shapes, edges and grain, as photos have them: uint8[size, size, 3]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    image = np.outer(y.ravel(), random.uniform(-60, 60, 3)).reshape(size, size, 3) + random.uniform(
        60, 190, 3
    )
    for _ in range(12):
        (cy, cx), radius = random.uniform(0, 1, 2), random.uniform(0.05, 0.3)
        image[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = random.uniform(0, 255, 3)
    return np.clip(image + random.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def resized(image: Any, factor: float, how: Resampling = Resampling.BICUBIC) -> Any:
    width, height = image.shape[1], image.shape[0]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(image).resize(size, how))


PHOTOS = [scene(seed=seed) for seed in range(40)]
AGAIN: dict[str, Callable[[Any], Any]] = {
    "quality 75": lambda image: encoded(image, "JPEG", quality=75),
    "quality 50": lambda image: encoded(image, "JPEG", quality=50),
    "webp": lambda image: encoded(image, "WEBP", quality=75),
    "75 %": lambda image: resized(image, 0.75),
    "75 %, bilinear": lambda image: resized(image, 0.75, Resampling.BILINEAR),
    "half, quality 75": lambda image: encoded(resized(image, 0.5), "JPEG", quality=75),
    "twice as large": lambda image: resized(image, 2),
}


@pytest.mark.parametrize("how", AGAIN)
def test_a_photo_that_was_written_again_is_near(how: str) -> None:
    assert copies(PHOTOS, [AGAIN[how](image) for image in PHOTOS]) == [NEAR] * len(PHOTOS)
    assert copies([AGAIN[how](image) for image in PHOTOS], PHOTOS) == [NEAR] * len(PHOTOS)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image[:, ::-1],
        lambda image: image[20:-20, 20:-20],
        np.rot90,
        lambda image: 255 - image,
        lambda image: image[..., ::-1],
    ],
    ids=["mirrored", "cropped", "turned", "negative", "other colours"],
)
def test_another_picture_is_none(change: Callable[[Any], Any]) -> None:
    assert copies(PHOTOS, [np.ascontiguousarray(change(image)) for image in PHOTOS]) == [NONE] * len(PHOTOS)
    assert copies(PHOTOS[:20], PHOTOS[20:]) == [NONE] * 20


def test_equal_pixels_are_exact_in_whatever_file(tmp_path: Path) -> None:
    image = scene()
    cells = [
        image,
        encoded(image),
        encoded(image, "BMP"),
        write(tmp_path / "a.png", encoded(image)),
        np.dstack([image, image[..., :1]]),  # its alpha is not looked at
    ]
    assert copies([image], cells) == [EXACT] * len(cells)
    changed = image.copy()
    changed[0, 0, 0] ^= 1
    assert copies([image], [changed]) == [NEAR]
    assert copies([np.zeros((20, 30, 3), np.uint8)], [np.zeros((30, 20, 3), np.uint8)]) == [NONE]


def test_plain_and_tiny_pictures_are_copies_only_where_they_are_equal() -> None:
    grey = [np.full((32, 32, 3), level, np.uint8) for level in (100, 101)]
    assert copies(grey[:1], grey) == [EXACT, NONE]
    tiny = noise(15, 40)
    changed = tiny.copy()
    changed[0, 0] ^= 1
    assert copies([tiny], [tiny, changed]) == [EXACT, NONE]


def test_digits_of_one_class_are_not_near() -> None:
    bundled = pytest.importorskip("sklearn.datasets")
    small = [(image * (255 / 16)).astype(np.uint8) for image in bundled.load_digits().images]
    started = perf_counter()
    found = copies(small[:1300], [*small[1300:], *small[:50]])
    assert perf_counter() - started < 10  # measured: 0.06 s
    assert found == [NONE] * 497 + [EXACT] * 50
    large = [np.asarray(Image.fromarray(image).resize((28, 28), Resampling.BICUBIC)) for image in small]
    again = [encoded(image, "JPEG", quality=75) for image in large[:200]]
    assert copies(large[:1300], large[1300:]) == [NONE] * 497
    assert copies(large[:1300], again) == [NEAR] * 200


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_all_near_images_are_found_and_no_others(seed: int) -> None:
    """Against the definition, pair by pair."""
    random = np.random.default_rng(seed)
    grounds = random.integers(60, 190, (6, 1, 1, 3)) + random.normal(0, 30, (6, 16, 16, 3))
    train = np.clip(grounds[random.integers(0, 6, 50)] + random.normal(0, 6, (50, 16, 16, 3)), 0, 255)
    test = np.clip(train + random.uniform(0, 16, (50, 1, 1, 1)) * random.normal(0, 1, train.shape), 0, 255)
    test += random.uniform(-8, 8, (50, 1, 1, 1))
    train, test = train.astype(np.uint8), np.clip(test, 0, 255).astype(np.uint8)

    def alike(a: Any, b: Any, correlation: float, distance: float) -> bool:
        close = np.sqrt(np.mean((a - b) ** 2)) <= distance
        return bool(close and np.corrcoef(a.ravel(), b.ravel())[0, 1] >= correlation)

    def half(image: Any) -> Any:
        return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4

    expected = [
        any(alike(a, b, 0.96, 10) and alike(half(a), half(b), 0.98, 5) for a in train.astype(float))
        for b in test.astype(float)
    ]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_TESTS", "_TRAINS", "_PAIRS"):
            patch.setattr(module, name, int(random.integers(1, 60)))
        assert near(train, test).tolist() == expected


def test_cells_of_every_form_and_none_at_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg", jpeg())
    assert copies([path], [path, jpeg(), noise(seed=7)]) == [EXACT, EXACT, NONE]
    assert copies([path], []) == []
    assert copies([], [path]) == [NONE]
    turned = Image.fromarray(noise()).transpose(Transpose.ROTATE_180)
    assert copies([path], [encoded(turned)]) == [NONE]
    with pytest.raises(DataError, match=r"gone\.jpg does not exist"):
        copies([path], [tmp_path / "gone.jpg"])


@pytest.mark.truth
def test_cifar(truth: Path) -> None:
    """Of real pictures of 32 x 32: none is a copy of another one, and nearly all are found again."""
    with np.load(truth / "cifar10" / "cifar10_test_first_1017.npz") as data:
        images = list(data["images"])
    assert copies(images[:700], images[700:]) == [NONE] * 317
    shares = {
        how: np.mean(np.array(copies(images, [AGAIN[how](image) for image in images[:300]])) == NEAR)
        for how in ("quality 75", "75 %")
    }
    assert shares["quality 75"] >= 0.98  # measured: 297 of 300
    assert shares["75 %"] == 1

"""Pixels in memory: which arrays are images, and how any mode of PIL becomes RGB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptbench import DataError

if TYPE_CHECKING:
    from PIL import Image

LIMIT = 178_956_970
"""Pixels: the size at which PIL refuses too. Checked from the header, before anything is decoded."""
REASONS = (
    "missing",  # there is no such file, or no value
    "not a file",  # a folder, a pipe, a device
    "closed",  # reading it is not allowed, or the disk fails
    "empty",  # no bytes, or no pixels
    "not an image",  # none of the formats, or an array of another type or shape
    "too large",  # more pixels than LIMIT
    "truncated",  # it ends early
    "corrupt",  # it cannot be decoded for another reason
    "no range",  # values without a known black and white: int32 beyond 16 bits, floats beyond 0 to 1
)
"""Why an image cannot be read: the whole vocabulary of `UnreadableImage.reason`."""


class UnreadableImage(DataError):  # noqa: N818 (it is what it says)
    """An image that cannot be read; ``reason`` is one of `REASONS`."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


def is_deep(image: Image.Image) -> bool:
    """Say whether an image is grey with more than 8 bits (modes I, I;16 and F)."""
    return image.mode == "F" or image.mode.startswith("I")


def to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Return a decoded image in mode RGB, as ``convert("RGB")`` does, but grey of more than 8 bits scaled.

    16 bits reach from 0 to 65535 and floats from 0 to 1. Raises `UnreadableImage` for values beyond.
    """
    from PIL import Image

    if is_deep(image):
        values = np.asarray(image)
        white = 1 if image.mode == "F" else 65535
        if not ((values >= 0) & (values <= white)).all():  # NaN too
            raise UnreadableImage("no range", f"{name}: its values are not all within 0 to {white}")
        grey = np.rint(values * 255) if white == 1 else (values.astype(np.int32) + 128) // 257
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    image.info.pop("transparency", None)  # no pixel of RGB depends on it, but a warning does
    try:
        return image.convert("RGB")
    except ValueError as error:  # Lab, say
        raise UnreadableImage("corrupt", f"{name}: {error}") from None


def checked_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an image as [height, width] or [height, width, 3 or 4]. Raises `UnreadableImage`."""
    shape = list(array.shape)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (3,), (4,)):
        raise UnreadableImage(
            "not an image",
            f"an array {array.dtype}{shape} is no image; uint8 [height, width] or "
            "[height, width, 1, 3 or 4 channels] was expected",
        )
    if not array.size:
        raise UnreadableImage("empty", f"an array {shape} has no pixels")
    if array.shape[0] * array.shape[1] > LIMIT:
        raise UnreadableImage("too large", f"an array {shape}: {LIMIT:,} pixels are the most")
    return array[..., 0] if array.shape[2:] == (1,) else array

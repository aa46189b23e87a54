"""Cells of images as sources give them, in one of the forms that everything else knows."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench_torch.images import read_image


def image_cell(value: Any, root: Path) -> Any:
    """Return a path, encoded bytes or an array; None where there is no value.

    A text is a path, read from ``root`` where it is relative; ``{"bytes", "path"}`` is how Hugging Face
    stores an image; lists of lists of numbers are an array. What is nothing of these stays as it is, so
    does what only stands for bytes, and reads them when it is asked for them.
    """
    match value:
        case None:
            return None
        case str() if not value:  # not `case "":`, which would compare arrays
            return None
        case float() if math.isnan(value):  # how pandas says missing
            return None
        case str() | os.PathLike():
            return root / value
        case bytes():
            return value
        case bytearray() | memoryview():
            return bytes(value)
        case Mapping():
            encoded = value.get("bytes")
            return image_cell(value.get("path") if encoded is None else encoded, root)
        case list() | tuple():
            try:
                return _bytes_of(np.asarray(value))
            except ValueError:  # ragged
                return value
        case np.ndarray():
            return _bytes_of(value)
        case _ if hasattr(value, "convert") and hasattr(value, "getpixel"):  # PIL's, which has no fingerprint
            return np.asarray(read_image(value))
        case _:
            return value


def _bytes_of(array: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers from 0 to 255 as bytes, however many bits each came in."""
    if array.dtype == np.uint8 or array.dtype.kind not in "iu" or not array.size:
        return array
    return array.astype(np.uint8) if array.min() >= 0 and array.max() <= 255 else array

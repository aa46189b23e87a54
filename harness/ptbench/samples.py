"""Examples of each sort, odd ones among them, to try a model on; guests have them from `ptbench.testing`."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Examples


def texts(n: int = 12) -> Examples:
    """Return a few text examples: short, long, repeated, with an emoji, empty of words."""
    some = ["a fine day", "😀", "the same text", "the same text", "word " * 60, "?", "Über naïve façades"]
    return Examples([f"t{i}" for i in range(n)], {"text": [some[i % len(some)] + " " * i for i in range(n)]})


def images(n: int = 8) -> Examples:
    """Return a few image examples: square, long, one pixel, grey, with alpha, as arrays and as PNG."""
    random = np.random.default_rng(0)
    shapes = [(32, 32, 3), (48, 20, 3), (1, 1, 3), (64, 64), (9, 70, 3), (40, 40, 4), (33, 31, 3)]
    arrays = [random.integers(0, 256, shapes[i % len(shapes)], dtype=np.uint8) for i in range(n)]
    cells = [array if i % 2 else png(array) for i, array in enumerate(arrays)]
    return Examples([f"i{i}" for i in range(n)], {"image": cells})


def png(pixels: NDArray[np.unsignedinteger[Any]]) -> bytes:
    """Encode uint8 or uint16 [height, width] or [height, width, 3 or 4] as a PNG, without PIL."""
    height, width = pixels.shape[:2]
    color = {1: 0, 3: 2, 4: 6}[pixels.shape[2] if pixels.ndim == 3 else 1]
    lines = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">")).reshape(height, -1)
    raw = b"".join(b"\0" + line.tobytes() for line in lines)  # each line begins with its filter: none
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, color, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )

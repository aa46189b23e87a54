"""Image files for the tests: good ones of every sort, and bad ones of every sort."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def noise(height: int = 24, width: int = 36, seed: int = 0) -> Any:
    """Return smooth random pixels, uint8 [height, width, 3]."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height)))


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    """Return an image, or its pixels, as the bytes of a file."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(seed: int = 0, **options: Any) -> bytes:
    return encoded(noise(seed=seed), "JPEG", **options)


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def classes(root: Path, names: str = "cat dog eel", each: int = 6, start: int = 0) -> Path:
    """Write a folder for each class with so many images, all of them different."""
    for k, name in enumerate(names.split()):
        for i in range(each):
            write(root / name / f"{i:02}.jpg", jpeg(seed=start + 1000 * k + i))
    return root


def bad_files(folder: Path) -> dict[str, str]:
    """Write one file of every sort that cannot be read, and return name to reason."""
    good = jpeg()
    write(folder / "empty.jpg", b"")
    write(folder / "page.jpg", b"<html>404</html>")
    write(folder / "half.jpg", good[: len(good) // 2])
    write(folder / "half.png", encoded(noise())[:700])
    write(folder / "bits.png", flipped(encoded(noise())))
    write(folder / "huge.png", huge())
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    os.mkfifo(folder / "pipe.jpg")
    return {
        "empty.jpg": "empty", "page.jpg": "not an image", "half.jpg": "truncated", "half.png": "truncated",
        "bits.png": "corrupt", "huge.png": "too large", "gone.jpg": "missing", "pipe.jpg": "not a file",
    }  # fmt: skip


def flipped(png: bytes) -> bytes:
    """Return a PNG whose compressed pixels are spoilt in the middle."""
    middle = png.index(b"IDAT") + 40
    return png[:middle] + bytes(b ^ 0xFF for b in png[middle : middle + 40]) + png[middle + 40 :]


def huge(width: int = 13_378, height: int = 13_377) -> bytes:
    """Return a PNG whose header says that it is just too large; there are no pixels in it."""
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    small = encoded(noise(1, 1))
    start = small.index(b"IHDR")
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return small[:start] + b"IHDR" + header + crc + small[start + 4 + 13 + 4 :]

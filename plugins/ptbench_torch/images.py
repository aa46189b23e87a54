"""Reading images: a cell of a column to RGB pixels, the same ones that torchvision and timm train on.

A cell is the path of an image file, the encoded bytes of one, what gives such bytes when ``bytes(cell)`` asks
for them, or an array uint8 [height, width] or [height, width, channels] with 1, 3 (RGB) or 4 (RGBA) channels.
The pixels are those of ``PIL.Image.open(file).convert("RGB")``, on which published numbers rest: the first
frame, no alpha, and no turning by EXIF. Only grey images of more than 8 bits differ: PIL would clip them to
white.
"""

from __future__ import annotations

import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, SupportsBytes

import numpy as np

from ptbench_torch.pixels import LIMIT, UnreadableImage, checked_array, is_deep, to_rgb

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
"""What is tried, as far as the installed PIL has it; formats that run programs (EPS) are not."""
RAW = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw")
"""Raw files of cameras: many are TIFF outside, of which PIL would read a small preview."""
TRAITS = ("16-bit", "alpha", "frames", "rotated")
"""What `check_image` tells of an image that can be read: scaled to 8 bits, alpha dropped, the first of
several frames taken, an EXIF rotation not applied."""

LONGEST = 160
"""The most characters of a name in a message: what stands in a column of paths may be anything."""
_QUIET: Any = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of an image after it was decoded once and forgotten."""

    reason: str = ""
    """Why it cannot be read, one of `ptbench_torch.pixels.REASONS`; empty where it can."""
    message: str = ""
    traits: frozenset[str] = frozenset()
    """Some of `TRAITS`."""


def read_image(cell: Any) -> Image.Image:
    """Return the pixels of a cell, decoded, in mode RGB. Raises `UnreadableImage`.

    Many threads may call it. No warning of PIL comes out of it, and no global of PIL is changed.
    """
    from PIL import Image

    if isinstance(cell, np.ndarray):
        return Image.fromarray(checked_array(cell)).convert("RGB")
    if isinstance(cell, Image.Image):
        return to_rgb(cell.copy(), "an image of PIL")
    cell = _fetched(cell)
    with _decoded(cell, draft=False) as image:
        return to_rgb(image, _name(cell))


def check_image(cell: Any) -> Checked:
    """Say whether `read_image` can read a cell, and what it would leave out; keeps no pixels.

    A JPEG is decoded at an eighth of its size: every byte is read all the same, in a fraction of the time.
    """
    try:
        if isinstance(cell, np.ndarray):
            alpha = checked_array(cell).shape[2:] == (4,)
            return Checked(traits=frozenset({"alpha"} if alpha else ()))
        cell = _fetched(cell)
        with _decoded(cell, draft=True) as image:
            traits = _traits(image)
            to_rgb(image, _name(cell))
            return Checked(traits=traits)
    except UnreadableImage as error:
        return Checked(error.reason, str(error))


def _fetched(cell: Any) -> Any:
    """Return the bytes that a cell stands for; a path stands for more than its own."""
    if isinstance(cell, bytes | Path) or not isinstance(cell, SupportsBytes):
        return cell
    try:
        return bytes(cell)
    except (OSError, ValueError) as error:
        raise UnreadableImage("closed", f"{_name(cell)} cannot be read: {error}") from None


@contextmanager
def _decoded(cell: Any, *, draft: bool) -> Iterator[Image.Image]:
    """Open and decode a file or its bytes; PIL fails in every way there is, and here it ends in one."""
    import PIL
    from PIL import Image

    name = _name(cell)
    with _opened(cell) as file:
        try:
            _hush()
            image = Image.open(file, formats=_formats())
            width, height = image.size
            if width * height > LIMIT:
                raise UnreadableImage(
                    "too large", f"{name}: {width} x {height} pixels; {LIMIT:,} are the most"
                )
            if draft:
                image.draft(None, (max(1, width // 8), max(1, height // 8)))
            image.load()
        except (MemoryError, UnreadableImage):
            raise
        except PIL.UnidentifiedImageError:
            raise UnreadableImage("not an image", f"{name} is no image of a known format") from None
        except Image.DecompressionBombError:
            raise UnreadableImage("too large", f"{name}: {LIMIT:,} pixels are the most") from None
        except Exception as error:
            text = " ".join(str(error).split())[:160]
            reason = "truncated" if isinstance(error, EOFError) or "runcated" in text else "corrupt"
            raise UnreadableImage(reason, f"{name} is {reason}: {text or type(error).__name__}") from None
        yield image


@contextmanager
def _opened(cell: Any) -> Iterator[BinaryIO]:
    if cell is None:
        raise UnreadableImage("missing", "an image is missing")
    if not isinstance(cell, Path | bytes):
        raise UnreadableImage("not an image", f"a {type(cell).__name__} is no image")
    try:
        file = BytesIO(cell) if isinstance(cell, bytes) else _regular(cell)
    except FileNotFoundError:
        url = " (URLs are not fetched: download the images and name their files)" if _is_url(cell) else ""
        raise UnreadableImage("missing", f"{_name(cell)} does not exist{url}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte in it
        reason = getattr(error, "strerror", None) or error
        raise UnreadableImage("closed", f"{_name(cell)} cannot be opened: {reason}") from None
    with file:
        if isinstance(cell, Path) and cell.suffix.lower() in RAW:
            raise UnreadableImage("not an image", f"{_name(cell)} is a raw file of a camera; convert it")
        if not file.read(1):
            raise UnreadableImage("empty", f"{_name(cell)} is empty")
        yield file


def _regular(path: Path) -> BinaryIO:
    if not stat.S_ISREG(path.stat().st_mode):  # before it is opened: a pipe would keep us waiting
        raise UnreadableImage("not a file", f"{_name(path)} is a folder, a pipe or a device, not a file")
    return path.open("rb")


def _traits(image: Any) -> frozenset[str]:
    """Return what will be lost of an image; metadata may be broken in any way, and then says nothing."""
    alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    try:
        rotated = image.getexif().get(_ORIENTATION, 1) != 1
    except Exception:
        rotated = False
    try:
        frames = bool(getattr(image, "is_animated", False))
    except Exception:
        frames = False
    has = (is_deep(image), alpha, frames, rotated)
    return frozenset(trait for trait, present in zip(TRAITS, has, strict=True) if present)


def _name(cell: Any) -> str:
    if isinstance(cell, bytes):
        return f"an image of {len(cell):,} bytes"
    text = str(cell)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 :]}"


def _is_url(cell: Any) -> bool:
    """Say whether a path was a URL, before a folder was put before it."""
    return isinstance(cell, Path) and any(len(part) > 2 and part.endswith(":") for part in cell.parts[:-1])


@cache
def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _hush() -> None:
    """Keep PIL's warnings of odd metadata from the user; `warnings.catch_warnings` is not for threads."""
    if warnings.filters[:1] != [_QUIET]:
        warnings.filterwarnings("ignore", module=r"PIL\.")


__all__ = ["FORMATS", "LIMIT", "TRAITS", "Checked", "UnreadableImage", "check_image", "read_image"]

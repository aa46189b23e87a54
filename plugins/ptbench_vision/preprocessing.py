"""What is done to an image before the weights see it: it belongs to the weights, and the libraries do it.

The geometry (resize and crop) works on PIL images in uint8, with the very functions of torchvision and
timm; division by 255, mean and standard deviation are applied on the device.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ptbench import ModelError, Option, nearest

if TYPE_CHECKING:
    from PIL.Image import Image

NAMES = ("size", "resize", "interpolation", "mean", "std")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")

LARGEST = 4096
"""Pixels of a side: an image of this size is 200 MB of float32 already."""
OPTIONS = (
    Option("size", (int,), "Height and width that the model sees; default: what the weights declare"),
    Option("resize", (int,), "Shorter side before the central crop; default: what the weights declare"),
    Option(
        "interpolation", (str,), "How images are resized; default: what the weights declare",
        choices=INTERPOLATIONS,
    ),
    Option("mean", (list,), "Three means, of values from 0 to 1; default: what the weights declare"),
    Option("std", (list,), "Three standard deviations; default: what the weights declare"),
)  # fmt: skip
"""What a suite may say of the preprocessing; what differs from the weights' own is shown in the report."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From a decoded image to what the weights see."""

    geometry: Callable[[Image], Image]
    """From an RGB image to one of ``size``."""
    size: tuple[int, int]
    """Height and width that the model sees."""
    shorter: int
    """An image whose shorter side is less than this is enlarged."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    words: Mapping[str, Any] = field(default_factory=dict)
    """All of it in plain words, for the record and the digest."""
    changed: tuple[str, ...] = ()
    """Where it differs from what the weights declare, such as ``size 288, declared 224``."""

    @property
    def digest(self) -> str:
        """Return a digest of everything in it that can change a pixel."""
        return hashlib.sha256(json.dumps(self.words, sort_keys=True).encode()).hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of a score must know of it."""
        if not self.changed:
            return ()
        return ("preprocessing is not what the weights declare: " + ", ".join(self.changed),)


def preset(declared: Mapping[str, Any], wanted: Mapping[str, Any]) -> Preprocessing:
    """Return resize and central crop as torchvision's presets do them.

    Args:
        declared: ``size``, ``resize``, ``interpolation``, ``mean``, ``std`` as the weights declare them;
            what they do not declare, the suite has to say.
        wanted: What the suite says; None in it means nothing said. A ``size`` without ``resize`` keeps
            the proportion of the two.

    Raises:
        ModelError: A value is impossible, or nobody says it.
    """
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as f

    words = _words(declared, wanted)
    size, resize = words["size"], words["resize"]
    mode = InterpolationMode(words["interpolation"])

    def geometry(image: Image) -> Image:
        small: Image = f.resize(image, [resize], interpolation=mode, antialias=True)
        cropped: Image = f.center_crop(small, [size, size])
        return cropped

    changed = tuple(
        f"{name} {_brief(words[name])}, declared {_brief(declared[name])}"
        for name in NAMES
        if name in declared and words[name] != _plain(declared[name])
    )
    return Preprocessing(
        geometry, (size, size), resize, tuple(words["mean"]), tuple(words["std"]), words, changed
    )


def from_timm(config: Mapping[str, Any], wanted: Mapping[str, Any]) -> Preprocessing:
    """Return what timm makes of a data configuration (`timm.data.resolve_data_config`).

    A square central crop is that of `preset`; every other mode is timm's own transform, and then a
    suite cannot change it. Raises `ModelError` where it tries to.
    """
    _, height, width = config["input_size"]
    if config["crop_mode"] == "center" and height == width and config["interpolation"] in INTERPOLATIONS:
        declared = {
            "size": height,
            "resize": math.floor(height / config["crop_pct"]),  # as timm.data.transforms_factory has it
            **{name: config[name] for name in ("interpolation", "mean", "std")},
        }
        return preset(declared, wanted)
    asked = [name for name in NAMES if wanted.get(name) is not None]
    if asked:
        raise ModelError(
            f"option '{asked[0]}': these weights declare crop mode '{config['crop_mode']}' at "
            f"{height}x{width}, of which nothing can be changed here"
        )
    from timm.data.transforms_factory import create_transform

    steps = create_transform(**config, is_training=False, use_prefetcher=True).transforms[:-1]

    def geometry(image: Image) -> Image:
        for step in steps:  # all but the last, which only makes an array of it
            image = step(image)
        return image

    words = {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
    shorter = math.floor(min(height, width) / config["crop_pct"])
    return Preprocessing(
        geometry, (height, width), shorter, tuple(config["mean"]), tuple(config["std"]), words
    )


def _words(declared: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return all five, those of the suite before those of the weights. Raises `ModelError`."""
    given = {name: wanted[name] for name in NAMES if wanted.get(name) is not None}
    words = {"interpolation": "bilinear", **declared, **given}
    if "size" in given and "resize" not in given:
        words["resize"] = round(given["size"] * declared.get("resize", 1) / declared.get("size", 1))
    words.setdefault("resize", words.get("size"))
    missing = [name for name in NAMES if words.get(name) is None and name != "resize"]
    if missing:
        raise ModelError(
            f"nothing declares the preprocessing of these weights: write {', '.join(missing)} "
            "(say size = 224, mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225])"
        )
    for name in ("size", "resize"):
        if not 1 <= words[name] <= LARGEST:
            raise ModelError(f"{name} = {words[name]}: it is a number of pixels, from 1 to {LARGEST}")
    if "resize" in given and words["resize"] < words["size"]:
        raise ModelError(
            f"resize = {words['resize']} is less than size = {words['size']}: "
            "the crop would have a black border"
        )
    if words["interpolation"] not in INTERPOLATIONS:
        hint = nearest(words["interpolation"], INTERPOLATIONS)
        raise ModelError(f"interpolation = '{words['interpolation']}' is unknown; {hint}")
    for name in ("mean", "std"):
        values = list(words[name])
        good = len(values) == 3 and all(type(v) in (int, float) and 0 <= v <= 1 for v in values)
        if not good or (name == "std" and min(values) == 0):
            expected = "three numbers from 0 to 1" + (", none of them 0," if name == "std" else "")
            raise ModelError(
                f"{name} = {values}: {expected} were expected (for pixels from 0 to 255, divide by 255)"
            )
        words[name] = [float(value) for value in values]
    return {name: words[name] for name in NAMES}


def _brief(value: Any) -> str:
    return "/".join(f"{item:g}" for item in value) if isinstance(value, list | tuple) else str(value)


def _plain(value: Any) -> Any:
    return [float(item) for item in value] if isinstance(value, list | tuple) else value

"""The provider `pixels`: an image as its own grey or RGB values. What does a network add to that?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ptbench import (
    Capability,
    Examples,
    ModelDescription,
    ModelError,
    ModelFacts,
    ModelRequest,
    Option,
    Provider,
    nearest,
)

MODES = {"grey": "L", "rgb": "RGB"}


class Pixels:
    """An image resized to a square, flattened, from 0 to 1."""

    def __init__(self, mode: str, size: int) -> None:
        self._mode, self._size = MODES[mode], size
        self.facts = ModelFacts(
            parameters=0,
            preprocessing=f"{mode} pixels, {size}x{size}, bilinear",
            extra={"pixels": f"{mode} {size}x{size}"},
        )

    def embed(self, examples: Examples) -> NDArray[np.float32]:
        """Return float32[n, size * size * channels]."""
        from PIL.Image import Resampling

        from ptbench_torch.images import read_image

        size = (self._size, self._size)
        rows = [
            np.asarray(read_image(cell).convert(self._mode).resize(size, Resampling.BILINEAR)).ravel()
            for cell in examples["image"]
        ]
        width = self._size**2 * len(self._mode)
        return np.array(rows, dtype=np.float32).reshape(len(rows), width) / np.float32(255)


def describe(request: ModelRequest) -> ModelDescription:
    """Check the name."""
    name, size = request.reference.name, request.options.get("size", 32)
    if request.reference.revision:
        raise ModelError(f"{request.reference}: pixels have no revision; write pixels:{name}")
    if name not in MODES:
        raise ModelError(f"{request.reference}: there are no such pixels; {nearest(name, MODES)}")
    if not 1 <= size <= 512:
        raise ModelError(f"size = {size}: it is a number of pixels, from 1 to 512")
    return ModelDescription(
        capabilities=frozenset({Capability.EMBED}),
        inputs=frozenset({"image"}),
        parameters=0,
        files={"weights": ()},
    )


def load(request: ModelRequest) -> Pixels:
    """Return the model; there is nothing to load."""
    describe(request)
    return Pixels(request.reference.name, request.options.get("size", 32))


PROVIDER = Provider(
    name="pixels",
    description="A baseline: the pixels themselves, pixels:rgb or pixels:grey",
    requires=("PIL",),
    options=(Option("size", (int,), "Side of the square that an image is resized to", default=32),),
    describe=describe,
    load=load,
)

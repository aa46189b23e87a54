"""Preprocessing is that of the libraries, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torchvision import models

from ptbench import ModelError
from ptbench_vision.preprocessing import Preprocessing, from_timm, preset
from ptbench_vision.torchvision_models import declared_words

DECLARED = {
    "size": 224,
    "resize": 256,
    "interpolation": "bilinear",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}


def images() -> list[Image.Image]:
    """Larger and smaller than any input, wide and high."""
    numbers = np.random.default_rng(0)
    sizes = ((300, 401, 3), (100, 90, 3), (640, 333, 3), (8, 8, 3))
    return [Image.fromarray(numbers.integers(0, 256, size, dtype=np.uint8)) for size in sizes]


def seen(preprocessing: Preprocessing, image: Image.Image) -> torch.Tensor:
    """What the model sees, by the operations of the engine."""
    pixels = torch.from_numpy(np.asarray(preprocessing.geometry(image)).copy()).float()
    mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
    return pixels.div_(255).sub_(mean).div_(std).permute(2, 0, 1)


def test_every_preset_of_torchvision_is_reproduced_bit_for_bit() -> None:
    weights = [w for name in models.list_models(module=models) for w in models.get_model_weights(name)]
    different = {repr(entry.transforms()): entry for entry in weights}
    assert len(different) > 20
    for entry in different.values():
        own = entry.transforms()
        preprocessing = preset(declared_words(entry), {})
        for image in images()[:3]:
            assert torch.equal(seen(preprocessing, image), own(image)), entry


def test_every_mode_of_timm_is_reproduced_bit_for_bit() -> None:
    different: dict[tuple[Any, ...], tuple[str, Mapping[str, Any]]] = {}
    for name in timm.list_pretrained():
        config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
        _, height, width = config["input_size"]
        if height <= 256:  # the sizes are many, the modes few
            key = (config["crop_mode"], config["interpolation"], height == width, config["crop_pct"])
            different.setdefault(key, (name, config))
    assert {key[0] for key in different} >= {"center", "squash"}
    for name, config in different.values():
        transform = create_transform(**config, is_training=False)
        for image in images():
            assert torch.equal(seen(from_timm(config, {}), image), transform(image)), name


def test_what_the_suite_changes_is_told() -> None:
    preprocessing = preset(DECLARED, {"size": 288, "interpolation": "bicubic", "mean": None})
    assert preprocessing.size == (288, 288)
    assert preprocessing.shorter == 329  # in the proportion of 224 to 256
    (note,) = preprocessing.notes
    assert note.startswith("preprocessing is not what the weights declare: size 288, declared 224, ")
    assert "interpolation bicubic, declared bilinear" in note
    assert preprocessing.digest != preset(DECLARED, {}).digest


def test_what_the_suite_repeats_is_not_told() -> None:
    preprocessing = preset(DECLARED, {"size": 224, "mean": [0.485, 0.456, 0.406]})
    assert preprocessing.notes == ()
    assert preprocessing.digest == preset(DECLARED, {}).digest


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"size": 0}, "size = 0: it is a number of pixels"),
        ({"interpolation": "cubic"}, "did you mean 'bicubic'"),
        ({"mean": [0.5]}, "three numbers"),
        ({"std": [0.5, 0.0, 0.5]}, "three numbers from 0 to 1, none of them 0"),
        ({"mean": ["a", "b", "c"]}, "three numbers"),
        ({"mean": [124, 116, 104]}, "divide by 255"),
        ({"std": [58, 57, 57]}, "divide by 255"),
        ({"mean": [True, 0.1, 0.2]}, "three numbers"),
        ({"size": 100_000}, "from 1 to 4096"),
        ({"size": 64, "resize": 16}, "black border"),
    ],
)
def test_impossible_values_are_refused(wanted: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        preset(DECLARED, wanted)


def test_weights_that_declare_nothing_need_words() -> None:
    with pytest.raises(ModelError, match="write size, mean, std"):
        preset({}, {})
    small = preset({}, {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3})
    assert (small.size, small.shorter, small.notes) == ((32, 32), 32, ())


def test_a_squashed_input_cannot_be_changed() -> None:
    config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg("test_vit.r160_in1k").to_dict())
    squashed = {**config, "crop_mode": "squash"}
    with pytest.raises(ModelError, match="crop mode 'squash'"):
        from_timm(squashed, {"size": 96})

"""The engine: the order of examples, nothing from the batch, counts, seconds, clear errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ptbench import Capability, DataError, Examples, ModelError, ModelRequest, Reference, Settings, testing
from ptbench_torch import precision
from ptbench_vision import timm_models, torchvision_models
from ptbench_vision.rawpixels import PROVIDER as PIXELS

DEFAULT = Settings()
RANDOM = {"init": "random", "size": 64}


def embedder(reference: str = "torchvision:squeezenet1_1", settings: Settings = DEFAULT, **more: Any) -> Any:
    provider = timm_models.PROVIDER if reference.startswith("timm") else torchvision_models.PROVIDER
    request = ModelRequest(Reference.parse(reference), {**RANDOM, **more}, settings, Path(), Capability.EMBED)
    return provider.load(request)


def pictures(n: int, seed: int = 0) -> Examples:
    numbers = np.random.default_rng(seed)
    sizes = numbers.integers(40, 120, (n, 2))
    cells = [numbers.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sizes]
    return Examples([f"i{i}" for i in range(n)], {"image": cells})


@pytest.mark.parametrize("reference", ["torchvision:squeezenet1_1", "timm:test_vit"])
def test_features_come_in_order_whatever_the_batch(reference: str) -> None:
    examples = pictures(23)
    whole = embedder(reference, Settings(batch_size=23)).embed(examples)
    ones = embedder(reference, Settings(batch_size=1)).embed(examples)
    some = embedder(reference, Settings(batch_size=7)).embed(examples.take([5, 22, 0]))
    assert whole.dtype == np.float32
    assert np.allclose(whole, ones, atol=1e-5)
    assert np.allclose(some, whole[[5, 22, 0]], atol=1e-5)


def test_both_layouts_give_the_same_features() -> None:
    examples = pictures(5)
    first = embedder(channels_last=True).embed(examples)
    assert np.allclose(first, embedder(channels_last=False).embed(examples), atol=1e-4)


def test_random_weights_are_seeded_and_said() -> None:
    examples = pictures(3)
    model = embedder()
    assert np.array_equal(model.embed(examples), embedder().embed(examples))
    assert model.facts.weights == embedder().facts.weights
    assert model.facts.weights != embedder(init_seed=1).facts.weights
    assert model.facts.notes == ("random weights (init_seed 0): nothing is pre-trained",)


def test_enlarged_images_are_counted() -> None:
    model = embedder()  # size 64: the shorter side becomes 73 before the crop
    cells = [np.zeros(shape, dtype=np.uint8) for shape in ((72, 200, 3), (73, 73, 3), (8, 8), (100, 90, 3))]
    model.embed(Examples(list("abcd"), {"image": cells}))
    assert model.facts.counts == {"resized up": 2}


def test_seconds_are_told() -> None:
    model = embedder()
    assert model.facts.seconds == {"decode": 0.0, "transfer": 0.0, "compute": 0.0}
    model.embed(pictures(20))
    seconds = model.facts.seconds
    assert seconds["compute"] > 0
    assert seconds["decode"] > 0


def test_an_image_that_vanishes_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (80, 80)).save(tmp_path / "here.png")
    cells = [tmp_path / "here.png", tmp_path / "gone.png"]
    with pytest.raises(DataError, match=r"gone\.png"):
        embedder().embed(Examples(["a", "b"], {"image": cells}))


def test_no_examples_at_all() -> None:
    assert embedder().embed(Examples([], {"image": []})).shape == (0, 512)


def test_facts_say_what_it_is_and_costs() -> None:
    facts = embedder().facts
    assert facts.parameters == 722_496  # SqueezeNet 1.1 without its classifier
    assert facts.weight_bytes == 4 * 722_496
    assert facts.operations is not None
    assert facts.operations.input == "3x64x64"
    assert facts.device == "cpu"


def test_what_cannot_run_is_an_error_of_one_line() -> None:
    with pytest.raises(ModelError, match=r"cannot run on an image of 1x1"):
        embedder("torchvision:alexnet", size=1, resize=1)
    reference = Reference.parse("torchvision:squeezenet1_1")
    request = ModelRequest(reference, RANDOM, capability=Capability.PREDICT)
    with pytest.raises(ModelError, match="random weights predict nothing"):
        torchvision_models.PROVIDER.load(request)
    with pytest.raises(ModelError, match="device 'cuda:7' is not there"):
        embedder(settings=Settings(device="cuda:7"))


def test_weights_of_five_dimensions_have_no_channels_last() -> None:
    """lambda_resnet26t keeps one; torch refuses to lay it out (found by a user)."""
    request = ModelRequest(
        Reference.parse("timm:lambda_resnet26t"), {"init": "random"}, capability=Capability.EMBED
    )
    model: Any = timm_models.PROVIDER.load(request)
    assert model.facts.extra["layout"] == "contiguous"


@pytest.mark.parametrize(
    ("reference", "size"),
    [("timm:halonet26t", 64), ("torchvision:vit_b_16", 100), ("torchvision:maxvit_t", 100)],
)
def test_a_size_that_a_network_cannot_take_is_one_line(reference: str, size: int) -> None:
    with pytest.raises(
        ModelError, match=rf"{reference} cannot (run on an image of {size}x{size}|be built): \w+"
    ):
        embedder(reference, size=size)


def test_bf16_is_near() -> None:
    examples = pictures(4)
    exact, near = embedder().embed(examples), embedder(settings=Settings(precision="bf16")).embed(examples)
    assert np.abs(exact - near).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize("reference", ["torchvision:squeezenet1_1", "timm:test_resnet"])
def test_the_kit_is_content(reference: str) -> None:
    provider = timm_models.PROVIDER if reference.startswith("timm") else torchvision_models.PROVIDER
    testing.check_provider(provider, reference, testing.images(), options=RANDOM)


def test_pixels_are_what_they_are() -> None:
    testing.check_provider(PIXELS, "pixels:rgb", testing.images())
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    request = ModelRequest(Reference("pixels", "grey"), {"size": 8}, capability=Capability.EMBED)
    row: Any = PIXELS.load(request)
    assert np.array_equal(
        row.embed(Examples(["a"], {"image": [image]}))[0], image.ravel().astype(np.float32) / 255
    )
    with pytest.raises(ModelError, match="did you mean 'grey'"):
        PIXELS.describe(replace(request, reference=Reference("pixels", "gray")))


def test_a_score_does_not_hang_on_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(module: Any, inputs: Any) -> Any:
        raise ModelError("the operations of Flex cannot be counted")

    monkeypatch.setattr("ptbench_vision.visionmodels.count_operations", fail)
    facts = embedder().facts
    assert facts.operations is None
    assert "multiply-adds are not known: the operations of Flex cannot be counted" in facts.notes


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As every slot of a canonical run has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "reference",
    ["timm:resnet10t", "timm:test_vit", "timm:mobilenetv3_small_050", "timm:convnext_atto",
     "timm:test_efficientnet", "torchvision:squeezenet1_1"],
)  # fmt: skip
def test_canonical_bits_depend_on_the_image_alone(reference: str) -> None:
    examples = pictures(19)
    model = embedder(reference, Settings(canonical=True))
    expected = model.embed(examples)
    other = embedder(reference, Settings(canonical=True, batch_size=3)).embed(examples)
    assert other.tobytes() == expected.tobytes()
    order = np.random.default_rng(1).permutation(19)
    assert np.array_equal(model.embed(examples.take(order)), expected[order])
    for some in ([4], [18, 3, 5], list(range(2, 13))):
        assert np.array_equal(model.embed(examples.take(some)), expected[some])
    assert np.allclose(embedder(reference).embed(examples), expected, atol=1e-4)


@pytest.mark.parametrize("canonical", [False, True])
def test_memory_that_is_short_changes_no_row_and_is_told(canonical: bool) -> None:
    examples = pictures(19)
    plain, model = embedder().embed(examples), embedder(settings=Settings(canonical=canonical))
    seen: list[int] = []

    def check(module: Any, inputs: Any) -> None:
        if len(inputs[0]) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        seen.append(len(inputs[0]))

    model._engine.module.register_forward_pre_hook(check)
    assert np.allclose(model.embed(examples), plain, atol=1e-5)
    assert sum(seen) == (20 if canonical else 19)
    assert model.facts.extra["batch"] == {"unit": "images", "asked": 8, "used": 2}
    assert "out of memory with batches of 8 images: 2 were used" in model.facts.notes
    assert model.facts.counts["batch halved"] == 2


def test_auto_is_bf16_on_a_device_that_is_made_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert embedder("timm:test_vit").facts.precision == "fp32"
    monkeypatch.setattr(precision, "fast_bf16", lambda device: True)
    model = embedder("timm:test_vit")
    assert model.facts.precision == "bf16"
    assert {parameter.dtype for parameter in model._engine.module.parameters()} == {torch.bfloat16}
    monkeypatch.setattr(precision, "TOLERANCE", 1e-9)
    careful = embedder("timm:test_vit")
    assert careful.facts.precision == "fp32"
    assert "computed in fp32, since in bf16 its first output differs by 1%" in careful.facts.notes
    examples = pictures(3)
    plain = embedder("timm:test_vit", Settings(precision="fp32")).embed(examples)
    assert np.array_equal(careful.embed(examples), plain), "the weights did not go through bf16"

"""Fine-tuning of images: blocks of every sort of network, batch norm, pixels decoded once, what is learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.plugins.torch.toys import state

from ptbench import (
    Capability,
    DataError,
    Examples,
    FitRequest,
    ModelRequest,
    Reference,
    Settings,
    Split,
    Task,
)
from ptbench.testing import check_protocol, check_rows, make_trial
from ptbench_torch.finetuning import PROTOCOL
from ptbench_torch.optimising import parameter_groups
from ptbench_vision import learning, timm_models, torchvision_models
from ptbench_vision.classification import KIND

CPU = Settings(device="cpu")
QUICK: dict[str, Any] = {"rates": [1e-3], "epochs": 1, "head_epochs": 1}
LAST = QUICK | {"unfreeze": 1, "stages": ["all"]}


def network(reference: str = "timm:resnet10t", capability: str = "fit", **options: Any) -> Any:
    provider = timm_models.PROVIDER if reference.startswith("timm") else torchvision_models.PROVIDER
    given = {"init": "random", "size": 32, **options}
    settings = given.pop("settings", CPU)
    parsed = Reference.parse(reference)
    return provider.load(ModelRequest(parsed, given, settings, Path(), Capability(capability)))


def split(name: str, n: int) -> Split:
    """Stripes in two halves: do they run the same way? Either way is as frequent under both labels."""
    draw = np.random.default_rng(len(name))
    ways = draw.integers(0, 2, (n, 2))
    cells = []
    for pair in ways:
        halves = []
        for lying in pair:
            stripes = np.roll(np.arange(32) // 4 % 2 * 120, draw.integers(0, 8))
            square = np.tile(stripes, (32, 1)) + draw.integers(0, 120, (32, 32))
            halves.append((square.T if lying else square)[:, :16])
        cells.append(np.repeat(np.hstack(halves)[..., None], 3, axis=2).astype(np.uint8))
    return Split(Examples([f"{name}-{i}" for i in range(n)], {"image": cells}), ways[:, 0] ^ ways[:, 1])


def task(train: int = 97, validation: int = 32, test: int = 40) -> Task:
    sizes = {"train": train, "validation": validation, "test": test}
    return Task("stripes", KIND.name, {n: split(n, k) for n, k in sizes.items()}, (), ("same", "other"))


def run(model: Any, given: Task, **options: Any) -> Any:
    return PROTOCOL.run(make_trial(PROTOCOL, model, given, KIND, **options))


@pytest.mark.parametrize(
    ("reference", "size", "expected"),
    [
        ("timm:resnet10t", 32, ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]),
        ("torchvision:resnet18", 32, ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]),
        ("torchvision:mobilenet_v3_small", 32, [*(f"features.{i}" for i in range(13)), "classifier"]),
        ("timm:test_vit", 160, ["parameters", "patch_embed", *(f"blocks.{i}" for i in range(6)), "norm"]),
        ("timm:convnext_atto", 32, ["stem", *(f"stages.{i}" for i in range(4)), "head"]),
        ("torchvision:regnet_y_400mf", 32, ["stem", *(f"trunk_output.block{i}" for i in range(1, 5))]),
    ],
)
def test_blocks_of_every_sort(reference: str, size: int, expected: list[str]) -> None:
    learner = network(reference, size=size).learner
    assert [name for name, _ in learner.blocks] == expected
    held = [id(p) for _, block in learner.blocks for p in block.parameters()]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in learner.backbone.parameters()}


@pytest.mark.parametrize(
    ("reference", "size"), [("timm:test_vit", 160), ("torchvision:mobilenet_v3_small", 32),
                            ("timm:convnext_atto", 32), ("torchvision:googlenet", 64)]
)  # fmt: skip
def test_every_sort_of_network_learns_its_last_block(reference: str, size: int) -> None:
    model = network(reference, size=size)
    before = state(model.learner.backbone)
    given = task(9, 6, 5)
    request = FitRequest(
        given.kind, given.labels, 0, {**QUICK, "unfreeze": 1, "stages": ["all"], "batch_size": 4}
    )
    fitted = model.fit(given.split("train"), given.split("validation"), request)
    after = state(model.learner.backbone)
    blocks = fitted.facts.extra["unfrozen"].split(", ")
    changed = {k.removeprefix("network.") for k in before if not torch.equal(before[k], after[k])}
    assert changed
    assert all(key.startswith(tuple(blocks)) for key in changed), changed
    check_rows(lambda some: fitted.predict(some)["scores"], given.split("test").examples, reference)


def test_the_whole_network_learns_more_than_its_head() -> None:
    outcome = run(network(), task(200, 60, 60), rates=[5e-3], epochs=3, head_epochs=3)
    curves = [c for c in outcome.facts["curves"] if c["name"] == "accuracy"]
    reached = {c["of"]: max(y for _, y in c["points"]) for c in curves}
    assert outcome.facts["stage"] == "all"
    assert reached["validation, all 0.005"] > reached["validation, head"] + 0.1


@pytest.mark.parametrize(
    ("reference", "size", "spared"),
    [("timm:test_vit", 160, ("cls_token", "pos_embed")),
     ("timm:swin_tiny_patch4_window7_224", 224, ("relative_position_bias_table",))],
)  # fmt: skip
def test_what_networks_of_timm_leave_out_does_not_decay(
    reference: str, size: int, spared: tuple[str, ...]
) -> None:
    backbone = network(reference, size=size).learner.backbone
    groups = parameter_groups(backbone, 0.1)
    names = {id(p): name for name, p in backbone.named_parameters()}
    decaying, others = ({names[id(p)] for p in group["params"]} for group in groups)
    wanted = {name for name, p in backbone.named_parameters() if p.ndim < 2 or name.endswith(spared)}
    assert others == wanted
    assert all(any(name.endswith(one) for name in others) for one in spared)
    assert decaying == set(names.values()) - wanted


def test_batch_norm_of_frozen_blocks_stands_still() -> None:
    model = network()
    before = state(model.learner.backbone)
    given = task()
    request = FitRequest(given.kind, given.labels, 0, LAST)
    model.fit(given.split("train"), given.split("validation"), request)  # 97 rows: a last batch of 33
    after = state(model.learner.backbone)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[1] for name in changed} == {"layer4"}
    assert any("running_mean" in name for name in changed)
    assert any(name.endswith("weight") for name in changed)


def test_poisoned_test_rows_change_nothing() -> None:
    check_protocol(PROTOCOL, network(), task(40, 20, 20), KIND, **QUICK)


def test_features_are_those_that_the_network_embeds() -> None:
    """Same pixels, same geometry, no augmentation: in training as in evaluation."""
    examples = split("test", 12).examples
    expected = network(capability="embed").embed(examples)
    learner = network().learner
    with torch.inference_mode():
        actual = learner.backbone(learner.read(examples).batch(np.arange(12)))
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert learner.width == expected.shape[1]


def test_many_pixels_lie_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = network().learner
    examples = split("test", 9).examples
    held = learner.read(examples)
    monkeypatch.setattr(learning, "HELD_BYTES", 1000)
    mapped = learner.read(examples)
    assert isinstance(mapped.pixels, np.memmap)
    assert np.array_equal(mapped.pixels, held.pixels)
    assert torch.equal(mapped.batch(np.array([3, 1])), held.batch(np.array([3, 1])))
    assert mapped.lengths.tolist() == [1] * 9


def test_an_image_that_vanishes_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png"):
        network().learner.read(Examples(["a"], {"image": [tmp_path / "gone.png"]}))


def test_facts_say_how_it_learns() -> None:
    model = network(settings=Settings(device="cpu", precision="bf16"))
    assert model.facts.precision == "bf16"
    assert model.facts.extra["augmentation"] == "none"
    assert "random weights (init_seed 0)" in model.facts.notes[0]
    assert model.learner.autocast is torch.bfloat16
    assert {p.dtype for p in model.learner.backbone.parameters()} == {torch.float32}

"""The head of a network is found by its width, and the features before it come out."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from ptbench import ModelError
from ptbench_vision.cifar import resnet20, resnet32
from ptbench_vision.heads import find_head, without_head

FAMILIES = {
    "alexnet": 4096,
    "convnext_tiny": 768,
    "densenet121": 1024,
    "efficientnet_b0": 1280,
    "googlenet": 1024,
    "inception_v3": 2048,
    "maxvit_t": 512,
    "mnasnet0_5": 1280,
    "mobilenet_v3_small": 1024,
    "resnet18": 512,
    "shufflenet_v2_x0_5": 1024,
    "squeezenet1_1": 512,
    "swin_t": 768,
    "swin_v2_t": 768,
    "vgg11": 4096,
    "vit_b_16": 768,
}


@pytest.mark.parametrize(("name", "width"), FAMILIES.items())
def test_every_family_of_torchvision_gives_its_features(name: str, width: int) -> None:
    size = 299 if name == "inception_v3" else 224
    init = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):  # shapes are enough, and take no memory
        module = without_head(get_model(name, weights=None, **init).eval(), 1000)
        features = module(torch.empty(2, 3, size, size))
    assert features.shape == (2, width)


def test_a_head_that_is_the_whole_network() -> None:
    assert isinstance(without_head(nn.Linear(8, 3), 3), nn.Identity)


def test_no_layer_of_that_width() -> None:
    with pytest.raises(ModelError, match="no layer with 7 outputs"):
        find_head(nn.Sequential(nn.Linear(8, 3)), 7)


@pytest.mark.parametrize(("network", "published"), [(resnet20, 0.27), (resnet32, 0.46)])
def test_cifar_networks_have_the_published_parameters(network: object, published: float) -> None:
    module = network()  # type: ignore[operator]
    count = sum(parameter.numel() for parameter in module.parameters())
    assert round(count / 1e6, 2) == published
    assert module.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)

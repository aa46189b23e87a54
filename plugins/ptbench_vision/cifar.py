"""ResNets for 32x32 images, so that published CIFAR-10 weights have an architecture to be loaded into."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as f


def resnet20(num_classes: int = 10) -> CifarResNet:
    """Return the network of 20 layers of He et al. (2016), table 6: 0.27 M parameters."""
    return CifarResNet(3, num_classes)


def resnet32(num_classes: int = 10) -> CifarResNet:
    """Return the network of 32 layers of He et al. (2016), table 6: 0.46 M parameters."""
    return CifarResNet(5, num_classes)


class CifarResNet(nn.Module):
    """Three stages of n basic blocks with 16, 32 and 64 filters (He et al. 2016, section 4.2).

    Shortcuts are of option A: where a stage begins, every second pixel is taken and the new channels
    are zeros, so that they have no parameters.
    """

    def __init__(self, n: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(n, 16, 16)
        self.layer2 = _stage(n, 16, 32)
        self.layer3 = _stage(n, 32, 64)
        self.linear = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [n, num_classes] of images [n, 3, 32, 32]."""
        maps = f.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        logits: Tensor = self.linear(maps.mean(dim=(2, 3)))
        return logits


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = 1 if inputs == outputs else 2
        self.added = outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, maps: Tensor) -> Tensor:
        new = self.bn2(self.conv2(f.relu(self.bn1(self.conv1(maps)))))
        if self.added:
            before = self.added // 2
            kept = maps[:, :, :: self.stride, :: self.stride]
            maps = f.pad(kept, (0, 0, 0, 0, before, self.added - before))
        return f.relu(new + maps)


def _stage(n: int, inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_Block(inputs, outputs), *(_Block(outputs, outputs) for _ in range(n - 1)))

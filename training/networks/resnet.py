"""ResNet-50, the trunk DeepLabCut's users know: large, a teacher for smaller networks.

He et al. 2016, "Deep Residual Learning for Image Recognition", table 1, with the stride on the 3x3
convolution, as in torchvision, whose published weights fit (`training.learning.published`). Its activations
are ReLU and its padding is torch's, because those weights were trained so.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.networks.units import ConvUnit, Sum, Trunk

# stride of the features, channels inside the bottleneck, blocks
STAGES = ((4, 64, 3), (8, 128, 4), (16, 256, 6), (32, 512, 3))
EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, added to their input or to a projection of it."""

    def __init__(self, inputs: int, inside: int, *, stride: int, batch_norm: bool) -> None:
        super().__init__()
        outputs = EXPANSION * inside

        def unit(a: int, b: int, kernel: int = 1, stride: int = 1, *, active: bool = True) -> ConvUnit:
            return ConvUnit(
                a, b, kernel=kernel, stride=stride, active=active, activation=nn.ReLU, centred=True,
                batch_norm=batch_norm,
            )  # fmt: skip

        self.units = nn.Sequential(
            unit(inputs, inside), unit(inside, inside, 3, stride), unit(inside, outputs, active=False)
        )
        self.projection: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.projection = unit(inputs, outputs, 1, stride, active=False)
        self.sum = Sum(nn.ReLU)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, inputs, H, W) -> (B, 4 * inside, H / stride, W / stride)."""
        out: Tensor = self.sum(self.units(features), self.projection(features))
        return out


class ResNet(Trunk):
    """The trunk, without the classifier."""

    def __init__(self, *, batch_norm: bool) -> None:
        super().__init__()
        first = ConvUnit(3, 64, kernel=7, stride=2, activation=nn.ReLU, centred=True, batch_norm=batch_norm)
        # padded with zeros, since nothing after a ReLU is less, and int8 has no minus infinity
        self.stem = nn.Sequential(first, nn.ZeroPad2d(1), nn.MaxPool2d(3, 2))
        channels = 64
        for stride, inside, repeats in STAGES:
            blocks: list[nn.Module] = []
            for number in range(repeats):
                halves = number == 0 and stride > 4
                blocks.append(Bottleneck(channels, inside, stride=2 if halves else 1, batch_norm=batch_norm))
                channels = EXPANSION * inside
            self.add_level(stride, blocks, channels)


def build(variant: str, *, batch_norm: bool) -> ResNet:
    """The trunk named `resnet-50`. Raises `ValueError` for another depth."""
    if variant != "50":
        raise ValueError("the only depth is 50")
    return ResNet(batch_norm=batch_norm)

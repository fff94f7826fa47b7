"""The operations that all trunks and the head are made of: a convolution, and a sum.

Each ends in `output`, which does nothing until the network learns to be int8
(`training.learning.quantization_aware` puts the rounding there): one `output` is one tensor of an int8 graph.
"""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor, nn


class ConvUnit(nn.Module):
    """Convolution, batch norm (or a bias, where the norm is folded), optionally ReLU6.

    Padding is TensorFlow's: an even input at stride 2 is padded on the right and at the bottom only, so
    that weights of TensorFlow classifiers see what they were trained on. ReLU6 bounds what int8 must hold.

    Parameters
    ----------
    active:
        Whether the activation follows.
    activation:
        Which one: `nn.ReLU6`, or `nn.ReLU` where trained weights want it.
    centred:
        Pad both sides alike at stride 2, as weights trained with torch expect.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
        activation: type[nn.ReLU6] | type[nn.ReLU] = nn.ReLU6,
        centred: bool = False,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        before = (kernel - 1) // 2 if stride == 1 or centred else (kernel - 2) // 2
        after = before if stride == 1 or centred else kernel - 2 - before
        even = before == after
        self.pad = () if even or kernel == 1 else (before, after, before, after)
        padding = before if even and kernel > 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=not batch_norm)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, momentum=0.05) if batch_norm else nn.Identity()
        self.activation: nn.Module = activation(inplace=True) if active else nn.Identity()
        self.output: nn.Module = nn.Identity()
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        if self.pad:
            features = functional.pad(features, self.pad)
        out: Tensor = self.output(self.activation(self.norm(self.conv(features))))
        return out


class Sum(nn.Module):
    """Two feature maps added, optionally through an activation."""

    def __init__(self, activation: type[nn.ReLU6] | type[nn.ReLU] | None = None) -> None:
        super().__init__()
        self.activation: nn.Module = nn.Identity() if activation is None else activation()
        self.output: nn.Module = nn.Identity()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Features (B, C, H, W), twice -> the same shape."""
        out: Tensor = self.output(self.activation(first + second))
        return out


class Trunk(nn.Module):
    """What every trunk offers.

    Attributes
    ----------
    channels:
        Channels of the feature map at each stride: {4: .., 8: .., 16: .., 32: ..}.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem: nn.Module = nn.Identity()
        self.levels = nn.ModuleDict()
        self.channels: dict[int, int] = {}

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Image float (B, 3, H, W) in -1..1 -> features (B, C, H/s, W/s) by stride s."""
        features = self.stem(image)
        levels: dict[int, Tensor] = {}
        for stride, blocks in self.levels.items():
            features = blocks(features)
            levels[int(stride)] = features
        return levels

    def add_level(self, stride: int, blocks: list[nn.Module], channels: int) -> None:
        """The blocks that end at this stride, and their output channels."""
        self.levels[str(stride)] = nn.Sequential(*blocks)
        self.channels[stride] = channels

    def convolutions(self) -> list[nn.Conv2d]:
        """All convolutions in network order, as classifiers list them."""
        return [module for module in self.modules() if isinstance(module, nn.Conv2d)]

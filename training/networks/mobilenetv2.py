"""MobileNetV2 at any width, as a trunk that hands out its features at strides 4, 8, 16 and 32.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2. Padding is
TensorFlow's: an even input at stride 2 is padded on the right and at the bottom only, so that weights
of TensorFlow classifiers see what they were trained on.
"""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor, nn

# expansion, channels at width 1, repeats, stride of the first
STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def scaled_channels(channels: float) -> int:
    """`channels` rounded to a multiple of 8, never less than nine tenths of it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class ConvUnit(nn.Module):
    """Convolution, batch norm (or a bias, where the norm is folded), optionally ReLU6."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.stride = stride
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=not batch_norm)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, momentum=0.05) if batch_norm else nn.Identity()
        self.activation: nn.Module = nn.ReLU6() if active else nn.Identity()
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        if self.stride == 2:
            features = functional.pad(features, (0, 1, 0, 1))
        out: Tensor = self.activation(self.norm(self.conv(features)))
        return out


class InvertedResidual(nn.Module):
    """Expand, depthwise 3x3, project; added to its input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int, batch_norm: bool) -> None:
        super().__init__()
        wide = inputs * expansion
        units = [] if expansion == 1 else [ConvUnit(inputs, wide, batch_norm=batch_norm)]
        units.append(ConvUnit(wide, wide, kernel=3, stride=stride, groups=wide, batch_norm=batch_norm))
        units.append(ConvUnit(wide, outputs, active=False, batch_norm=batch_norm))
        self.units = nn.Sequential(*units)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        out: Tensor = self.units(features)
        return features + out if self.residual else out


class MobileNetV2(nn.Module):
    """The trunk, without the classifier and the last convolution before it.

    Parameters
    ----------
    width:
        Multiplier of all channel counts.
    batch_norm:
        False where folded weights of a classifier are loaded: convolutions carry biases instead.

    Attributes
    ----------
    channels:
        Channels of the feature map at each stride: {4: .., 8: .., 16: .., 32: ..}.
    """

    def __init__(self, width: float, *, batch_norm: bool) -> None:
        super().__init__()
        channels = scaled_channels(32 * width)
        self.stem = ConvUnit(3, channels, kernel=3, stride=2, batch_norm=batch_norm)
        self.levels = nn.ModuleDict()
        self.channels: dict[int, int] = {}
        stride, blocks = 2, list[nn.Module]()
        for expansion, base, repeats, first_stride in STAGES:
            if first_stride == 2 and blocks and stride > 2:
                self._close(stride, blocks, channels)
                blocks = []
            stride *= first_stride
            outputs = scaled_channels(base * width)
            for step in (first_stride, *[1] * (repeats - 1)):
                blocks.append(
                    InvertedResidual(
                        channels, outputs, stride=step, expansion=expansion, batch_norm=batch_norm
                    )
                )
                channels = outputs
        self._close(stride, blocks, channels)

    def _close(self, stride: int, blocks: list[nn.Module], channels: int) -> None:
        self.levels[str(stride)] = nn.Sequential(*blocks)
        self.channels[stride] = channels

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Image float (B, 3, H, W) in -1..1 -> features (B, C, H/s, W/s) by stride s."""
        features = self.stem(image)
        levels: dict[int, Tensor] = {}
        for stride, blocks in self.levels.items():
            features = blocks(features)
            levels[int(stride)] = features
        return levels

    def convolutions(self) -> list[nn.Conv2d]:
        """All convolutions in network order, as classifiers list them."""
        return [module for module in self.modules() if isinstance(module, nn.Conv2d)]


def build(variant: str, *, batch_norm: bool) -> MobileNetV2:
    """The trunk named `mobilenetv2-<variant>`; the variant is the width. Raises `ValueError`."""
    width = float(variant)
    if not 0.1 <= width <= 2.0:
        raise ValueError(f"width {width} lies outside 0.1..2")
    return MobileNetV2(width, batch_norm=batch_norm)

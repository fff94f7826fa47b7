"""MobileNetV2 at any width, as a trunk that hands out its features at strides 4, 8, 16 and 32.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.networks.units import ConvUnit, Sum, Trunk

# expansion, channels at width 1, repeats, stride of the first
STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def scaled_channels(channels: float) -> int:
    """`channels` rounded to a multiple of 8, never less than nine tenths of it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class InvertedResidual(nn.Module):
    """Expand, depthwise 3x3, project; added to its input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int, batch_norm: bool) -> None:
        super().__init__()
        wide = inputs * expansion
        units = [] if expansion == 1 else [ConvUnit(inputs, wide, batch_norm=batch_norm)]
        units.append(ConvUnit(wide, wide, kernel=3, stride=stride, groups=wide, batch_norm=batch_norm))
        units.append(ConvUnit(wide, outputs, active=False, batch_norm=batch_norm))
        self.units = nn.Sequential(*units)
        self.sum = Sum() if stride == 1 and inputs == outputs else None

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        out: Tensor = self.units(features)
        return out if self.sum is None else self.sum(features, out)


class MobileNetV2(Trunk):
    """The trunk, without the classifier and the last convolution before it.

    Parameters
    ----------
    width:
        Multiplier of all channel counts.
    batch_norm:
        False where folded weights of a classifier are loaded: convolutions carry biases instead.
    """

    def __init__(self, width: float, *, batch_norm: bool) -> None:
        super().__init__()
        channels = scaled_channels(32 * width)
        self.stem = ConvUnit(3, channels, kernel=3, stride=2, batch_norm=batch_norm)
        stride, blocks = 2, list[nn.Module]()
        for expansion, base, repeats, first_stride in STAGES:
            if first_stride == 2 and blocks and stride > 2:
                self.add_level(stride, blocks, channels)
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
        self.add_level(stride, blocks, channels)


def build(variant: str, *, batch_norm: bool) -> MobileNetV2:
    """The trunk named `mobilenetv2-<variant>`; the variant is the width. Raises `ValueError`."""
    width = float(variant)
    if not 0.1 <= width <= 2.0:
        raise ValueError(f"width {width} lies outside 0.1..2")
    return MobileNetV2(width, batch_norm=batch_norm)

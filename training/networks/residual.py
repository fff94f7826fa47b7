"""A small residual trunk of dense 3x3 convolutions, for training from few labels without pretraining.

MobileNetV2 spends its time moving wide, thin feature maps through memory, in training above all. Dense
convolutions of few channels do several times the arithmetic for each number moved: they train faster on
a CPU, suit tensor cores and int8 instructions, and learn in fewer steps from random weights. The block
is that of He et al. 2016, "Deep Residual Learning for Image Recognition", figure 2.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.networks.units import ConvUnit, Sum, Trunk

# stride, channels as a multiple of the width, residual blocks
STAGES = ((4, 1, 1), (8, 2, 2), (16, 3, 2), (32, 4, 1))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, added to their input."""

    def __init__(self, channels: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.units = nn.Sequential(
            ConvUnit(channels, channels, kernel=3, batch_norm=batch_norm),
            ConvUnit(channels, channels, kernel=3, active=False, batch_norm=batch_norm),
        )
        self.sum = Sum(nn.ReLU6)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, H, W) -> the same shape."""
        out: Tensor = self.sum(features, self.units(features))
        return out


class Residual(Trunk):
    """The trunk.

    Parameters
    ----------
    width:
        Channels at stride 4.
    batch_norm:
        False where folded weights are loaded: convolutions carry biases instead.
    """

    def __init__(self, width: int, *, batch_norm: bool) -> None:
        super().__init__()
        channels = max(8, width // 2)
        self.stem = ConvUnit(3, channels, kernel=3, stride=2, batch_norm=batch_norm)
        for stride, multiple, repeats in STAGES:
            outputs = multiple * width
            blocks: list[nn.Module] = [
                ConvUnit(channels, outputs, kernel=3, stride=2, batch_norm=batch_norm),
                *(ResidualBlock(outputs, batch_norm=batch_norm) for _ in range(repeats)),
            ]
            self.add_level(stride, blocks, outputs)
            channels = outputs


def build(variant: str, *, batch_norm: bool) -> Residual:
    """The trunk named `residual-<variant>`; the variant is the width. Raises `ValueError`."""
    width = int(variant)
    if not 8 <= width <= 128 or width % 4:
        raise ValueError(f"width {width} is no multiple of 4 in 8..128")
    return Residual(width, batch_norm=batch_norm)

"""The table of networks, and the network as a whole: trunk, head, normalisation.

A new trunk is one file here with a function `build(variant, batch_norm=...)` and one line in `TRUNKS`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from acquisition.errors import RigposeError
from training.networks import mobilenetv2, residual, resnet
from training.networks.head import KeypointHead
from training.networks.units import ConvUnit, Trunk

# name before the dash -> builder of the trunk, given what stands after the dash
TRUNKS: dict[str, Callable[..., Trunk]] = {
    "mobilenetv2": mobilenetv2.build,
    "residual": residual.build,
    "resnet": resnet.build,
}
DEFAULT_NETWORK = "mobilenetv2-0.35"
STRIDES = (4, 8)
# Network input must be a multiple of this, or the pyramid's levels would not double exactly.
INPUT_MULTIPLE_PX = 32


class PoseNetwork(nn.Module):
    """uint8 images in, heatmap and offset out (the network contract).

    Cell (row i, column j) of the output has its centre at input px ((j + 0.5) s - 0.5, (i + 0.5) s - 0.5)
    with s the output stride; a keypoint lies at the centre of its heatmap's best cell plus s times the
    offset there.
    """

    def __init__(self, trunk: Trunk, head: KeypointHead) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images uint8 (B, H, W, 3) RGB -> heatmap logits (B, K, h, w), offset (B, 2K, h, w) in cells.

        The offset's first K channels are x, the next K are y.
        """
        # in this order, since TensorRT takes uint8 as an input and does nothing with it but convert it
        image = images.to(torch.float32).permute(0, 3, 1, 2) * (1 / 127.5) - 1.0
        heatmap, offset = self.head(self.trunk(image))
        return heatmap, offset


def build_network(
    name: str, keypoints: int, *, stride: int = 4, head_channels: int | None = None, batch_norm: bool = True
) -> PoseNetwork:
    """A network with random weights.

    Parameters
    ----------
    name:
        `<trunk>-<variant>`, for instance `mobilenetv2-0.35`.
    keypoints:
        Number of keypoints K.
    stride:
        Output stride, 4 or 8.
    head_channels:
        Channels of the fused features; by default a round figure that follows the trunk's width.
    batch_norm:
        Whether the trunk has batch norm; False where folded weights will be loaded.

    Raises
    ------
    RigposeError
        If the name or the stride is not in the table.
    """
    family, _, variant = name.partition("-")
    try:
        trunk = TRUNKS[family](variant, batch_norm=batch_norm)
    except (KeyError, ValueError) as error:
        raise RigposeError(
            f"network '{name}'",
            expected=f"a trunk of {', '.join(sorted(TRUNKS))} with its variant, such as {DEFAULT_NETWORK}",
            found=f"'{name}' ({error})",
            remedy="Choose another --network",
        ) from None
    if stride not in STRIDES:
        raise RigposeError("--stride", expected="4 or 8", found=str(stride), remedy="Choose another --stride")
    channels = head_channels or default_head_channels(trunk)
    return PoseNetwork(trunk, KeypointHead(trunk.channels, keypoints, stride=stride, channels=channels))


def default_head_channels(trunk: Trunk) -> int:
    """Twice the trunk's channels at stride 4, 32 to 128: 32 for MobileNetV2-0.35, 48 for width 1."""
    return min(128, max(32, 2 * trunk.channels[4]))


def fold_batch_norm(network: PoseNetwork) -> PoseNetwork:
    """A copy in which every batch norm is folded into the convolution before it (same function)."""
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, ConvUnit) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()
    return folded

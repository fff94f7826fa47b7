"""The head: fuses the trunk's strides and says where each keypoint is.

Only operations that quantize well: convolutions, additions, bilinear doubling. A transposed
convolution would be shorter, but its int8 form breaks in one of the runtimes.
"""

from __future__ import annotations

import math

import torch.nn.functional as functional
from torch import Tensor, nn

from training.networks.units import ConvUnit, Sum

# A fresh heatmap says "not here" nearly everywhere, so that training does not begin by unlearning.
PRIOR_PRESENCE = 0.01


class KeypointHead(nn.Module):
    """Feature pyramid down to the output stride, then heatmap and offset.

    Parameters
    ----------
    trunk_channels:
        Channels of the trunk's features by stride.
    keypoints:
        Number of keypoints K.
    stride:
        Output stride, one of the trunk's.
    channels:
        Channels of the fused features.
    """

    def __init__(self, trunk_channels: dict[int, int], keypoints: int, *, stride: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.strides = sorted((s for s in trunk_channels if s >= stride), reverse=True)
        self.laterals = nn.ModuleDict(
            {str(s): ConvUnit(trunk_channels[s], channels, active=False) for s in self.strides}
        )
        self.mixes = nn.ModuleDict({str(s): ConvUnit(channels, channels, kernel=3) for s in self.strides[1:]})
        self.sums = nn.ModuleDict({str(s): Sum() for s in self.strides[1:]})
        self.heatmap = nn.Conv2d(channels, keypoints, 1)
        self.offset = nn.Conv2d(channels, 2 * keypoints, 1)
        for conv in (self.heatmap, self.offset):
            nn.init.normal_(conv.weight, std=0.01)
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
        assert self.heatmap.bias is not None
        nn.init.constant_(self.heatmap.bias, math.log(PRIOR_PRESENCE / (1 - PRIOR_PRESENCE)))

    def forward(self, levels: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        """Features by stride -> heatmap logits (B, K, h, w), offset (B, 2K, h, w) in cells."""
        fused = self.laterals[str(self.strides[0])](levels[self.strides[0]])
        for stride in self.strides[1:]:
            above = functional.interpolate(fused, scale_factor=2.0, mode="bilinear", align_corners=False)
            fused = self.sums[str(stride)](above, self.laterals[str(stride)](levels[stride]))
            fused = self.mixes[str(stride)](fused)
        return self.heatmap(fused), self.offset(fused)

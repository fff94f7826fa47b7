"""A network that needs no training: it finds a red and a blue dot. Small, exact enough to measure with.

Run as a script it makes the golden bundle of tests/deploy: python -m tests.training.colour_finder OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.exporting.export import export_network
from training.exporting.labelled_frames import LabelledFrames
from training.networks.units import ConvUnit
from training.run import RunSettings

STRIDE = 4
INPUT_WH = (128, 96)
IMAGE_WH = (256, 192)
KEYPOINTS = ("red", "blue")
SIGMA_PX = 14.0  # in the image; half of it in the network's input
AMPLITUDE = 90.0


class _Trunk(nn.Module):
    """Redness and blueness of each cell, from the normalised image."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = ConvUnit(3, 2, kernel=STRIDE, stride=STRIDE, activation=nn.ReLU, batch_norm=False)
        self.cells.pad = ()
        colour = torch.tensor([[1.0, -0.5, -0.5], [-0.5, -0.5, 1.0]]) / STRIDE**2
        with torch.no_grad():
            self.cells.conv.weight.copy_(colour[:, :, None, None].expand(2, 3, STRIDE, STRIDE))

    def forward(self, image: Tensor) -> Tensor:
        cells: Tensor = self.cells(image)
        return cells


class _Head(nn.Module):
    """Logit: how much of it. Offset: the slope of a smooth dot tells how far its middle is."""

    def __init__(self) -> None:
        super().__init__()
        self.heatmap = nn.Conv2d(2, 2, 3, padding=1)
        self.offset = nn.Conv2d(2, 4, 3, padding=1)
        sigma_cells = SIGMA_PX * INPUT_WH[0] / IMAGE_WH[0] / STRIDE
        peak = AMPLITUDE / 127.5
        smooth = torch.tensor([1.0, 2.0, 1.0])
        slope = torch.tensor([-1.0, 0.0, 1.0])
        fall = float(np.exp(-0.5 / sigma_cells**2))
        gain = sigma_cells**2 / (2 * peak * fall * (2 + 2 * fall))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            assert self.heatmap.bias is not None
            self.heatmap.bias.fill_(-4.0)
            for channel in range(2):
                self.heatmap.weight[channel, channel] = torch.outer(smooth, smooth) * 8 / (16 * peak)
                self.offset.weight[channel, channel] = torch.outer(smooth, slope) * gain
                self.offset.weight[2 + channel, channel] = torch.outer(slope, smooth) * gain

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        return self.heatmap(cells), self.offset(cells)


class ColourFinder(nn.Module):
    """Follows the network contract of `training.networks.table.PoseNetwork`."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _Trunk()
        self.head = _Head()
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        heatmap, offset = self.head(self.trunk(images.float().permute(0, 3, 1, 2) * (1 / 127.5) - 1.0))
        return heatmap, offset


def settings() -> RunSettings:
    return RunSettings(
        network="colour-finder", stride=STRIDE, head_channels=2, batch_norm=False, input_size_px=INPUT_WH,
        keypoints=KEYPOINTS, skeleton=(("red", "blue"),), dataset_sha256="0" * 64, split="made up",
    )  # fmt: skip


def frames(count: int, seed: int, *, noise: float = 2.0) -> LabelledFrames:
    """A red dot on the left, a blue one on the right, on grey; where they are: float64 (N, 2, 2) px."""
    rng = np.random.default_rng(seed)
    width, height = IMAGE_WH
    low, high = [[40, 40], [170, 40]], [[86, height - 40], [width - 40, height - 40]]
    images, labels = [], rng.uniform(low, high, (count, 2, 2))
    for points in labels:
        image = 80 + noise * rng.normal(size=(height, width, 3))
        for at, channel in zip(points, (0, 2), strict=True):
            squared = (np.arange(width) - at[0]) ** 2 + ((np.arange(height) - at[1]) ** 2)[:, None]
            image[:, :, channel] += AMPLITUDE * np.exp(-squared / (2 * SIGMA_PX**2))
        images.append(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    return LabelledFrames(images, labels)


if __name__ == "__main__":
    export_network(
        ColourFinder(), settings(), frames(8, 1, noise=0), frames(6, 2, noise=0), Path(sys.argv[1])
    )

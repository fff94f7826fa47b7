"""What training minimises: where the heatmap should be high, and the offset near it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from training.learning.dataset import Known


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Shape and balance of the loss.

    Attributes
    ----------
    sigma_cells:
        Width of the heatmap's target.
    offset_radius_cells:
        The offset is taught within this distance of the keypoint: wider than the heatmap's peak, since
        the best cell is not always the nearest.
    softmax_weight, offset_weight:
        Of the two further terms against the heatmap's own.
    """

    sigma_cells: float = 0.7
    offset_radius_cells: float = 1.5
    softmax_weight: float = 1.0
    offset_weight: float = 10.0


def pose_loss(
    heatmap: Tensor, offset: Tensor, points: Tensor, known: Tensor, weight: Tensor, stride: int,
    settings: LossSettings,
) -> Tensor:  # fmt: skip
    """Loss of a batch, a scalar.

    Three terms: binary cross-entropy of every cell against a Gaussian (it makes the logit a
    confidence), cross-entropy of the softmax over all cells against the same Gaussian (it makes the
    right cell the best one, and learns far faster), and smooth L1 of the offset near the keypoint.
    A keypoint of which nothing is known adds nothing.

    Parameters
    ----------
    heatmap, offset:
        Logits (B, K, h, w) and offsets (B, 2K, h, w) in cells.
    points:
        (B, K, 2) px of the network's input.
    known:
        (B, K) of `training.learning.dataset.Known`.
    weight:
        (B, K): how much each counts, 0 to 1.
    stride:
        Network px per cell.
    """
    batch, keypoints, rows, columns = heatmap.shape
    cells = (points + 0.5) / stride - 0.5  # the cell with index j has its centre at j
    x = torch.arange(columns, device=heatmap.device, dtype=heatmap.dtype)
    y = torch.arange(rows, device=heatmap.device, dtype=heatmap.dtype)
    dx = cells[..., 0, None] - x  # (B, K, w)
    dy = cells[..., 1, None] - y  # (B, K, h)
    at_point = known == Known.AT_POINT
    spread = 2 * settings.sigma_cells**2
    target = torch.exp(-(dy**2) / spread)[..., :, None] * torch.exp(-(dx**2) / spread)[..., None, :]
    target = target * at_point[..., None, None]

    taught = (known != Known.UNKNOWN).to(heatmap.dtype) * weight
    each = functional.binary_cross_entropy_with_logits(heatmap, target, reduction="none").sum((2, 3))
    # what a perfect heatmap would still cost is no loss
    floor = functional.binary_cross_entropy(target, target, reduction="none").sum((2, 3))
    presence = ((each - floor) * taught).sum() / _divisor(taught)

    inside = (
        at_point & (cells > -0.5).all(-1) & (cells[..., 0] < columns - 0.5) & (cells[..., 1] < rows - 0.5)
    )
    placed = inside.to(heatmap.dtype) * weight
    share = target / target.sum((2, 3), keepdim=True).clamp(min=1e-6)
    log_share = functional.log_softmax(heatmap.flatten(2), dim=2).view_as(heatmap)
    place = (-(share * log_share).sum((2, 3)) * placed).sum() / _divisor(placed)

    near = (dx[..., None, :] ** 2 + dy[..., :, None] ** 2 < settings.offset_radius_cells**2) & at_point[
        ..., None, None
    ]
    near_weight = near.to(heatmap.dtype) * weight[..., None, None]
    wanted = torch.stack(
        [dx[..., None, :].expand_as(heatmap), dy[..., :, None].expand_as(heatmap)], dim=1
    )  # (B, 2, K, h, w)
    given = offset.view(batch, 2, keypoints, rows, columns)
    miss = functional.smooth_l1_loss(given, wanted, beta=0.25, reduction="none").sum(1)
    shift = (miss * near_weight).sum() / _divisor(near_weight)
    return presence + settings.softmax_weight * place + settings.offset_weight * shift


def _divisor(weights: Tensor) -> Tensor:
    """Their sum; 1 where there are none, so that a batch without a label costs nothing."""
    total = weights.sum()
    return torch.where(total > 0, total, 1.0)

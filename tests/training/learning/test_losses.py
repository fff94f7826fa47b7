"""The loss is least where the contract's decoding gives the label back, and silent about the unknown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deploy.bundles.decode import decode
from training.learning.dataset import Known
from training.learning.losses import LossSettings, pose_loss

STRIDE = 4


@pytest.mark.parametrize("at", [(13.3, 40.9), (2.0, 2.0), (60.4, 21.5)])
def test_minimising_the_loss_puts_the_decoded_keypoint_on_the_label(at):
    heatmap = torch.zeros((1, 1, 16, 16), requires_grad=True)
    offset = torch.zeros((1, 2, 16, 16), requires_grad=True)
    points = torch.tensor([[at]], dtype=torch.float32)
    known = torch.tensor([[Known.AT_POINT]])
    optimiser = torch.optim.Adam([heatmap, offset], lr=0.1)
    for _ in range(150):
        optimiser.zero_grad()
        pose_loss(heatmap, offset, points, known, torch.ones(known.shape), STRIDE, LossSettings()).backward()
        optimiser.step()
    found = decode(heatmap.detach().numpy(), offset.detach().numpy(), STRIDE)
    np.testing.assert_allclose(found[0, 0, :2], at, atol=0.05)
    assert found[0, 0, 2] > 0.6


def losses(known: Known, at: tuple[float, float] = (13.0, 40.0)) -> tuple[float, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    heatmap = torch.randn((1, 1, 16, 16), requires_grad=True)
    offset = torch.randn((1, 2, 16, 16), requires_grad=True)
    points, whether = torch.tensor([[at]]), torch.tensor([[known]])
    loss = pose_loss(heatmap, offset, points, whether, torch.ones(1, 1), STRIDE, LossSettings())
    loss.backward()
    return float(loss.detach()), heatmap.grad, offset.grad


def test_nothing_is_taught_about_an_unknown_keypoint():
    loss, heatmap, offset = losses(Known.UNKNOWN)
    assert loss == 0
    assert not heatmap.any()
    assert not offset.any()


def test_an_absent_keypoint_lowers_the_whole_heatmap_and_moves_no_offset():
    _, heatmap, offset = losses(Known.ABSENT)
    assert (heatmap > 0).all()
    assert not offset.any()


def test_a_keypoint_far_outside_the_crop_counts_as_not_there():
    inside, outside = losses(Known.ABSENT), losses(Known.AT_POINT, (900.0, -700.0))
    assert outside[0] == pytest.approx(inside[0], rel=1e-5)
    assert torch.isfinite(outside[1]).all()

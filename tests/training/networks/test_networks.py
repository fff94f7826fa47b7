"""The network contract: shapes, strides, and the one table."""

from __future__ import annotations

import pytest
import torch

from acquisition.errors import RigposeError
from training.networks.mobilenetv2 import MobileNetV2, scaled_channels
from training.networks.table import build_network


@pytest.mark.parametrize("stride", [4, 8])
def test_outputs_have_the_contract_s_shapes(stride):
    network = build_network("mobilenetv2-0.1", 5, stride=stride).eval()
    with torch.no_grad():
        heatmap, offset = network(torch.zeros((2, 64, 96, 3), dtype=torch.uint8))
    assert heatmap.shape == (2, 5, 64 // stride, 96 // stride)
    assert offset.shape == (2, 10, 64 // stride, 96 // stride)


def test_width_one_is_the_published_trunk():
    trunk = MobileNetV2(1.0, batch_norm=False)
    assert trunk.channels == {4: 24, 8: 32, 16: 96, 32: 320}
    # 52 convolutions of the classifier, less the one before its pooling
    assert len(trunk.convolutions()) == 51


def test_channels_are_multiples_of_eight():
    assert [scaled_channels(c * 0.35) for c in (32, 16, 24, 32, 64, 96, 160, 320)] == [
        16, 8, 8, 16, 24, 32, 56, 112,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["resnet-18", "mobilenetv2", "mobilenetv2-x", "mobilenetv2-9"])
def test_a_network_that_is_not_in_the_table_is_refused(name):
    with pytest.raises(RigposeError, match="trunk of mobilenetv2"):
        build_network(name, 2)


def test_another_stride_is_refused():
    with pytest.raises(RigposeError, match="4 or 8"):
        build_network("mobilenetv2-0.35", 2, stride=5)

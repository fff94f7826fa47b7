"""Copies of the network give the gradient that the network alone would."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch

from training.learning.dataset import Batch, Known
from training.learning.losses import LossSettings
from training.learning.quantization_aware import tensors_of, with_rounding
from training.learning.replicas import Replicas
from training.networks.table import build_network


def batch_of(parts: int) -> Batch:
    """Parts that are all alike, so that norms and mean losses do not depend on the division."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4, 32, 32, 3), np.uint8)
    points = random.uniform(0, 32, (4, 2, 2)).astype(np.float32)
    known = np.full((4, 2), Known.AT_POINT, np.uint8)
    weight = random.uniform(0.1, 1.0, (4, 2)).astype(np.float32)
    return Batch(*(np.concatenate([each] * parts) for each in (images, points, known, weight)))


def test_two_copies_give_the_gradient_of_one(monkeypatch):
    torch.manual_seed(0)
    network = build_network("residual-8", 2, stride=8)
    alone = copy.deepcopy(network)
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    with Replicas(alone, 8, LossSettings()) as one:
        assert len(one._networks) == 1
        loss = one.backward(batch_of(2))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with Replicas(network, 8, LossSettings()) as two:
        assert len(two._networks) == 2
        assert abs(two.backward(batch_of(2)) - loss) < 1e-3
    torch.set_num_threads(threads)
    for mine, expected in zip(network.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, expected.grad, rtol=1e-3, atol=1e-4)


def test_fewer_samples_than_copies(monkeypatch):
    """One whole image may be a batch: a copy without a part adds nothing of an earlier one."""
    network = build_network("residual-8", 2, stride=8)
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    one = batch_of(1).parts(4)[0]
    one = replace(one, images=np.tile(one.images, (1, 2, 2, 1)))
    alone = copy.deepcopy(network)
    with Replicas(alone, 8, LossSettings()) as fresh, Replicas(network, 8, LossSettings()) as used:
        used.backward(batch_of(2))
        assert used.backward(one) == fresh.backward(one)
        for mine, expected in zip(network.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, expected.grad)
    torch.set_num_threads(threads)


def test_a_step_on_the_network_moves_its_copies():
    network = build_network("residual-8", 2, stride=8)
    with Replicas(network, 64, LossSettings()) as replicas:
        with torch.no_grad():
            network.head.heatmap.bias.fill_(3.0)
        for replica in replicas._networks:
            assert (replica.head.heatmap.bias == 3.0).all()


def test_bfloat16_gives_nearly_the_same_gradient_in_float32():
    """As a GPU computes it; the arithmetic is the same on a CPU."""
    torch.manual_seed(0)
    network = build_network("residual-8", 2, stride=8)
    gradients = []
    for mixed in (False, True):
        with Replicas(network, 4, LossSettings(), mixed=mixed) as replicas:
            replicas.backward(batch_of(1))
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    exact, mixed_one = gradients
    assert mixed_one.dtype == torch.float32
    assert not torch.equal(exact, mixed_one)
    # the norms of a small batch are touchy
    assert torch.nn.functional.cosine_similarity(exact, mixed_one, dim=0) > 0.9


def test_rounding_is_never_learned_in_bfloat16(monkeypatch):
    network = build_network("mobilenetv2-0.35", 2)
    rounded = with_rounding(network, dict.fromkeys(tensors_of(network), 1.0))
    monkeypatch.setattr(torch.Tensor, "device", property(lambda self: torch.device("cuda")))
    assert Replicas(network, 4, LossSettings())._mixed
    assert not Replicas(rounded, 4, LossSettings())._mixed

"""Copies of the network give the gradient that the network alone would."""

from __future__ import annotations

import copy

import numpy as np
import torch

from training.learning.dataset import Batch, Known
from training.learning.losses import LossSettings
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


def test_a_step_on_the_network_moves_its_copies():
    network = build_network("residual-8", 2, stride=8)
    with Replicas(network, 64, LossSettings()) as replicas:
        with torch.no_grad():
            network.head.heatmap.bias.fill_(3.0)
        for replica in replicas._networks:
            assert (replica.head.heatmap.bias == 3.0).all()

"""Gradients of a batch, computed by several copies of the network that share their weights.

Splitting every operation over the cores leaves them waiting for each other some five hundred times a
step, and most operations of a small network are too short to be split at all. A copy a core, each with
its part of the batch, waits once. The sum is taken in a fixed order, so that a seed still says all.
"""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import torch
from torch import Tensor, nn

from training.learning.dataset import Batch
from training.learning.losses import LossSettings, pose_loss
from training.learning.quantization_aware import RoundedOutput
from training.networks.table import PoseNetwork

# Fewer samples than this in a part, and the norms' statistics become noise.
SAMPLES_AT_LEAST = 4


class Replicas:
    """A network and its copies on the cores of a CPU; on another device, the network alone.

    Parameters
    ----------
    network:
        The network that is trained; its copies share its weights, not its norms' running statistics.
    batch:
        Samples of a step.
    mixed:
        Compute the network in bfloat16 where torch holds that to be safe (weights, loss and sums stay
        float32). None: on a GPU only, since most CPUs gain nothing by it, and never while int8's rounding is
        learned, whose steps are finer than bfloat16's.
    """

    def __init__(
        self, network: PoseNetwork, batch: int, loss: LossSettings, *, mixed: bool | None = None
    ) -> None:
        self._device = next(network.parameters()).device
        rounds = any(isinstance(module, RoundedOutput) for module in network.modules())
        self._mixed = self._device.type == "cuda" and not rounds if mixed is None else mixed
        self._loss = loss
        self._threads = torch.get_num_threads()
        count = min(self._threads, max(1, batch // SAMPLES_AT_LEAST)) if self._device.type == "cpu" else 1
        self._networks = [network, *(_sharing(network) for _ in range(count - 1))]
        self._pool = ThreadPoolExecutor(
            count, "replica", initializer=torch.set_num_threads, initargs=(max(1, self._threads // count),)
        )

    def __enter__(self) -> Replicas:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        torch.set_num_threads(self._threads)  # a thread's number becomes that of threads made later

    def backward(self, batch: Batch) -> float:
        """Put the gradient of the batch's mean loss into the network's parameters; returns that loss."""
        count = min(len(self._networks), len(batch.images))
        networks, parts = self._networks[:count], batch.parts(count)
        losses = list(self._pool.map(self._part, networks, parts))
        gradients = [[_gradient(p) for p in network.parameters()] for network in networks]
        for further in gradients[1:]:
            torch._foreach_add_(gradients[0], further)
        if count > 1:
            torch._foreach_div_(gradients[0], count)
        return sum(losses) / count

    def _part(self, network: nn.Module, batch: Batch) -> float:
        network.train()
        network.zero_grad(set_to_none=True)
        pixels, points, known, weight = (
            torch.from_numpy(array).to(self._device, non_blocking=True)
            for array in (batch.images, batch.points, batch.known, batch.weight)
        )
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed):
            heatmap, offset = network(pixels)
        heatmap, offset = heatmap.float(), offset.float()
        stride = pixels.shape[1] // heatmap.shape[2]
        loss = pose_loss(heatmap, offset, points, known, weight, stride, self._loss)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())


def _sharing(network: PoseNetwork) -> PoseNetwork:
    """A copy whose parameters live in the same memory, with gradients of its own."""
    shared = copy.deepcopy(network)
    for mine, given in zip(shared.parameters(), network.parameters(), strict=True):
        mine.data = given.data
    return shared


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad

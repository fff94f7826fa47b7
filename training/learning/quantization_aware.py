"""Learning to be int8: the rounding of an int8 graph stands inside the network while it trains.

Weights are rounded symmetrically per output channel, activations symmetrically per tensor, each tensor
with a step that is learned together with the weights (Esser et al. 2020, "Learned Step Size
Quantization", equations 1 to 3 and section 2.2). The learned steps are one table, `ranges.json` in the
run: every int8 artifact is written from it, and nothing is calibrated again.

Batch norms are folded first, since the int8 graph has none.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from acquisition.errors import RigposeError
from training.files import read_json, write_json
from training.networks.table import PoseNetwork, fold_batch_norm
from training.networks.units import ConvUnit, Sum

RANGES_FILE = "ranges.json"
# Symmetric: -127..127, so that a weight and its negative are alike.
LEVELS = 127
SMALLEST_STEP = 1e-8

Ranges = dict[str, float]
"""Tensor of the network, by the name of the module that ends in it -> largest magnitude int8 can hold."""


class RoundedConv2d(nn.Conv2d):
    """A convolution whose weights are rounded to int8, per output channel, as it runs."""

    def forward(self, features: Tensor) -> Tensor:
        """As `nn.Conv2d`."""
        largest = self.weight.detach().abs().amax((1, 2, 3))
        weight = torch.fake_quantize_per_channel_affine(
            self.weight, (largest / LEVELS).clamp_min(SMALLEST_STEP),
            torch.zeros_like(largest, dtype=torch.int32), 0, -LEVELS, LEVELS,
        )  # fmt: skip
        return functional.conv2d(
            features, weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class _LearnedStep(torch.autograd.Function):
    """Rounding to a learned step in few passes over memory: torch's own takes four times as long on a CPU.

    In range the step's gradient is q - x / s, outside it is the level reached, +-127 (Esser et al. 2020,
    equation 3); with y = s q that is (y - x) / s and y / s. So it sums to (g . y - dx . x) / s, where dx, the
    gradient handed on, is g in range and 0 outside.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, step: Tensor, balance: float) -> Tensor:
        size = float(step)
        rounded = torch.mul(features, 1 / size).round_().clamp_(-LEVELS, LEVELS).mul_(size)
        ctx.save_for_backward(features, rounded)
        ctx.size, ctx.balance = size, balance
        return rounded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        features, rounded = ctx.saved_tensors
        limit = (LEVELS + 0.5) * ctx.size
        handed_on = torch.ops.aten.hardtanh_backward(gradient, features, -limit, limit)
        along = (gradient * rounded).sum() - (handed_on * features).sum()
        return handed_on, (along * (ctx.balance / ctx.size)).reshape(1), None


class RoundedOutput(nn.Module):
    """Rounds a tensor to int8 with one learned step.

    Parameters
    ----------
    largest:
        Magnitude that the last level stands for, to begin with.
    """

    zero: Tensor

    def __init__(self, largest: float) -> None:
        super().__init__()
        # the logarithm, so that one learning rate suits steps of every size
        self.log_step = nn.Parameter(torch.tensor([max(largest / LEVELS, SMALLEST_STEP)]).log())
        self.register_buffer("zero", torch.zeros(1), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features of any shape -> the same, rounded."""
        balance = 1.0 / (features.numel() * LEVELS) ** 0.5  # keeps the step's gradient in scale
        if not features.is_cuda:
            on_cpu: Tensor = _LearnedStep.apply(features, self.log_step.exp(), balance)  # type: ignore[no-untyped-call]
            return on_cpu
        rounded: Tensor = torch._fake_quantize_learnable_per_tensor_affine(
            features, self.log_step.exp(), self.zero, -LEVELS, LEVELS, balance
        )
        return rounded


def tensors_of(network: PoseNetwork) -> dict[str, ConvUnit | Sum | nn.Conv2d]:
    """The modules whose outputs are tensors of the int8 graph, by name."""
    found: dict[str, ConvUnit | Sum | nn.Conv2d] = {
        name: module for name, module in network.named_modules() if isinstance(module, (ConvUnit, Sum))
    }
    return found | {"head.heatmap": network.head.heatmap, "head.offset": network.head.offset}


@contextmanager
def listening(network: PoseNetwork, heard: dict[str, list[Tensor]]) -> Iterator[None]:
    """While inside, every run of the network appends its int8 graph's tensors to `heard`, in their order."""

    def hear(name: str, output: Tensor) -> None:
        heard.setdefault(name, []).append(output.detach())

    hooks = [
        module.register_forward_hook(lambda _m, _i, output, name=name: hear(name, output))
        for name, module in tensors_of(network).items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def seen_ranges(network: PoseNetwork, batches: Iterable[npt.NDArray[np.uint8]]) -> Ranges:
    """Largest magnitude of every tensor, averaged over batches of images uint8 (B, H, W, 3)."""
    device = next(network.parameters()).device
    largest: dict[str, list[float]] = {}
    for images in batches:
        heard: dict[str, list[Tensor]] = {}
        with listening(network, heard), torch.no_grad():
            network(torch.from_numpy(images).to(device))
        for name, (tensor,) in heard.items():
            largest.setdefault(name, []).append(float(tensor.abs().max()))
    return {name: float(np.mean(values)) for name, values in largest.items()}


def with_rounding(network: PoseNetwork, ranges: Ranges) -> PoseNetwork:
    """A copy, batch norms folded, that rounds as an int8 graph with these ranges would.

    Raises
    ------
    RigposeError
        If `ranges` is not of this network.
    """
    rounded = fold_batch_norm(network).requires_grad_(True)
    tensors = tensors_of(rounded)
    check_ranges(rounded, ranges, RANGES_FILE)
    for name, module in tensors.items():
        if not isinstance(module, nn.Conv2d):
            module.output = RoundedOutput(ranges[name])
        if isinstance(module, ConvUnit):
            module.conv = _rounded(module.conv)
    for name in ("heatmap", "offset"):
        conv = _rounded(getattr(rounded.head, name))
        setattr(rounded.head, name, nn.Sequential(conv, RoundedOutput(ranges[f"head.{name}"])))
    return rounded


def without_rounding(rounded: PoseNetwork) -> tuple[PoseNetwork, Ranges]:
    """The plain folded network with the weights that were learned, and the table of learned ranges."""
    plain = copy.deepcopy(rounded)
    ranges: Ranges = {}
    for name, module in list(plain.named_modules()):
        if isinstance(module, (ConvUnit, Sum)):
            ranges[name] = _range(module.output)
            module.output = nn.Identity()
        if isinstance(module, ConvUnit):
            module.conv = _plain(module.conv)
    for name in ("heatmap", "offset"):
        conv, output = getattr(plain.head, name)
        ranges[f"head.{name}"] = _range(output)
        setattr(plain.head, name, _plain(conv))
    return plain, ranges


def save_ranges(run_dir: Path, ranges: Ranges) -> None:
    """Write the table into a run."""
    write_json(Path(run_dir) / RANGES_FILE, {"largest_magnitude": ranges})


def load_ranges(run_dir: Path, network: PoseNetwork) -> Ranges | None:
    """The table of a run; None where the network was trained without rounding. Raises `RigposeError`."""
    path = Path(run_dir) / RANGES_FILE
    if not path.is_file():
        return None
    table = read_json(path).get("largest_magnitude")
    if not isinstance(table, dict) or not all(isinstance(v, (int, float)) and v > 0 for v in table.values()):
        raise RigposeError(
            path, expected="a positive number for every tensor", found="something else", remedy="Train again"
        )
    check_ranges(network, table, path)
    return {name: float(value) for name, value in table.items()}


def check_ranges(network: PoseNetwork, ranges: Ranges, whose: object) -> None:
    """Refuse, with `RigposeError`, a table that is not of this network."""
    odd = sorted(tensors_of(network).keys() ^ ranges.keys())
    if odd:
        raise RigposeError(
            whose, expected="the ranges of this network's tensors",
            found=f"{odd[0]} in one of them only ({len(odd)} such)", remedy="Train again",
        )  # fmt: skip


def _rounded(conv: nn.Conv2d) -> RoundedConv2d:
    rounded = copy.copy(conv)  # the same parameters, under another name of what is done with them
    rounded.__class__ = RoundedConv2d
    assert isinstance(rounded, RoundedConv2d)
    return rounded


def _plain(conv: nn.Conv2d) -> nn.Conv2d:
    plain = copy.copy(conv)
    plain.__class__ = nn.Conv2d
    return plain


def _range(output: nn.Module) -> float:
    assert isinstance(output, RoundedOutput)
    return float(output.log_step.detach().exp()) * LEVELS

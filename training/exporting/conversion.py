"""From a trained network to ONNX and LiteRT files, float32. The converters are heavy: imported on use.

ONNX carries everything: uint8 in, normalisation, decoding, keypoints out, any batch. LiteRT takes the
image minus 128 and returns heatmap and offset; the host decodes (`deploy.bundles.runtimes.litert` says why).
Both speak of the same function; `training.exporting.export` measures how far each is from it.
"""

from __future__ import annotations

import contextlib
import copy
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from acquisition.errors import RigposeError
from deploy.bundles.runtimes.litert import INPUT_SHIFT
from training.networks.table import PoseNetwork

NORMALISATION = (1 / 127.5, -1.0)
"""Scale and shift of `PoseNetwork`: real = uint8 * scale + shift."""

OPSET = 20
BATCH_AT_MOST = 64


class _WithDecoding(nn.Module):
    """`deploy.bundles.decode` as part of the graph; ties go to the first cell, since floats do not tie."""

    def __init__(self, network: nn.Module, stride: int) -> None:
        super().__init__()
        self.network = network
        self.stride = stride

    def forward(self, images: Tensor) -> Tensor:
        heatmap, offset = self.network(images)
        batch, count, rows, columns = heatmap.shape
        cells = heatmap.reshape(batch, count, rows * columns)
        best = cells.argmax(2, keepdim=True)
        logit = cells.gather(2, best)[..., 0]
        offsets = offset.reshape(batch, 2 * count, rows * columns)
        offset_x = offsets[:, :count].gather(2, best)[..., 0]
        offset_y = offsets[:, count:].gather(2, best)[..., 0]
        row = torch.div(best[..., 0], columns, rounding_mode="floor")
        column = best[..., 0] - row * columns
        x = (column + 0.5 + offset_x) * self.stride - 0.5
        y = (row + 0.5 + offset_y) * self.stride - 0.5
        return torch.stack([x, y, torch.sigmoid(logit)], dim=-1)


class _Shifted(nn.Module):
    """The network for the image minus 128, its normalisation folded into the first convolution."""

    def __init__(self, network: PoseNetwork) -> None:
        super().__init__()
        network = copy.deepcopy(network)
        first = next(module for module in network.trunk.modules() if isinstance(module, nn.Conv2d))
        if first.bias is None:
            raise ValueError("the first convolution has no bias: fold its batch norm first")
        scale, shift = NORMALISATION
        zero = shift - INPUT_SHIFT * scale  # the normalised value of a shifted 0
        with torch.no_grad():
            first.bias += zero * first.weight.sum((1, 2, 3))
            first.weight *= scale
        self.trunk, self.head = network.trunk, network.head

    def forward(self, shifted: Tensor) -> tuple[Tensor, Tensor]:
        heatmap, offset = self.head(self.trunk(shifted.permute(0, 3, 1, 2)))
        return heatmap.permute(0, 2, 3, 1), offset.permute(0, 2, 3, 1)


def to_onnx(network: PoseNetwork, stride: int, input_wh: tuple[int, int], path: Path) -> None:
    """Write `network` as ONNX float32 with decoding inside: `images` -> `keypoints`, batch 1 to 64.

    Raises
    ------
    RigposeError
        If the exporter fails; its last words are in the error.
    """
    example = torch.zeros(2, input_wh[1], input_wh[0], 3, dtype=torch.uint8)
    with silenced("the ONNX exporter"):
        torch.onnx.export(
            _WithDecoding(network, stride).eval(),
            (example,),
            path,
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1, max=BATCH_AT_MOST)}},
            input_names=["images"],
            output_names=["keypoints"],
            external_data=False,
            verbose=False,
        )


def to_litert(network: PoseNetwork, input_wh: tuple[int, int], path: Path) -> None:
    """Write `network` as LiteRT float32 for batch 1 (resized at load): image - 128 -> heatmap, offset.

    Raises
    ------
    RigposeError
        If the converter fails; its last words are in the error.
    """
    with silenced("the LiteRT converter"):
        import litert_torch

        example = torch.zeros(1, input_wh[1], input_wh[0], 3)
        litert_torch.convert(_Shifted(network).eval(), (example,)).export(str(path))


@contextlib.contextmanager
def silenced(who: str) -> Iterator[None]:
    """Keep a converter's chatter (Python's and C++'s) off the terminal, and its warnings to itself.

    A failure inside becomes a `RigposeError` with the last line it wrote.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 1)
        os.dup2(chatter.fileno(), 2)
        failure: Exception | None = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except Exception as error:
            failure = error
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, copied in zip((1, 2), kept, strict=True):
                os.dup2(copied, descriptor)
                os.close(copied)
    if isinstance(failure, RigposeError):
        raise failure
    if isinstance(failure, ModuleNotFoundError):
        raise RigposeError(
            who, expected="its package", found=str(failure), remedy="pip install 'rigpose[train]'"
        ) from failure
    if failure is not None:
        words = " ".join(str(failure).split())[:300] or type(failure).__name__
        raise RigposeError(
            who, expected="a network it can convert", found=words, remedy="Train another --network"
        ) from failure

"""The artifacts of a bundle: one table, and how they are made, all from two float32 files.

| file | made from | for |
|---|---|---|
| fp32.onnx | the network | ONNX Runtime, TensorRT |
| fp16.onnx | fp32.onnx | TensorRT; ONNX Runtime on a GPU |
| int8.onnx | fp32.onnx and one table of ranges | ONNX Runtime |
| int8_tensorrt.onnx | the same | TensorRT |
| fp32.tflite | the network | LiteRT |
| int8.tflite | fp32.tflite, and the same table where it was learned | LiteRT |
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from acquisition.frame import Image
from acquisition.progress import Progress
from deploy.bundles.manifest import Precision
from deploy.bundles.runtimes.litert import LiteRTRuntime
from deploy.bundles.runtimes.onnx import OnnxRuntime
from deploy.bundles.runtimes.table import RuntimeClass
from training.exporting.conversion import to_litert, to_onnx
from training.exporting.onnx_half import halve_onnx
from training.exporting.onnx_int8 import quantize_onnx
from training.exporting.quantization import quantize_litert
from training.learning.quantization_aware import Ranges, seen_ranges
from training.networks.table import PoseNetwork


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """A file of the bundle.

    Attributes
    ----------
    runtime, also:
        The runtime it is made for, and others that run it.
    measured_by:
        What runs it where it is made: a file for TensorRT is measured by ONNX Runtime, which computes the
        same graph on any machine.
    """

    file: str
    runtime: str
    precision: Precision
    measured_by: RuntimeClass
    also: tuple[str, ...] = ()


ARTIFACTS = (
    ArtifactRow("fp32.onnx", "onnx", "fp32", OnnxRuntime, also=("tensorrt",)),
    ArtifactRow("fp16.onnx", "tensorrt", "fp16", OnnxRuntime, also=("onnx",)),
    ArtifactRow("int8.onnx", "onnx", "int8", OnnxRuntime),
    ArtifactRow("int8_tensorrt.onnx", "tensorrt", "int8", OnnxRuntime),
    ArtifactRow("fp32.tflite", "litert", "fp32", LiteRTRuntime),
    ArtifactRow("int8.tflite", "litert", "int8", LiteRTRuntime),
)


@dataclass(slots=True)
class Timed:
    """Seconds by part of the work."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """While inside, time counts for `name`."""
        start = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - start


def make_artifacts(
    network: PoseNetwork,
    stride: int,
    input_wh: tuple[int, int],
    inputs: Sequence[Image],
    ranges: Ranges | None,
    folder: Path,
    timed: Timed,
    bar: Progress,
) -> None:
    """Write the files of `ARTIFACTS` into `folder`.

    Parameters
    ----------
    network:
        In evaluation mode, batch norms folded.
    inputs:
        Images of the training part as the network is fed them, uint8 (height, width, 3).
    ranges:
        Learned ranges of the int8 graph's tensors; None: those seen on `inputs` are taken.

    Raises
    ------
    RigposeError
        If a converter fails.
    """
    fp32 = folder / "fp32.onnx"
    bar.advance(note="ONNX")
    with timed.part("onnx"):
        to_onnx(network, stride, input_wh, fp32)
        halve_onnx(fp32, folder / "fp16.onnx")
    bar.advance(note="LiteRT")
    with timed.part("litert"):
        to_litert(network, input_wh, folder / "fp32.tflite")
    bar.advance(note="int8")
    with timed.part("int8"):
        quantize_litert(folder / "fp32.tflite", inputs, folder / "int8.tflite", network, ranges)
        table = ranges or seen_ranges(network, (image[None] for image in inputs))
        quantize_onnx(fp32, folder / "int8.onnx", network, table, "onnx", inputs[0])
        quantize_onnx(fp32, folder / "int8_tensorrt.onnx", network, table, "tensorrt", inputs[0])

"""int8 ONNX in the two styles that runtimes need, both from one table of ranges.

The graph stays in float and says with pairs of QuantizeLinear and DequantizeLinear where 8 bits are enough
(https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html); a runtime computes what lies between the pairs in
integers. ONNX Runtime and OpenVINO want unsigned activations, weights stored as int8 and biases as int32;
TensorRT wants everything symmetric and signed, weights with a pair of their own, and biases in float.

The last two convolutions take 8 bits and give float: heatmaps in 8 bits tie, and coordinates in 8 bits are
rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from acquisition.frame import Image
from deploy.bundles.runtimes.litert import INPUT_SHIFT
from training.exporting.conversion import NORMALISATION, silenced
from training.exporting.onnx_graph import OnnxGraph
from training.learning.quantization_aware import LEVELS, Ranges, listening
from training.networks.table import PoseNetwork

Style = Literal["onnx", "tensorrt"]

# Operations that only move or mix numbers: 8 bits hold their output with the step of their input.
SAME_STEP = ("Resize", "Pad", "MaxPool")
SMALLEST_STEP = 1e-12


@dataclass(frozen=True, slots=True)
class Steps:
    """How a tensor is held in 8 bits: real = (number - zero) * step."""

    step: float
    zero: int
    dtype: type[np.uint8] | type[np.int8]

    @classmethod
    def of(cls, largest: float, *, signed: bool, style: Style) -> Steps:
        """Steps for magnitudes up to `largest`; `signed`: whether the tensor has negative values."""
        if style == "tensorrt":
            return cls(largest / LEVELS, 0, np.int8)
        if signed:
            return cls(largest / LEVELS, LEVELS + 1, np.uint8)
        return cls(largest / np.iinfo(np.uint8).max, 0, np.uint8)


def quantize_onnx(
    fp32: Path, int8: Path, network: PoseNetwork, ranges: Ranges, style: Style, image: Image
) -> None:
    """Write the int8 form of the float32 model `fp32`.

    Parameters
    ----------
    network, ranges:
        What `fp32` was converted from, and the largest magnitude of each of its tensors.
    image:
        uint8 (H, W, 3), as the network is fed one: it runs once, to learn the order of its units.

    Raises
    ------
    RigposeError
        If the graph is not the network's.
    """
    with silenced("the int8 quantizer"):
        graph = OnnxGraph(fp32)
        held = {
            tensor: Steps.of(ranges[name], signed=not active, style=style)
            for tensor, (name, active) in graph.features(network, _order(network, image)).items()
        }
        # the image minus 128 is a whole number: 8 bits hold it exactly
        held |= {_shift_image(graph): Steps.of(LEVELS, signed=True, style=style)}
        steps: dict[str, float] = {}
        for tensor, each in held.items():
            _hold(graph, tensor, each, steps)
        for node in graph.of_type("Conv"):
            _round_weights(graph, node, style, steps)
        graph.save(int8)


def _order(network: PoseNetwork, image: Image) -> list[str]:
    """The network's units in the order they run."""
    heard: dict[str, list[torch.Tensor]] = {}
    with listening(network, heard), torch.no_grad():
        network(torch.from_numpy(image[None]))
    return list(heard)


def _shift_image(graph: OnnxGraph) -> str:
    """Feed the network the image minus 128; its normalisation goes into the first convolution.

    Returns the new tensor. The rim changes by what 128 is beside 127.5, the zero of the normalised image.
    """
    first = graph.network()[0]
    real = graph.of_type("Transpose")[0].output[0]  # the image as the network takes it, not yet normalised
    by = graph.add_constant("image_shift", np.array(INPUT_SHIFT, np.float32))
    shifted = graph.add_node("Add", [real, by], "image_shifted")
    scale, shift = NORMALISATION
    weight = graph.constants[first.input[1]]
    bias = graph.constants[first.input[2]] if len(first.input) > 2 else np.zeros(len(weight), np.float32)
    zero = np.float32(shift - INPUT_SHIFT * scale)  # the normalised value of a shifted 0
    first.input[0] = shifted
    del first.input[2:]
    first.input.append(graph.add_constant("shifted.bias", bias + zero * weight.sum((1, 2, 3))))
    first.input[1] = graph.add_constant("shifted.weight", weight * np.float32(scale))
    return shifted


def _hold(graph: OnnxGraph, tensor: str, steps: Steps, known: dict[str, float]) -> None:
    """Whatever reads `tensor` reads it through 8 bits, and so does what reads on from where it is moved."""
    readers = graph.readers(tensor)
    scale = graph.add_constant(f"{tensor}_step", np.array(steps.step, np.float32))
    zero = graph.add_constant(f"{tensor}_zero", np.array(steps.zero, steps.dtype))
    held = _pair(graph, tensor, scale, zero)
    known[held] = steps.step
    for node in readers:
        graph.redirect(node, tensor, held)
        if node.op_type in SAME_STEP:
            _hold(graph, node.output[0], steps, known)


def _round_weights(graph: OnnxGraph, node: Any, style: Style, known: dict[str, float]) -> None:
    """The weights of a convolution, symmetric, with a step per output channel."""
    name = node.input[1]
    weight = graph.constants[name]
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    step = (np.maximum(largest, SMALLEST_STEP) / LEVELS).astype(np.float32)
    scale = graph.add_constant(f"{name}_step", step)
    zero = graph.add_constant(f"{name}_zero", np.zeros(len(weight), np.int8))
    if style == "tensorrt":
        node.input[1] = _pair(graph, name, scale, zero, axis=0)
        return
    rounded = np.rint(weight / step[:, None, None, None]).clip(-LEVELS, LEVELS).astype(np.int8)
    stored = graph.add_constant(f"{name}_int8", rounded)
    node.input[1] = graph.add_node("DequantizeLinear", [stored, scale, zero], f"{name}_real", axis=0)
    if len(node.input) > 2:
        node.input[2] = _stored_bias(graph, node.input[2], step * np.float32(known[node.input[0]]))


def _stored_bias(graph: OnnxGraph, name: str, step: npt.NDArray[np.float32]) -> str:
    """A bias as int32; `step` is that of the products it is added to."""
    bias = graph.constants[name]
    # where all weights of a channel are next to nothing, so is the step, and no int32 would hold the bias
    step = np.maximum(step, np.abs(bias) / np.float32(2**30)).astype(np.float32)
    stored = graph.add_constant(f"{name}_int32", np.rint(bias / step).astype(np.int32))
    scale = graph.add_constant(f"{name}_step", step)
    zero = graph.add_constant(f"{name}_zero", np.zeros(len(bias), np.int32))
    return graph.add_node("DequantizeLinear", [stored, scale, zero], f"{name}_real", axis=0)


def _pair(graph: OnnxGraph, tensor: str, scale: str, zero: str, **axis: int) -> str:
    """There and back; returns the tensor as 8 bits held it."""
    quantized = graph.add_node("QuantizeLinear", [tensor, scale, zero], f"{tensor}_8bit", **axis)
    return graph.add_node("DequantizeLinear", [quantized, scale, zero], f"{tensor}_held", **axis)

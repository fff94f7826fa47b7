"""From LiteRT float32 to fully int8: weights symmetric per channel, activations by one of two tables.

A network that learned with rounding (`training.learning.quantization_aware`) brings its ranges: they are
written into the artifact as they are. Any other network is calibrated on images of the training part.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from acquisition.errors import RigposeError
from acquisition.frame import Image
from deploy.bundles.runtimes.litert import INPUT_SHIFT
from training.exporting.conversion import silenced
from training.learning.quantization_aware import LEVELS, Ranges, listening
from training.networks.table import PoseNetwork

SIGNATURE = "serving_default"
# Operations of the network's own tensors, in the order they run; and those whose output int8 holds with
# the step of their input, since they only move or mix its numbers.
TENSORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD")
SAME_STEP = ("PAD", "TRANSPOSE", "RESHAPE", "RESIZE_BILINEAR", "MAX_POOL_2D")
# Fast convolutions (Winograd) differ by a part in a thousand; another tensor differs by more, in one of the
# two ways that are looked at.
SAME_WITHIN = 0.01

TensorRanges = dict[str, dict[str, npt.NDArray[np.float32]]]


def quantize_litert(
    fp32: Path,
    inputs: Sequence[Image],
    int8: Path,
    network: PoseNetwork | None = None,
    ranges: Ranges | None = None,
) -> None:
    """Write the int8 form of the LiteRT model `fp32`.

    Parameters
    ----------
    inputs:
        Images as the network is fed them, uint8 (H, W, 3), of the training part only.
    network, ranges:
        What `fp32` was converted from, and its learned ranges; None: the ranges are those of `inputs`.

    Raises
    ------
    RigposeError
        If the quantizer fails, or `fp32` is not `network`.
    """
    learned = None if ranges is None or network is None else _learned(fp32, network, ranges, inputs[0])
    with silenced("the int8 quantizer"):
        from ai_edge_quantizer import quantizer, recipe

        work = quantizer.Quantizer(str(fp32), recipe.static_wi8_ai8())
        argument, name = _input_name(fp32)
        found: TensorRanges | None = learned
        if found is None:
            samples = [{argument: image[None].astype(np.float32) + INPUT_SHIFT} for image in inputs]
            found = work.calibrate({SIGNATURE: samples})
        # The whole of uint8, so that the input's scale is 1 and its zero point 0 whatever was seen.
        found[name] = _range(INPUT_SHIFT, 255 + INPUT_SHIFT)
        int8.write_bytes(work.quantize(found).quantized_model)


def _learned(fp32: Path, network: PoseNetwork, ranges: Ranges, image: Image) -> TensorRanges:
    """The learned range of every tensor of the LiteRT graph, by its name there.

    The graph's operations run in the network's order; that each is the one it is taken for is checked
    by running both on one image.
    """
    heard: dict[str, list[torch.Tensor]] = {}
    with listening(network, heard), torch.no_grad():
        network(torch.from_numpy(image[None]))
    expected = iter([(name, _magnitude(tensor.numpy())) for name, (tensor,) in heard.items()])
    found: TensorRanges = {}
    reach: dict[int, float] = {}
    for kind, source, output, name, magnitude in _operations(fp32, image):
        if kind in TENSORS:
            ours, wanted = next(expected, ("nothing", np.full(2, np.nan)))
            if not np.allclose(magnitude, wanted, rtol=SAME_WITHIN):
                raise _other_graph(fp32, f"{kind} {name[-60:]} where {ours} was expected")
            reach[output] = ranges[ours]
        elif kind in SAME_STEP and source in reach:
            reach[output] = reach[source]
        elif kind not in SAME_STEP:
            raise _other_graph(fp32, f"an operation {kind}, whose range was not learned")
        if output in reach:
            # one level more below than above: step = largest / 127 and a zero point of exactly 0
            found[name] = _range(-reach[output] * (LEVELS + 1) / LEVELS, reach[output])
    if (left := next(expected, None)) is not None:
        raise _other_graph(fp32, f"no operation for {left[0]}")
    return found


def _operations(model: Path, image: Image) -> list[tuple[str, int, int, str, npt.NDArray[np.float64]]]:
    """Kind, first input, output, the output's name and its magnitude on one image, in order."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(model),
        # a delegate would swallow the operations that are to be listed
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    details: dict[int, dict[str, Any]] = {d["index"]: d for d in interpreter.get_tensor_details()}
    interpreter.set_tensor(
        interpreter.get_input_details()[0]["index"], image[None].astype(np.float32) + INPUT_SHIFT
    )
    interpreter.invoke()
    rows = []
    for operation in interpreter._get_ops_details():
        output = int(operation["outputs"][0])
        magnitude = _magnitude(interpreter.get_tensor(output))
        rows.append(
            (operation["op_name"], int(operation["inputs"][0]), output, details[output]["name"], magnitude)
        )
    return rows


def _magnitude(tensor: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Largest and mean magnitude."""
    sizes = np.abs(tensor)
    return np.array([sizes.max(), sizes.mean()], np.float64)


def _other_graph(model: Path, found: str) -> RigposeError:
    return RigposeError(
        model, expected="a graph of the network's own tensors", found=found,
        remedy="Train without --qat: this converter orders the network in a way that is not known",
    )  # fmt: skip


def _range(low: float, high: float) -> dict[str, npt.NDArray[np.float32]]:
    return {"min": np.full((1, 1, 1, 1), low, np.float32), "max": np.full((1, 1, 1, 1), high, np.float32)}


def _input_name(model: Path) -> tuple[str, str]:
    """The input's name in the signature, and its tensor's."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model))
    (argument,) = interpreter.get_signature_list()[SIGNATURE]["inputs"]
    return argument, str(interpreter.get_input_details()[0]["name"])

"""int8 ONNX: both styles do what the trained network does, and a graph that was not understood is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from acquisition.errors import RigposeError
from calibration.image_transform import ImageTransform
from deploy.bundles.preprocess import to_network
from tests.training.colour_finder import IMAGE_WH, INPUT_WH, ColourFinder, frames
from training.exporting.onnx_half import halve_onnx
from training.exporting.onnx_int8 import Steps, quantize_onnx
from training.learning.quantization_aware import Ranges, seen_ranges
from training.networks.table import build_network

FP32 = Path(__file__).parents[2] / "deploy" / "golden" / "six_artifacts.bundle" / "fp32.onnx"


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    fit = ImageTransform.fit(IMAGE_WH, INPUT_WH)
    return np.stack([to_network(image, fit, INPUT_WH) for image in frames(4, 5).images])


@pytest.fixture(scope="module")
def ranges(inputs: np.ndarray) -> Ranges:
    return seen_ranges(ColourFinder(), [inputs])


def keypoints(model: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {"images": images})[0]
    return found


def constants(model: Path) -> dict[str, np.ndarray]:
    return {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(model).graph.initializer}


@pytest.mark.parametrize("style", ["onnx", "tensorrt"])
def test_it_finds_what_the_float_graph_finds(
    tmp_path: Path, inputs: np.ndarray, ranges: Ranges, style: Any
) -> None:
    quantize_onnx(FP32, tmp_path / "int8.onnx", ColourFinder(), ranges, style, inputs[0])
    expected, found = keypoints(FP32, inputs), keypoints(tmp_path / "int8.onnx", inputs)
    assert 0 < np.abs(found - expected)[..., :2].max() < 0.25


def test_the_styles_are_those_the_runtimes_want(tmp_path: Path, inputs: np.ndarray, ranges: Ranges) -> None:
    for style in ("onnx", "tensorrt"):
        quantize_onnx(FP32, tmp_path / style, ColourFinder(), ranges, style, inputs[0])
    for_onnx, for_tensorrt = constants(tmp_path / "onnx"), constants(tmp_path / "tensorrt")
    assert any(value.dtype == np.int32 and value.ndim == 1 for value in for_onnx.values())  # biases
    assert {value.dtype for name, value in for_onnx.items() if name.endswith("_int8")} == {np.dtype(np.int8)}
    zeros = [value for name, value in for_tensorrt.items() if name.endswith("_zero")]
    assert zeros
    assert all(value.dtype == np.int8 and not value.any() for value in zeros)
    assert not any(name.endswith(("_int8", "_int32")) for name in for_tensorrt)


def test_the_table_of_ranges_is_written_as_it_is(tmp_path: Path, inputs: np.ndarray, ranges: Ranges) -> None:
    learned = ranges | {"trunk.cells": 0.731}
    quantize_onnx(FP32, tmp_path / "int8.onnx", ColourFinder(), learned, "tensorrt", inputs[0])
    steps = [float(value) for name, value in constants(tmp_path / "int8.onnx").items()
             if name.endswith("_step") and value.ndim == 0]  # fmt: skip
    assert any(step == pytest.approx(0.731 / 127) for step in steps)


def test_the_heads_give_floats(tmp_path: Path, inputs: np.ndarray, ranges: Ranges) -> None:
    """Coordinates that went through 8 bits would lie on a grid."""
    quantize_onnx(FP32, tmp_path / "int8.onnx", ColourFinder(), ranges, "onnx", inputs[0])
    graph = onnx.load(tmp_path / "int8.onnx").graph
    heads = [node for node in graph.node if node.op_type == "Conv"][-2:]
    for head in heads:
        readers = [node.op_type for node in graph.node if head.output[0] in node.input]
        assert "QuantizeLinear" not in readers


def test_a_graph_of_another_network_is_refused(tmp_path: Path, inputs: np.ndarray) -> None:
    other = build_network("mobilenetv2-0.35", 2, batch_norm=False).eval()
    found = seen_ranges(other, [inputs])
    with pytest.raises(RigposeError, match="the network's own tensors"):
        quantize_onnx(FP32, tmp_path / "int8.onnx", other, found, "onnx", inputs[0])
    assert not (tmp_path / "int8.onnx").exists()


def test_half_precision_is_in_the_types(tmp_path: Path, inputs: np.ndarray) -> None:
    halve_onnx(FP32, tmp_path / "fp16.onnx")
    weights = [value for name, value in constants(tmp_path / "fp16.onnx").items() if ".weight" in name]
    assert weights
    assert {value.dtype for value in weights} == {np.dtype(np.float16)}
    difference = np.abs(keypoints(tmp_path / "fp16.onnx", inputs) - keypoints(FP32, inputs))
    assert 0 < difference[..., :2].max() < 0.02


@pytest.mark.parametrize(("signed", "style", "lowest", "highest"), [
    (False, "onnx", 0.0, 2.0), (True, "onnx", -2.0 * 128 / 127, 2.0),
    (True, "tensorrt", -2.0 * 128 / 127, 2.0),
])  # fmt: skip
def test_steps_reach_the_whole_range(signed: bool, style: Any, lowest: float, highest: float) -> None:
    steps = Steps.of(2.0, signed=signed, style=style)
    limits = np.iinfo(steps.dtype)
    assert (limits.min - steps.zero) * steps.step == pytest.approx(lowest)
    assert (limits.max - steps.zero) * steps.step == pytest.approx(highest)

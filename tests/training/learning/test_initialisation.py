"""A quantized classifier becomes a trunk that computes what the classifier's own trunk does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from acquisition.errors import RigposeError
from training.learning.initialisation import _convolutions_of, _dequantized, carries_batch_norm, initialise
from training.networks.table import build_network

CLASSIFIER = "mobilenet_v2_1.0_224_quant.tflite"
GOLDEN = Path(__file__).parents[2] / "deploy" / "golden" / "six_artifacts.bundle"


def test_weights_with_a_scale_for_every_channel_are_those_of_the_float_file():
    """The same network twice: each weight of the int8 file is within half a step of its channel's scale."""
    exact, rounded = (_convolutions_of(GOLDEN / name) for name in ("fp32.tflite", "int8.tflite"))
    assert len(exact) == len(rounded) > 0
    for (kernel, _), (stored, _) in zip(exact, rounded, strict=True):
        assert kernel.shape == stored.shape
        axes = tuple(range(1, kernel.ndim))
        step = np.abs(kernel).max(axis=axes, keepdims=True) / 127
        assert (np.abs(kernel - stored) <= 0.51 * step + 1e-9).all()


def test_a_scale_for_every_channel_goes_with_the_axis_that_the_file_names():
    """A depthwise kernel's is the last one. Integers without a scale are no weights."""
    stored = np.arange(24, dtype=np.int8).reshape(1, 2, 3, 4)
    interpreter = SimpleNamespace(tensor=lambda index: lambda: stored)
    scales, zeros = np.array([1.0, 2, 4, 8]), np.array([0, 1, 2, 3])
    about = {"scales": scales, "zero_points": zeros, "quantized_dimension": 3}
    detail = {"index": 0, "name": "kernel", "quantization_parameters": about}
    np.testing.assert_array_equal(_dequantized(interpreter, detail), (stored - zeros) * scales)
    about |= {"scales": [], "zero_points": []}
    with pytest.raises(ValueError, match="kernel: int8 without a scale"):
        _dequantized(interpreter, detail)


def test_kernels_that_are_computed_when_it_runs_are_refused(tmp_path):
    """Stored as int8 here and made float32 first, as those of a float16 file are."""
    from ai_edge_quantizer import quantizer, recipe

    work = quantizer.Quantizer(str(GOLDEN / "fp32.tflite"), recipe.weight_only_wi8_afp32())
    (tmp_path / "small.tflite").write_bytes(work.quantize().quantized_model)
    with pytest.raises(RigposeError, match="found kernels that are computed when it runs"):
        _convolutions_of(tmp_path / "small.tflite")


def test_a_damaged_classifier_is_refused(tmp_path):
    (tmp_path / "x.tflite").write_bytes(b"no classifier")
    with pytest.raises(RigposeError, match="TFLite classifier"):
        initialise(build_network("mobilenetv2-1.0", 2, batch_norm=False), str(tmp_path / "x.tflite"))


@pytest.mark.data
def test_a_wider_network_than_the_classifier_is_refused(weights_dir):
    path = str(weights_dir / CLASSIFIER)
    assert not carries_batch_norm(path, "mobilenetv2-1.0")
    with pytest.raises(RigposeError, match="convolution 0 of shape"):
        initialise(build_network("mobilenetv2-1.4", 2), path)


@pytest.mark.data
def test_a_narrower_network_takes_channels_that_stay_each_others(weights_dir):
    path = str(weights_dir / CLASSIFIER)
    assert carries_batch_norm(path, "mobilenetv2-0.35")
    wide, narrow = build_network("mobilenetv2-1.0", 2, batch_norm=False), build_network("mobilenetv2-0.35", 2)
    assert initialise(wide, path)
    assert not initialise(narrow, path)  # a part is no trained network: it learns as fast as a random one
    kept_before = np.array([0, 1, 2])
    for ours, theirs in zip(narrow.trunk.convolutions(), wide.trunk.convolutions(), strict=True):
        outputs = np.linspace(0, len(theirs.weight) - 1, len(ours.weight)).round().astype(int)
        inputs = kept_before if theirs.groups == 1 else np.array([0])
        expected = theirs.weight.detach().numpy()[outputs][:, inputs]
        np.testing.assert_array_equal(ours.weight.detach().numpy(), expected)
        kept_before = outputs


@pytest.mark.data
def test_the_trunk_computes_what_the_classifier_does(weights_dir):
    """Stage by stage against the interpreter's own tensors: padding, order, dequantization."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    path = str(weights_dir / CLASSIFIER)
    network = build_network("mobilenetv2-1.0", 2, batch_norm=False).eval()
    initialise(network, path)
    y, x = np.mgrid[:224, :224]
    image = np.stack([(x + y) // 2, (3 * x) % 256, 255 - y], axis=-1).astype(np.uint8)[None]
    interpreter = Interpreter(
        path, experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )  # fmt: skip
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    with torch.no_grad():
        levels = network.trunk(torch.from_numpy(image).permute(0, 3, 1, 2).float() / 127.5 - 1)
    for stride, features in levels.items():
        shape = [1, 224 // stride, 224 // stride, features.shape[1]]
        # the last tensor of this shape that an addition or a projection made
        last = [
            op["outputs"][0] for op in interpreter._get_ops_details()
            if op["op_name"] in ("ADD", "CONV_2D") and list(details[op["outputs"][0]]["shape"]) == shape
        ][-1]  # fmt: skip
        scale, zero = details[last]["quantization"]
        theirs = scale * (interpreter.get_tensor(last).astype(np.float32) - zero)
        mine = features.permute(0, 2, 3, 1).numpy()
        assert np.corrcoef(mine.ravel(), theirs.ravel())[0, 1] > 0.9, stride

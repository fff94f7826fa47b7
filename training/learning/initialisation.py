"""Where weights begin: a previous run, an image classifier (published, or a file), or random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from acquisition.errors import RigposeError
from training.learning.published import imagenet_weights, load_torchvision
from training.networks.table import PoseNetwork, build_network
from training.projects.splits import Split
from training.run import WEIGHTS_FILE

Floats = npt.NDArray[np.float32]

NONE = "none"
IMAGENET = "imagenet"


def carries_batch_norm(init: str | None, network: str) -> bool:
    """Whether `network` has batch norm if it begins so: a quantized classifier has it folded away.

    A narrower network than the classifier takes over a part of its channels, and needs batch norm to
    make up for what the others added.

    Raises
    ------
    RigposeError
        If the file is missing or damaged.
    """
    if init is None or init == NONE:
        return True
    path = _found(init, network)
    if path.suffix == ".pth":
        return True
    if path.suffix == ".tflite":
        wanted = build_network(network, 1, batch_norm=False).trunk.convolutions()
        return any(
            tuple(conv.weight.shape) != kernel.shape
            for conv, (kernel, _) in zip(wanted, _convolutions_of(path), strict=False)
        )
    return any(".norm." in name for name in _read_safetensors(path))


def initialise(network: PoseNetwork, init: str | None, name: str = "") -> bool:
    """Load weights into `network`.

    Parameters
    ----------
    init:
        None or "none": the network keeps its random weights. A `.tflite` file: an image classifier with
        the same trunk or a wider one, whose convolutions are dequantized. A run directory or its
        safetensors: every tensor whose name and shape agree. A `.pth` file: torchvision's weights.
        "imagenet": the published weights of the network `name`.

    Returns
    -------
    Whether the trunk has trained weights as they were trained: neither random ones, nor a part of the
    channels of a wider network, which are a start but must learn as fast as random ones.

    Raises
    ------
    RigposeError
        If the file is missing, damaged, or fits this network nowhere.
    """
    if init is None or init == NONE:
        return False
    path = _found(init, name)
    if path.suffix == ".tflite":
        return _load_classifier(network, path)
    if path.suffix == ".pth":
        load_torchvision(network.trunk, path)
    else:
        _load_safetensors(network, path)
    return True


def seen_by(init: str | None, split: Split) -> list[str]:
    """The held-out images that the run was trained on whose weights are `init`; [] where it is none."""
    if init is None:
        return []
    path = Path(init)
    file = (path if path.is_dir() else path.parent) / "split.json"
    return sorted(set(Split.load(file).train) & set(split.test)) if file.is_file() else []


def _found(init: str, network: str) -> Path:
    if init == IMAGENET:
        return imagenet_weights(network)
    path = Path(init)
    if path.is_dir():
        path = path / WEIGHTS_FILE
    if not path.is_file():
        raise RigposeError(
            f"--init {init}", expected="imagenet, a .tflite or .pth classifier, a run or safetensors",
            found="no such file", remedy="Check the path, or give --init none",
        )  # fmt: skip
    return path


def _load_classifier(network: PoseNetwork, path: Path) -> bool:
    """Whether all of its channels were taken."""
    whole = True
    weights = _convolutions_of(path)
    convolutions = network.trunk.convolutions()
    if len(weights) < len(convolutions):
        raise RigposeError(
            path, expected=f"a classifier of {len(convolutions)} convolutions", found=f"{len(weights)}",
            remedy="Give the classifier whose trunk --network names",
        )  # fmt: skip
    for index, (conv, (kernel, bias)) in enumerate(zip(convolutions, weights, strict=False)):
        shape = tuple(conv.weight.shape)
        if len(shape) != kernel.ndim or any(
            ours > theirs for ours, theirs in zip(shape, kernel.shape, strict=True)
        ):
            raise RigposeError(
                path, expected=f"convolution {index} of shape {shape} or more",
                found=f"{kernel.shape}", remedy="Give the classifier whose trunk --network names",
            )  # fmt: skip
        whole &= shape == kernel.shape
        with torch.no_grad():
            conv.weight.copy_(torch.from_numpy(_selected(kernel, shape)))
            if conv.bias is not None:
                conv.bias.copy_(torch.from_numpy(_selected(bias, conv.bias.shape)))
    return whole


def _selected(weights: Floats, shape: Sequence[int]) -> Floats:
    """Channels evenly spread over a wider network's, alike in every layer, so that they stay each other's.

    Xu et al. 2024, "Initializing Models with Larger Ones", section 3 (uniform selection).
    """
    for axis, count in enumerate(shape):
        kept = np.linspace(0, weights.shape[axis] - 1, count).round().astype(int)
        weights = np.take(weights, kept, axis=axis)
    return np.ascontiguousarray(weights)


def _convolutions_of(path: Path) -> list[tuple[Floats, Floats]]:
    """Kernels (out, in/groups, h, w) and biases (out,), float32, in the order they run.

    Real value = scale * (stored - zero point), each for the whole tensor or for every channel of one axis; a
    bias is int32 with the scale of input times kernel. Raises `RigposeError` where a kernel is not stored
    (float16 files compute it), or stored as integers of no scale.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_path=str(path),
            # a delegate would swallow the operations that are to be listed
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.allocate_tensors()
        operations = interpreter._get_ops_details()
        details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    except (ValueError, RuntimeError) as error:
        raise RigposeError(
            path,
            expected="a TFLite classifier",
            found=str(error).splitlines()[0],
            remedy="Fetch the file again",
        ) from None
    computed = {int(index) for operation in operations for index in operation["outputs"]}
    found = []
    for operation in operations:
        if operation["op_name"] not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            continue
        _, kernel_index, bias_index = operation["inputs"][:3]
        if {kernel_index, bias_index} & computed:
            raise RigposeError(
                path, expected="a classifier whose kernels are stored as float32 or int8",
                found="kernels that are computed when it runs (a float16 file)",
                remedy="Give its float32 or its int8 file",
            )  # fmt: skip
        try:
            kernel, bias = (_dequantized(interpreter, details[at]) for at in (kernel_index, bias_index))
        except ValueError as error:
            raise RigposeError(
                path, expected="quantized weights with their scales", found=str(error),
                remedy="Give the classifier's float32 file",
            ) from None  # fmt: skip
        depthwise = operation["op_name"] == "DEPTHWISE_CONV_2D"
        order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)  # (1, h, w, out) or (out, h, w, in)
        found.append((np.ascontiguousarray(kernel.transpose(order)), bias))
    return found


def _dequantized(interpreter: Any, detail: dict[str, Any]) -> Floats:
    stored = interpreter.tensor(detail["index"])()
    if np.issubdtype(stored.dtype, np.floating):
        return np.array(stored, np.float32)
    about = detail["quantization_parameters"]
    scales, zeros = (np.asarray(about[key], np.float64) for key in ("scales", "zero_points"))
    if not len(scales):
        raise ValueError(f"{detail['name']}: {stored.dtype} without a scale")
    shape = [1] * stored.ndim
    shape[about["quantized_dimension"] if len(scales) > 1 else 0] = -1
    return np.asarray((stored - zeros.reshape(shape)) * scales.reshape(shape), np.float32)


def _load_safetensors(network: PoseNetwork, path: Path) -> None:
    tensors = _read_safetensors(path)
    state = network.state_dict()
    fitting = {
        name: tensor
        for name, tensor in tensors.items()
        if name in state and state[name].shape == tensor.shape
    }
    trunk = [name for name in state if name.startswith("trunk.")]
    missing = [name for name in trunk if name not in fitting]
    if missing:
        raise RigposeError(
            path, expected="the trunk that --network names",
            found=f"no {missing[0]} of its shape ({len(missing)} of {len(trunk)} tensors do not fit)",
            remedy="Give the run's own --network, or another --init",
        )  # fmt: skip
    network.load_state_dict(state | fitting)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise RigposeError(
            path, expected="safetensors", found=str(error), remedy="Give another file"
        ) from None

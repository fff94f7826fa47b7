"""Published image classifiers whose trunks networks may begin with: where they are, and what they must be.

Fetched once into the cache, and used only if the SHA-256 is right. torchvision's files are pickles of
tensors: they are read by torch's loader for weights alone, which admits nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from acquisition.errors import RigposeError
from training.fetching import fetch, reason, sha256_of
from training.networks.units import ConvUnit, Trunk

_OF_A_NORM = ("weight", "bias", "running_mean", "running_var")
# What torchvision's networks are fed: RGB 0..1, less the mean, by the deviation (ImageNet's).
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Published:
    """A file of weights.

    Attributes
    ----------
    url, sha256:
        Where it is, and what it must be.
    terms:
        Its licence, for the record.
    """

    url: str
    sha256: str
    terms: str


# Network, or the part of its name before the dash -> weights trained on ImageNet.
IMAGENET: dict[str, Published] = {
    "mobilenetv2": Published(
        "https://github.com/google-coral/test_data/raw/master/mobilenet_v2_1.0_224_quant.tflite",
        "7aad0c74c5e3c06e5eb3c827e13304fdd68a83da6087d92ee169c24ff9fd4776",
        "Apache-2.0",
    ),
    "resnet": Published(
        "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
        "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
        "BSD-3-Clause, torchvision",
    ),
}


def cache_folder() -> Path:
    """Where fetched weights are kept: `$RIGPOSE_CACHE`, else the user's cache folder."""
    given = os.environ.get("RIGPOSE_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rigpose" / "weights"


def imagenet_weights(network: str) -> Path:
    """The file of ImageNet weights for a network, fetched if it is not there yet.

    Raises
    ------
    RigposeError
        If none are known for it, they cannot be fetched, or they are not what was published.
    """
    published = IMAGENET.get(network.partition("-")[0])
    if published is None:
        raise RigposeError(
            f"--init imagenet with --network {network}", expected=f"a network of {', '.join(IMAGENET)}",
            found="one without published weights", remedy="Give --init none, or a run with this trunk",
        )  # fmt: skip
    return fetched(published)


def fetched(published: Published) -> Path:
    """The file in the cache, its SHA-256 checked now. Raises `RigposeError`."""
    path = cache_folder() / published.url.rsplit("/", 1)[-1]
    if not path.is_file():
        try:
            fetch(published.url, path, path.name)
        except OSError as error:
            raise RigposeError(
                published.url, expected="the published weights", found=reason(error),
                remedy=f"Put the file at {path} by other means, or give --init FILE or none",
            ) from None  # fmt: skip
    found = sha256_of(path)
    if found != published.sha256:
        raise RigposeError(
            path, expected=f"the published file, SHA-256 {published.sha256[:12]}", found=found[:12],
            remedy="Remove it and try again: it is fetched anew",
        )  # fmt: skip
    return path


def load_torchvision(trunk: Trunk, path: Path) -> None:
    """Load torchvision's ResNet weights, by their order, which is the order in which they run.

    torchvision lists a block's projection after its convolutions, as our trunk does. The normalisation
    of their input (mean and deviation) is folded into the first convolution and its norm, exact except
    at the border, where padding is now the mean grey and was black.

    Raises
    ------
    RigposeError
        If the file is damaged, holds more than tensors, or is of another network.
    """
    try:
        state = _tensors_of(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # the loader raises whatever the bytes provoke
        raise RigposeError(
            path, expected="a file of weights and nothing else", found=f"{error}".splitlines()[0][:120],
            remedy="Remove it and try again",
        ) from None  # fmt: skip
    units = [module for module in trunk.modules() if isinstance(module, ConvUnit)]
    kernels = [name for name, tensor in state.items() if tensor.ndim == 4]
    shapes = [tuple(unit.conv.weight.shape) for unit in units]
    norms = {kernel: _norm_of(kernel) for kernel in kernels}
    there = all(f"{norm}.{what}" in state for norm in norms.values() for what in _OF_A_NORM)
    if [tuple(state[name].shape) for name in kernels] != shapes or not there:
        raise RigposeError(
            path, expected=f"{len(units)} convolutions of this trunk", found=f"{len(kernels)}, or others",
            remedy="Give the weights of the network that --network names",
        )  # fmt: skip
    with torch.no_grad():
        for unit, kernel in zip(units, kernels, strict=True):
            unit.conv.weight.copy_(state[kernel])
            assert isinstance(unit.norm, nn.BatchNorm2d)
            for what in _OF_A_NORM:
                getattr(unit.norm, what).copy_(state[f"{norms[kernel]}.{what}"])
        first = units[0]
        assert isinstance(first.norm, nn.BatchNorm2d) and first.norm.running_mean is not None
        deviation = torch.tensor(DEVIATION).view(1, 3, 1, 1)
        # theirs = ((ours + 1) / 2 - mean) / deviation
        offset = ((0.5 - torch.tensor(MEAN).view(1, 3, 1, 1)) / deviation * first.conv.weight).sum((1, 2, 3))
        first.norm.running_mean.sub_(offset)
        first.conv.weight.div_(2 * deviation)


def _tensors_of(loaded: object) -> dict[str, Tensor]:
    """What a file holds by name: the tensors, or a checkpoint of which they are a part."""
    for part in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(part), dict):
            loaded = loaded[part]
    if not isinstance(loaded, dict) or not all(isinstance(each, Tensor) for each in loaded.values()):
        raise TypeError("no table of tensors by name")
    return {str(name): tensor for name, tensor in loaded.items()}


def _norm_of(kernel: str) -> str:
    """conv1 and bn1 belong together; a projection is .0 and its norm .1."""
    name = kernel.removesuffix(".weight")
    return name[:-1] + "1" if name.endswith("downsample.0") else name.replace("conv", "bn")

"""Published weights: fetched once, checked always, and computing what they were trained to compute."""

from __future__ import annotations

import hashlib

import pytest
import torch
import torch.nn.functional as functional

from acquisition.errors import RigposeError
from training.learning import published
from training.learning.initialisation import carries_batch_norm, initialise
from training.learning.published import (
    DEVIATION,
    MEAN,
    Published,
    fetched,
    imagenet_weights,
    load_torchvision,
)
from training.networks.resnet import STAGES
from training.networks.table import build_network


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RIGPOSE_CACHE", str(tmp_path / "cache"))


def served(tmp_path, content: bytes = b"weights") -> Published:
    (tmp_path / "away").mkdir()
    file = tmp_path / "away" / "x.tflite"
    file.write_bytes(content)
    return Published(file.as_uri(), hashlib.sha256(content).hexdigest(), "")


def test_weights_are_fetched_once_and_then_found(tmp_path):
    source = served(tmp_path)
    path = fetched(source)
    assert path.read_bytes() == b"weights"
    (tmp_path / "away" / "x.tflite").unlink()
    assert fetched(source) == path
    assert [entry.name for entry in path.parent.iterdir()] == ["x.tflite"]


def test_what_is_not_as_published_is_refused_whenever_it_is_used(tmp_path):
    source = served(tmp_path)
    fetched(source).write_bytes(b"changed")
    with pytest.raises(RigposeError, match="SHA-256"):
        fetched(source)


def test_without_a_network_the_error_says_where_to_put_the_file(tmp_path):
    gone = Published((tmp_path / "none.pth").as_uri(), "", "")
    with pytest.raises(RigposeError, match=r"Put the file at .*none\.pth"):
        fetched(gone)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_network_without_published_weights_is_named():
    with pytest.raises(RigposeError, match="residual-16"):
        imagenet_weights("residual-16")


def torchvision_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights under torchvision's names, in torchvision's order."""
    random = torch.Generator().manual_seed(seed)
    state: dict[str, torch.Tensor] = {}

    def layer(conv: str, norm: str, outputs: int, inputs: int, kernel: int) -> None:
        spread = (2.0 / (inputs * kernel**2)) ** 0.5
        state[f"{conv}.weight"] = spread * torch.randn(outputs, inputs, kernel, kernel, generator=random)
        for what, low in (("weight", 0.5), ("bias", -0.2), ("running_mean", -0.2), ("running_var", 0.5)):
            state[f"{norm}.{what}"] = low + 0.5 * torch.rand(outputs, generator=random)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(0)

    layer("conv1", "bn1", 64, 3, 7)
    channels = 64
    for number, (_, inside, repeats) in enumerate(STAGES, 1):
        for block in range(repeats):
            name = f"layer{number}.{block}"
            layer(f"{name}.conv1", f"{name}.bn1", inside, channels, 1)
            layer(f"{name}.conv2", f"{name}.bn2", inside, inside, 3)
            layer(f"{name}.conv3", f"{name}.bn3", 4 * inside, inside, 1)
            if block == 0:
                layer(f"{name}.downsample.0", f"{name}.downsample.1", 4 * inside, channels, 1)
            channels = 4 * inside
    return state | {"fc.weight": torch.zeros(10, channels), "fc.bias": torch.zeros(10)}


def torchvision_features(state: dict[str, torch.Tensor], image: torch.Tensor) -> list[torch.Tensor]:
    """ResNet-50 by its definition, on images 0..1: the features of its four stages."""

    def layer(x: torch.Tensor, conv: str, norm: str, stride: int = 1) -> torch.Tensor:
        weight = state[f"{conv}.weight"]
        x = functional.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2)
        mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return functional.batch_norm(x, mean, variance, state[f"{norm}.weight"], state[f"{norm}.bias"])

    mean, deviation = (torch.tensor(value).view(1, 3, 1, 1) for value in (MEAN, DEVIATION))
    x = functional.relu(layer((image - mean) / deviation, "conv1", "bn1", 2))
    x = functional.max_pool2d(x, 3, 2, 1)
    features = []
    for number, (_, _, repeats) in enumerate(STAGES, 1):
        for block in range(repeats):
            name, stride = f"layer{number}.{block}", 2 if block == 0 and number > 1 else 1
            y = functional.relu(layer(x, f"{name}.conv1", f"{name}.bn1"))
            y = functional.relu(layer(y, f"{name}.conv2", f"{name}.bn2", stride))
            y = layer(y, f"{name}.conv3", f"{name}.bn3")
            if block == 0:
                x = layer(x, f"{name}.downsample.0", f"{name}.downsample.1", stride)
            x = functional.relu(x + y)
        features.append(x)
    return features


def test_the_trunk_computes_what_torchvision_does_on_the_image_it_was_trained_on(tmp_path):
    state = torchvision_state()
    torch.save(state, tmp_path / "resnet.pth")
    network = build_network("resnet-50", 2)
    assert carries_batch_norm(str(tmp_path / "resnet.pth"), "resnet-50")
    initialise(network, str(tmp_path / "resnet.pth"))
    network.eval()
    # black padding of theirs is mean grey of ours: so much of the border is left out of the comparison
    image = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = torchvision_features(state, image)[0]
        found = network.trunk(2 * image - 1)[4]
    inside = (..., slice(8, 24), slice(8, 24))
    torch.testing.assert_close(found[inside], expected[inside], rtol=1e-3, atol=1e-3)


def test_a_file_that_is_more_than_weights_runs_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("it ran",))

    torch.save({"conv1.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(RigposeError, match="weights and nothing else"):
        load_torchvision(build_network("resnet-50", 2).trunk, tmp_path / "evil.pth")


def test_weights_of_another_network_are_refused(tmp_path):
    state = torchvision_state()
    del state["layer4.2.conv3.weight"]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(RigposeError, match="of this trunk"):
        load_torchvision(build_network("resnet-50", 2).trunk, tmp_path / "other.pth")


def test_every_published_file_is_bound_to_its_hash():
    for source in published.IMAGENET.values():
        assert source.url.startswith("https://")
        assert len(source.sha256) == 64


@pytest.mark.parametrize("wrapped", [None, "state_dict", "model"])
def test_a_checkpoint_that_holds_the_weights_is_read_too(tmp_path, wrapped):
    state = torchvision_state()
    torch.save(state if wrapped is None else {wrapped: state, "epoch": 3}, tmp_path / "a.pth")
    assert initialise(build_network("resnet-50", 2), str(tmp_path / "a.pth"), "resnet-50")


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"state_dict": {"a": 1}}])
def test_what_is_no_table_of_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(RigposeError, match="weights and nothing else"):
        load_torchvision(build_network("resnet-50", 2).trunk, tmp_path / "a.pth")


def test_kernels_that_fit_without_their_norms_are_refused(tmp_path):
    kernels = {name: tensor for name, tensor in torchvision_state().items() if tensor.ndim == 4}
    torch.save(kernels, tmp_path / "a.pth")
    with pytest.raises(RigposeError, match="of this trunk"):
        load_torchvision(build_network("resnet-50", 2).trunk, tmp_path / "a.pth")

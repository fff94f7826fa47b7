"""A run directory gives back the network that was saved, or one clear error."""

from __future__ import annotations

import json

import pytest
import torch

from acquisition.errors import RigposeError
from training.networks.table import build_network
from training.run import RunSettings, load_network, save_run


def settings(**changes: object) -> RunSettings:
    values = dict(
        network="mobilenetv2-0.1",
        stride=8,
        head_channels=32,
        batch_norm=True,
        input_size_px=(64, 64),
        keypoints=("nose", "tail"),
    )
    return RunSettings.model_validate(values | changes)


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    network = build_network("mobilenetv2-0.1", 2, stride=8, head_channels=32)
    for module in network.modules():  # norms that are not the identity, or folding them proves nothing
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    save_run(tmp_path / "run", settings(), network)
    return tmp_path / "run", network.eval()


@pytest.mark.parametrize("folded", [False, True])
def test_a_loaded_network_computes_what_the_saved_one_did(run, folded):
    folder, network = run
    loaded, found = load_network(folder, folded=folded)
    assert found == settings()
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        for mine, theirs in zip(loaded(images), network(images), strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
    norms = [m for m in loaded.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert bool(norms) is not folded


def test_an_unfinished_or_damaged_run_is_refused(run, tmp_path):
    folder, _ = run
    with pytest.raises(RigposeError, match="run directory"):
        load_network(tmp_path)
    weights = folder / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RigposeError, match="safetensors"):
        load_network(folder)
    weights.unlink()
    with pytest.raises(RigposeError, match="finished run"):
        load_network(folder)


def test_weights_of_another_network_are_refused(run):
    folder, _ = run
    content = json.loads((folder / "settings.json").read_text())
    content["keypoints"] = ["nose", "tail", "ear"]
    (folder / "settings.json").write_text(json.dumps(content))
    with pytest.raises(RigposeError, match="other tensors"):
        load_network(folder)

"""Rounding inside the network is the rounding that the int8 artifact does."""

from __future__ import annotations

import json
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from training.exporting.conversion import to_litert
from training.exporting.quantization import quantize_litert
from training.learning.quantization_aware import (
    LEVELS,
    RoundedOutput,
    load_ranges,
    save_ranges,
    seen_ranges,
    tensors_of,
    with_rounding,
    without_rounding,
)
from training.networks.table import PoseNetwork, build_network, fold_batch_norm

NETWORKS = ("mobilenetv2-0.35", "residual-16")


def images(count: int, side: int = 64, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (count, side // 8, side // 8, 3), np.uint8)
    return [cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC) for image in small]


def trained(name: str) -> PoseNetwork:
    """A network, batch norms folded, whose outputs vary with the image as a trained one's do."""
    torch.manual_seed(0)
    network = build_network(name, 3)
    with torch.no_grad():
        for seed in range(20):
            network(torch.from_numpy(np.stack(images(4, seed=seed))))
        for conv in (network.head.heatmap, network.head.offset):
            conv.weight.mul_(20)
    return fold_batch_norm(network)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> PoseNetwork:
    return trained(request.param)


def run(network: torch.nn.Module, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
    with torch.no_grad():
        return [output.numpy() for output in network(torch.from_numpy(np.stack(batch)))]


def test_a_tensor_is_rounded_to_whole_steps_and_cut_at_the_last_level():
    rounded = RoundedOutput(12.7)(torch.tensor([0.04, 0.06, -0.26, 100.0, -100.0]))
    np.testing.assert_allclose(rounded.detach().numpy(), [0.0, 0.1, -0.3, 12.7, -12.7], rtol=1e-5)


def test_rounding_changes_little_and_can_be_taken_out_again(network):
    ranges = seen_ranges(network, [np.stack(images(4))])
    rounded = with_rounding(network, ranges)
    for exact, found in zip(run(network, images(4)), run(rounded, images(4)), strict=True):
        difference = np.abs(exact - found).mean()
        assert 0 < difference < 0.1 * np.abs(exact).mean()
    plain, again = without_rounding(rounded)
    assert again == pytest.approx(ranges, rel=1e-5)
    for exact, found in zip(run(network, images(4)), run(plain, images(4)), strict=True):
        np.testing.assert_array_equal(exact, found)


def test_weights_and_steps_are_learned_through_the_rounding(network):
    rounded = with_rounding(network, seen_ranges(network, [np.stack(images(4))]))
    heatmap, offset = rounded(torch.from_numpy(np.stack(images(2))))
    (heatmap.square().mean() + offset.square().mean()).backward()
    assert all(parameter.grad is not None for parameter in rounded.parameters())
    assert rounded.trunk.stem.conv.weight.grad.abs().max() > 0
    assert rounded.trunk.stem.output.log_step.grad.abs().max() > 0


def test_the_table_is_of_one_network_alone(tmp_path, network):
    ranges = seen_ranges(network, [np.stack(images(2))])
    assert ranges.keys() == tensors_of(network).keys()
    assert load_ranges(tmp_path, network) is None
    save_ranges(tmp_path, ranges)
    assert load_ranges(tmp_path, network) == ranges
    del ranges["trunk.stem"]
    save_ranges(tmp_path, ranges)
    with pytest.raises(RigposeError, match=r"trunk\.stem"):
        load_ranges(tmp_path, network)
    (tmp_path / "ranges.json").write_text(json.dumps({"largest_magnitude": {"trunk.stem": -1}}))
    with pytest.raises(RigposeError, match="positive"):
        load_ranges(tmp_path, network)


@pytest.mark.long
def test_the_int8_artifact_rounds_as_the_network_learned_to(tmp_path, network):
    """Its outputs have the learned steps, and lie nearer to the rounded network than to the float one."""
    from ai_edge_litert.interpreter import Interpreter

    # ranges that no calibration would find, so that a recalibrated artifact could not pass
    ranges = {name: 1.5 * value for name, value in seen_ranges(network, [np.stack(images(8))]).items()}
    rounded = with_rounding(network, ranges)
    to_litert(network, (64, 64), tmp_path / "fp32.tflite")
    quantize_litert(tmp_path / "fp32.tflite", images(8), tmp_path / "int8.tflite", network, ranges)
    interpreter = Interpreter(model_path=str(tmp_path / "int8.tflite"))
    interpreter.allocate_tensors()
    argument = interpreter.get_input_details()[0]
    assert argument["quantization"] == (1.0, 0)
    found: list[list[np.ndarray]] = [[], []]
    for image in images(8, seed=5):
        interpreter.set_tensor(argument["index"], (image[None].astype(np.int16) - 128).astype(np.int8))
        interpreter.invoke()
        for place, name, detail in zip(
            found, ("heatmap", "offset"), interpreter.get_output_details(), strict=True
        ):
            step, zero = detail["quantization"]
            assert zero == 0
            assert step == pytest.approx(ranges[f"head.{name}"] / LEVELS, rel=1e-5)
            place.append(step * interpreter.get_tensor(detail["index"]).astype(np.float64))
    exact, learned = run(network, images(8, seed=5)), run(rounded, images(8, seed=5))
    for artifact, float_, rounded_ in zip(found, exact, learned, strict=True):
        outputs = np.concatenate(artifact).transpose(0, 3, 1, 2)
        assert np.abs(outputs - rounded_).mean() < np.abs(outputs - float_).mean()


@pytest.mark.long
def test_ranges_of_a_graph_that_is_another_network_are_refused(tmp_path):
    network, other = trained("residual-8"), trained("residual-16")
    to_litert(network, (64, 64), tmp_path / "fp32.tflite")
    ranges = seen_ranges(other, [np.stack(images(2))])
    with pytest.raises(RigposeError, match="own tensors"):
        quantize_litert(tmp_path / "fp32.tflite", images(2), tmp_path / "int8.tflite", other, ranges)
    assert not (tmp_path / "int8.tflite").exists()


@given(seed=st.integers(0, 2**32 - 1), step=st.floats(1e-3, 0.1))
@settings(deadline=None, max_examples=25)
def test_the_learned_step_is_torchs_own(seed: int, step: float) -> None:
    """Values and both gradients, some of the features out of range; torch's own serves on a GPU."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn((2, 3, 8, 9), generator=generator) * 4
    weights = torch.randn((2, 3, 8, 9), generator=generator)
    answers = []
    for own in (True, False):
        output = RoundedOutput(LEVELS * step)
        given_features = features.clone().requires_grad_()
        if own:
            rounded = output(given_features)
        else:
            balance = 1.0 / (features.numel() * LEVELS) ** 0.5
            rounded = torch._fake_quantize_learnable_per_tensor_affine(
                given_features, output.log_step.exp(), output.zero, -LEVELS, LEVELS, balance
            )
        (rounded * weights).sum().backward()
        answers.append((rounded.detach(), given_features.grad, output.log_step.grad))
    for ours, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)

"""Our ONNX files in the hands of NVIDIA's own parser and builder (TensorRT-RTX: no GPU needed)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition import progress
from deploy.bundles.runtimes.tensorrt.engine import Shares, build_plan
from tests.deploy.bundles.runtimes.tensorrt.stand_in import Machine

GOLDEN = Path(__file__).parents[3] / "golden" / "six_artifacts.bundle"
# TensorRT-RTX keeps no timings, and says so in Python's own way; TensorRT does.
quiet = pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX")


@quiet
@pytest.mark.equipment
@pytest.mark.parametrize("file", ["int8_tensorrt.onnx", "fp16.onnx", "fp32.onnx"])
def test_it_reads_and_builds_every_artifact_for_tensorrt(
    tensorrt_rtx: Any, tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves: list[float] = []
    monkeypatch.setattr(progress.Progress, "advance", lambda self, n=1, note="": moves.append(n))
    plan = build_plan(tensorrt_rtx, GOLDEN / file, 4, tmp_path / "timing.cache")
    assert len(plan) > 100_000
    assert sum(moves) == 100
    assert min(moves) >= 0
    assert (tmp_path / "timing.cache").stat().st_size


@quiet
@pytest.mark.equipment
def test_what_it_refuses_is_said_in_its_own_words(tensorrt_rtx: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"cannot read int8\.onnx: .*Int32"):
        build_plan(tensorrt_rtx, GOLDEN / "int8.onnx", 1)  # ONNX Runtime's style
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(RuntimeError, match=r"cannot read broken\.onnx"):
        build_plan(tensorrt_rtx, tmp_path / "broken.onnx", 1)


@quiet
@pytest.mark.long
@pytest.mark.equipment
@pytest.mark.parametrize("name", ["mobilenetv2-0.35", "residual-32", "resnet-50"])
def test_it_builds_every_family_of_networks(tensorrt_rtx: Any, tmp_path: Path, name: str) -> None:
    torch = pytest.importorskip("torch")
    from training.exporting.conversion import to_onnx
    from training.exporting.onnx_half import halve_onnx
    from training.exporting.onnx_int8 import quantize_onnx
    from training.learning.quantization_aware import seen_ranges
    from training.networks.table import build_network, fold_batch_norm

    torch.manual_seed(0)
    network = fold_batch_norm(build_network(name, 3).eval())
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    fp32, fp16, int8 = (tmp_path / f"{precision}.onnx" for precision in ("fp32", "fp16", "int8"))
    to_onnx(network, 4, (96, 96), fp32)
    halve_onnx(fp32, fp16)
    quantize_onnx(fp32, int8, network, seen_ranges(network, [image[None]]), "tensorrt", image)
    for file in (fp32, fp16, int8):
        assert build_plan(tensorrt_rtx, file, 2)


def test_timings_are_kept_from_one_build_to_the_next(machine: Machine, tmp_path: Path) -> None:
    for known in (b".", b".."):
        build_plan(machine.tensorrt, GOLDEN / "fp16.onnx", 2, tmp_path / "timing.cache")
        assert (tmp_path / "timing.cache").read_bytes() == known


def test_a_graph_that_cannot_be_built_is_an_error_with_its_reason(machine: Machine) -> None:
    machine.spoilt = {"fp16": None}
    with pytest.raises(RuntimeError, match=r"cannot build fp16\.onnx: no kernel for this"):
        build_plan(machine.tensorrt, GOLDEN / "fp16.onnx", 2)


def test_ctrl_c_stops_the_build_and_is_passed_on(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(self: object, n: float = 1, note: str = "") -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.Progress, "advance", pressed)
    monitors = []
    build = machine.tensorrt.Builder.build_serialized_network

    def build_until_told(self: Any, network: Any, config: Any) -> None:
        monitors.append(config.progress_monitor)
        with pytest.raises(AssertionError):  # the stand-in's way to see that it is to stop
            build(self, network, config)

    monkeypatch.setattr(machine.tensorrt.Builder, "build_serialized_network", build_until_told)
    with pytest.raises(KeyboardInterrupt):
        build_plan(machine.tensorrt, GOLDEN / "fp16.onnx", 2)
    assert monitors[0].cancelled


def test_phases_within_phases_have_shares() -> None:
    shares = Shares()
    shares.start("all", None, 2)
    shares.start("first", "all", 4)
    shares.step("first", 0)
    assert shares.done == pytest.approx(0.5 / 4)
    shares.step("first", 3)
    shares.finish("first")
    shares.step("all", 0)
    assert shares.done == pytest.approx(0.5)
    shares.start("second", "all", 0)  # as it happens: a phase of no steps
    shares.step("second", 0)
    assert shares.done == pytest.approx(1.0)
    shares.step("never begun", 5)
    shares.step("all", 0)
    assert shares.done == pytest.approx(1.0)

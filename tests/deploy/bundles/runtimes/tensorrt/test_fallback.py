"""A GPU that does not start, or whose engine is refused: the next runtime is taken, and nothing stays."""

from __future__ import annotations

import enum
import gc
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.bundles.runtimes.loading import load_runtime
from deploy.bundles.runtimes.tensorrt.runtime import TensorRTRuntime
from tests.deploy.bundles.runtimes.tensorrt.stand_in import Machine

pytestmark = pytest.mark.equipment
GOLDEN = Path(__file__).parents[3] / "golden" / "six_artifacts.bundle"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(GOLDEN)


@pytest.fixture
def without_gc() -> Iterator[None]:
    """What is dropped goes at once or stays."""
    gc.disable()
    yield
    gc.enable()


def fail_with(error: Exception) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail


def refuses(machine: Machine, error: Exception) -> Callable[..., NoReturn]:
    """What TensorRT's constructors do: the reason to the logger, a TypeError to the caller."""

    def refuse(logger: Any) -> NoReturn:
        logger.log(machine.tensorrt.ILogger.ERROR, "CUDA initialization failure\nwith error: 35")
        raise error

    return refuse


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("TensorRT's CUDA is newer than the driver", "TensorRT 10.3.0 does not start with this driver: CUDA"),
        ("a library of TensorRT's is missing", "libnvinfer.so.10: cannot open"),
        ("CUDA does not start", "CUDA: cuInit failed: no CUDA-capable device"),
        ("the GPU is full or another's alone", "CUDA: cuDevicePrimaryCtxRetain failed: out of memory"),
        ("no room for a stream", "CUDA: cuStreamCreate failed: out of memory"),
        ("the context cannot be made current", "CUDA: cuCtxPushCurrent failed: invalid device context"),
        ("no room for the engine's context", "no room on the GPU to run the engine: out of memory"),
        ("an error without words", "fails here: KeyError"),
    ],
)
def test_a_gpu_that_cannot_start_leaves_the_cpu(
    machine: Machine, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, case: str, said: str
) -> None:
    cuda, tensorrt = machine.cuda, machine.tensorrt
    null = TypeError("pybind11::init(): factory function returned nullptr")
    library = OSError("libnvinfer.so.10: cannot open shared object file")
    spoilt, name, answer = {
        "TensorRT's CUDA is newer than the driver": (tensorrt, "Runtime", refuses(machine, null)),
        "a library of TensorRT's is missing": (tensorrt, "Builder", fail_with(library)),
        "CUDA does not start": (cuda, "init", fail_with(cuda.Error("cuInit failed: no CUDA-capable device"))),
        "the GPU is full or another's alone": (
            cuda.Device, "retain_primary_context",
            fail_with(cuda.Error("cuDevicePrimaryCtxRetain failed: out of memory")),
        ),
        "no room for a stream": (
            cuda, "Stream", fail_with(cuda.Error("cuStreamCreate failed: out of memory"))
        ),
        "the context cannot be made current": (
            cuda.Context, "push", fail_with(cuda.Error("cuCtxPushCurrent failed: invalid device context"))
        ),
        "no room for the engine's context": (machine.engine, "create_execution_context", lambda _: None),
        "an error without words": (tensorrt, "Builder", fail_with(KeyError())),
    }[case]  # fmt: skip
    monkeypatch.setattr(spoilt, name, answer)
    chosen = load_runtime(bundle)
    assert (chosen.choice.runtime, chosen.choice.artifact.precision) == ("litert", "int8")
    for precision in ("int8", "fp16", "fp32"):
        assert f"tensorrt {precision} fails here: " in chosen.choice.reason
    assert said in chosen.choice.reason
    assert machine.pushed == 0
    with pytest.raises(RigposeError, match=re.escape(said.removeprefix("fails here: "))):
        load_runtime(bundle, "tensorrt", "fp16")


def test_ctrl_c_is_no_runtime_that_fails(
    machine: Machine, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(logger: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(machine.tensorrt, "Runtime", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_runtime(bundle)


@pytest.mark.parametrize("wrong_px", [0.6, 9.0], ids=["beyond tolerance", "deviates"])
def test_what_is_passed_over_is_gone_from_the_gpu_before_the_next_is_built(
    machine: Machine, bundle: Bundle, without_gc: None, wrong_px: float
) -> None:
    machine.spoilt = {"int8": wrong_px, "fp16": wrong_px}
    chosen = load_runtime(bundle)
    assert chosen.choice.artifact.precision == "fp32"
    assert machine.engines_while_building == [0, 0, 0]
    assert len(machine.engines) == 1


def test_an_engine_that_failed_while_it_ran_is_gone_too(
    machine: Machine, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, without_gc: None
) -> None:
    """It fails after its graph is captured: the second call is what launches it."""
    status = enum.IntEnum("status", {"CUDA_ERROR_LAUNCH_FAILED": 719})
    monkeypatch.setattr(machine.driver, "cuGraphLaunch", lambda *_: (status(719),))
    chosen = load_runtime(bundle)
    assert chosen.choice.runtime == "litert"
    assert "cuGraphLaunch: CUDA_ERROR_LAUNCH_FAILED" in chosen.choice.reason
    assert machine.engines_while_building == [0, 0, 0]
    assert not machine.engines


def test_closing_twice_is_fine(machine: Machine, bundle: Bundle) -> None:
    runtime = TensorRTRuntime(bundle.path / "fp32.onnx", bundle.manifest, batch=1, threads=1)
    for _ in range(2):
        runtime.infer(np.zeros((1, 96, 128, 3), np.uint8))
    for _ in range(2):
        runtime.close()
    assert machine.pushed == 0

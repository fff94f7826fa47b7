"""Every runtime of the CPU runs the golden bundle; one is chosen for a reason that is said."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.bundles.preprocess import to_network
from deploy.bundles.runtimes import gpu, table
from deploy.bundles.runtimes.loading import load_runtime
from deploy.bundles.runtimes.table import PREFERENCE, RUNTIMES, artifact_for, choose

GOLDEN = Path(__file__).parents[2] / "golden" / "six_artifacts.bundle"
ARTIFACTS = [("onnx", "fp32"), ("onnx", "fp16"), ("onnx", "int8"), ("litert", "fp32"), ("litert", "int8")]


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without one."""
    monkeypatch.setattr(table, "gpu_missing", lambda: "no GPU here")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(GOLDEN)


@pytest.fixture(scope="module")
def inputs(bundle: Bundle) -> np.ndarray:
    check = bundle.check()
    assert check is not None
    pairs = zip(check.images, check.transforms, strict=True)
    return np.stack([to_network(image, transform, bundle.input_wh) for image, transform in pairs])


@pytest.mark.parametrize(("runtime", "precision"), ARTIFACTS)
def test_it_finds_what_the_trained_network_found(
    bundle: Bundle, inputs: np.ndarray, runtime: str, precision: str
) -> None:
    check = bundle.check()
    assert check is not None
    loaded = load_runtime(bundle, runtime, precision, batch=len(inputs))
    found = loaded.infer(inputs)
    assert found.shape == (len(inputs), 2, 3)
    assert found.dtype == np.float32
    for one, reference, transform in zip(found, check.keypoints, check.transforms, strict=True):
        expected = transform.apply(reference[:, :2])
        assert np.abs(one[:, :2] - expected).max() < {"int8": 0.25, "fp16": 2e-3, "fp32": 1e-4}[precision]


@pytest.mark.parametrize(("runtime", "precision"), ARTIFACTS)
def test_a_batch_equals_single_calls(
    bundle: Bundle, inputs: np.ndarray, runtime: str, precision: str
) -> None:
    single = load_runtime(bundle, runtime, precision, batch=1)
    batch = load_runtime(bundle, runtime, precision, batch=4)
    expected = np.concatenate([single.infer(inputs[slot : slot + 1]) for slot in range(4)])
    np.testing.assert_allclose(batch.infer(inputs[:4]), expected, atol=1e-5)


@pytest.mark.parametrize(("runtime", "precision"), ARTIFACTS)
def test_another_batch_than_loaded_is_a_mistake(
    bundle: Bundle, inputs: np.ndarray, runtime: str, precision: str
) -> None:
    loaded = load_runtime(bundle, runtime, precision, batch=2)
    with pytest.raises(ValueError, match="expected uint8"):
        loaded.infer(inputs[:3])
    with pytest.raises(ValueError, match="expected uint8"):
        loaded.infer(inputs[:2].astype(np.float32))


def test_the_tables_agree(bundle: Bundle) -> None:
    assert {runtime for runtime, _ in PREFERENCE} == set(RUNTIMES)
    held = {(name, a.precision) for a in bundle.manifest.artifacts for name in (a.runtime, *a.also)}
    assert held == {pair for pair in PREFERENCE if not RUNTIMES[pair[0]].runs}
    assert all(artifact_for(bundle, *pair) is not None for pair in PREFERENCE)


def test_auto_takes_the_first_of_the_preference(bundle: Bundle) -> None:
    choice = choose(bundle)
    on_cpus = [pair for pair in PREFERENCE if not RUNTIMES[pair[0]].gpu]
    assert (choice.runtime, choice.artifact.precision) == on_cpus[0]
    assert choice.reason == "litert int8: the fastest"


def test_a_gpu_comes_first_and_what_it_lacks_is_said(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RigposeError, match="found no GPU here"):
        choose(bundle, "tensorrt")
    monkeypatch.setattr(table, "gpu_missing", lambda: "")
    hide(monkeypatch, "pycuda", there=("tensorrt", "cuda"))
    choice = choose(bundle)
    assert (choice.runtime, choice.reason) == ("litert", "litert int8: pycuda is not installed")
    with pytest.raises(RigposeError, match=r"pip install 'rigpose\[tensorrt\]'"):
        choose(bundle, "tensorrt")
    hide(monkeypatch, there=("tensorrt", "pycuda", "cuda"))
    assert choose(bundle).reason == "tensorrt int8: the fastest"
    worse = choose(bundle, refused={("tensorrt", "int8"): "has 9 px", ("tensorrt", "fp16"): "is slow"})
    assert worse.reason == "tensorrt fp32: tensorrt int8 has 9 px; tensorrt fp16 is slow"


def test_int8_beyond_tolerance_is_passed_over_and_the_reason_said(bundle: Bundle) -> None:
    worse = with_artifact(bundle, "int8", within_tolerance=False, verdict="has 9 px")
    choice = choose(worse)
    assert (choice.runtime, choice.artifact.precision) == ("litert", "fp32")
    assert choice.reason == "litert fp32: litert int8 has 9 px; onnx int8 has 9 px"
    asked = choose(worse, precision="int8")
    assert asked.artifact.precision == "int8"
    assert "although it has 9 px" in asked.reason


def test_a_missing_package_names_the_extra(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "ai_edge_litert")
    assert choose(bundle).runtime == "onnx"
    with pytest.raises(RigposeError, match=r"pip install 'rigpose\[litert\]'"):
        choose(bundle, "litert")
    hide(monkeypatch, "ai_edge_litert", "onnxruntime")
    with pytest.raises(RigposeError, match=r"onnxruntime is not installed\. pip install"):
        choose(bundle)


def test_what_the_bundle_does_not_hold_is_refused(bundle: Bundle) -> None:
    with pytest.raises(RigposeError, match="The bundle holds onnx fp32, tensorrt fp16, onnx int8"):
        choose(bundle, "litert", "fp16")
    with pytest.raises(RigposeError, match="one of auto, litert, onnx, tensorrt, onnx-cuda"):
        choose(bundle, "openvino")


@pytest.mark.parametrize("runtime", ["litert", "onnx"])
def test_an_artifact_that_does_not_load_is_one_clear_error(
    bundle: Bundle, tmp_path: Path, runtime: str
) -> None:
    artifact = bundle.artifact(runtime, "fp32")
    assert artifact is not None
    (tmp_path / artifact.file).write_bytes(b"not a model")
    with pytest.raises(RigposeError, match=f"that {runtime} can run"):
        load_runtime(Bundle(tmp_path, bundle.manifest, bundle.sha256), runtime, "fp32")


@pytest.mark.parametrize("runtime", ["litert", "onnx"])
def test_a_model_of_another_contract_is_refused(bundle: Bundle, runtime: str) -> None:
    other = bundle.manifest.model_copy(update={"keypoints": ("a", "b", "c")})
    with pytest.raises(RigposeError, match="expected an artifact"):
        load_runtime(Bundle(bundle.path, other, bundle.sha256), runtime, "fp32")


@pytest.mark.parametrize(
    ("init", "count", "why"),
    [(0, 2, ""), (0, 0, "finds no GPU"), (100, 0, "finds no GPU"), (None, 0, "no NVIDIA")],
)
def test_the_driver_is_asked_for_a_gpu(
    monkeypatch: pytest.MonkeyPatch, init: int | None, count: int, why: str
) -> None:
    class Driver:
        def __init__(self, name: str) -> None:
            if init is None:
                raise OSError(name)

        def cuInit(self, flags: int) -> int:
            assert init is not None
            return init

        def cuDeviceGetCount(self, pointer: Any) -> int:
            pointer._obj.value = count
            return 0

    monkeypatch.setattr(gpu.ctypes, "CDLL", Driver)
    said = gpu.gpu_missing.__wrapped__()
    assert bool(said) == bool(why)
    assert why in said


def with_artifact(bundle: Bundle, precision: str, **change: object) -> Bundle:
    artifacts = tuple(
        artifact.model_copy(update=change) if artifact.precision == precision else artifact
        for artifact in bundle.manifest.artifacts
    )
    return Bundle(bundle.path, bundle.manifest.model_copy(update={"artifacts": artifacts}), bundle.sha256)


def hide(monkeypatch: pytest.MonkeyPatch, *names: str, there: tuple[str, ...] = ()) -> None:
    """As if the packages `names` were not installed, and those of `there` were."""
    find = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> object:
        return None if name in names else name if name in there else find(name, package)

    monkeypatch.setattr(table.importlib.util, "find_spec", without)

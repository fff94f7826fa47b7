"""The runtime on a stand-in for NVIDIA's packages: buffers, graphs, the cache, proof before use, and what is
chosen where that fails. What a real GPU does is in test_on_gpu.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.image_transform import ImageTransform
from deploy.bundles.bundle import Bundle, Check
from deploy.bundles.predictor import Predictor
from deploy.bundles.runtimes.loading import load_runtime
from deploy.bundles.runtimes.tensorrt import preprocess
from deploy.bundles.runtimes.tensorrt.runtime import TensorRTRuntime
from tests.deploy.bundles.runtimes.tensorrt.stand_in import Machine

pytestmark = pytest.mark.equipment
GOLDEN = Path(__file__).parents[3] / "golden" / "six_artifacts.bundle"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(GOLDEN)


@pytest.fixture(scope="module")
def check(bundle: Bundle) -> Check:
    found = bundle.check()
    assert found is not None
    return found


def trt(bundle: Bundle, batch: int = 1, file: str = "fp32.onnx") -> TensorRTRuntime:
    return TensorRTRuntime(bundle.path / file, bundle.manifest, batch=batch, threads=1)


@pytest.mark.parametrize("integrated", [False, True])
def test_a_frame_set_gives_what_the_cpu_gives(
    machine: Machine, bundle: Bundle, check: Check, integrated: bool
) -> None:
    """Twice and more: the first call runs as it is, the others are launches of a graph."""
    machine.integrated = integrated
    predictor = Predictor(bundle, cameras=3, runtime="tensorrt", precision="fp32")
    launched = machine.launches
    plain = Predictor(bundle, cameras=3, runtime="onnx", precision="fp32")
    crop = ImageTransform.crop(10.25, 7.5).then(ImageTransform.resize(0.6))
    for first in (0, 3, 0):
        images = list(check.images[first : first + 3])
        for transforms in (None, [crop, None, crop]):
            found = predictor.predict(images, transforms)
            np.testing.assert_allclose(found, plain.predict(images, transforms), atol=0.05)
    assert machine.launches >= launched + 5
    assert machine.pushed == 0
    assert predictor.times.preprocess_ns > 0


def test_absent_cameras_and_other_images_in_between(machine: Machine, bundle: Bundle, check: Check) -> None:
    predictor = Predictor(bundle, cameras=3, runtime="tensorrt", precision="fp32")
    plain = Predictor(bundle, cameras=3, runtime="onnx", precision="fp32")
    whole = list(check.images[:3])
    large = np.repeat(np.repeat(whole[0], 2, axis=0), 2, axis=1)
    mono = np.ascontiguousarray(whole[1][:, :, 0])
    for images in (whole, [whole[0], None, whole[2]], [large, mono, None], [large[::2, ::2], mono, whole[2]],
                   [None, None, None], whole):  # fmt: skip
        expected = plain.predict(images)
        np.testing.assert_allclose(predictor.predict(images), expected, atol=0.05)
    with pytest.raises(RigposeError, match="uint16"):
        predictor.predict([whole[0].astype(np.uint16), None, None])
    np.testing.assert_allclose(predictor.predict(whole), plain.predict(whole), atol=0.05)


def test_a_batch_equals_single_calls(machine: Machine, bundle: Bundle) -> None:
    inputs = np.random.default_rng(0).integers(0, 256, (4, 96, 128, 3), np.uint8)
    batch, single = trt(bundle, 4), trt(bundle, 1)
    expected = np.concatenate([single.infer(inputs[slot : slot + 1]) for slot in range(4)])
    for _ in range(2):
        np.testing.assert_allclose(batch.infer(inputs), expected, atol=1e-5)
    with pytest.raises(ValueError, match="expected uint8"):
        batch.infer(inputs[:3])


def test_what_is_returned_is_not_written_again(machine: Machine, bundle: Bundle) -> None:
    runtime = trt(bundle)
    first = runtime.infer(np.zeros((1, 96, 128, 3), np.uint8))
    kept = first.copy()
    runtime.infer(np.full((1, 96, 128, 3), 200, np.uint8))
    np.testing.assert_array_equal(first, kept)


def test_an_engine_is_built_once_and_proved_once(machine: Machine, bundle: Bundle) -> None:
    said = [load_runtime(bundle, batch=2).describe() for _ in range(2)]
    assert machine.built == ["int8_tensorrt.onnx"]
    assert said[0] == said[1]
    assert (said[0]["runtime"], said[0]["precision"], said[0]["batch"]) == ("tensorrt", "int8", 2)
    assert said[0]["device"] == "Stand-in (8.7)"
    assert said[0]["without"] == ""
    assert said[0]["accepted_here"]["parity"]["mean_px"] < 0.1
    assert said[0]["reason"] == "tensorrt int8: the fastest"
    load_runtime(bundle, batch=3)
    assert machine.built == ["int8_tensorrt.onnx"] * 2


def test_another_gpu_builds_its_own(machine: Machine, bundle: Bundle) -> None:
    load_runtime(bundle)
    machine.name = "Another"
    load_runtime(bundle)
    assert len(machine.built) == 2


def test_an_engine_that_does_not_load_any_more_is_built_again(
    machine: Machine, bundle: Bundle, tmp_path: Path
) -> None:
    load_runtime(bundle)
    version = machine.tensorrt.__version__
    machine.version = "another driver"  # the same key, yet TensorRT refuses it
    assert machine.tensorrt.__version__ == version
    assert load_runtime(bundle).acceptance is not None
    assert len(machine.built) == 2
    (engine,) = (tmp_path / "cache" / "rigpose" / "engines").glob("*.engine")
    engine.write_bytes(engine.read_bytes()[:-1])
    load_runtime(bundle)
    assert len(machine.built) == 3


def test_the_next_precision_where_int8_is_beyond_tolerance_here(machine: Machine, bundle: Bundle) -> None:
    machine.spoilt = {"int8": 0.6}
    for _ in range(2):
        chosen = load_runtime(bundle)
        assert chosen.choice.artifact.precision == "fp16"
        assert "tensorrt int8 has " in chosen.choice.reason
        assert "px allowed, on this GPU" in chosen.choice.reason
    assert machine.built == ["int8_tensorrt.onnx", "fp16.onnx"]
    asked = load_runtime(bundle, precision="int8")
    assert asked.choice.runtime == "tensorrt"
    assert "asked for by name, although it has " in asked.choice.reason
    assert asked.describe()["accepted_here"]["within_tolerance"] is False


def test_an_engine_that_deviates_is_never_used(machine: Machine, bundle: Bundle) -> None:
    machine.spoilt = {"int8": 9.0, "fp16": 0.5, "fp32": 0.5}
    for _ in range(2):
        chosen = load_runtime(bundle)
        assert (chosen.choice.runtime, chosen.choice.artifact.precision) == ("litert", "int8")
        assert "tensorrt fp16 is, on this GPU, 1." in chosen.choice.reason
    assert len(machine.built) == 3
    with pytest.raises(RigposeError, match="px from the trained network"):
        load_runtime(bundle, "tensorrt", "fp16")


def test_what_cannot_be_built_is_passed_over_and_said(machine: Machine, bundle: Bundle) -> None:
    machine.spoilt = {"int8": None}
    chosen = load_runtime(bundle)
    assert chosen.choice.artifact.precision == "fp16"
    assert "tensorrt int8 fails here: TensorRT cannot build" in chosen.choice.reason
    with pytest.raises(RigposeError, match="no kernel for this"):
        load_runtime(bundle, "tensorrt", "int8")


def test_an_engine_that_fails_while_it_runs_is_passed_over(
    machine: Machine, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, grid: object, *_: object) -> None:
        raise machine.cuda.Error("an illegal address")

    function = type(machine.cuda.module_from_buffer(b"sm_87").get_function("preprocess"))
    monkeypatch.setattr(function, "prepared_async_call", fail)
    chosen = load_runtime(bundle)
    assert chosen.choice.runtime == "litert"
    assert "tensorrt fp32 fails here: CUDA: an illegal address" in chosen.choice.reason
    assert machine.pushed == 0


def test_a_kernel_that_does_not_load_leaves_the_cpu(
    machine: Machine, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(cubin: bytes) -> None:
        raise machine.cuda.Error("no kernel image for this device")

    monkeypatch.setattr(machine.cuda, "module_from_buffer", fail)
    loaded = load_runtime(bundle)
    assert loaded.choice.runtime == "tensorrt"
    assert loaded.frames is None
    assert loaded.describe()["without"].endswith("no kernel image for this device")


def test_an_error_between_room_and_image_leaves_no_graph_of_the_old_address(
    machine: Machine, bundle: Bundle, check: Check
) -> None:
    predictor = Predictor(bundle, runtime="tensorrt", precision="fp32")
    plain = Predictor(bundle, runtime="onnx", precision="fp32")
    small = check.images[0]
    large = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)
    for _ in range(2):
        predictor.predict([small])
    flat = ImageTransform(np.zeros((2, 3)))
    with pytest.raises(np.linalg.LinAlgError):
        predictor.predict([large], [flat])
    for image in (small, large):
        np.testing.assert_allclose(predictor.predict([image]), plain.predict([image]), atol=0.05)


def test_without_frames_to_prove_it_an_engine_is_used_only_if_asked_for(
    machine: Machine, bundle: Bundle
) -> None:
    without = Bundle(bundle.path, bundle.manifest.model_copy(update={"check_files": {}}), bundle.sha256)
    chosen = load_runtime(without)
    assert chosen.choice.runtime == "litert"
    assert "cannot be proved here" in chosen.choice.reason
    assert machine.built == []
    asked = load_runtime(without, "tensorrt", "fp16")
    assert asked.acceptance is None
    assert load_runtime(bundle, "tensorrt", "fp16").acceptance is not None  # the frames came later
    assert load_runtime(bundle, "tensorrt", "fp16").acceptance is not None
    assert machine.built == ["fp16.onnx"]


def test_without_a_compiler_the_cpu_preprocesses(
    machine: Machine, bundle: Bundle, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(architecture: str) -> bytes:
        raise RuntimeError("nvcc is not installed")

    monkeypatch.setattr(preprocess, "compile_kernel", missing)
    predictor = Predictor(bundle, runtime="tensorrt", precision="fp32")
    assert predictor.describe()["without"] == "preprocessing on the GPU: nvcc is not installed"
    plain = Predictor(bundle, runtime="onnx", precision="fp32")
    np.testing.assert_array_equal(predictor.predict([check.images[0]]), plain.predict([check.images[0]]))


def test_without_graphs_every_call_is_enqueued(machine: Machine, bundle: Bundle, check: Check) -> None:
    machine.graphs = False
    predictor = Predictor(bundle, runtime="tensorrt", precision="fp32")
    once = predictor.predict([check.images[0]])
    np.testing.assert_array_equal(predictor.predict([check.images[0]]), once)
    assert machine.launches == 0
    assert predictor.describe()["without"].startswith("CUDA graph: cuStreamBeginCapture")


def test_a_model_of_another_contract_is_refused(machine: Machine, bundle: Bundle) -> None:
    other = bundle.manifest.model_copy(update={"keypoints": ("a", "b", "c")})
    with pytest.raises(RigposeError, match=r"keypoints \(1, 2, 3\)"):
        load_runtime(Bundle(bundle.path, other, bundle.sha256), "tensorrt", "fp32")

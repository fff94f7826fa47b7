"""What only a real GPU can show. Where TensorRT is not installed but TensorRT-RTX is, that one is run: its
names are the same."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from calibration.image_transform import ImageTransform
from deploy.bundles.acceptance import pixel_error
from deploy.bundles.accuracy import VIEWS, predict_each
from deploy.bundles.bundle import Bundle, Check
from deploy.bundles.predictor import Predictor
from deploy.bundles.preprocess import to_network
from deploy.bundles.runtimes.gpu import gpu_missing
from deploy.bundles.runtimes.loading import load_runtime
from deploy.bundles.runtimes.tensorrt import runtime as runtime_module
from deploy.bundles.runtimes.tensorrt.device import Gpu, SharedMemory
from deploy.bundles.runtimes.tensorrt.graph import Graph
from deploy.bundles.runtimes.tensorrt.preprocess import Kernel, Staging

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX")]
GOLDEN = Path(__file__).parents[3] / "golden" / "six_artifacts.bundle"
PRECISIONS = ("int8", "fp16", "fp32")


@pytest.fixture(scope="module")
def cuda() -> None:
    if why := gpu_missing():
        pytest.skip(why)
    for name, package in (("pycuda", "pycuda"), ("cuda", "cuda-python")):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{package} is not installed")


@pytest.fixture(scope="module")
def tensorrt(cuda: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """TensorRT, and an empty cache for its engines."""
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("tensorrt") is None:
            rtx = pytest.importorskip("tensorrt_rtx_bindings", reason="no tensorrt, no tensorrt-rtx")
            patch.setitem(sys.modules, "tensorrt", rtx)
        cache = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield cache / "rigpose" / "engines"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(GOLDEN)


@pytest.fixture(scope="module")
def check(bundle: Bundle) -> Check:
    found = bundle.check()
    assert found is not None
    return found


def test_the_kernel_is_the_preprocessing_of_the_cpu(cuda: None, tmp_path: Path) -> None:
    """As it is enqueued, and as a graph; other transforms and images of other sizes from call to call."""
    rng = np.random.default_rng(0)
    input_wh, cameras = (256, 256), 4
    gpu = Gpu()
    with gpu.current():
        staging = Staging(gpu, cameras, input_wh)
        kernel = Kernel(gpu, tmp_path, cameras, input_wh)
        images = SharedMemory(gpu, cameras * 256 * 256 * 3)

        def enqueue() -> None:
            staging.memory.to_gpu()
            kernel.enqueue(staging.memory, images)
            images.to_host()

        graph: Graph | None = None
        for call in range(12):
            set_of_frames = []
            for camera in range(cameras):
                wh = rng.integers(200, 700 if call > 3 else 300, 2)
                shape = (wh[1], wh[0], 3) if camera % 2 else (wh[1], wh[0])
                set_of_frames.append(rng.integers(0, 256, shape, np.uint8))
            turned = ImageTransform(np.array([[0.8, -0.3, 20.7], [0.3, 0.8, -11.2]]))
            transforms = [
                ImageTransform.fit(image.shape[1::-1], input_wh) if slot < 2 else turned
                for slot, image in enumerate(set_of_frames)
            ]
            memory = staging.memory
            staging.fill(set_of_frames, transforms)
            if staging.memory is not memory and graph is not None:
                graph.close()
                graph = None
            if graph is None:
                enqueue()
                gpu.stream.synchronize()
                found = images.host.reshape(cameras, 256, 256, 3).copy()
                graph = Graph(gpu.stream.handle, enqueue)
            else:
                images.host[:] = 0
                graph.launch()
                gpu.stream.synchronize()
                found = images.host.reshape(cameras, 256, 256, 3).copy()
            for image, transform, one in zip(set_of_frames, transforms, found, strict=True):
                expected = to_network(image, transform, input_wh)
                assert np.abs(one.astype(int) - expected).max() <= 1
        assert graph is not None
        graph.close()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_engine_does_what_the_trained_network_does(
    tensorrt: Path, bundle: Bundle, check: Check, precision: str
) -> None:
    loaded = load_runtime(bundle, "tensorrt", precision, batch=4)
    assert loaded.acceptance is not None
    assert loaded.acceptance.within_tolerance
    assert loaded.acceptance.parity.mean_px < {"int8": 0.25, "fp16": 0.02, "fp32": 1e-3}[precision]
    assert loaded.describe()["without"] == ""
    assert loaded.frames is not None
    images, transforms = list(check.images[:3]), list(check.transforms[:3])
    plain = load_runtime(bundle, "onnx", precision if precision != "int8" else "fp32", batch=4)
    inputs = np.zeros((4, bundle.input_wh[1], bundle.input_wh[0], 3), np.uint8)
    for slot, (image, transform) in enumerate(zip(images, transforms, strict=True)):
        to_network(image, transform, bundle.input_wh, out=inputs[slot])
    expected = plain.infer(inputs)[:3]
    for _ in range(3):  # the first call runs as it is, the others are launches of the graph
        for found in (loaded.infer(inputs), loaded.frames.infer_frames([*images, None], [*transforms, None])):
            bound_px = {"int8": 0.3, "fp16": 0.05, "fp32": 0.02}[precision]
            assert np.abs(found[:3, :, :2] - expected[..., :2]).max() < bound_px


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_batch_equals_single_calls(tensorrt: Path, bundle: Bundle, check: Check, precision: str) -> None:
    single = Predictor(bundle, runtime="tensorrt", precision=precision)
    batch = Predictor(bundle, runtime="tensorrt", precision=precision, cameras=4)
    images = list(check.images[:4])
    expected = np.concatenate([single.predict([image]) for image in images])
    # other kernels may be chosen for another batch; what they sum, they sum in another order
    bound_px = {"int8": 0.1, "fp16": 0.05, "fp32": 1e-3}[precision]
    assert np.abs(batch.predict(images) - expected)[..., :2].max() < bound_px
    partial = batch.predict([images[0], None, images[2], None])
    assert np.isnan(partial[[1, 3]]).all()
    assert np.abs(partial[[0, 2]] - expected[[0, 2]])[..., :2].max() < bound_px


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_of_the_image_shifts_the_keypoints(
    tensorrt: Path, bundle: Bundle, check: Check, view: str
) -> None:
    def found(runtime: str) -> np.ndarray:
        predictor = Predictor(bundle, runtime=runtime, precision="fp32")
        return predict_each(
            lambda image, to_input: predictor.predict([image], [to_input])[0],
            check.images, check.labels, bundle.input_wh, view,
        )  # fmt: skip

    error = pixel_error(found("tensorrt"), found("onnx")[..., :2].astype(np.float64))
    assert error is not None
    assert error.p95_px < 0.1
    assert abs(error.bias_x_px) < 0.02
    assert abs(error.bias_y_px) < 0.02


def test_a_second_start_reads_the_engine(
    tensorrt: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_runtime(bundle, "tensorrt", "fp16", batch=2)

    def build(*_: object) -> bytes:
        raise AssertionError("it was built again")

    monkeypatch.setattr(runtime_module, "build_plan", build)
    assert load_runtime(bundle, "tensorrt", "fp16", batch=2).acceptance is not None


def test_a_damaged_engine_is_built_again(tensorrt: Path, bundle: Bundle) -> None:
    load_runtime(bundle, "tensorrt", "fp32", batch=1)
    for engine in tensorrt.glob("*.engine"):
        engine.write_bytes(engine.read_bytes()[:1000])
    assert load_runtime(bundle, "tensorrt", "fp32", batch=1).acceptance is not None


def test_a_gpu_is_what_is_chosen(tensorrt: Path, bundle: Bundle) -> None:
    if importlib.util.find_spec("tensorrt") is None:
        pytest.skip("TensorRT itself is not installed")
    assert load_runtime(bundle).choice.runtime == "tensorrt"

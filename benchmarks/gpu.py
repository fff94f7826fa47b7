"""TensorRT on this machine's GPU: building, inference by precision and batch, preprocessing, parity.

    python -m benchmarks.gpu [BUNDLE...] [--rounds 12] [--calls 50] [--rtx] [--json FILE]

BUNDLE: of `rigpose export`; without one the small one of the tests. For every bundle, precision and number of
cameras: how long the engine took to build and to read again, what it did on the bundle's check/, and the time
of one frame set of 640 x 480 mono images in memory to keypoints in their pixels (`predict`), of the network
alone (`infer`) and of the images' way into the network's input, on the GPU and on one thread of the CPU.
LiteRT int8 on one thread runs beside it. All take turns, so that a busy machine slows all of them.

Writes benchmarks/results/gpu-<name of the GPU>.json unless --json says otherwise. --rtx: TensorRT-RTX instead
of TensorRT. Without a GPU it says so and does nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from acquisition.errors import RigposeError
from calibration.image_transform import ImageTransform
from deploy.bundles.bundle import Bundle
from deploy.bundles.predictor import Predictor
from deploy.bundles.preprocess import to_network
from deploy.bundles.runtimes.gpu import gpu_missing
from deploy.bundles.runtimes.loading import load_runtime

CHECKOUT = Path(__file__).resolve().parents[1]
GOLDEN = CHECKOUT / "tests" / "deploy" / "golden" / "six_artifacts.bundle"
PRECISIONS = ("fp32", "fp16", "int8")
CAMERAS = (1, 4, 8)
SOURCE_WH = (640, 480)
WARM_UP = 20


def preprocessing_on_gpu(cameras: int, input_wh: tuple[int, int], images: list[np.ndarray]) -> Callable:
    """Images in memory to the network's input in the GPU's, and wait for it."""
    from deploy.bundles.runtimes.tensorrt.device import Gpu, SharedMemory
    from deploy.bundles.runtimes.tensorrt.engine_cache import EngineCache
    from deploy.bundles.runtimes.tensorrt.graph import Graph
    from deploy.bundles.runtimes.tensorrt.preprocess import Kernel, Staging

    gpu = Gpu()
    transforms = [ImageTransform.fit(SOURCE_WH, input_wh)] * cameras
    with gpu.current():
        staging = Staging(gpu, cameras, input_wh)
        staging.fill(images, transforms)
        kernel = Kernel(gpu, EngineCache().folder, cameras, input_wh)
        target = SharedMemory(gpu, cameras * 3 * input_wh[0] * input_wh[1])

        def enqueue() -> None:
            staging.memory.to_gpu()
            kernel.enqueue(staging.memory, target)

        enqueue()
        gpu.stream.synchronize()
        graph = Graph(gpu.stream.handle, enqueue)

    def call() -> None:
        with gpu.current():
            staging.fill(images, transforms)
            graph.launch()
            gpu.stream.synchronize()

    return call


def preprocessing_on_cpu(cameras: int, input_wh: tuple[int, int], images: list[np.ndarray]) -> Callable:
    transform = ImageTransform.fit(SOURCE_WH, input_wh)
    target = np.zeros((cameras, input_wh[1], input_wh[0], 3), np.uint8)

    def call() -> None:
        for image, out in zip(images, target, strict=True):
            to_network(image, transform, input_wh, out=out)

    return call


def timed(contenders: dict[str, Callable], rounds: int, calls: int) -> dict[str, dict[str, float]]:
    """Percentiles of each in ms; they take turns by rounds of `calls`."""
    for call in contenders.values():
        for _ in range(WARM_UP):
            call()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            for _ in range(calls):
                start_ns = time.perf_counter_ns()
                call()
                times[name].append((time.perf_counter_ns() - start_ns) / 1e6)
    points = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    return {
        name: {point: round(float(np.quantile(each, share)), 4) for point, share in points.items()}
        for name, each in times.items()
    }


def seconds(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.monotonic()
    done = call()
    return done, round(time.monotonic() - start, 2)


def measure(bundle: Bundle, cameras: int, rounds: int, calls: int) -> list[dict[str, Any]]:
    """One row per precision, each with the CPU's figures of the same turns."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, SOURCE_WH[::-1], np.uint8) for _ in range(cameras)]
    fed = np.stack([to_network(each, ImageTransform.fit(SOURCE_WH, bundle.input_wh), bundle.input_wh)
                    for each in images])  # fmt: skip
    contenders: dict[str, Callable] = {
        "preprocessing, GPU": preprocessing_on_gpu(cameras, bundle.input_wh, images),
        "preprocessing, CPU": preprocessing_on_cpu(cameras, bundle.input_wh, images),
    }
    litert = Predictor(bundle, runtime="litert", precision="int8", cameras=cameras)
    contenders["litert int8 predict"] = lambda: litert.predict(images)
    rows: dict[str, dict[str, Any]] = {}
    for precision in PRECISIONS:
        row: dict[str, Any] = {
            "bundle": bundle.name, "network": bundle.manifest.provenance.network, "precision": precision,
            "input_wh": bundle.input_wh, "cameras": cameras,
        }  # fmt: skip
        rows[precision] = row
        try:
            _, row["build_s"] = seconds(
                lambda p=precision: load_runtime(bundle, "tensorrt", p, batch=cameras)
            )
        except RigposeError as error:
            row["refused"] = str(error)
            continue
        loaded, row["start_s"] = seconds(
            lambda p=precision: load_runtime(bundle, "tensorrt", p, batch=cameras)
        )
        predictor = Predictor(bundle, runtime="tensorrt", precision=precision, cameras=cameras)
        row |= {"runs": loaded.describe()}
        contenders[f"{precision} infer"] = lambda loaded=loaded: loaded.infer(fed)
        contenders[f"{precision} predict"] = lambda predictor=predictor: predictor.predict(images)
    times = timed(contenders, rounds, calls)
    for precision, row in rows.items():
        row |= {name: found for name, found in times.items()
                if name.startswith((f"{precision} ", "preprocessing", "litert"))}  # fmt: skip
    return list(rows.values())


def shown(row: dict[str, Any]) -> str:
    head = f"{row['bundle']} {row['precision']}, {row['cameras']} cameras: "
    if "refused" in row:
        return head + row["refused"]
    figures = []
    for name in ("infer", "predict"):
        percentiles = row[f"{row['precision']} {name}"].values()
        figures.append(f"{name} {'/'.join(map(str, percentiles))}")
    times = f"built in {row['build_s']} s, read in {row['start_s']} s, ms p50/p95/p99: "
    return head + times + ", ".join(figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="*", default=[GOLDEN])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--rtx", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if why := gpu_missing():
        print(f"nothing measured: {why}")
        return
    if given.rtx:
        import tensorrt_rtx_bindings

        sys.modules["tensorrt"] = tensorrt_rtx_bindings
    cv2.setNumThreads(1)
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache  # nothing is built yet
        for path in given.bundles:
            for cameras in CAMERAS:
                found = measure(Bundle.load(path), cameras, given.rounds, given.calls)
                rows += found
                print("\n".join(map(shown, found)), flush=True)
    from deploy.bundles.runtimes.tensorrt.device import Gpu

    gpu = Gpu()
    about = {
        "gpu": gpu.name, "capability": gpu.capability, "integrated": gpu.integrated,
        "tensorrt": "TensorRT-RTX" if given.rtx else "TensorRT", "pycuda": version("pycuda"),
        "machine": platform.platform(), "rounds": given.rounds, "calls": given.calls,
        "images": "640 x 480 mono, noise", "cpu_threads": 1, "measured": "on hardware",
    }  # fmt: skip
    name = re.sub(r"[^a-z0-9]+", "-", gpu.name.lower()).strip("-")
    output = given.json or CHECKOUT / "benchmarks" / "results" / f"gpu-{name}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
    print(output)


if __name__ == "__main__":
    main()

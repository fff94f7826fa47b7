"""One network in every runtime: uint8 image to keypoints, batch 1 and 4, one thread.

    python benchmarks/inference.py [RUN] [--rounds 12] [--json FILE]

RUN is a training run; without it a mobilenetv2-0.35 of random weights at 256 x 256 with 8 keypoints,
whose speed is the same. Each contender has a process of its own; they take turns, so that a busy
machine slows all of them. `bare` is LiteRT's invoke alone: what no wrapper can beat.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from benchmarks.paired_rounds import interval, ratio  # noqa: E402

CONTENDERS = ("int8 bare", "int8", "litert fp32", "onnx fp32", "torch eager")
BATCHES = (1, 4)
CALLS_A_ROUND = 30


def prepare(run: Path | None, folder: Path) -> None:
    """Convert the network into `folder`, with what the children need to know."""
    import torch

    from deploy.bundles.manifest import Manifest, Provenance, TensorContract
    from training.exporting.conversion import NORMALISATION, to_litert, to_onnx
    from training.exporting.quantization import quantize_litert
    from training.networks.table import build_network, fold_batch_norm
    from training.run import RunSettings, load_network, save_run

    rng = np.random.default_rng(0)
    if run is None:
        settings = RunSettings(
            network="mobilenetv2-0.35", stride=4, head_channels=32, batch_norm=True,
            input_size_px=(256, 256), keypoints=tuple("abcdefgh"),
        )  # fmt: skip
        torch.manual_seed(0)
        network = build_network(settings.network, 8)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # statistics of one batch, so that activations keep their size
        with torch.no_grad():
            network.train()(torch.from_numpy(rng.integers(0, 256, (4, 256, 256, 3), dtype=np.uint8)))
        save_run(folder / "run", settings, network)
        network = fold_batch_norm(network.eval())
    else:
        (folder / "run").symlink_to(run.resolve())
        network, settings = load_network(run)
    width, height = settings.input_size_px
    inputs = list(rng.integers(0, 256, (8, height, width, 3), dtype=np.uint8))
    to_onnx(network, settings.stride, settings.input_size_px, folder / "fp32.onnx")
    to_litert(network, settings.input_size_px, folder / "fp32.tflite")
    quantize_litert(folder / "fp32.tflite", inputs, folder / "int8.tflite")
    manifest = Manifest(
        name="bench", keypoints=settings.keypoints, stride_px=settings.stride, artifacts=(),
        input=TensorContract(width_px=width, height_px=height, normalisation=NORMALISATION),
        provenance=Provenance(network=settings.network),
    )  # fmt: skip
    (folder / "manifest.json").write_text(manifest.model_dump_json())


def contender(name: str, folder: Path, batch: int) -> Callable[[], object]:
    """What is timed: one call on a batch that lies in memory."""
    from deploy.bundles.manifest import Manifest
    from deploy.bundles.runtimes.litert import LiteRTRuntime
    from deploy.bundles.runtimes.onnx import OnnxRuntime

    manifest = Manifest.model_validate_json((folder / "manifest.json").read_text())
    shape = (batch, manifest.input.height_px, manifest.input.width_px, 3)
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    if name == "torch eager":
        import torch

        from deploy.bundles.decode import decode
        from training.run import load_network

        torch.set_num_threads(1)
        network = load_network(folder / "run")[0].to(memory_format=torch.channels_last)

        def eager() -> object:
            with torch.inference_mode():
                heatmap, offset = network(torch.from_numpy(images))
            return decode(heatmap.numpy(), offset.numpy(), manifest.stride_px)

        return eager
    kind, file = {
        "int8 bare": (LiteRTRuntime, "int8.tflite"), "int8": (LiteRTRuntime, "int8.tflite"),
        "litert fp32": (LiteRTRuntime, "fp32.tflite"), "onnx fp32": (OnnxRuntime, "fp32.onnx"),
    }[name]  # fmt: skip
    runtime = kind(folder / file, manifest, batch=batch, threads=1)
    if name == "int8 bare":
        runtime.infer(images)
        return runtime._interpreter.invoke
    return lambda: runtime.infer(images)


def child(name: str, folder: Path, batch: int) -> None:
    """Time `CALLS_A_ROUND` calls for every line that comes in."""
    call = contender(name, folder, batch)
    for _ in range(10):
        call()
    print("ready", flush=True)
    for _ in sys.stdin:
        times = []
        for _ in range(CALLS_A_ROUND):
            start_ns = time.perf_counter_ns()
            call()
            times.append((time.perf_counter_ns() - start_ns) / 1e6)
        print(json.dumps(times), flush=True)


def measure(folder: Path, batch: int, rounds: int) -> dict[str, np.ndarray]:
    """Times in ms by contender, (rounds, CALLS_A_ROUND)."""
    processes = {
        name: subprocess.Popen(
            [sys.executable, __file__, "--child", name, str(folder), str(batch)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1,
        )
        for name in CONTENDERS
    }  # fmt: skip
    times: dict[str, list[list[float]]] = {name: [] for name in CONTENDERS}
    for process in processes.values():
        assert process.stdout is not None and process.stdout.readline().strip() == "ready"
    for _ in range(rounds):
        for name, process in processes.items():
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("go\n")
            times[name].append(json.loads(process.stdout.readline()))
    for process in processes.values():
        process.communicate()
    return {name: np.array(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(arguments.run, folder)
        for batch in BATCHES:
            times = measure(folder, batch, arguments.rounds)
            for name in CONTENDERS:
                p50, p95, p99 = np.quantile(times[name], [0.5, 0.95, 0.99])
                slower, low, high = interval(ratio, times[name], times["int8 bare"])
                rows.append({
                    "contender": name, "batch": batch, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99,
                    "to_bare": slower, "to_bare_low": low, "to_bare_high": high,
                })  # fmt: skip
                print(
                    f"{name:<12} batch {batch}  p50 {p50:6.2f}  p95 {p95:6.2f}  p99 {p99:6.2f} ms   "
                    f"{slower:5.2f} x bare [{low:.2f}, {high:.2f}]"
                )
    if arguments.json:
        about = {"threads": 1, "rounds": arguments.rounds, "calls": CALLS_A_ROUND, "run": str(arguments.run)}
        arguments.json.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()

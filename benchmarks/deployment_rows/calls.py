"""Contenders that are called one frame at a time: one process each, turn by turn, and what they came to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

WARM_UP = 20
_CHILD = Path(__file__).resolve().parents[1] / "deployment.py"


@dataclass(frozen=True)
class Call:
    """What one process does.

    kind: "bare" (LiteRT's invoke alone); from a frame in memory to keypoints "predict" (rigpose) and "eager"
    (torch). frame_wh: the frame's size, mono uint8; three channels where `colour`.
    """

    name: str
    kind: str
    bundle: str
    run: str = ""
    frame_wh: tuple[int, int] = (640, 480)
    colour: bool = False
    calls: int = 30


def worker(call: Call) -> Callable[[], object]:
    """The call itself, made ready; one thread."""
    import cv2

    from deploy.bundles.bundle import Bundle
    from deploy.bundles.predictor import Predictor

    cv2.setNumThreads(1)
    bundle = Bundle.load(call.bundle)
    width, height = call.frame_wh
    shape = (height, width, 3) if call.colour else (height, width)
    frame = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    if call.kind == "eager":
        return _eager(call, bundle.input_wh, frame)
    predictor = Predictor(bundle, runtime="litert", precision="int8", threads=1)
    predictor.predict([frame])
    if call.kind == "bare":
        return predictor._runtime.runtime._interpreter.invoke  # type: ignore[attr-defined]
    return lambda: predictor.predict([frame])


def _eager(call: Call, input_wh: tuple[int, int], frame: np.ndarray) -> Callable[[], object]:
    import torch

    from calibration.image_transform import ImageTransform
    from deploy.bundles.decode import decode
    from deploy.bundles.preprocess import to_network
    from training.run import load_network

    torch.set_num_threads(1)
    network, settings = load_network(Path(call.run))
    network = network.to(memory_format=torch.channels_last)
    fit = ImageTransform.fit((frame.shape[1], frame.shape[0]), input_wh)
    back = fit.inverse()

    def work() -> object:
        image = to_network(frame, fit, input_wh)
        with torch.inference_mode():
            heatmap, offset = network(torch.from_numpy(image[None]))
        found = decode(heatmap.numpy(), offset.numpy(), settings.stride)
        return back.apply(found[0, :, :2])

    return work


def child(text: str) -> None:
    """The process: "ready", then the times of a turn, ms as JSON, for every line that comes in."""
    fields = json.loads(text)
    call = Call(**{**fields, "frame_wh": tuple(fields["frame_wh"])})
    work = worker(call)
    for _ in range(min(WARM_UP, call.calls)):
        work()
    print("ready", flush=True)
    for _ in sys.stdin:
        times = []
        work()  # what others left in the caches is not ours
        for _ in range(call.calls):
            start_ns = time.perf_counter_ns()
            work()
            times.append((time.perf_counter_ns() - start_ns) / 1e6)
        print(json.dumps(times), flush=True)


def side_by_side(
    calls: Sequence[Call], rounds: int, others: dict[str, list[str]] | None = None
) -> dict[str, np.ndarray]:
    """Times in ms by contender, (rounds, calls); `others` are commands of the same kind of process."""
    us = [sys.executable, str(_CHILD), "--child"]
    commands = {call.name: [*us, json.dumps(asdict(call))] for call in calls} | (others or {})
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    processes = {name: subprocess.Popen(words, text=True, **pipes) for name, words in commands.items()}
    times: dict[str, list[list[float]]] = {name: [] for name in commands}
    try:
        for name, process in processes.items():
            assert process.stdout is not None
            line = process.stdout.readline()
            while line and line.strip() != "ready":  # a library's own words
                line = process.stdout.readline()
            if not line:
                raise SystemExit(f"'{name}' did not start: {' '.join(commands[name])}")
        for _ in range(rounds):
            for name, process in processes.items():
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write("go\n")
                process.stdin.flush()
                times[name].append(json.loads(process.stdout.readline()))
    finally:
        for process in processes.values():
            process.communicate()
    return {name: np.array(values) for name, values in times.items()}


def percentiles(times_ms: np.ndarray) -> dict[str, float]:
    return {f"p{p}_ms": round(float(np.percentile(times_ms, p)), 4) for p in (50, 95, 99)}

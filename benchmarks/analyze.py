"""What `analyze` costs beyond its slowest stage: frames a second of a whole video, end to end.

    python benchmarks/analyze.py [BUNDLE] [VIDEO] [--rounds 10] [--json FILE]

Three contenders, each in a process of its own, take turns on two cores, every stage on one thread that is
pinned to its core:

    decode     the video decoded and made into the network's input, nothing else
    inference  as many inputs that lie in memory, found by the bundle's predictor
    analyze    `deploy.offline.analyze`: decoding on one core, inference on the other, files and all

The bound: analyze reaches 85 % of the slower of the other two. Without BUNDLE the golden one of the tests is
taken, whose network is tiny; without VIDEO openfield's, from $RIGPOSE_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from benchmarks.paired_rounds import interval  # noqa: E402

CONTENDERS = ("decode", "inference", "analyze")
BOUND = 0.85
IN_MEMORY = 64


def openfield() -> Path:
    data = Path(os.environ.get("RIGPOSE_DATA") or CHECKOUT.parent / "shared" / "data")
    videos = sorted((data / "openfield-Pranav-2018-10-30" / "videos").glob("*.mp4"))
    if not videos:
        sys.exit(f"no openfield video in {data}: set RIGPOSE_DATA, or name a VIDEO")
    return videos[0]


def contender(name: str, bundle: Path, video: Path, cores: tuple[int, int]) -> Callable[[], int]:
    """What is timed: the whole video once; returns its frames."""
    from acquisition.progress import quieted
    from acquisition.videos.video import open_video
    from deploy.bundles.bundle import Bundle
    from deploy.bundles.predictor import Predictor
    from deploy.offline.analyze import analyze
    from deploy.offline.frame_poses import fed
    from deploy.offline.jobs import plan

    loaded = Bundle.load(bundle)
    job = plan([video])[0]
    if name == "decode":
        os.sched_setaffinity(0, {cores[0]})
        predictor = Predictor(loaded)
        return lambda: sum(1 for _ in fed(iter(open_video(video)), job, predictor))
    os.sched_setaffinity(0, {cores[1]})
    if name == "inference":
        predictor = Predictor(loaded)
        inputs = []
        for frame in fed(iter(open_video(video)), job, predictor):
            inputs.append(frame.image.copy())
            if len(inputs) == IN_MEMORY:
                break
        frames = sum(1 for _ in open_video(video))

        def infer() -> int:
            for number in range(frames):
                predictor.predict([inputs[number % len(inputs)]])
            return frames

        return infer

    def whole() -> int:
        folder = Path(tempfile.mkdtemp())
        try:
            with quieted(True):
                result = analyze(loaded, [video], folder, threads=1, decoder_core=cores[0])
        finally:
            shutil.rmtree(folder)
        return int(result["videos"][0]["frames"])

    return whole


def child(name: str, bundle: Path, video: Path, cores: tuple[int, int]) -> None:
    """Time the video once for every line that comes in; once before, untimed."""
    call = contender(name, bundle, video, cores)
    call()
    print("ready", flush=True)
    for _ in sys.stdin:
        start_ns = time.perf_counter_ns()
        frames = call()
        print(frames / ((time.perf_counter_ns() - start_ns) / 1e9), flush=True)


def measure(bundle: Path, video: Path, rounds: int, cores: tuple[int, int]) -> dict[str, np.ndarray]:
    """Frames a second by contender, (rounds,)."""
    processes = {
        name: subprocess.Popen(
            [sys.executable, __file__, "--child", name, str(bundle), str(video), *map(str, cores)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1,
        )
        for name in CONTENDERS
    }  # fmt: skip
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for process in processes.values():
        assert process.stdout is not None and process.stdout.readline().strip() == "ready"
    for _ in range(rounds):
        for name, process in processes.items():
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("go\n")
            rates[name].append(float(process.stdout.readline()))
    for process in processes.values():
        process.communicate()
    return {name: np.array(values) for name, values in rates.items()}


def share(decode: np.ndarray, inference: np.ndarray, whole: np.ndarray) -> float:
    """analyze / min(decode, inference), each the median of its rounds, frames a second."""
    return float(np.median(whole) / min(np.median(decode), np.median(inference)))


def about(bundle: Path) -> dict[str, object]:
    from deploy.bundles.bundle import Bundle
    from deploy.bundles.execution import Execution

    loaded = Bundle.load(bundle)
    execution = Execution.resolve(loaded)
    held_out = loaded.artifact(execution.runtime, execution.precision).held_out
    return {
        "bundle": loaded.name, "bundle_sha256": loaded.sha256, "network": loaded.manifest.provenance.network,
        "input_wh": loaded.input_wh, "runtime": execution.runtime, "precision": execution.precision,
        "held_out_median_px": None if held_out is None else held_out.median_px,
        "held_out_mean_px": None if held_out is None else held_out.mean_px,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    golden = CHECKOUT / "tests" / "deploy" / "golden" / "schema1.bundle"
    parser.add_argument("bundle", type=Path, nargs="?", default=golden)
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    video = arguments.video or openfield()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("two cores are needed, one for each stage")
    facts = {**about(arguments.bundle), "video": video.name, "rounds": arguments.rounds, "cores": cores[:2]}
    rates = measure(arguments.bundle, video, arguments.rounds, (cores[0], cores[1]))
    for name, values in rates.items():
        low, high = values.min(), values.max()
        print(f"{name:<10} {np.median(values):8.1f} frames/s   [{low:.1f}, {high:.1f}]")
    reached, low, high = interval(share, *(rates[name] for name in CONTENDERS))
    said = "kept" if reached >= BOUND else "MISSED"
    print(f"analyze / min(decode, inference) = {reached:.3f} [{low:.3f}, {high:.3f}], bound {BOUND}: {said}")
    if arguments.json:
        rows = {name: values.tolist() for name, values in rates.items()}
        figures = {"share": reached, "low": low, "high": high, "bound": BOUND}
        arguments.json.write_text(
            json.dumps({"about": facts, "frames_per_s": rows, **figures}, indent=1) + "\n"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), (int(sys.argv[5]), int(sys.argv[6])))
    else:
        main()

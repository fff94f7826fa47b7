"""`rigpose frames --mode kmeans` beside bare decoding, on videos of two lengths: time and memory.

    python -m benchmarks.frames [--minutes 5 20] [--hour] [--rounds 2] [--json FILE]

The video is 640x480 at 30 Hz, H.264 with B-frames: something bright wanders over camera noise. Half a minute
is encoded, its packets are repeated for the rest. "bare" decodes every frame in FFmpeg's own threads and does
nothing with it. The two take turns, each in a process of its own, so that a busy machine slows both and the
memory is that of one; the ratio of medians is what to quote, or of CPU time where others use the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np

from training.frames.extraction import extract_frames, peak_memory_mb
from training.projects.project import Project

WIDTH_PX, HEIGHT_PX, RATE_HZ, ENCODED_S = 640, 480, 30, 30
COUNT = 20


def encode(path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3, (8, HEIGHT_PX, WIDTH_PX)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ, options={"preset": "veryfast", "bf": "3"})
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for number in range(RATE_HZ * ENCODED_S):
            turned = np.roll(noise[number % 8], tuple(rng.integers(0, 400, 2)), axis=(0, 1))
            image = 90 + turned
            angle = 2 * np.pi * number / (RATE_HZ * ENCODED_S)
            y, x = int(240 + 160 * np.sin(3 * angle)), int(320 + 240 * np.cos(2 * angle))
            image[y - 24 : y + 24, x - 40 : x + 40] += 70
            frame = av.VideoFrame.from_ndarray(np.clip(image, 0, 255).astype(np.uint8), format="gray")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())


def repeat(segment: Path, path: Path, minutes: float) -> int:
    """Write the segment's packets again and again; returns the number of frames."""
    frames = 0
    with av.open(str(path), "w") as out:
        target = None
        for turn in range(max(1, round(minutes * 60 / ENCODED_S))):
            with av.open(str(segment)) as source:
                stream = source.streams.video[0]
                target = target or out.add_stream_from_template(stream)
                step = round(ENCODED_S / stream.time_base)
                for packet in source.demux(stream):
                    if packet.size:
                        packet.pts += turn * step
                        packet.dts += turn * step
                        packet.stream = target
                        out.mux(packet)
                        frames += 1
    return frames


def bare(path: Path) -> dict[str, float]:
    start_ns, frames = time.perf_counter_ns(), 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            frames += 1
    return {"seconds": (time.perf_counter_ns() - start_ns) / 1e9, "decoded": frames}


def kmeans(path: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder), task="bench", scorer="b", keypoints=("a",))
        start_ns = time.perf_counter_ns()
        measured = extract_frames(project, [path], mode="kmeans", count=COUNT)
        seconds = (time.perf_counter_ns() - start_ns) / 1e9
    return {"seconds": seconds, "decoded": measured["videos"][0]["decoded"]}


WORK = {"bare": bare, "kmeans": kmeans}


def in_a_process(work: str, path: Path) -> dict[str, float]:
    run = subprocess.run(
        [sys.executable, __file__, "--one", work, str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    measured: dict[str, float] = json.loads(run.stdout)
    return measured


def measure(segment: Path, minutes: float, rounds: int) -> dict[str, Any]:
    path = segment.with_name("film.mp4")
    frames = repeat(segment, path, minutes)
    runs: dict[str, list[dict[str, float]]] = {work: [] for work in WORK}
    for _ in range(rounds):
        for work, those in runs.items():
            those.append(in_a_process(work, path))
    size_mb = path.stat().st_size / 1e6
    path.unlink()
    seconds = {work: float(np.median([run["seconds"] for run in those])) for work, those in runs.items()}
    cpu_s = {work: float(np.median([run["cpu_s"] for run in those])) for work, those in runs.items()}
    return {
        "minutes": minutes, "frames": frames, "file_mb": round(size_mb),
        **{f"{work}_s": round(value, 2) for work, value in seconds.items()},
        **{f"{work}_frames_per_s": round(frames / value) for work, value in seconds.items()},
        "ratio": round(seconds["kmeans"] / seconds["bare"], 3),
        "cpu_ratio": round(cpu_s["kmeans"] / cpu_s["bare"], 3),
        "kmeans_decoded": int(runs["kmeans"][0]["decoded"]),
        **{f"{work}_peak_mb": round(max(run["peak_mb"] for run in those)) for work, those in runs.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[5, 20])
    parser.add_argument("--hour", action="store_true", help="an hour as well (some minutes, a file of 2 GB)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        work, path = options.one
        begun_s = time.process_time()
        measured = WORK[work](Path(path))
        print(json.dumps({**measured, "cpu_s": time.process_time() - begun_s, "peak_mb": peak_memory_mb()}))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        segment = Path(folder) / "segment.mp4"
        encode(segment)
        for minutes in [*options.minutes, *([60.0] if options.hour else [])]:
            rows.append(measure(segment, minutes, options.rounds))
            row = rows[-1]
            print(
                f"{row['minutes']:5.1f} min, {row['frames']:6d} frames: bare {row['bare_s']:6.2f} s "
                f"({row['bare_frames_per_s']} frames/s, {row['bare_peak_mb']} MB), "
                f"kmeans {row['kmeans_s']:6.2f} s ({row['kmeans_frames_per_s']} frames/s, "
                f"{row['kmeans_decoded']} decoded, {row['kmeans_peak_mb']} MB): ratio {row['ratio']:.2f}, "
                f"of CPU time {row['cpu_ratio']:.2f}"
            )
    if options.json:
        result = {"cores": os.cpu_count(), "video": f"{WIDTH_PX}x{HEIGHT_PX}, synthetic", "rows": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""`rigpose record` on the simulated rig: frames dropped, processor time, memory and open files over time.

    python -m benchmarks.recording [--minutes 1] [--cameras 4] [--size 640x480] [--rate 60] [--codec x264]
                                   [--codecs] [--json FILE]

The simulated cameras draw noisy pictures at the rate of their trigger and lose none themselves; capture,
ring and recorder are what a real rig runs. Memory is the sum of the PSS of all processes, once a second; its
growth is the median of the last fifth less that of the second fifth (the first is for warming up).
`--codecs` encodes a still picture under fresh noise of 3 grey levels with each codec instead, one thread, and
says what a pixel takes on the disk. Exit code 1 if a frame was dropped, memory grew by 5 MB or more, or open
files became more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.record import record
from acquisition.simulation.scene import write_scene
from acquisition.videos.encoder import Encoder, encoders_found
from rigpose.rig_file import load_rig

GROWTH_MB = 5.0
_EVERY_S = 1.0
_ENCODED = 60


def descendants(pid: int) -> list[int]:
    """This process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += descendants(int(child))
    return found


def use() -> dict[str, float]:
    """PSS in MB, open files, and processor seconds of all processes together."""
    pss_kb = files = 0
    ticks = 0
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            pss_kb += int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1])
            files += len(list(Path(f"/proc/{pid}/fd").iterdir()))
            ticks += sum(
                int(word) for word in Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[11:13]
            )
    return {
        "t_s": time.monotonic(), "pss_mb": pss_kb / 1024, "files": files,
        "cpu_s": ticks / os.sysconf("SC_CLK_TCK"),
    }  # fmt: skip


class Watch(threading.Thread):
    """Looks at the processes from the first frame on, until told to stop."""

    def __init__(self, began: Path) -> None:
        super().__init__(daemon=True)
        self.samples: list[dict[str, float]] = []
        self.over = threading.Event()
        self._began = began

    def run(self) -> None:
        while not self._began.exists() and not self.over.wait(0.2):
            pass
        while not self.over.wait(_EVERY_S):
            self.samples.append(use())


def fifths(samples: list[dict[str, float]], key: str) -> tuple[float, float]:
    """Median of the second fifth, and of the last."""
    values = [sample[key] for sample in samples]
    fifth = max(1, len(values) // 5)
    return float(np.median(values[fifth : 2 * fifth])), float(np.median(values[-fifth:]))


def measure(
    folder: Path, seconds: float, cameras: int, size: tuple[int, int], rate_hz: float, codec: str
) -> Any:
    """Record so long; what became of the frames, and what it took."""
    rig = write_scene(
        folder / "scene", kind="animal", seed=1, rate_hz=rate_hz, frame_sets=60, cameras=cameras, size=size,
        rig={"recording": {"codec": codec, "keep_free_gb": 0.5}},
    )  # fmt: skip
    session = folder / f"recording-{codec}"
    watch = Watch(session / f"{session.name}_cam_0.frames")
    watch.start()
    summary = record(load_rig(rig).acquisition, session, seconds)
    samples = [sample for sample in watch.samples if sample["files"] > 0]
    watch.over.set()
    watch.join()
    frames = sum(counts["recorded"] for counts in summary.cameras.values())
    taken = sum(path.stat().st_size for path in session.glob("*.mkv"))
    # While it recorded: the frame sets' own time, not what came after.
    samples = [s for s in samples if s["t_s"] - samples[0]["t_s"] < seconds - _EVERY_S] if samples else []
    said = {
        "codec": codec, "cameras": cameras, "rate_hz": rate_hz, "size": "x".join(map(str, size)),
        "seconds": seconds, "frames": frames, "frame_sets": summary.frame_sets,
        "complete_sets": summary.complete_sets,
        "absent": {name: counts["absent"] for name, counts in summary.cameras.items() if counts["absent"]},
        "bytes_per_px": round(taken / max(1, frames) / (size[0] * size[1]), 4),
    }  # fmt: skip
    if len(samples) > 2:
        before_mb, after_mb = fifths(samples, "pss_mb")
        files_before, files_after = fifths(samples, "files")
        span_s = samples[-1]["t_s"] - samples[0]["t_s"]
        said |= {
            "cores_used": round((samples[-1]["cpu_s"] - samples[0]["cpu_s"]) / span_s, 2),
            "pss_mb": round(after_mb, 1), "growth_mb": round(after_mb - before_mb, 2),
            "files": files_after, "files_growth": files_after - files_before,
        }  # fmt: skip
    return said


def measure_codec(folder: Path, codec: str, size: tuple[int, int]) -> dict[str, Any]:
    """Bytes a pixel and frames a second of one encoder."""
    width, height = size
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    still = 110 + 40 * np.sin(columns / 37) * np.cos(rows / 29)
    noise = rng.normal(0, 3, (height + 20, width + 80))
    pictures = []
    for _ in range(_ENCODED):
        down, right = rng.integers(0, 20), rng.integers(0, 80)
        picture = still + noise[down : down + height, right : right + width]
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    path = folder / f"{codec}.mkv"
    encoder = Encoder(path, codec, width, height, 1, 60)
    begun_s = time.process_time()
    for number, picture in enumerate(pictures):
        encoder.write(picture, number * 17)
    spent_s = time.process_time() - begun_s
    encoder.close()
    taken = path.stat().st_size / _ENCODED
    return {
        "codec": codec, "size": f"{width}x{height}", "bytes_per_px": round(taken / (width * height), 4),
        "frames_per_cpu_s": round(_ENCODED / spent_s),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--codec", default="x264")
    parser.add_argument("--codecs", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        if options.codecs:
            names = [name for name, why in encoders_found().items() if not why]
            rows = [measure_codec(Path(folder), name, (width, height)) for name in names]
        else:
            seconds = options.minutes * 60
            rows = [
                measure(Path(folder), seconds, options.cameras, (width, height), options.rate, options.codec)
            ]
    for row in rows:
        print(json.dumps(row))
    if options.json:
        options.json.write_text(json.dumps({"cores": os.cpu_count(), "rows": rows}, indent=1) + "\n")
    if options.codecs:
        return
    first = rows[0]
    sys.exit(
        int(
            first["complete_sets"] < first["frame_sets"]
            or first.get("growth_mb", 0.0) >= GROWTH_MB
            or first.get("files_growth", 0) > 0
        )
    )


if __name__ == "__main__":
    main()

"""The ring between processes: torn frames, its rate beside a bare copy, what it adds to the latency.

    python -m benchmarks.ring [--frames 1000000] [--seconds 10] [--size 1280x1024] [--json FILE]

16 slots. "torn": a writer at full speed, a reader that looks at every frame at once and one that keeps each
for three milliseconds; every frame is of one value, known from its number, and is looked at twice, when it
arrives and before it is let go. "rate": a reader that lets go at once, beside `numpy.copyto` between the same
arrays, in turns. "latency": 60 frames a second; from before the copy into the ring to the reader having the
frame, in another process. What the reader adds is that less the time of the copy. Exit code 1 if a frame was
torn, or if the median of what the reader adds is above 0.3 ms.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import select
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.frame import Absence
from acquisition.frame_stamp import FrameStamp
from acquisition.rings.ring import SLOTS, RingGeometry, RingReader, ring_path
from acquisition.rings.writer import RingWriter

LATENCY_MS = 0.3
HELD_S = 0.003
_VALUES = 64
_STEP = 16  # rows between those that are looked at
_ROUNDS = 5


def images(geometry: RingGeometry) -> list[np.ndarray]:
    """Frames of one value each: that of frame n is n % 64."""
    return [np.full(geometry.image_shape, value, np.uint8) for value in range(_VALUES)]


def whole(image: np.ndarray, seq: int) -> bool:
    """Whether every 16th row, and the last, are those of frame `seq`."""
    value = seq % _VALUES
    return bool((image[::_STEP] == value).all() and (image[-1] == value).all())


def read(runtime: str, kind: str, said: Connection) -> None:
    """The reader's process, until the writer has gone."""
    seen = torn = dropped = 0
    latencies_ns = []
    with RingReader(ring_path(Path(runtime), "cam"), kind) as reader:
        while not reader.connect():
            time.sleep(0.01)
        said.send("there")
        while True:
            select.select([reader], [], [], 1.0)
            leased = reader.receive()
            now_ns = time.monotonic_ns()
            if leased is None:
                if seen and not reader.linked:
                    break
                continue
            with leased:
                if leased.stamp.absence is Absence.RING_FULL or leased.image is None:
                    dropped += 1
                    continue
                seen += 1
                latencies_ns.append(now_ns - leased.stamp.t_arrival_ns)
                if kind in ("quick", "slow"):
                    right = whole(leased.image, leased.stamp.seq)
                    if kind == "slow":
                        time.sleep(HELD_S)
                    torn += not (right and whole(leased.image, leased.stamp.seq))
    said.send({"seen": seen, "torn": torn, "dropped": dropped, "latency_ms": percentiles(latencies_ns[10:])})


def percentiles(latencies_ns: list[int]) -> dict[str, float]:
    """In ms."""
    found = np.percentile(latencies_ns, [50, 95, 99, 100]) if latencies_ns else np.full(4, np.nan)
    return {
        name: round(float(v) * 1e-6, 4) for name, v in zip(("p50", "p95", "p99", "max"), found, strict=True)
    }


class Ring:
    """A writer here, readers in processes of their own."""

    def __init__(self, geometry: RingGeometry, kinds: tuple[str, ...]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.writer = RingWriter(ring_path(Path(self._folder.name), "cam"), "cam", geometry)
        spawn = multiprocessing.get_context("spawn")
        self._readers = {}
        for kind in kinds:
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=read, args=(self._folder.name, kind, theirs), daemon=True)
            process.start()
            self._readers[kind] = (process, ours)
        self.seq = 0

    def __enter__(self) -> Ring:
        for _, link in self._readers.values():
            while not link.poll(0.01):
                self.writer.serve()
            link.recv()
        while len(self.writer.readers) < len(self._readers) or "?" in self.writer.readers:
            self.writer.serve()
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def publish(self, bank: list[np.ndarray]) -> bool:
        """The next frame; whether there was a slot for it."""
        now_ns = time.monotonic_ns()
        stamp = FrameStamp("cam", self.seq, 0, 0, 0, now_ns, 0)
        there = self.writer.publish(stamp, bank[self.seq % _VALUES])
        self.seq += 1
        return there

    def end(self) -> dict[str, Any]:
        """What the readers saw."""
        self.writer.close()
        found = {kind: link.recv() for kind, (_, link) in self._readers.items()}
        for process, _ in self._readers.values():
            process.join()
        return found


def measure_torn(geometry: RingGeometry, frames: int) -> dict[str, Any]:
    """Until the quick reader has been given `frames` of them."""
    bank = images(geometry)
    with Ring(geometry, ("quick", "slow")) as ring:
        begun_s = time.perf_counter()
        taken = 0
        while taken < frames:
            if ring.publish(bank):
                taken += 1
            else:
                time.sleep(0.0002)  # no slot: a camera would not be any faster
        seconds = time.perf_counter() - begun_s
        found = ring.end()
    torn = sum(one["torn"] for one in found.values())
    return {
        "frames": taken, "torn": torn, "frames_per_s": round(taken / seconds), "refused": ring.seq - taken,
        "seen": {kind: one["seen"] for kind, one in found.items()},
    }  # fmt: skip


def measure_rate(geometry: RingGeometry, seconds: float) -> dict[str, Any]:
    """Frames a second through the ring and by a bare copy, in turns."""
    bank = images(geometry)
    slots = [np.empty(geometry.image_shape, np.uint8) for _ in range(geometry.slots)]
    rates: dict[str, list[float]] = {"copy": [], "ring": []}
    with Ring(geometry, ("idle",)) as ring:
        for _ in range(_ROUNDS):
            for name in rates:
                count, begun_s = 0, time.perf_counter()
                while time.perf_counter() - begun_s < seconds / (2 * _ROUNDS):
                    if name == "copy":
                        np.copyto(slots[count % len(slots)], bank[count % _VALUES])
                        count += 1
                    else:
                        count += ring.publish(bank)
                rates[name].append(count / (time.perf_counter() - begun_s))
        ring.end()
    medians = {name: float(np.median(found)) for name, found in rates.items()}
    return {
        **{f"{name}_frames_per_s": round(value) for name, value in medians.items()},
        "ratio": round(medians["ring"] / medians["copy"], 3),
    }


def measure_latency(geometry: RingGeometry, seconds: float, rate_hz: float = 60.0) -> dict[str, Any]:
    """From before the copy to the reader having the frame, ms; and the copy alone."""
    bank = images(geometry)
    copies_ns = []
    target = np.empty(geometry.image_shape, np.uint8)
    with Ring(geometry, ("idle",)) as ring:
        for n in range(round(seconds * rate_hz)):
            ring.publish(bank)
            time.sleep(1 / rate_hz)
            if n % 10 == 0:
                begun_ns = time.monotonic_ns()
                np.copyto(target, bank[n % _VALUES])
                copies_ns.append(time.monotonic_ns() - begun_ns)
        found = ring.end()["idle"]["latency_ms"]
    copy_ms = percentiles(copies_ns)["p50"]
    return {"latency_ms": found, "copy_ms": copy_ms, "added_ms": round(found["p50"] - copy_ms, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--size", default="1280x1024")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    geometry = RingGeometry(SLOTS, height, width, 1)
    result = {
        "cores": os.cpu_count(), "size": options.size, "slots": SLOTS,
        "latency": measure_latency(geometry, options.seconds),
        "rate": measure_rate(geometry, options.seconds),
        "torn": measure_torn(geometry, options.frames),
    }  # fmt: skip
    latency, rate, torn = result["latency"], result["rate"], result["torn"]
    print(f"latency ms: {latency['latency_ms']}; the copy {latency['copy_ms']}, added {latency['added_ms']}")
    print(f"{rate['ring_frames_per_s']} frames/s, {rate['copy_frames_per_s']} copied: ratio {rate['ratio']}")
    print(f"{torn['torn']} of {torn['frames']} frames torn, {torn['refused']} refused, seen {torn['seen']}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(int(torn["torn"] > 0 or latency["added_ms"] > LATENCY_MS))


if __name__ == "__main__":
    main()

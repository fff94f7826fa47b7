"""Triangulation: numba kernels beside the NumPy twin, and live, one frame set at a time.

    python -m benchmarks.triangulation [--cameras 6] [--keypoints 20] [--json FILE]

Through the lens (undistortion included), robust. The kernels use one thread; start it with
OMP_NUM_THREADS=1 to keep NumPy to one as well. The two take turns in one process, so that a busy
machine slows both; ratios of medians are what to quote.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from calibration.triangulation import (
    TriangulationSettings,
    prepare,
    triangulate,
    triangulate_exactly,
)
from calibration.triangulation_numpy import triangulate_reference
from tests.calibration.synthetic import ring

SETS = 200


def microseconds(call: Callable[[], object]) -> float:
    start_ns = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start_ns) / 1e3


def measure(cameras: int, keypoints: int, outliers: float, rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    rig = ring(cameras, seed=1)
    points = rng.uniform(-100, 100, (SETS, keypoints, 3))
    px = np.moveaxis(rig.project(points), 0, 1) + rng.normal(0, 1, (SETS, cameras, keypoints, 2))
    wrong = rng.uniform(size=px.shape[:3]) < outliers
    px[wrong] += rng.uniform(-150, 150, (wrong.sum(), 2))
    seen = np.concatenate([px, np.ones((*px.shape[:3], 1))], axis=-1)
    settings = TriangulationSettings(noise_px=1.0)
    noise, bounds = prepare(rig, seen, settings)
    twin_arguments = (noise, settings.min_confidence, settings.gate_sigmas**2, bounds)
    triangulate_exactly(rig, seen, settings)  # compiled, or read from the cache
    batch, twin, live = [], [], []
    for _ in range(rounds):
        batch.append(microseconds(lambda: triangulate_exactly(rig, seen, settings)) / SETS)
        twin.append(microseconds(lambda: triangulate_reference(rig, seen, *twin_arguments)) / SETS)
        live += [microseconds(lambda one=one: triangulate(rig, one, settings)) for one in seen]
    return {
        "cameras": cameras,
        "keypoints": keypoints,
        "outliers": outliers,
        "batch_us": float(np.median(batch)),
        "numpy_us": float(np.median(twin)),
        "numpy_over_batch": float(np.median(twin) / np.median(batch)),
        "live_p50_us": float(np.median(live)),
        "live_p95_us": float(np.percentile(live, 95)),
        "live_p99_us": float(np.percentile(live, 99)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--keypoints", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = [measure(given.cameras, given.keypoints, share, given.rounds) for share in (0.0, 0.15)]
    for row in results:
        print(
            f"{row['cameras']} cameras x {row['keypoints']} keypoints, {row['outliers']:.0%} outliers: "
            f"batch {row['batch_us']:.1f} us a set, numpy {row['numpy_us']:.0f} us "
            f"({row['numpy_over_batch']:.0f} x), live p50 {row['live_p50_us']:.1f} "
            f"p95 {row['live_p95_us']:.1f} p99 {row['live_p99_us']:.1f} us"
        )
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")

"""The reference load: `rigpose live` on four simulated cameras of 640 x 480 mono at 60 Hz.

The pictures are drawn beforehand; each camera lays noise over its next picture while it waits for it. From
its arrival on everything is the real thing: rings, sets, one inference call, 3D, stream, encoders.

A run's first sets leave together, when five frames of every camera have told their pulses, and are caught
up with one by one. A dozen late ones make the 99th percentile of a run of ten seconds: a run is a minute.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from acquisition.drivers.simulated import SimulatedCamera
from acquisition.simulation.scene import write_scene
from acquisition.simulation.truth import Truth
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.formats.anipose import save_toml
from deploy.bench.usage import UsageWatch, tree

CAMERAS, SIZE_WH, RATE_HZ = 4, (640, 480), 60.0
_LOOP_SETS = 120
_READY_S = 300.0


def reference_rig(folder: Path) -> tuple[Path, Path]:
    """rig.yaml and the true calibration; the pictures are drawn the first time (a minute or two)."""
    rig, calibration = folder / "rig.yaml", folder / "calibration.toml"
    if calibration.exists():
        return rig, calibration
    write_scene(
        folder, kind="animal", seed=5, rate_hz=RATE_HZ, frame_sets=_LOOP_SETS, cameras=CAMERAS, size=SIZE_WH,
        rig={"recording": {"codec": "x264", "keep_free_gb": 0.5}},
    )  # fmt: skip
    true_calibration(folder, CAMERAS, calibration)
    return rig, calibration


def true_calibration(folder: Path, cameras: int, path: Path) -> None:
    """The cameras of the scene in `folder` as they are; its pictures are drawn where they are not yet."""
    for number in range(cameras):
        name = f"cam_{number}"
        camera = SimulatedCamera(name, f"sim://{folder / 'scene.yaml'}#{name}")
        camera.open({})
        camera.close()
    found = []
    for name, true in Truth.load(folder / "world").cameras.items():
        turn = cv2.Rodrigues(true["rotation"])[0].ravel()
        size = int(true["size_px"][0]), int(true["size_px"][1])
        found.append(
            CameraModel(name, size, true["matrix"], true["distortion"], turn, true["translation_mm"])
        )
    save_toml(CalibratedRig(tuple(found)), path)


def run_live(
    folder: Path, bundle: Path, seconds: float, *, record: bool, watch_s: float | None = None
) -> dict[str, Any]:
    """What `rigpose live --json` says of a run; with `watch_s` also `looks` at its memory, so often.

    Looking costs the processes some milliseconds: not in runs whose latency is judged.
    """
    rig, calibration = reference_rig(folder)
    report, session = folder / "live.json", folder / "session"
    words = [
        sys.executable, "-m", "rigpose", "live", str(rig), "--model", str(bundle.resolve()), "--calibration",
        str(calibration), "--runtime", "litert", "--precision", "int8", "--threads", "1", "--seconds",
        str(seconds), "--endpoint", f"ipc://{folder / 'stream'}", "--json", str(report), "--quiet",
    ]  # fmt: skip
    if record:
        words += ["--record", str(session)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with _watching(process.pid, watch_s) as watch:
        priorities: list[int] = []
        while process.poll() is None:
            try:
                process.wait(1.0)
            except subprocess.TimeoutExpired:
                priorities = _priorities(process.pid) or priorities
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    if process.returncode:
        raise SystemExit(f"rigpose live ended with {process.returncode}: {said[-2000:]}")
    measured: dict[str, Any] = json.loads(report.read_text())
    report.unlink()
    if record:
        for file in sorted(session.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        session.rmdir()
    looks = [] if watch is None else [[look.t_ns, look.pss_mb, look.processes] for look in watch.looks]
    return {**measured, "nice": sorted(set(priorities)), "looks": looks}


def figures(measured: dict[str, Any]) -> dict[str, Any]:
    """What is judged, and what one has to know to believe it."""
    stages, cameras = measured["stages"], measured["cameras"]
    placed = measured["pose3d"]
    return {
        "beside_network_p50_ms": stages["beside_network"]["p50_ms"],
        "beside_network_p99_ms": stages["beside_network"]["p99_ms"],
        "capture_to_3d_p50_ms": stages["arrival_to_publish"]["p50_ms"],
        "capture_to_3d_p99_ms": stages["arrival_to_publish"]["p99_ms"],
        "network_p50_ms": stages["network"]["p50_ms"],
        "complete_published": measured["complete_published"] / max(measured["complete_in"], 1),
        "complete_sets": measured["complete_in"],
        "frames_lost": sum(camera["lost"] + camera["ring_full"] for camera in cameras.values()),
        "points_placed": round(placed.get("points_placed", 0) / max(placed.get("points", 1), 1), 3),
        "stages_p50_ms": {name: stage["p50_ms"] for name, stage in stages.items()},
    }


def memory(measured: dict[str, Any], seconds: float) -> dict[str, float]:
    """Largest sum of PSS while all processes ran, MB, and the last third's median to the first third's.

    What the processes took while they started does not count: it is the last `seconds` of their lives.
    """
    most = max(count for _, _, count in measured["looks"])
    together = [(t_ns, pss_mb) for t_ns, pss_mb, count in measured["looks"] if count == most]
    whole = [pss_mb for t_ns, pss_mb in together if t_ns > together[-1][0] - 0.95e9 * seconds]
    third = max(len(whole) // 3, 1)
    first, last = statistics.median(whole[:third]), statistics.median(whole[-third:])
    return {
        "pss_mb_max": round(max(whole), 1), "pss_mb_first_third": round(first, 1),
        "pss_mb_last_third": round(last, 1), "growth": round(last / first - 1, 4), "processes": most,
        "looks": len(whole),
    }  # fmt: skip


@contextmanager
def _watching(pid: int, every_s: float | None) -> Iterator[UsageWatch | None]:
    if every_s is None:
        yield None
        return
    with UsageWatch(pid, every_s) as watch:
        yield watch


def _priorities(pid: int) -> list[int]:
    """The nice values of a tree of processes."""
    found = []
    for each in tree(pid):
        try:
            found.append(os.getpriority(os.PRIO_PROCESS, each))
        except ProcessLookupError:
            continue
    return found

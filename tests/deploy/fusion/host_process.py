"""A host of the joint rig as a process: publishes true projections of a known path, pulse by pulse.

    python host_process.py SETTINGS.json

SETTINGS: endpoint, keys (folder or null), calibration, cameras (names), boot_id, t0_ns and period_ns of the
pulses, first (the pulse its own numbers begin at), late_ms (how long it works on a frame set), bundle.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path

import numpy as np

from calibration.formats.anipose import load_calibration
from calibration.poses import PoseSet
from deploy.stream.messages import Artifact, CameraView, Session, StreamClock
from deploy.stream.publisher import Publisher, Stamps
from deploy.stream.settings import StreamSettings

KEYPOINTS = tuple(f"point_{n}" for n in range(20))


def points_at(pulse: int) -> np.ndarray:
    """(20, 3) mm: every pulse has a place of its own, more than 2 mm from the one before."""
    k = np.arange(len(KEYPOINTS))
    angle = 0.05 * pulse + 2 * np.pi * k / len(k)
    return np.stack([80 * np.cos(angle), 80 * np.sin(angle), 10 * np.sin(0.3 * pulse + k)], axis=1)


def main() -> None:
    about = json.loads(Path(sys.argv[1]).read_text())
    rig = load_calibration(Path(about["calibration"])).subset(about["cameras"])
    views = tuple(CameraView(camera.name, *camera.size_px) for camera in rig.cameras)

    def describe() -> Session:
        clock = StreamClock(about["boot_id"], socket.gethostname(), time.monotonic_ns(), 0, 0)
        return Session(
            "part", views, KEYPOINTS, clock, network=Artifact(bundle_sha256=about["bundle"]),
            period_ns=about["period_ns"],
        )  # fmt: skip

    settings = StreamSettings(keys=about["keys"], endpoint=about["endpoint"])
    t0_ns, period_ns, late_ns = about["t0_ns"], about["period_ns"], round(about["late_ms"] * 1e6)
    with Publisher(settings, describe) as publisher:
        pulse = about["first"] + max(0, -(-(time.monotonic_ns() - t0_ns) // period_ns) - about["first"])
        while True:
            pulse_ns = t0_ns + pulse * period_ns
            while time.monotonic_ns() < pulse_ns + late_ns:
                publisher.service()
                time.sleep(max(0.0, min(0.005, (pulse_ns + late_ns - time.monotonic_ns()) * 1e-9)))
            keypoints = np.ones((len(views), len(KEYPOINTS), 3), np.float32)
            keypoints[..., :2] = rig.project(points_at(pulse))
            now_ns = time.monotonic_ns()
            publisher.pose(
                PoseSet(pulse - about["first"], pulse_ns, keypoints), Stamps(now_ns, now_ns, now_ns)
            )
            pulse += 1


if __name__ == "__main__":
    main()

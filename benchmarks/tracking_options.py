"""What filters, prediction and following windows add to a frame set, beside what it costs without them.

    python benchmarks/tracking_options.py [--json FILE]

Four cameras, ten keypoints, with 3D: a walk with noise of half a pixel and two millimetres. The contenders
take turns in one process, set by set, so that a busy machine slows all of them; the medians are compared.
Beside them what the same set costs anyway: triangulation, and sending measured poses (a subscriber listens).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from calibration.camera_model import CalibratedRig, CameraModel  # noqa: E402
from calibration.image_transform import ImageTransform  # noqa: E402
from calibration.poses import Pose3D, PoseSet  # noqa: E402
from calibration.triangulation import triangulate  # noqa: E402
from deploy.bundles.manifest import AnimalSize  # noqa: E402
from deploy.bundles.preprocess import to_network  # noqa: E402
from deploy.live.derived_poses import DerivedPoses  # noqa: E402
from deploy.live.following import AnimalWindow  # noqa: E402
from deploy.stream.messages import CameraView, Session, StreamClock  # noqa: E402
from deploy.stream.publisher import Publisher, Stamps  # noqa: E402
from deploy.stream.settings import StreamSettings  # noqa: E402
from deploy.stream.subscriber import PoseSubscriber  # noqa: E402
from deploy.tracking_settings import TrackingSettings  # noqa: E402

CAMERAS, KEYPOINTS, PERIOD_NS = 4, 10, 16_666_667
SETS = 600
INPUT_WH = (256, 256)
WISHES = {
    "one-euro": TrackingSettings(smooth="one-euro"),
    "kalman": TrackingSettings(smooth="kalman"),
    "predict": TrackingSettings(predict=True),
    "kalman + predict": TrackingSettings(smooth="kalman", predict=True),
}


def rig() -> CalibratedRig:
    """Four cameras around the origin, half a metre away."""
    matrix = np.array([[600.0, 0, 320], [0, 600.0, 240], [0, 0, 1]])
    return CalibratedRig(
        tuple(
            CameraModel(f"cam_{n}", (640, 480), matrix, np.zeros(5), np.array([0.0, turn, 0.0]),
                        np.array([0.0, 0.0, 500.0]))
            for n, turn in enumerate(np.linspace(-0.6, 0.6, CAMERAS))
        )
    )  # fmt: skip


def walk(cameras: CalibratedRig) -> list[np.ndarray]:
    """Noisy keypoints (cameras, K, 3) of every set."""
    random = np.random.default_rng(0)
    body = random.normal(0, 20, (KEYPOINTS, 3))
    sets = []
    for t in range(SETS):
        at = body + np.array([80 * np.sin(t / 40), 50 * np.cos(t / 30), 20 * np.sin(t / 20)])
        seen = np.stack([camera.project(at) for camera in cameras.cameras])
        keypoints = np.full((CAMERAS, KEYPOINTS, 3), 0.9, np.float32)
        keypoints[..., :2] = seen + random.normal(0, 0.5, seen.shape)
        sets.append(keypoints)
    return sets


def timed_us(work: Callable[[], object]) -> float:
    start_ns = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start_ns) / 1e3


def describe() -> Session:
    views = tuple(CameraView(f"cam_{n}", 640, 480) for n in range(CAMERAS))
    return Session("arena", views, tuple("abcdefghij"), StreamClock("", "", 0, 0, 0))


def measure() -> dict[str, list[float]]:
    """Microseconds a set, by what was done."""
    cameras = rig()
    sets = walk(cameras)
    spent: dict[str, list[float]] = {name: [] for name in ("triangulate", "publish measured", *WISHES)}
    spent |= {"whole image to network, 4 cameras": [], "followed window to network, 4 cameras": []}
    derived = {name: DerivedPoses(wish, CAMERAS, KEYPOINTS, PERIOD_NS) for name, wish in WISHES.items()}
    for each in derived.values():
        each.warm_up()
    trained = AnimalSize(p5_px=60, median_px=80, p95_px=100, frames=1)
    windows = [AnimalWindow(f"cam_{n}", None, trained, INPUT_WH) for n in range(CAMERAS)]
    fit = ImageTransform.fit((640, 480), INPUT_WH)
    images = list(np.random.default_rng(1).integers(0, 256, (CAMERAS, 480, 640), dtype=np.uint8))
    room = np.empty((*INPUT_WH[::-1], 3), np.uint8)
    with (
        tempfile.TemporaryDirectory() as folder,
        Publisher(StreamSettings(endpoint=f"ipc://{folder}/s"), describe) as publisher,
        PoseSubscriber(f"ipc://{folder}/s", kinds=("measured", "filtered", "predicted")) as subscriber,
    ):
        while subscriber.receive(timeout_ms=20) is None:
            publisher.service()
        for index, keypoints in enumerate(sets):
            t_ns, stamps = index * PERIOD_NS, Stamps(1, 2, 3)
            flat = PoseSet(index, t_ns, keypoints)
            spent["triangulate"].append(timed_us(lambda k=keypoints: triangulate(cameras, k)))
            solid = Pose3D(index, t_ns, triangulate(cameras, keypoints))

            def measured(flat: PoseSet = flat, solid: Pose3D = solid, stamps: Stamps = stamps) -> None:
                publisher.pose(flat, stamps)
                publisher.pose(solid, stamps)

            spent["publish measured"].append(timed_us(measured))
            for name, each in derived.items():

                def derive(
                    each: DerivedPoses = each, flat: PoseSet = flat, solid: Pose3D = solid,
                    stamps: Stamps = stamps,
                ) -> None:  # fmt: skip
                    for kind, valid_ns, array in each.of_2d(flat, flat.t_exposure_ns + 9_000_000):
                        publisher.pose(PoseSet(flat.index, flat.t_exposure_ns, array), stamps, kind, valid_ns)
                    for kind, valid_ns, array in each.of_3d(solid, flat.t_exposure_ns + 9_000_000):
                        publisher.pose(Pose3D(flat.index, flat.t_exposure_ns, array), stamps, kind, valid_ns)

                spent[name].append(timed_us(derive))

            def resample_whole() -> None:
                for image in images:
                    to_network(image, fit, INPUT_WH, room)

            def resample_followed(keypoints: np.ndarray = keypoints) -> None:
                for window, image, found in zip(windows, images, keypoints, strict=True):
                    _, transform = window.of(image)
                    to_network(image, transform or fit, INPUT_WH, room)
                    window.saw(found.copy())

            spent["whole image to network, 4 cameras"].append(timed_us(resample_whole))
            spent["followed window to network, 4 cameras"].append(timed_us(resample_followed))
            while subscriber.receive(timeout_ms=0) is not None:
                pass
    return spent


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    spent = {name: np.array(times[100:]) for name, times in measure().items()}
    anyway = np.median(spent["triangulate"]) + np.median(spent["publish measured"])
    for name, times in spent.items():
        median, p95 = np.median(times), np.percentile(times, 95)
        ratio = f"   {median / anyway:4.2f} of triangulating and publishing" if name in WISHES else ""
        print(f"{name:<38} p50 {median:6.0f} us   p95 {p95:6.0f} us{ratio}")
    if arguments.json:
        figures = {name: {"p50_us": float(np.median(t)), "p95_us": float(np.percentile(t, 95))}
                   for name, t in spent.items()}  # fmt: skip
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")

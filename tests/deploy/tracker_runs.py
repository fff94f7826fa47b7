"""What tests of the tracker share: a parent, a running tracker with its stream, cameras, pictures of dots."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame_stamp import NEW_COUNT, NO_DEVICE_STAMP, FrameStamp
from acquisition.rings.writer import RingWriter
from calibration.camera_model import CalibratedRig, CameraModel
from deploy.live.tracker import track
from deploy.live.tracker_plan import TrackerPlan
from deploy.stream.subscriber import PoseSubscriber, Received

BUNDLE = Path(__file__).parent / "golden" / "schema1.bundle"
IMAGE_WH = (256, 192)
PERIOD_NS = 20_000_000
KINDS = ("measured", "filtered", "predicted")


class Link:
    """A parent that is the test."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.stopping = False
        self.reports: dict[str, Any] = {}

    def report(self, now: bool = False, **counters: Any) -> None:
        self.reports.update(counters)


def calibration(cameras: Sequence[str], size: tuple[int, int] = IMAGE_WH) -> CalibratedRig:
    """Cameras half a metre from the origin, turned about the vertical by -0.3 to 0.3."""
    matrix = np.array([[300.0, 0, size[0] / 2], [0, 300.0, size[1] / 2], [0, 0, 1]])
    turns = np.linspace(0.3, -0.3, len(cameras))
    return CalibratedRig(
        tuple(
            CameraModel(
                name, size, matrix, np.zeros(5), np.array([0.0, turn, 0.0]), np.array([0.0, 0.0, 500.0])
            )
            for name, turn in zip(cameras, turns, strict=True)
        )
    )


def picture(red: Sequence[float], blue: Sequence[float], size: tuple[int, int] = IMAGE_WH) -> np.ndarray:
    """A grey image with the two dots that the golden bundle's network finds; places in px."""
    image = np.full((size[1], size[0], 3), 80.0)
    y, x = np.mgrid[: size[1], : size[0]]
    for channel, (at_x, at_y) in ((0, red), (2, blue)):
        image[..., channel] += 90.0 * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * 14.0**2))
    return image.astype(np.uint8)


class Running:
    """The tracker in a thread, and the stream it publishes."""

    def __init__(self, plan: TrackerPlan, runtime: Path, rings: dict[str, RingWriter]) -> None:
        self.link, self.error = Link(), None
        self.received: list[Received] = []
        self.rings = rings
        self._counts = dict.fromkeys(plan.cameras, 0)
        self._seen = dict.fromkeys(plan.cameras, False)
        self.subscriber = PoseSubscriber(
            plan.stream.endpoint, ("session", "pose2d", "pose3d", "health", "event"), kinds=KINDS
        )
        self._thread = threading.Thread(target=self._track, args=(runtime, plan))
        self._thread.start()

    def _track(self, runtime: Path, plan: TrackerPlan) -> None:
        try:
            track(self.link, str(runtime), plan)
        except RigposeError as error:
            self.error = error

    def wait_for(self, condition: Callable[[], bool]) -> None:
        for _ in range(3000):
            for ring in self.rings.values():
                ring.serve()
            while (message := self.subscriber.receive(timeout_ms=2)) is not None:
                self.received.append(message)
            if condition() or not self._thread.is_alive():
                return
        raise AssertionError("did not happen in time")

    def wait_until_ready(self) -> None:
        self.wait_for(lambda: self.link.reports.get("state") == "ready" and bool(self.received))

    def begin(self, period_ns: int = PERIOD_NS) -> int:
        """The instant of the first exposure. With a long period no machine is too slow for the sets."""
        self._period_ns = period_ns
        first_ns = time.monotonic_ns() + period_ns
        self.link.told = {"pulses": {"period_ns": period_ns, "first_exposure_ns": first_ns}}
        return first_ns

    def join(self, period_ns: int, counted: dict[str, Any] | None) -> int:
        """As a restarted tracker finds it: 30,000 pulses of a trigger that gives its period 50 ppm too short.

        `counted`: what the tracker before had reported of pulse 29,900, if anything. The instant of pulse 0.
        """
        self._period_ns = round(period_ns * 1.00005)
        first_ns = time.monotonic_ns() - 30_000 * self._period_ns
        self.link.told = {"pulses": {"period_ns": period_ns, "first_exposure_ns": first_ns}}
        if counted is not None:
            of = {"index": 29_900, "t_exposure_ns": first_ns + 29_900 * self._period_ns}
            self.link.told["counted"] = {**of, **counted}
        return first_ns

    def expose(
        self, camera: str, first_ns: int, pulse: int, image: np.ndarray, lost_before: int = 0,
        device_clock: bool = False,
    ) -> None:  # fmt: skip
        self._counts[camera] += 1 + lost_before
        before = lost_before if self._seen[camera] else NEW_COUNT
        self._seen[camera] = True
        exposure_ns = first_ns + pulse * self._period_ns
        device_ns = exposure_ns if device_clock else NO_DEVICE_STAMP
        stamp = FrameStamp(
            camera, self._counts[camera], device_ns, exposure_ns, 1000, exposure_ns + 3_000_000, before
        )
        assert self.rings[camera].publish(stamp, image)

    def begins_again(self, camera: str) -> None:
        """Its counts, after its capture was started again."""
        self._counts[camera], self._seen[camera] = 0, False

    def stop(self) -> None:
        """May be called twice."""
        if self.link.stopping:
            return
        self.link.stopping = True
        self._thread.join(20)
        assert not self._thread.is_alive()
        while (message := self.subscriber.receive(timeout_ms=100)) is not None:
            self.received.append(message)
        self.subscriber.close()
        gc.unfreeze()
        cv2.setNumThreads(-1)

    def of(self, topic: str) -> list[Received]:
        return [message for message in self.received if message.topic == topic]

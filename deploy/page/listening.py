"""What the page knows from the stream: poses by their instant, latency over time, events, counters."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from calibration.poses import Pose3D, PoseSet
from deploy.page.table import TopicWatch
from deploy.stream.messages import Event, Health, Session
from deploy.stream.subscriber import Received

_POSES = 256
_EVENTS = 100
_HISTORY_S = 180
SAME_SET_NS = 3_000_000


class Listening:
    """Newest of everything on the stream. Written by one thread, read by others.

    Attributes
    ----------
    topics:
        When and how often each topic was heard.
    """

    def __init__(self) -> None:
        self.topics = TopicWatch()
        self._lock = threading.Lock()
        self._poses: deque[PoseSet] = deque(maxlen=_POSES)
        self._points: deque[Pose3D] = deque(maxlen=_POSES)
        self._events: deque[dict[str, Any]] = deque(maxlen=_EVENTS)
        self._health: dict[str, dict[str, int | float]] = {}
        self._session: Session | None = None
        self._second = 0
        self._delays_ms: list[float] = []
        self._latency: deque[tuple[int, int, float, float, float]] = deque(maxlen=_HISTORY_S)

    def heard(self, message: Received) -> None:
        """Take in a message."""
        body = message.body
        with self._lock:
            self.topics.heard(message.topic, message.t_received_ns, _valid(body))
            if isinstance(body, PoseSet):
                self._poses.append(body)
                self._delay(message)
            elif isinstance(body, Pose3D):
                self._points.append(body)
            elif isinstance(body, Health):
                self._health = body.counters
            elif isinstance(body, Event):
                self._events.append({
                    "t_ns": message.header.t_valid_ns, "name": body.name, "source": body.source,
                    "detail": body.detail, "index": message.header.index,
                })  # fmt: skip
            else:
                self._session = body

    def pose_at(self, t_ns: int) -> tuple[PoseSet, Pose3D | None] | None:
        """The poses of the frame set exposed then; None as long as they are not there.

        Of a calibrated rig the 3D ones come right after; for the newest set they are waited for.
        """
        with self._lock:
            calibrated = self._session is not None and self._session.calibration_sha256 != ""
            for pose in reversed(self._poses):
                if abs(pose.t_exposure_ns - t_ns) <= SAME_SET_NS:
                    points = next((p for p in reversed(self._points) if p.index == pose.index), None)
                    awaited = calibrated and points is None and pose is self._poses[-1]
                    return None if awaited else (pose, points)
        return None

    def state(self) -> dict[str, Any]:
        """JSON-able, for the page."""
        now_ns = time.monotonic_ns()
        with self._lock:
            session = self._session
            return {
                "session": None if session is None else msgspec.to_builtins(session),
                "health": self._health,
                "events": [{**event, "ago_s": (now_ns - event["t_ns"]) * 1e-9} for event in self._events],
                # seconds ago, frame sets in that second, p50, p95, p99 ms
                "latency": [[self._second - second, *rest] for second, *rest in self._latency],
                "topics": self.topics.lines(now_ns, self._expected_hz()),
            }

    def _expected_hz(self) -> float:
        return 1e9 / self._session.period_ns if self._session and self._session.period_ns else 0.0

    def _delay(self, message: Received) -> None:
        """Exposure to publishing, percentiles second by second."""
        second = message.t_received_ns // 1_000_000_000
        if second != self._second and self._delays_ms:
            p50, p95, p99 = np.percentile(self._delays_ms, (50, 95, 99)).round(2).tolist()
            self._latency.append((self._second, len(self._delays_ms), p50, p95, p99))
            self._delays_ms = []
        self._second = second
        self._delays_ms.append((message.header.t_publish_ns - message.header.t_exposure_ns) / 1e6)


def listed(array: npt.NDArray[np.float32], digits: int = 2) -> list[Any]:
    """An array as JSON has it: NaN as null."""
    rounded = np.round(array.astype(np.float64), digits).astype(object)
    rounded[~np.isfinite(array)] = None
    found: list[Any] = rounded.tolist()
    return found


def _valid(body: object) -> bool:
    """Whether a message says anything: a pose of nothing but NaN does not."""
    if isinstance(body, PoseSet):
        return bool(np.isfinite(body.keypoints).any())
    if isinstance(body, Pose3D):
        return bool(np.isfinite(body.points[:, :3]).any())
    return True

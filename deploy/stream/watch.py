"""`watch`: a running stream in the terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from acquisition.errors import RigposeError
from calibration.poses import Pose3D, PoseSet
from deploy.latency import StageLatency
from deploy.stream.keys import ClientKeys
from deploy.stream.messages import Event, Health
from deploy.stream.subscriber import PoseSubscriber, Received

_TOPICS = ("session", "pose2d", "pose3d", "health", "event")
_REDRAW_S = 0.2
_RECENT_NS = 2_000_000_000
_SILENCE_S = 2.5  # the session comes every second


class StreamView:
    """What is known of a stream, to be shown."""

    def __init__(self, subscriber: PoseSubscriber) -> None:
        self.subscriber = subscriber
        self.latency = StageLatency()
        self.newest: Pose3D | None = None
        self.newest2d: PoseSet | None = None
        self.health: Health | None = None
        self.event: Event | None = None
        self._recent: dict[str, deque[int]] = {"pose2d": deque(), "pose3d": deque()}
        self._ages_ms: deque[tuple[int, float]] = deque()
        self._late_ms: deque[tuple[int, float]] = deque()

    def add(self, message: Received) -> None:
        """Take in a message."""
        body, now_ns = message.body, message.t_received_ns
        if isinstance(body, Health):
            self.health = body
        if isinstance(body, Event):
            self.event = body
        if not isinstance(body, PoseSet | Pose3D):
            return
        if isinstance(body, Pose3D):
            self.newest = body
        else:
            self.newest2d = body
        self._recent[message.topic].append(now_ns)
        self._late_ms.append((now_ns, message.late_ns / 1e6))
        if message.age_ns is not None:
            self.latency.add({f"exposure_to_subscriber_{message.topic}": message.age_ns})
            self._ages_ms.append((now_ns, message.age_ns / 1e6))

    def line(self) -> str:
        """The stream in one line."""
        session = self.subscriber.session
        if session is None:
            return f"{self.subscriber.endpoint}: nothing yet{self._trouble()}"
        self._forget()
        rates = " ".join(f"{topic} {self._rate_hz(topic):.1f}/s" for topic in self._recent)
        ages = [age for _, age in self._ages_ms]
        age = f"{np.median(ages):.1f} ms (max {max(ages):.1f}{self._uncertainty()})" if ages else "unknown"
        late = f", late up to {max(late for _, late in self._late_ms):.1f} ms" if self._late_ms else ""
        return (
            f"{session.rig}: {rates}, lost {sum(self.subscriber.lost.values())}, age {age}{late}, "
            f"sessions {self.subscriber.sessions}{self._trouble()}"
        )

    def table(self) -> Group:
        """The stream with its newest pose."""
        parts: list[Any] = [Text(self.line())]
        session = self.subscriber.session
        if session is not None:
            facts = f"{session.network.bundle} ({session.network.runtime} {session.network.precision})"
            parts.append(Text(f"{len(session.cameras)} cameras, {facts}", style="dim"))
        if self.health is not None and "tracker" in self.health.counters:
            counts = self.health.counters["tracker"]
            parts.append(Text(", ".join(f"{name} {value}" for name, value in counts.items()), style="dim"))
        if self.event is not None:
            parts.append(
                Text(f"{self.event.name} ({self.event.source}): {self.event.detail}", style="yellow")
            )
        if session is not None and self.newest is not None:
            parts.append(_points3d(session.keypoints, self.newest))
        elif session is not None and self.newest2d is not None:
            parts.append(_points2d(session.keypoints, self.newest2d))
        return Group(*parts)

    def summary(self) -> dict[str, Any]:
        """Counts and latencies of everything since the beginning."""
        return {
            "received": dict(self.subscriber.received), "lost": dict(self.subscriber.lost),
            "malformed": self.subscriber.malformed, "sessions": self.subscriber.sessions,
            "refused": self.subscriber.refused, "latency": self.latency.summary(),
        }  # fmt: skip

    def _rate_hz(self, topic: str) -> float:
        return len(self._recent[topic]) * 1e9 / _RECENT_NS

    def _forget(self) -> None:
        oldest_ns = time.monotonic_ns() - _RECENT_NS
        for times in self._recent.values():
            while times and times[0] < oldest_ns:
                times.popleft()
        for values in (self._ages_ms, self._late_ms):
            while values and values[0][0] < oldest_ns:
                values.popleft()

    def _uncertainty(self) -> str:
        """Of ages from another host's clock."""
        offset = self.subscriber.clock_offset
        return f", ±{offset.uncertainty_ns / 1e6:.2f}" if offset is not None and offset.uncertainty_ns else ""

    def _trouble(self) -> str:
        """What a person should know of the connection."""
        if self.subscriber.refused:
            return f", refused: {self.subscriber.refused}"
        silent_s = self.subscriber.silent_s
        return f", silent for {silent_s:.0f} s" if silent_s is not None and silent_s > _SILENCE_S else ""


def watch(
    endpoint: str, seconds: float | None, *, keys: ClientKeys | None = None, quiet: bool = False
) -> dict[str, Any]:
    """Show the stream at `endpoint` for `seconds`, or until Ctrl-C; the summary of what came.

    Raises
    ------
    RigposeError
        If `endpoint` is no address.
    """
    try:
        subscriber = PoseSubscriber(endpoint, topics=_TOPICS, keys=keys)
    except ValueError as error:
        raise RigposeError(
            "rigpose watch", expected="an address such as tcp://127.0.0.1:5555", found=str(error),
            remedy="Give the address that 'rigpose live' publishes on",
        ) from None  # fmt: skip
    with subscriber:
        view = StreamView(subscriber)
        with contextlib.suppress(KeyboardInterrupt):
            if quiet or not sys.stdout.isatty():
                _lines(view, seconds, quiet)
            else:
                _redrawn(view, seconds)
        return view.summary()


def _lines(view: StreamView, seconds: float | None, quiet: bool) -> None:
    start = time.monotonic()
    due = start + 1.0
    while seconds is None or time.monotonic() < start + seconds:
        _listen(view, min(due, due if seconds is None else start + seconds))
        if not quiet:
            print(view.line(), flush=True)
        due += 1.0


def _redrawn(view: StreamView, seconds: float | None) -> None:
    start = time.monotonic()
    with Live(view.table(), console=Console(), auto_refresh=False) as screen:
        while seconds is None or time.monotonic() < start + seconds:
            _listen(view, time.monotonic() + _REDRAW_S)
            screen.update(view.table(), refresh=True)


def _listen(view: StreamView, until: float) -> None:
    while (left := until - time.monotonic()) > 0:
        message = view.subscriber.receive(timeout_ms=max(1, int(left * 1000)))
        if message is not None:
            view.add(message)


def _points3d(keypoints: tuple[str, ...], pose: Pose3D) -> Table:
    table = Table("keypoint", "x mm", "y mm", "z mm", "sd mm", "views", "error px", box=None)
    for name, point in zip(keypoints, pose.points, strict=False):
        deviation = float(np.sqrt(point[[3, 6, 8]].sum()))
        numbers = [*(f"{value:.1f}" for value in point[:3]), f"{deviation:.2f}", f"{point[9]:.0f}"]
        table.add_row(name, *numbers, f"{point[10]:.2f}")
    return table


def _points2d(keypoints: tuple[str, ...], pose: PoseSet) -> Table:
    table = Table("keypoint", *(f"camera {n}: x, y" for n in range(len(pose.keypoints))), box=None)
    for number, name in enumerate(keypoints[: pose.keypoints.shape[1]]):
        table.add_row(name, *(f"{x:.1f}, {y:.1f}" for x, y, _ in pose.keypoints[:, number]))
    return table

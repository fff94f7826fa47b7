"""The receiving end of the stream: `PoseSubscriber`. Needs pyzmq, msgspec and numpy only."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import zmq

from calibration.poses import Pose3D, PoseSet
from deploy.messages import TOPICS, Body, Event, Header, Health, MalformedMessage, Session, decode

__all__ = ["Event", "Health", "Pose3D", "PoseSet", "PoseSubscriber", "Received", "Session"]

_QUEUE = 4096  # messages kept while the caller is busy; what overflows shows as a loss
_LARGEST_BYTES = 64 << 20
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Received:
    """A message and how it came.

    Attributes
    ----------
    topic, header, body:
        `body` is `PoseSet` (topic pose2d), `Pose3D` (pose3d), `Session`, `Health` or `Event`.
    session:
        The announcement of the session the message belongs to; None until it has been heard.
    t_received_ns:
        CLOCK_MONOTONIC of this host.
    lost_before:
        Messages of this topic lost just before this one.
    new_session:
        Whether this is the first message of a session: the publisher is new, or started again.
    age_ns:
        Time since `header.t_valid_ns`; None while the publisher is not known to share this host's clock.
    """

    topic: str
    header: Header
    body: Body
    session: Session | None
    t_received_ns: int
    lost_before: int
    new_session: bool
    age_ns: int | None


class PoseSubscriber:
    """Messages of a rigpose stream, with losses and lateness counted.

    The publisher need not be there yet, and may come and go. Use it in one thread.

    Parameters
    ----------
    endpoint:
        What the publisher binds, `tcp://127.0.0.1:5555`.
    topics:
        Which of session, pose2d, pose3d, health, event to receive. The session is always listened to, and
        yielded only if named here.

    Attributes
    ----------
    received, lost:
        Counts by topic. A loss is a gap in the sequence within a session.
    malformed:
        Messages that were not of this protocol and version; they are passed over. `malformed_last` says why.
    sessions:
        How many sessions were seen.
    """

    def __init__(
        self, endpoint: str = "tcp://127.0.0.1:5555", topics: Sequence[str] = ("session", "pose2d", "pose3d")
    ) -> None:
        unknown = set(topics) - set(TOPICS)
        if unknown:
            raise ValueError(f"unknown topics {sorted(unknown)}; there are {', '.join(TOPICS)}")
        self.endpoint = endpoint
        self.received = dict.fromkeys(TOPICS, 0)
        self.lost = dict.fromkeys(TOPICS, 0)
        self.malformed = 0
        self.malformed_last = ""
        self.sessions = 0
        self.session: Session | None = None
        self._wanted = frozenset(topics)
        self._session_id = ""
        self._next: dict[str, int] = {}
        self._boot_id = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, _QUEUE)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.IPV6, int("[" in endpoint))
        self._socket.set(zmq.MAXMSGSIZE, _LARGEST_BYTES)
        self._socket.set(zmq.RECONNECT_IVL, 50)
        self._socket.set(zmq.RECONNECT_IVL_MAX, 500)
        # A publisher whose host vanished closes no connection: heartbeats notice, and reconnect.
        self._socket.set(zmq.HEARTBEAT_IVL, 1000)
        self._socket.set(zmq.HEARTBEAT_TIMEOUT, 3000)
        for topic in self._wanted | {"session"}:
            self._socket.subscribe(topic)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ValueError(f"'{endpoint}' is no address to connect to: {error}") from None

    def __enter__(self) -> PoseSubscriber:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Received]:
        """Messages for ever; blocks while there is none."""
        while True:
            message = self.receive()
            if message is not None:
                yield message

    def receive(self, timeout_ms: int | None = None) -> Received | None:
        """The next message, or None if none came within `timeout_ms` (None: waits for ever)."""
        deadline = None if timeout_ms is None else time.monotonic_ns() + timeout_ms * 1_000_000
        while True:
            wait_ms = None
            if deadline is not None:
                wait_ms = max(0, -(-(deadline - time.monotonic_ns()) // 1_000_000))
            if not self._socket.poll(wait_ms):
                return None
            message = self._take()
            if message is not None:
                return message
            if deadline is not None and time.monotonic_ns() >= deadline:
                return None

    def close(self) -> None:
        """Disconnect. May be called twice."""
        self._socket.close(0)
        self._context.term()

    def _take(self) -> Received | None:
        """The message at hand, accounted for; None if it is not for the caller."""
        frames = self._socket.recv_multipart(zmq.NOBLOCK)
        received_ns = time.monotonic_ns()
        try:
            message = decode(frames)
        except MalformedMessage as error:
            self.malformed += 1
            self.malformed_last = str(error)
            return None
        header, topic = message.header, message.topic
        new_session = header.session != self._session_id
        if new_session:
            self._session_id = header.session
            self.session = None
            self._next.clear()
            self.sessions += 1
        # A topic's first message in a session tells of no loss: one may join late.
        lost = max(0, header.sequence - self._next.get(topic, header.sequence))
        self._next[topic] = header.sequence + 1
        self.received[topic] += 1
        self.lost[topic] += lost
        if isinstance(message.body, Session):
            self.session = message.body
        if topic not in self._wanted:
            return None
        same_clock = self.session is not None and self._boot_id == self.session.clock.boot_id != ""
        age_ns = received_ns - header.t_valid_ns if same_clock else None
        return Received(
            topic, header, message.body, self.session, received_ns, lost, new_session, age_ns
        )  # fmt: skip

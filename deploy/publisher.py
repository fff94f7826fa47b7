"""The publishing end of the stream: binds, announces the session, never waits for a subscriber."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import zmq

from acquisition.errors import RigposeError
from calibration.poses import Pose3D, PoseSet
from deploy.messages import (
    NO_SET,
    TOPICS,
    VERSION,
    Body,
    Event,
    Header,
    Health,
    Kind,
    Session,
    encode,
    payload_of,
    topic_of,
)
from deploy.stream_settings import StreamSettings

ANNOUNCE_NS = 1_000_000_000
_CLOSE_MS = 200  # what is queued when the publisher closes has this long to leave


@dataclass(frozen=True, slots=True)
class Stamps:
    """When a frame set was where; rig clock. See `messages.Header`."""

    t_arrival_ns: int
    t_inference_start_ns: int
    t_inference_end_ns: int


class Publisher:
    """One stream session on one endpoint. Use it in one thread, as a context manager.

    `describe` is called for each announcement, so that the clock pair and the recording in it are fresh.

    Raises
    ------
    RigposeError
        If the endpoint cannot be bound.
    """

    def __init__(self, settings: StreamSettings, describe: Callable[[], Session]) -> None:
        self.session_id = secrets.token_hex(8)
        self.published = dict.fromkeys(TOPICS, 0)
        self.overflows = 0
        self._describe = describe
        self._announced_ns = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.set(zmq.SNDHWM, settings.high_water_mark)
        self._socket.set(zmq.LINGER, _CLOSE_MS)
        self._socket.set(zmq.IPV6, int("[" in settings.endpoint))
        # Verbose: a second subscriber to the same topic is told to us as well, and hears the session at once.
        self._socket.set(zmq.XPUB_VERBOSE, 1)
        self._socket.set(zmq.XPUB_NODROP, 1)
        try:
            _bind(self._socket, settings.endpoint)
        except BaseException:
            self._socket.close(0)
            self._context.term()
            raise
        self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self.announce()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def service(self) -> None:
        """Answer joins, and announce the session each second. Call it at least every 100 ms."""
        joined = False
        while self._socket.poll(0):
            request = self._socket.recv(zmq.NOBLOCK)
            joined |= request[:1] == b"\x01" and b"session".startswith(request[1:])
        if joined or time.monotonic_ns() - self._announced_ns >= ANNOUNCE_NS:
            self.announce()

    def announce(self) -> None:
        """Publish the session now."""
        self._announced_ns = time.monotonic_ns()
        self._send(self._describe(), t_valid_ns=self._announced_ns)

    def pose(self, pose: PoseSet | Pose3D, stamps: Stamps, kind: Kind = "measured") -> int:
        """Publish a pose of its frame set; returns `t_publish_ns`."""
        return self._send(
            pose, index=pose.index, t_valid_ns=pose.t_exposure_ns, exposure_ns=pose.t_exposure_ns,
            stamps=stamps, kind=kind,
        )  # fmt: skip

    def health(self, counters: Mapping[str, Mapping[str, int | float]]) -> None:
        """Publish counters; those of the stream itself are added under "stream"."""
        everything = {source: dict(counts) for source, counts in counters.items()} | {
            "stream": self.counters()
        }
        self._send(Health(everything), t_valid_ns=time.monotonic_ns())

    def counters(self) -> dict[str, int | float]:
        """Messages published by topic, and overflows of a slow subscriber's queue.

        ZeroMQ shows that a queue ran full, once each time; what that subscriber then missed it counts itself,
        by the gap in the sequence.
        """
        published: dict[str, int | float] = {f"{topic}_published": n for topic, n in self.published.items()}
        return {**published, "subscriber_overflows": self.overflows}

    def event(self, event: Event, t_ns: int, index: int = NO_SET) -> None:
        """Publish that something happened at `t_ns`."""
        self._send(event, t_valid_ns=t_ns, index=index)

    def close(self) -> None:
        """Let what is queued leave, for at most 200 ms, and give the endpoint back."""
        self._socket.close()
        self._context.term()

    def _send(
        self, body: Body, *, t_valid_ns: int, index: int = NO_SET, exposure_ns: int = 0,
        stamps: Stamps = Stamps(0, 0, 0), kind: Kind = "measured",
    ) -> int:  # fmt: skip
        topic = topic_of(body)
        payload, shape, dtype = payload_of(body)
        published_ns = time.monotonic_ns()
        header = Header(
            VERSION, self.session_id, self.published[topic], index, kind, exposure_ns, stamps.t_arrival_ns,
            stamps.t_inference_start_ns, stamps.t_inference_end_ns, published_ns, t_valid_ns, shape, dtype,
        )  # fmt: skip
        frames = encode(topic, header, payload)
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            # A subscriber's queue just ran full. With NODROP the send fails for all; without, it passes over
            # that queue until it is half empty. The failure is the only sign ZeroMQ gives.
            self.overflows += 1
            self._socket.set(zmq.XPUB_NODROP, 0)
            self._socket.send_multipart(frames, zmq.NOBLOCK)
            self._socket.set(zmq.XPUB_NODROP, 1)
        self.published[topic] += 1
        return published_ns


def require_free(settings: StreamSettings) -> None:
    """Bind the endpoint and let go of it: whoever starts a publisher elsewhere learns early that it cannot.

    Raises
    ------
    RigposeError
        If the endpoint cannot be bound.
    """
    with zmq.Context() as context, context.socket(zmq.XPUB) as probe:
        probe.set(zmq.LINGER, 0)
        probe.set(zmq.IPV6, int("[" in settings.endpoint))
        _bind(probe, settings.endpoint)


def _bind(zmq_socket: zmq.Socket[bytes], endpoint: str) -> None:
    if endpoint.startswith("ipc://"):
        _claim(Path(endpoint.removeprefix("ipc://")), endpoint)
    try:
        zmq_socket.bind(endpoint)
    except zmq.ZMQError as error:
        if error.errno == errno.EADDRINUSE:
            raise _in_use(endpoint) from None
        raise RigposeError(
            f"stream endpoint {endpoint}", expected="an address that can be bound",
            found=os.strerror(error.errno or 0), remedy="Change stream.endpoint in the rig file",
        ) from None  # fmt: skip


def _claim(path: Path, endpoint: str) -> None:
    """ZeroMQ unlinks whatever stands at an ipc path before it binds: make sure that is a dead socket."""
    if str(path).startswith("@"):
        return
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # nothing there; a missing folder is reported by bind
    if not stat.S_ISSOCK(mode):
        raise RigposeError(
            f"stream endpoint {endpoint}", expected="a socket or nothing at that path", found="a file",
            remedy="Change stream.endpoint in the rig file",
        )  # fmt: skip
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise _in_use(endpoint)


def _in_use(endpoint: str) -> RigposeError:
    return RigposeError(
        f"stream endpoint {endpoint}", expected="a free address", found="one in use by another process",
        remedy="Stop the other 'rigpose live', or set another stream.endpoint in the rig file",
    )  # fmt: skip

"""The publishing end of the stream: binds, announces the session, never waits for a subscriber."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

import msgspec
import zmq

from calibration.poses import Pose3D, PoseSet
from deploy.stream.authentication import Gate
from deploy.stream.clock_offset import TimeEcho
from deploy.stream.endpoint import beside, bind
from deploy.stream.keys import server_pair
from deploy.stream.messages import (
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
from deploy.stream.settings import StreamSettings

ANNOUNCE_NS = 1_000_000_000
_CLOSE_MS = 200  # what is queued when the publisher closes has this long to leave
_LARGEST_REQUEST_BYTES = 4096  # what subscribers send is a topic
# A subscriber whose host vanished, or whose process stands still, is let go after this time.
_HEARTBEAT_MS, _SILENCE_MS = 2_000, 10_000


@dataclass(frozen=True, slots=True)
class Stamps:
    """When a frame set was where; rig clock. See `messages.Header`."""

    t_arrival_ns: int
    t_inference_start_ns: int
    t_inference_end_ns: int


class Publisher:
    """One stream session on one endpoint. Use it in one thread, as a context manager.

    `describe` is called for each announcement, so that the clock pair and the recording in it are fresh.

    Parameters
    ----------
    settings:
        Where to publish, and the folder of keys, if any.
    describe:
        The session as things are now.
    insider:
        A public key that may listen besides those on the list of clients: of a process of the same run.

    Attributes
    ----------
    session_id:
        Id of the stream session.
    endpoint:
        The address as it was bound.
    published:
        Messages by topic.
    overflows:
        How often a slow subscriber's queue ran full.
    joins:
        How often somebody subscribed to `session`.

    Raises
    ------
    RigposeError
        If the endpoint cannot be bound, or the keys cannot be read.
    """

    def __init__(
        self, settings: StreamSettings, describe: Callable[[], Session], *, insider: str = ""
    ) -> None:
        self.overflows = 0
        self.joins = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._gate: Gate | None = None
        self._echo: TimeEcho | None = None
        self._echo_port = 0
        self._refusals_ns = 0
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.set(zmq.SNDHWM, settings.high_water_mark)
        self._socket.set(zmq.LINGER, _CLOSE_MS)
        self._socket.set(zmq.MAXMSGSIZE, _LARGEST_REQUEST_BYTES)
        self._socket.set(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
        self._socket.set(zmq.HEARTBEAT_TIMEOUT, _SILENCE_MS)
        # Verbose: a second subscriber to the same topic is told to us as well, and hears the session at once.
        self._socket.set(zmq.XPUB_VERBOSE, 1)
        self._socket.set(zmq.XPUB_NODROP, 1)
        try:
            if settings.keys is not None:
                self._gate = Gate(self._context, server_pair(settings.keys), settings.keys, insider)
                self._gate.protect(self._socket)
            self.endpoint = bind(self._socket, settings.endpoint)
            if self._gate is not None and self.endpoint.startswith("tcp:"):
                self._start_echo(self._gate, beside(self.endpoint, settings.echo_port))
        except BaseException:
            self.close()
            raise
        self.begin_session(describe)

    def begin_session(self, describe: Callable[[], Session]) -> None:
        """Begin another stream session on the same endpoint: new id, sequences from 0."""
        self._describe = describe
        self.session_id = secrets.token_hex(8)
        self.published = dict.fromkeys(TOPICS, 0)
        self.announce()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def service(self) -> None:
        """Let clients in, answer joins, announce the session each second. Call it at least every 100 ms."""
        if self._gate is not None:
            self._gate.service()
            self._tell_of_refusals(self._gate)
        joins = self.joins
        while self._socket.poll(0):
            request = self._socket.recv(zmq.NOBLOCK, copy=False)
            asked = request.bytes
            if asked[:1] == b"\x01" and (self._gate is None or self._gate.subscribed(request)):
                self.joins += b"session".startswith(asked[1:])
        if self.joins > joins or time.monotonic_ns() - self._announced_ns >= ANNOUNCE_NS:
            self.announce()

    def announce(self) -> None:
        """Publish the session now."""
        self._announced_ns = time.monotonic_ns()
        session = self._describe()
        if self._echo_port:
            clock = msgspec.structs.replace(session.clock, echo_port=self._echo_port)
            session = msgspec.structs.replace(session, clock=clock)
        self._send(session, t_valid_ns=self._announced_ns)

    def pose(
        self, pose: PoseSet | Pose3D, stamps: Stamps, kind: Kind = "measured", t_valid_ns: int | None = None
    ) -> int:
        """Publish a pose of its frame set, by default for its exposure; returns `t_publish_ns`."""
        valid_ns = pose.t_exposure_ns if t_valid_ns is None else t_valid_ns
        return self._send(
            pose, index=pose.index, t_valid_ns=valid_ns, exposure_ns=pose.t_exposure_ns,
            stamps=stamps, kind=kind,
        )  # fmt: skip

    def health(self, counters: Mapping[str, Mapping[str, int | float]]) -> None:
        """Publish counters; those of the stream itself are added under "stream"."""
        everything = {source: dict(counts) for source, counts in counters.items()} | {
            "stream": self.counters()
        }
        self._send(Health(everything), t_valid_ns=time.monotonic_ns())

    def counters(self) -> dict[str, int | float]:
        """Messages published by topic, overflows of a slow subscriber's queue, clients let in and refused.

        ZeroMQ shows that a queue ran full, once each time; what that subscriber then missed it counts itself,
        by the gap in the sequence.
        """
        published: dict[str, int | float] = {f"{topic}_published": n for topic, n in self.published.items()}
        clients = {} if self._gate is None else self._gate.counters()
        return {**published, "subscriber_overflows": self.overflows, **clients}

    def event(self, event: Event, t_ns: int, index: int = NO_SET) -> None:
        """Publish that something happened at `t_ns`."""
        self._send(event, t_valid_ns=t_ns, index=index)

    def close(self) -> None:
        """Let what is queued leave, for at most 200 ms, and give the endpoint back."""
        self._socket.close()
        if self._gate is not None:
            self._gate.close()
        self._context.term()
        if self._echo is not None:
            self._echo.join()

    def _start_echo(self, gate: Gate, endpoint: str) -> None:
        """The time echo for other hosts, behind the same gate."""
        echo = self._context.socket(zmq.REP)
        try:
            echo.set(zmq.LINGER, 0)
            echo.set(zmq.MAXMSGSIZE, _LARGEST_REQUEST_BYTES)
            gate.protect(echo)
            self._echo_port = urlsplit(bind(echo, endpoint)).port or 0
        except BaseException:
            echo.close(0)
            raise
        self._echo = TimeEcho(echo, gate.admits)

    def _tell_of_refusals(self, gate: Gate) -> None:
        """One event a second at most: somebody who knocks all the time fills nobody's queue."""
        now_ns = time.monotonic_ns()
        if now_ns - self._refusals_ns < ANNOUNCE_NS:
            return
        lines = gate.tell()
        if lines:
            self._refusals_ns = now_ns
            self.event(Event("clients", "stream", "; ".join(lines)), now_ns)

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

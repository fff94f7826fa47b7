"""The receiving end of the stream: `PoseSubscriber`. Needs pyzmq, msgspec and numpy only."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from urllib.parse import urlsplit

import msgspec
import zmq
from zmq.utils.monitor import parse_monitor_message

from calibration.poses import Pose3D, PoseSet
from deploy.stream.arrivals import Arrivals, Received
from deploy.stream.clock_offset import ClockExchange, ClockOffset
from deploy.stream.endpoint import beside
from deploy.stream.keys import ClientKeys
from deploy.stream.messages import TOPICS, Event, Health, Kind, Session

__all__ = ["ClientKeys", "Event", "Health", "Pose3D", "PoseSet", "PoseSubscriber", "Received", "Session"]

_QUEUE = 4096  # messages kept while the caller is busy; what overflows shows as a loss
_LARGEST_BYTES = 64 << 20
_WAKE_MS = 500  # how long at most nobody looks after the connection and the clocks
_UPKEEP_NS = 20_000_000
_KNOCK_NS = 1_000_000_000  # between attempts of one who was refused
_REFUSALS: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the publisher does not allow this key",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "one side has keys and the other none",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the publisher hung up: is its public key the right one?",
}


class PoseSubscriber(Arrivals):
    """Messages of a rigpose stream, with losses and lateness counted.

    The publisher need not be there yet, and may come and go. Use it in one thread: `receive` blocks,
    `receive(timeout_ms)` waits so long, `await receive_async()` waits in an event loop; `for` and `async for`
    give messages for ever.

    Parameters
    ----------
    endpoint:
        What the publisher binds, `tcp://127.0.0.1:5555`.
    topics:
        Which of session, pose2d, pose3d, health, event to receive. The session is always listened to, and
        yielded only if named here.
    kinds:
        Which of measured, filtered, predicted poses to receive; all count for losses.
    keys:
        For a stream with keys: `deploy.stream.keys.client_keys(server_public_file, own_secret_file)`.

    Attributes
    ----------
    received, lost, malformed, malformed_last, sessions, session:
        See `Arrivals`.
    connected:
        Whether there is a connection, as far as `receive` has looked.
    refused:
        Why the last attempt to connect was refused; "" where it was not.
    """

    def __init__(
        self,
        endpoint: str = "tcp://127.0.0.1:5555",
        topics: Sequence[str] = ("session", "pose2d", "pose3d"),
        keys: ClientKeys | None = None,
        kinds: Sequence[Kind] = ("measured",),
    ) -> None:
        unknown = set(topics) - set(TOPICS)
        if unknown:
            raise ValueError(f"unknown topics {sorted(unknown)}; there are {', '.join(TOPICS)}")
        super().__init__()
        self.endpoint = endpoint
        self.connected = False
        self.refused = ""
        self._wanted = frozenset(topics)
        self._kinds = frozenset(kinds)
        self._keys = keys
        self._knock_ns = 0  # when to try again after a refusal; 0: nothing to do
        self._clock: ClockExchange | None = None
        self._clock_port = 0
        self._upkeep_ns = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._new_socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, _QUEUE)
        self._socket.set(zmq.MAXMSGSIZE, _LARGEST_BYTES)
        self._socket.set(zmq.RECONNECT_IVL, 50)
        self._socket.set(zmq.RECONNECT_IVL_MAX, 500)
        # A publisher whose host vanished closes no connection: heartbeats notice, and reconnect.
        self._socket.set(zmq.HEARTBEAT_IVL, 1000)
        self._socket.set(zmq.HEARTBEAT_TIMEOUT, 3000)
        self._socket.monitor(
            "inproc://monitor", sum(_REFUSALS) | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        self._monitor = self._context.socket(zmq.PAIR)
        self._monitor.set(zmq.RCVHWM, 0)  # a full queue would hold up ZeroMQ's own thread
        self._monitor.connect("inproc://monitor")
        # The session last: who has joined it has joined everything.
        for topic in (*sorted(self._wanted - {"session"}), "session"):
            self._socket.subscribe(topic)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
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

    async def __aiter__(self) -> AsyncIterator[Received]:
        """Messages for ever."""
        while True:
            message = await self.receive_async()
            if message is not None:
                yield message

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], ...]:
        """What to wait for together with other sockets; then `receive(timeout_ms=0)`, at least twice a
        second. They change when clocks begin to be compared."""
        return tuple(zmq_socket for zmq_socket, _ in self._poller.sockets)

    @property
    def silent_s(self) -> float | None:
        """Seconds since the last message; None before the first. The session comes every second."""
        return (time.monotonic_ns() - self.heard_ns) * 1e-9 if self.heard_ns else None

    @property
    def clock_offset(self) -> ClockOffset | None:
        """The publisher's clock against ours; None as long as it is not known."""
        if self.same_clock:
            return ClockOffset(0, 0)
        return None if self._clock is None else self._clock.estimate.at(time.monotonic_ns())

    def receive(self, timeout_ms: int | None = None) -> Received | None:
        """The next message, or None if none came within `timeout_ms` (None: waits for ever)."""
        deadline_ns = _deadline_ns(timeout_ms)
        while True:
            self._poller.poll(_wait_ms(deadline_ns))
            message = self._take()
            if message is not None:
                return message
            if self._waited(deadline_ns):
                return None

    async def receive_async(self, timeout_ms: int | None = None) -> Received | None:
        """The same in an event loop. May be cancelled: a message not returned is still to come."""
        import asyncio

        import zmq.asyncio

        deadline_ns = _deadline_ns(timeout_ms)
        while True:
            if self._socket.poll(0):
                await asyncio.sleep(0)  # others have their turn, however fast messages come
            else:
                poller = zmq.asyncio.Poller()
                for zmq_socket, events in self._poller.sockets:
                    poller.register(zmq_socket, events)
                await poller.poll(_wait_ms(deadline_ns))
            message = self._take()
            if message is not None:
                return message
            if self._waited(deadline_ns):
                return None

    def _waited(self, deadline_ns: int | None) -> bool:
        """Whether the time is over, and nothing more lies there: what was taken last may not be wanted."""
        return deadline_ns is not None and time.monotonic_ns() >= deadline_ns and not self._socket.poll(0)

    def close(self) -> None:
        """Disconnect. May be called twice."""
        if self._clock is not None:
            self._clock.close()
        self._socket.close(0)
        self._monitor.close(0)
        self._context.term()

    def _take(self) -> Received | None:
        """The message at hand, accounted for; None if there is none for the caller."""
        now_ns = time.monotonic_ns()
        if self._clock is not None:
            self._clock.take()
        if now_ns >= self._upkeep_ns:
            self._upkeep(now_ns)
        try:
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        received_ns = time.monotonic_ns()
        offset = None if self._clock is None else self._clock.estimate.at(received_ns)
        message = self.account(frames, received_ns, offset)
        if message is None or message.topic not in self._wanted:
            return None
        unwanted = isinstance(message.body, PoseSet | Pose3D) and message.header.kind not in self._kinds
        return None if unwanted else message

    def _upkeep(self, now_ns: int) -> None:
        """Follow the connection, knock again after a refusal, ask for the time."""
        self._upkeep_ns = now_ns + _UPKEEP_NS
        while self._monitor.poll(0):
            self._connection(parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))["event"])
        if self._knock_ns and now_ns >= self._knock_ns:
            self._knock_ns = 0
            # ZeroMQ does not come back by itself to where it was told to go away.
            with contextlib.suppress(zmq.ZMQError):  # it has let go of the address already
                self._socket.disconnect(self.endpoint)
            self._socket.connect(self.endpoint)
        if self.session is not None:
            told = self.session.clock.echo_port
            port = 0 if self.same_clock or told is msgspec.UNSET else told
            if port != self._clock_port:
                self._compare_clocks(port)
        if self._clock is not None:
            self._clock.ask_if_due(now_ns)

    def _connection(self, event: int) -> None:
        if event in _REFUSALS:
            self.refused = _REFUSALS[event]
            if event != zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:  # from there it comes back by itself
                self._knock_ns = time.monotonic_ns() + _KNOCK_NS
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.connected, self.refused, self._knock_ns = True, "", 0
        else:
            self.connected = False

    def _compare_clocks(self, port: int) -> None:
        """Begin with the time echo at `port` of the publisher's host, end with the one there was."""
        if self._clock is not None:
            self._poller.unregister(self._clock.socket)
            self._clock.close()
            self._clock = None
        self._clock_port = port
        if port and urlsplit(self.endpoint).scheme == "tcp":
            zmq_socket = self._new_socket(zmq.DEALER)
            zmq_socket.set(zmq.SNDHWM, 8)
            zmq_socket.set(zmq.MAXMSGSIZE, 1024)
            zmq_socket.connect(beside(self.endpoint, port))
            self._clock = ClockExchange(zmq_socket)
            self._poller.register(zmq_socket, zmq.POLLIN)

    def _new_socket(self, kind: int) -> zmq.Socket[bytes]:
        """A socket with our keys."""
        zmq_socket = self._context.socket(kind)
        zmq_socket.set(zmq.LINGER, 0)
        zmq_socket.set(zmq.IPV6, int("[" in self.endpoint))
        if self._keys is not None:
            zmq_socket.set(zmq.CURVE_SERVERKEY, self._keys.server.encode())
            zmq_socket.set(zmq.CURVE_PUBLICKEY, self._keys.own.public.encode())
            zmq_socket.set(zmq.CURVE_SECRETKEY, self._keys.own.secret.encode())
        return zmq_socket


def _deadline_ns(timeout_ms: int | None) -> int | None:
    return None if timeout_ms is None else time.monotonic_ns() + timeout_ms * 1_000_000


def _wait_ms(deadline_ns: int | None) -> int:
    """How long to wait before looking after the connection."""
    if deadline_ns is None:
        return _WAKE_MS
    return min(_WAKE_MS, max(0, -(-(deadline_ns - time.monotonic_ns()) // 1_000_000)))

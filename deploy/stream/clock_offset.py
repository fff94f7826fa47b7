"""How far another host's clock is from ours: a time echo, and what a client makes of its answers.

A request goes out at t1 (client's clock), is taken up at t2 and answered at t3 (server's clock), and the
answer is here at t4. The server's clock is ahead by theta, and nothing travels backwards in time:
`t3 - t4 <= theta <= t2 - t1`. The middle is the estimate, half the width its uncertainty (as in NTP, RFC
5905, without trusting that both ways take as long). The exchange with the shortest way there and back is
used; it ages by what two quartz clocks may drift apart.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec
import zmq

ECHO_VERSION = 1
_DRIFT = 100e-6  # two clocks of 50 ppm each
_KEPT = 64
_FIRST, _FIRST_EACH_NS = 8, 20_000_000
_EACH_NS = 1_000_000_000
_LARGEST_BYTES = 1024

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class EchoRequest(msgspec.Struct, array_like=True, frozen=True):
    """What a client sends: the version, and t1, which comes back as it is."""

    version: int
    t_request_ns: _Int64


class EchoAnswer(msgspec.Struct, array_like=True, frozen=True):
    """What the echo answers: the version, t1 as it was sent, t2 and t3."""

    version: int
    t_request_ns: _Int64
    t_taken_ns: _Int64
    t_answered_ns: _Int64


_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(EchoRequest).decode
_decode_answer = msgspec.msgpack.Decoder(EchoAnswer).decode


def answer(request: bytes, t_taken_ns: int, now_ns: Callable[[], int] = time.monotonic_ns) -> bytes:
    """The answer to a request taken up at `t_taken_ns`; empty to what is no request."""
    try:
        asked = _decode_request(request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""
    if asked.version != ECHO_VERSION:
        return b""
    return _encode(EchoAnswer(ECHO_VERSION, asked.t_request_ns, t_taken_ns, now_ns()))


class TimeEcho:
    """Answers time requests in a thread of its own, until the context of its socket is terminated.

    Parameters
    ----------
    zmq_socket:
        A bound REP socket; from now on it is this thread's.
    admits:
        Whether a client's key (ZeroMQ's User-Id) may be answered.
    """

    def __init__(self, zmq_socket: zmq.Socket[bytes], admits: Callable[[str], bool]) -> None:
        self._socket = zmq_socket
        self._admits = admits
        self._thread = threading.Thread(target=self._run, name="time echo", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the thread; the context is terminated at the same time or before."""
        self._thread.join()

    def _run(self) -> None:
        with self._socket:
            while True:
                try:
                    *_, request = self._socket.recv_multipart(copy=False)
                    taken_ns = time.monotonic_ns()
                    reply = answer(request.bytes, taken_ns) if self._is_known(request) else b""
                    self._socket.send(reply)
                except zmq.ContextTerminated:
                    return

    def _is_known(self, request: zmq.Frame) -> bool:
        try:
            return self._admits(str(request.get("User-Id")))
        except zmq.ZMQError:  # a connection that was not asked for keys
            return False


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The other clock is ahead of ours by `offset_ns`, to half width `uncertainty_ns`."""

    offset_ns: int
    uncertainty_ns: int


class OffsetEstimate:
    """The best of the newest exchanges."""

    def __init__(self) -> None:
        self._exchanges: deque[tuple[int, ClockOffset]] = deque(maxlen=_KEPT)

    def add(self, t_request_ns: int, t_taken_ns: int, t_answered_ns: int, t_here_ns: int) -> None:
        """Take in an exchange: t1 to t4. One that would run backwards in time is left out."""
        low_ns, high_ns = t_answered_ns - t_here_ns, t_taken_ns - t_request_ns
        if t_answered_ns < t_taken_ns or high_ns < low_ns:
            return
        half_ns = -(-(high_ns - low_ns) // 2)
        self._exchanges.append((t_here_ns, ClockOffset((low_ns + high_ns) // 2, half_ns + 1)))

    def at(self, now_ns: int) -> ClockOffset | None:
        """The offset at an instant of our clock; None as long as there is no exchange."""
        aged = (
            ClockOffset(kept.offset_ns, kept.uncertainty_ns + round(_DRIFT * max(0, now_ns - t_ns)))
            for t_ns, kept in self._exchanges
        )
        return min(aged, key=lambda offset: offset.uncertainty_ns, default=None)


class ClockExchange:
    """The client's end: asks eight times at first, then each second. Use it in the subscriber's thread.

    `socket` (DEALER, connected) is readable when an answer is here.
    """

    def __init__(self, zmq_socket: zmq.Socket[bytes]) -> None:
        self.socket = zmq_socket
        self.estimate = OffsetEstimate()
        self._asked = 0
        self._asked_ns = 0

    def ask_if_due(self, now_ns: int) -> None:
        """Send a request where it is time for one."""
        each_ns = _FIRST_EACH_NS if self._asked < _FIRST else _EACH_NS
        if self._asked and now_ns - self._asked_ns < each_ns:
            return
        self._asked += 1
        self._asked_ns = now_ns
        try:
            request = _encode(EchoRequest(ECHO_VERSION, time.monotonic_ns()))
            self.socket.send_multipart([b"", request], zmq.NOBLOCK)
        except zmq.Again:
            pass  # not connected yet, or the queue is full of requests that nobody answers

    def take(self) -> None:
        """Take in the answers that are here."""
        while self.socket.poll(0):
            frames = self.socket.recv_multipart(zmq.NOBLOCK)
            here_ns = time.monotonic_ns()
            if len(frames) == 2 and not frames[0] and len(frames[1]) <= _LARGEST_BYTES:
                self.hear(frames[1], here_ns)

    def hear(self, content: bytes, t_here_ns: int) -> None:
        """Take in one answer, whoever sent it; what is none is passed over."""
        try:
            told = _decode_answer(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        # An answer to a question from before this exchange, or from the future, is somebody else's.
        if told.version == ECHO_VERSION and told.t_request_ns <= t_here_ns:
            self.estimate.add(told.t_request_ns, told.t_taken_ns, told.t_answered_ns, t_here_ns)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(0)

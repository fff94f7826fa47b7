"""A supervised process from the inside: reporting counters, being told things, being stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from acquisition.errors import RigposeError

_REPORT_NS = 250_000_000
_ORPHAN_GRACE_S = 5.0


def encode(message: dict[str, Any]) -> bytes:
    """A message between parent and child."""
    return json.dumps(message, separators=(",", ":")).encode()


def decode(packet: bytes) -> dict[str, Any]:
    """The inverse of `encode`."""
    message: dict[str, Any] = json.loads(packet)
    return message


class ChildLink:
    """What a supervised process holds of its parent. Thread-safe.

    Attributes
    ----------
    name:
        The process's name in the table.
    told:
        The facts the parent has told so far (`Supervisor.tell`), merged. Replaced, never changed in
        place, so it can be read from any thread.
    """

    def __init__(self, name: str, link: socket.socket) -> None:
        self.name = name
        self.told: dict[str, Any] = {}
        self._link = link
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._counters: dict[str, Any] = {}
        self._reported_ns = 0
        threading.Thread(target=self._listen, name="link", daemon=True).start()

    @property
    def stopping(self) -> bool:
        """Whether the process is to end now: told so, terminated, or its parent is gone."""
        return self._stop.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Sleep until it is time to stop or the time is over; whether to stop."""
        return self._stop.wait(timeout_s)

    def stop(self) -> None:
        """Ask this process to end, from inside."""
        self._stop.set()

    def report(self, now: bool = False, **counters: Any) -> None:
        """Merge `counters` (JSON-able) and send all of them, at most every 0.25 s unless `now`."""
        with self._lock:
            self._counters.update(counters)
            t_ns = time.monotonic_ns()
            if not now and t_ns - self._reported_ns < _REPORT_NS:
                return
            self._reported_ns = t_ns
            with contextlib.suppress(OSError):  # a parent that does not listen misses a report, no more
                self._link.send(encode(self._counters), 0 if now else socket.MSG_DONTWAIT)

    def fail(self, error: RigposeError) -> None:
        """Hand the parent the reason why this process cannot do its work."""
        parts = [error.whose, error.expected, error.found, error.remedy]
        with contextlib.suppress(OSError):
            self._link.send(encode({"error": parts}))

    @staticmethod
    def error_of(parts: list[str]) -> RigposeError:
        """The error that `fail` sent."""
        return RigposeError(parts[0], expected=parts[1], found=parts[2], remedy=parts[3])

    def _listen(self) -> None:
        while True:
            try:
                packet = self._link.recv(1 << 18)
            except OSError:
                packet = b""
            if not packet:
                break
            message = decode(packet)
            if "told" in message:
                self.told = {**self.told, **message["told"]}
            if message.get("stop"):
                self._stop.set()
        # The parent is gone. A process that cannot end by itself must not stay behind.
        self._stop.set()
        time.sleep(_ORPHAN_GRACE_S)
        os._exit(1)


def run_child(name: str, link: socket.socket, target: Callable[..., None], args: tuple[Any, ...]) -> None:
    """The first function of every supervised process."""
    # Ctrl-C reaches the whole terminal group; the parent alone decides the order of stopping.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = ChildLink(name, link)
    signal.signal(signal.SIGTERM, lambda *_: child.stop())
    try:
        target(child, *args)
        child.report(now=True)
    except RigposeError as error:
        child.fail(error)
        sys.exit(2)

"""All rings of a rig read together, reconnecting to cameras whose capture was restarted."""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from pathlib import Path

from acquisition.rings.ring import Leased, RingReader, ring_path

_RETRY_NS = 50_000_000
_RETRY_MS = 50


class RingReaders:
    """The rings of `cameras` under one roof.

    Parameters
    ----------
    runtime:
        Folder of the rings' sockets.
    cameras:
        Names in rig order.
    name:
        What this reader is called in the writers' counters.
    """

    def __init__(self, runtime: Path, cameras: Sequence[str], name: str) -> None:
        self.readers = {camera: RingReader(ring_path(runtime, camera), name) for camera in cameras}
        self._seen: set[str] = set()
        self._gone: list[str] = []
        self._next_try_ns = 0

    @property
    def connected(self) -> bool:
        """Whether every camera's ring has answered."""
        return all(reader.connected for reader in self.readers.values())

    def receive(self, timeout_s: float) -> list[Leased]:
        """Every frame that is there, in order within each camera; waits for the first up to `timeout_s`.

        Returns at once when a ring has ended: what it returns came before that, and `gone` tells.
        """
        until_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        while True:
            self._connect()
            linked = [reader for reader in self.readers.values() if reader.linked]
            left_ms = max(0, (until_ns - time.monotonic_ns()) // 1_000_000)
            if len(linked) < len(self.readers):
                left_ms = min(left_ms, _RETRY_MS)
            poll = select.poll()
            for reader in linked:
                poll.register(reader, select.POLLIN)
            poll.poll(left_ms)
            frames = [frame for camera in self.readers for frame in self._drain(camera)]
            if frames or self._gone or time.monotonic_ns() >= until_ns:
                return frames

    def gone(self) -> list[str]:
        """Cameras whose ring has ended since the last call. Ask after each `receive`."""
        gone, self._gone = self._gone, []
        return gone

    def close(self) -> None:
        """Leave every ring."""
        for reader in self.readers.values():
            reader.close()

    def _connect(self) -> None:
        if time.monotonic_ns() < self._next_try_ns:
            return
        if not all([reader.connect() for reader in self.readers.values()]):
            self._next_try_ns = time.monotonic_ns() + _RETRY_NS

    def _drain(self, camera: str) -> list[Leased]:
        reader = self.readers[camera]
        frames = []
        while (frame := reader.receive()) is not None:
            frames.append(frame)
        if reader.connected:
            self._seen.add(camera)
        elif camera in self._seen:
            self._seen.remove(camera)
            self._gone.append(camera)
        return frames

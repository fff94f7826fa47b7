"""One camera's frames between processes: shared memory whose slots are leased over a socket.

Here: what goes over the socket, and the reading end. `ring_writer` has the other.

The memory is an unnamed memfd, handed to each reader over a Unix socket together with its geometry;
nothing is left in /dev/shm after a kill. Every published frame is one small message to every reader
(slot, counts, stamps) and that message is a lease: the writer does not touch the slot until the
reader has sent its number back, or its socket has ended. The kernel orders memory around a socket
message on every processor, which a bare sequence number in shared memory does not.

A full ring drops the new frame, counts it, and still tells the readers its stamps.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from acquisition.frame import Absence, Frame, Image
from acquisition.frame_stamp import FrameStamp

SLOTS = 16
MESSAGE = struct.Struct("<iqqqqqq")  # slot, seq, t_device, t_exposure, uncertainty, t_arrival, lost_before
RELEASE = struct.Struct("<iq")  # slot, messages received so far
NO_SLOT = -1
_HELLO_BYTES = 1 << 16


def ring_path(runtime: Path, camera: str) -> Path:
    """Where the ring of `camera` listens."""
    return runtime / f"{camera}.ring"


@dataclass(frozen=True, slots=True)
class RingGeometry:
    """Shape of a ring: `slots` images, uint8 (height, width) or (height, width, channels)."""

    slots: int
    height_px: int
    width_px: int
    channels: int

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(H, W) for one channel, else (H, W, channels)."""
        shape = (self.height_px, self.width_px)
        return shape if self.channels == 1 else (*shape, self.channels)

    @property
    def slot_bytes(self) -> int:
        """Bytes from one slot to the next: whole pages."""
        size = self.height_px * self.width_px * self.channels
        return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE

    def slot_views(self, memory: mmap.mmap) -> list[Image]:
        """One array per slot; read-only where `memory` is."""
        count = self.height_px * self.width_px * self.channels
        return [
            np.frombuffer(memory, np.uint8, count, slot * self.slot_bytes).reshape(self.image_shape)
            for slot in range(self.slots)
        ]


def release(frames: Iterable[Leased | None]) -> None:
    """Give back what is there of them."""
    for leased in frames:
        if leased is not None:
            leased.release()


class Leased:
    """A frame that is ours until `release`. Where `stamp.absence` is set, `image` is None.

    Attributes
    ----------
    stamp:
        Counts and stamps of the frame.
    image:
        uint8 read-only view into the ring, not to be touched after `release`.
    """

    __slots__ = ("_lease", "_reader", "image", "stamp")

    def __init__(
        self,
        stamp: FrameStamp,
        image: Image | None,
        reader: RingReader,
        lease: tuple[socket.socket, int] | None,
    ) -> None:
        self.stamp = stamp
        self.image = image
        self._reader = reader
        self._lease = lease

    @property
    def frame(self) -> Frame:
        """The frame as a value; its image is valid until `release`. Only where there is an image."""
        assert self.image is not None
        s = self.stamp
        return Frame(s.camera, s.seq, s.t_exposure_ns, s.uncertainty_ns, s.t_arrival_ns, self.image)

    def release(self) -> None:
        """Give the slot back. May be called twice, and after the writer has gone."""
        lease, self._lease = self._lease, None
        if lease is not None:
            link, slot = lease
            with contextlib.suppress(OSError):
                link.send(b"R" + RELEASE.pack(slot, self._reader.received))

    def __enter__(self) -> Leased:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class RingReader:
    """The reading end of one ring. Comes and goes as it likes; a slow one costs the writer frames.

    Parameters
    ----------
    path:
        Where the writer listens (`ring_path`).
    name:
        What this reader is called in the writer's counters.

    Attributes
    ----------
    received:
        Messages since the writer answered; the writer learns it with every release.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.received = 0
        self.name = name
        self.geometry: RingGeometry | None = None
        self.info: dict[str, Any] = {}
        self.camera = ""
        self._link: socket.socket | None = None
        self._slots: list[Image] = []

    @property
    def connected(self) -> bool:
        """Whether the writer has answered: geometry and info are known, frames will come."""
        return self.geometry is not None

    @property
    def linked(self) -> bool:
        """Whether there is a socket to wait on, answered or not."""
        return self._link is not None

    def connect(self) -> bool:
        """Knock at the writer's door; False where nobody is there. The answer comes with `receive`."""
        if self._link is not None:
            return True
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.setblocking(False)
        try:
            link.connect(str(self.path))
            link.send(b"N" + self.name.encode()[:200])
        except OSError:
            link.close()
            return False
        self._link = link
        return True

    def fileno(self) -> int:
        """For `select`; changes with every `connect`."""
        if self._link is None:
            raise ValueError("the ring is not connected")
        return self._link.fileno()

    def receive(self) -> Leased | None:
        """The next frame, or None where there is none now. Never blocks.

        When the writer has gone, `connected` turns False; `connect` again finds the next one, which
        may have another geometry.
        """
        while self._link is not None:
            try:
                if self.geometry is None:
                    packet, descriptors, _, _ = socket.recv_fds(self._link, _HELLO_BYTES, 1)
                    if packet:
                        self._greet(packet, descriptors[0])
                        continue
                else:
                    packet = self._link.recv(MESSAGE.size)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                continue  # the writer left releases unread; what it had sent before is still there
            except OSError:
                packet = b""
            if not packet:
                self.close()
                return None
            self.received += 1
            slot, *numbers = MESSAGE.unpack(packet)
            seq, device, exposure, uncertainty, arrival, lost = numbers
            absence = Absence.RING_FULL if slot == NO_SLOT else None
            stamp = FrameStamp(self.camera, seq, device, exposure, uncertainty, arrival, lost, absence)
            if absence is not None:
                return Leased(stamp, None, self, None)
            return Leased(stamp, self._slots[slot], self, (self._link, slot))
        return None

    def close(self) -> None:
        """Leave; what is still leased goes back to the writer, so its images must no longer be used."""
        if self._link is not None:
            self._link.close()
        self._link = None
        self.geometry = None
        self._slots = []

    def __enter__(self) -> RingReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _greet(self, packet: bytes, memfd: int) -> None:
        hello = json.loads(packet)
        geometry = RingGeometry(hello["slots"], hello["height_px"], hello["width_px"], hello["channels"])
        try:
            memory = mmap.mmap(memfd, geometry.slots * geometry.slot_bytes, access=mmap.ACCESS_READ)
        finally:
            os.close(memfd)
        self.camera, self.info = hello["camera"], hello["info"]
        # The views keep the mapping alive, also of a writer that has gone.
        self._slots = geometry.slot_views(memory)
        self.geometry = geometry
        self.received = 0

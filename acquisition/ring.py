"""One camera's frames between processes: shared memory whose slots are leased over a socket.

The memory is an unnamed memfd, handed to each reader over a Unix socket together with its geometry;
nothing is left in /dev/shm after a kill. Every published frame is one small message to every reader
(slot, counts, stamps) and that message is a lease: the writer does not touch the slot until the
reader has sent its number back, or its socket has ended. The kernel orders memory around a socket
message on every processor, which a bare sequence number in shared memory does not.

A full ring drops the new frame, counts it, and still tells the readers its stamps.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from acquisition.frame import Absence, Frame, Image
from acquisition.frame_stamp import FrameStamp

SLOTS = 16
_MESSAGE = struct.Struct("<iqqqqqq")  # slot, seq, t_device, t_exposure, uncertainty, t_arrival, lost_before
_RELEASE = struct.Struct("<i")
_NO_SLOT = -1
_HELLO_BYTES = 1 << 16
_F_ADD_SEALS, _SEAL_SHRINK_GROW = 1033, 0x0002 | 0x0004


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


@dataclass(slots=True)
class _Client:
    """A reader as the writer sees it."""

    link: socket.socket
    name: str = "?"
    leased: set[int] = field(default_factory=set)


class RingWriter:
    """The writing end: one process and one thread own it.

    Parameters
    ----------
    path:
        Socket to listen on; what a killed writer left there is replaced.
    camera:
        Name of the camera in the rig.
    geometry:
        Shape of the ring.
    info:
        JSON-able facts about the camera, handed to every reader with the geometry.
    """

    def __init__(
        self, path: Path, camera: str, geometry: RingGeometry, info: dict[str, Any] | None = None
    ) -> None:
        self.geometry = geometry
        self.dropped = 0
        self.path = path
        self._clients: list[_Client] = []
        self._free = deque(range(geometry.slots))
        self._holders = [0] * geometry.slots
        self._memfd = os.memfd_create(f"rigpose-{camera}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._memfd, geometry.slots * geometry.slot_bytes)
        # Sealed: no reader can be given a SIGBUS by a shrinking file.
        fcntl.fcntl(self._memfd, _F_ADD_SEALS, _SEAL_SHRINK_GROW)
        self._slots = geometry.slot_views(mmap.mmap(self._memfd, geometry.slots * geometry.slot_bytes))
        self._hello = json.dumps({
            "camera": camera, "slots": geometry.slots, "height_px": geometry.height_px,
            "width_px": geometry.width_px, "channels": geometry.channels, "info": info or {},
        }).encode()
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self._listener.setblocking(False)

    @property
    def readers(self) -> list[str]:
        """Names of the connected readers."""
        return [client.name for client in self._clients]

    @property
    def free_slots(self) -> int:
        """Slots that no reader holds."""
        return len(self._free)

    def serve(self) -> None:
        """Take in new readers and returned slots; never blocks. `publish` does it too."""
        with contextlib.suppress(BlockingIOError):
            while True:
                link, _ = self._listener.accept()
                link.setblocking(False)
                self._welcome(link)
        for client in list(self._clients):
            self._take_back(client)

    def publish(self, stamp: FrameStamp, image: Image) -> bool:
        """Copy `image` into a free slot and lease it to every reader.

        Returns False where no slot was free: the frame is dropped and counted in `dropped`, and the
        readers are told its stamps with `Absence.RING_FULL`.
        """
        self.serve()
        if not self._clients:
            return True
        slot = self._free.popleft() if self._free else _NO_SLOT
        if slot == _NO_SLOT:
            self.dropped += 1
        else:
            np.copyto(self._slots[slot], image)
        message = _MESSAGE.pack(
            slot, stamp.seq, stamp.t_device_ns, stamp.t_exposure_ns, stamp.uncertainty_ns,
            stamp.t_arrival_ns, stamp.lost_before,
        )
        for client in list(self._clients):
            try:
                client.link.send(message)
            except BlockingIOError:
                # A stopped reader whose socket is full of announcements: it will see the hole in `seq`.
                continue
            except OSError:
                self._forget(client)
                continue
            if slot != _NO_SLOT:
                client.leased.add(slot)
                self._holders[slot] += 1
        if slot != _NO_SLOT and not self._holders[slot]:
            self._free.append(slot)
        return slot != _NO_SLOT

    def close(self) -> None:
        """End the ring: every reader sees its end. Images still leased stay valid for their readers."""
        self._listener.close()
        self.path.unlink(missing_ok=True)
        for client in list(self._clients):
            self._forget(client)
        if self._memfd >= 0:
            os.close(self._memfd)
            self._memfd = -1

    def _welcome(self, link: socket.socket) -> None:
        # Readers get a descriptor that cannot be mapped for writing.
        read_only = os.open(f"/proc/self/fd/{self._memfd}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            socket.send_fds(link, [self._hello], [read_only])
        except OSError:
            link.close()
            return
        finally:
            os.close(read_only)
        self._clients.append(_Client(link))

    def _take_back(self, client: _Client) -> None:
        while True:
            try:
                packet = client.link.recv(256)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._forget(client)
                return
            if packet[:1] == b"N":
                client.name = packet[1:].decode(errors="replace")
                continue
            (slot,) = _RELEASE.unpack(packet[1:])
            if slot in client.leased:
                client.leased.remove(slot)
                self._return(slot)

    def _forget(self, client: _Client) -> None:
        client.link.close()
        self._clients.remove(client)
        for slot in client.leased:
            self._return(slot)

    def _return(self, slot: int) -> None:
        self._holders[slot] -= 1
        if not self._holders[slot]:
            self._free.append(slot)


class Leased:
    """A frame that is ours until `release`. Where `stamp.absence` is set, `image` is None.

    Attributes
    ----------
    stamp:
        Counts and stamps of the frame.
    image:
        uint8 read-only view into the ring, not to be touched after `release`.
    """

    __slots__ = ("_link", "_slot", "image", "stamp")

    def __init__(
        self, stamp: FrameStamp, image: Image | None, link: socket.socket | None, slot: int
    ) -> None:
        self.stamp = stamp
        self.image = image
        self._link = link
        self._slot = slot

    @property
    def frame(self) -> Frame:
        """The frame as a value; its image is valid until `release`. Only where there is an image."""
        assert self.image is not None
        s = self.stamp
        return Frame(s.camera, s.seq, s.t_exposure_ns, s.uncertainty_ns, s.t_arrival_ns, self.image)

    def release(self) -> None:
        """Give the slot back. May be called twice, and after the writer has gone."""
        link, self._link = self._link, None
        if link is not None:
            with contextlib.suppress(OSError):
                link.send(b"R" + _RELEASE.pack(self._slot))

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
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
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
                    packet = self._link.recv(_MESSAGE.size)
            except BlockingIOError:
                return None
            except OSError:
                packet = b""
            if not packet:
                self.close()
                return None
            slot, *numbers = _MESSAGE.unpack(packet)
            if slot == _NO_SLOT:
                return Leased(FrameStamp(self.camera, *numbers, Absence.RING_FULL), None, None, slot)
            return Leased(FrameStamp(self.camera, *numbers), self._slots[slot], self._link, slot)
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

"""The writing end of a ring; `ring` says how it works."""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import socket
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.frame import Image
from acquisition.frame_stamp import FrameStamp
from acquisition.rings.ring import MESSAGE, NO_SLOT, RELEASE, RingGeometry

_ANNOUNCEMENTS = 128
# A socket of the usual size holds 277 messages. Frames, one a slot, must find room beside these.

_F_ADD_SEALS, _SEAL_SHRINK_GROW = 1033, 0x0002 | 0x0004


@dataclass(slots=True)
class _Client:
    """A reader as the writer sees it."""

    link: socket.socket
    name: str = "?"
    leased: set[int] = field(default_factory=set)
    sent: int = 0
    received: int = 0


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
        self._hello = json.dumps(
            {
                "camera": camera,
                "slots": geometry.slots,
                "height_px": geometry.height_px,
                "width_px": geometry.width_px,
                "channels": geometry.channels,
                "info": info or {},
            }
        ).encode()
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
        slot = self._free.popleft() if self._free else NO_SLOT
        if slot == NO_SLOT:
            self.dropped += 1
        else:
            np.copyto(self._slots[slot], image)
        message = MESSAGE.pack(
            slot,
            stamp.seq,
            stamp.t_device_ns,
            stamp.t_exposure_ns,
            stamp.uncertainty_ns,
            stamp.t_arrival_ns,
            stamp.lost_before,
        )
        for client in list(self._clients):
            if slot == NO_SLOT and client.sent - client.received > _ANNOUNCEMENTS:
                continue  # a reader that stands still: it will see the hole in `seq`
            try:
                client.link.send(message)
            except OSError:  # it has left; full the socket is not
                self._forget(client)
                continue
            client.sent += 1
            if slot != NO_SLOT:
                client.leased.add(slot)
                self._holders[slot] += 1
        if slot != NO_SLOT and not self._holders[slot]:
            self._free.append(slot)
        return slot != NO_SLOT

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
            slot, client.received = RELEASE.unpack(packet[1:])
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

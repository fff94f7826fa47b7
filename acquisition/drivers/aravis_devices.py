"""Aravis itself, and its list of devices, which is one for the process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from acquisition.errors import RigposeError

_AGE_NS = 2_000_000_000  # so long a list is good: all cameras of a rig open at once
LIST = threading.Lock()
"""Held while the list is made or read, and while a device of it is opened."""
_listed_ns = -_AGE_NS


@dataclass(frozen=True, slots=True)
class Device:
    """What Aravis says of a device before it is opened."""

    id: str
    physical_id: str
    address: str
    vendor: str
    model: str
    serial: str

    @property
    def names(self) -> tuple[str, ...]:
        """What a URI may call it."""
        return (self.serial, self.id, self.address, self.physical_id)


def the_library() -> Any:
    """Aravis 0.8; raises `RigposeError` where it or PyGObject is not installed."""
    try:
        import gi

        gi.require_version("Aravis", "0.8")
        from gi.repository import Aravis
    except (ImportError, ValueError) as error:
        raise RigposeError(
            "GigE Vision and USB3 Vision cameras", expected="PyGObject and Aravis 0.8", found=str(error),
            remedy="Run: apt-get install gir1.2-aravis-0.8 libgirepository1.0-dev libcairo2-dev gcc "
            "pkg-config; pip install 'rigpose[aravis]'",
        ) from None  # fmt: skip
    return Aravis


def look_for_devices(aravis: Any) -> list[Device]:
    """Look for cameras on all networks and USB ports, about a second."""
    global _listed_ns
    aravis.update_device_list()
    _listed_ns = time.monotonic_ns()
    return known_devices(aravis)


def known_devices(aravis: Any) -> list[Device]:
    """The devices found a moment ago; none where that was too long ago."""
    if time.monotonic_ns() - _listed_ns > _AGE_NS:
        return []
    return [
        Device(
            id=aravis.get_device_id(n) or "",
            physical_id=aravis.get_device_physical_id(n) or "",
            address=aravis.get_device_address(n) or "",
            vendor=aravis.get_device_vendor(n) or "",
            model=aravis.get_device_model(n) or "",
            serial=aravis.get_device_serial_nbr(n) or "",
        )
        for n in range(aravis.get_n_devices())
    ]

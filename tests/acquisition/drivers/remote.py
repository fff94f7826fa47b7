"""Cameras opened in another process (that of the equipment's network namespace), one call at a time."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

from acquisition.camera import Camera, DeviceFrame, driver_of

_links: list[tuple[socket.socket, socket.socket]] = []
_cameras: dict[str, Camera] = {}


def call(name: str, verb: str, *arguments: Any) -> Any:
    """A verb of the camera port; `new` with a URI comes first."""
    if verb == "new":
        _cameras[name] = driver_of(arguments[0], name)(name, arguments[0])
        return None
    return getattr(_cameras[name], verb)(*arguments)


def read(name: str, frames: int) -> list[DeviceFrame]:
    """That many frames one after the other."""
    return [_cameras[name].read(2000) for _ in range(frames)]


def find(scheme: str) -> Any:
    """What the driver finds."""
    return driver_of(f"{scheme}://", "").find()


def capture(rig: Path, folder: Path) -> None:
    """The capture of a rig's cameras without its processes; ends by itself where a camera is refused."""
    from acquisition.capture import capture
    from acquisition.capture_plan import capture_plans
    from acquisition.child import ChildLink
    from rigpose.rig_file import load_rig

    for plans in capture_plans(load_rig(rig).acquisition).values():
        _links.append(socket.socketpair())
        link = ChildLink("capture", _links[-1][1])
        enough = threading.Timer(20, link.stop)
        enough.start()
        try:
            capture(link, str(folder), plans)
        finally:
            enough.cancel()


def record(rig: Path, session: Path, seconds: float) -> dict[str, Any]:
    """A whole recording."""
    from acquisition.record import record as record_rig
    from rigpose.rig_file import load_rig

    return record_rig(load_rig(rig).acquisition, session, seconds).as_dict()

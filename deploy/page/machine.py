"""What the page tells of the machine besides the rig."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any


def machine_facts(disk: str) -> dict[str, Any]:
    """Room on the disk in GB, and the hottest thermal zone in degrees; None where there is none."""
    room_gb: float | None = None
    with contextlib.suppress(OSError):
        found = os.statvfs(disk)
        room_gb = round(found.f_bavail * found.f_frsize / 1e9, 2)
    hottest: float | None = None
    for zone in Path("/sys/class/thermal").glob("thermal_zone*/temp"):
        with contextlib.suppress(OSError, ValueError):
            hottest = max(hottest or 0.0, int(zone.read_text()) / 1000)
    return {"disk_free_gb": room_gb, "temperature_c": hottest}

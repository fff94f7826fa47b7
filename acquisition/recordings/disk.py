"""How long the disk lasts: looked at before a recording, and once a second while it runs."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from acquisition.rig import RecordingSettings
from acquisition.videos.encoder import CODECS

WARN_S = 600.0
_SPAN_NS = 30_000_000_000
_JUDGED_NS = 5_000_000_000


def disk_shortage(folder: Path, settings: RecordingSettings) -> str:
    """'' where `folder` has the free space that is to be kept, else the figures."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb >= settings.keep_free_gb:
        return ""
    return f"{free_gb:.2f} GB free, {settings.keep_free_gb:g} GB to be kept"


def expected_bytes_per_s(settings: RecordingSettings, cameras: Iterable[Mapping[str, Any]]) -> float | None:
    """What a recording will take, by its codec's figure for noisy pictures; None where there is none.

    Parameters
    ----------
    cameras:
        `CameraInfo` mappings.
    """
    per_px = CODECS[settings.codec].bytes_per_px
    if per_px is None:
        return None
    rgb = 1.5 if CODECS[settings.codec].rgb[1].startswith("yuv") else 3.0  # samples a pixel
    per_s = 0.0
    for info in cameras:
        samples = info["width_px"] * info["height_px"] * (rgb if info["channels"] == 3 else 1.0)
        per_s += samples * info["rate_hz"] * per_px
    return per_s


def disk_outlook(
    folder: Path, settings: RecordingSettings, cameras: Iterable[Mapping[str, Any]], seconds: float | None
) -> str:
    """One sentence on how long the disk will last, before a recording of `seconds` begins; '' if unknown."""
    rate = expected_bytes_per_s(settings, cameras)
    if not rate:
        return ""
    room_s = max(0.0, shutil.disk_usage(folder).free - settings.keep_free_gb * 1e9) / rate
    said = (
        f"about {rate * 3600e-9:.1f} GB an hour with {settings.codec}, and room for {room_s / 3600:.1f} hours"
    )
    if seconds is not None and room_s < seconds:
        return f"warning: {said}, which is less than the {seconds / 3600:.1f} hours asked for"
    return said


class DiskWatch:
    """Follows the free space of a folder's disk, whoever uses it up.

    Attributes
    ----------
    shortage:
        '' or why recording has to stop now.
    left_s:
        Until then, at the pace of the last half minute; None while it is not known, or nothing is used.
    """

    def __init__(self, folder: Path, settings: RecordingSettings) -> None:
        self.shortage = ""
        self.left_s: float | None = None
        self._folder = folder
        self._settings = settings
        self._seen: deque[tuple[int, int]] = deque()
        self._warned = False

    def look(self, now_ns: int) -> bool:
        """Look at the disk; whether it is time to warn, which is once: ten minutes before the end."""
        self.shortage = disk_shortage(self._folder, self._settings)
        free = shutil.disk_usage(self._folder).free
        self._seen.append((now_ns, free))
        while now_ns - self._seen[0][0] > _SPAN_NS:
            self._seen.popleft()
        first_ns, first_free = self._seen[0]
        used, span_ns = first_free - free, now_ns - first_ns
        self.left_s = None
        if used > 0 and span_ns >= _JUDGED_NS:
            self.left_s = max(0.0, free - self._settings.keep_free_gb * 1e9) * span_ns * 1e-9 / used
        due = self.left_s is not None and self.left_s < WARN_S and not self._warned
        self._warned = self._warned or due
        return due

"""How long the disk lasts: looked at before a recording, and once a second while it runs."""

from __future__ import annotations

import shutil
from collections import deque
from pathlib import Path

from acquisition.rig import RecordingSettings

WARN_S = 600.0
_SPAN_NS = 30_000_000_000
_JUDGED_NS = 5_000_000_000


def disk_shortage(folder: Path, settings: RecordingSettings) -> str:
    """'' where `folder` has the free space that is to be kept, else the figures."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb >= settings.keep_free_gb:
        return ""
    return f"{free_gb:.2f} GB free, {settings.keep_free_gb:g} GB to be kept"


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

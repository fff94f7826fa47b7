"""Small pictures of all cameras for a browser: as many as somebody looks at, none when nobody does."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from acquisition.pages.small_pictures import as_jpeg, shrunk
from acquisition.rings.ring import Leased

LARGEST_HZ = 30.0
_SIDE_PX = 480
_QUALITY = 75
_KEPT = 8
_GUARD_NS = 2_000_000  # exposures of one set do not lie farther apart


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame, made small.

    Attributes
    ----------
    t_exposure_ns, seq:
        Of the frame.
    width_px, height_px:
        Of the camera's full image: keypoints are in its pixels.
    jpeg:
        At most 480 px at the longer side.
    """

    t_exposure_ns: int
    seq: int
    width_px: int
    height_px: int
    jpeg: bytes


class Pictures:
    """The newest pictures of every camera. Written by the reader, read by the page.

    Attributes
    ----------
    taken:
        Pictures made, all cameras together.
    """

    def __init__(self, cameras: tuple[str, ...]) -> None:
        self.taken = 0
        self._lock = threading.Lock()
        self._newest = {camera: deque[Picture](maxlen=_KEPT) for camera in cameras}
        self._slot = dict.fromkeys(cameras, -1)
        self._watchers: dict[int, float] = {}

    def watched(self, watcher: int, hz: float | None) -> None:
        """Somebody looks, so often a second; None: no longer."""
        with self._lock:
            if hz is None:
                self._watchers.pop(watcher, None)
            else:
                self._watchers[watcher] = min(LARGEST_HZ, max(0.1, hz))

    @property
    def watchers(self) -> int:
        """How many look."""
        return len(self._watchers)

    def wants(self, leased: Leased) -> bool:
        """Whether a frame is the first of its camera in the next slot of time that somebody looks at."""
        with self._lock:
            hz = max(self._watchers.values(), default=0.0)
        if not hz or leased.image is None:
            return False
        # Slots of the exposures' clock, not of ours: all cameras' pictures are then of one frame set.
        slot = (leased.stamp.t_exposure_ns + _GUARD_NS) // round(1e9 / hz)
        return slot > self._slot[leased.stamp.camera]

    def take(self, leased: Leased) -> None:
        """Keep a small copy of a frame that was wanted, and give the frame back."""
        image, stamp = leased.image, leased.stamp
        assert image is not None
        height, width = image.shape[:2]
        small = shrunk(image, _SIDE_PX)
        leased.release()
        picture = Picture(stamp.t_exposure_ns, stamp.seq, width, height, as_jpeg(small, _QUALITY))
        with self._lock:
            hz = max(self._watchers.values(), default=LARGEST_HZ)
            self._slot[stamp.camera] = (stamp.t_exposure_ns + _GUARD_NS) // round(1e9 / hz)
            self._newest[stamp.camera].append(picture)
            self.taken += 1

    def newest(self) -> dict[str, tuple[Picture, ...]]:
        """By camera, the newest first."""
        with self._lock:
            return {camera: tuple(reversed(kept)) for camera, kept in self._newest.items()}

"""The preview's process: the newest picture of every camera, small, measured, and perhaps on a page.

It gives every frame back at once and copies one a camera five times a second, so that looking costs the rig
nothing that would show as a drop.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from acquisition.child import ChildLink
from acquisition.frame import Image
from acquisition.pages.small_pictures import as_jpeg, shrunk
from acquisition.preview.measures import PictureQuality, camera_figures, measure_picture
from acquisition.rings.readers import RingReaders
from acquisition.rings.ring import Leased

EVERY_NS = 200_000_000
_KEPT = 1500  # measurements a camera: five minutes
_SIDE_PX = 640


@dataclass(frozen=True, slots=True)
class PreviewPlan:
    """What to look at, and where to show it.

    Attributes
    ----------
    runtime, cameras:
        Of the rig that runs.
    page:
        (host, port or None for the usual one) of the page; None: no page.
    """

    runtime: str
    cameras: tuple[str, ...]
    page: tuple[str, int | None] | None


class View:
    """One camera as it is seen now. Written by the reader, read by the page."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jpeg = b""
        self._seen: deque[PictureQuality] = deque(maxlen=_KEPT)
        self._best = 0.0
        self._size: tuple[int, ...] = ()
        self.number = 0

    def take(self, image: Image) -> None:
        """Measure a picture and keep a small copy: at most 640 px wide."""
        quality = measure_picture(image)
        jpeg = as_jpeg(shrunk(image, _SIDE_PX))
        with self._lock:
            self._jpeg, self._size = jpeg, image.shape
            self._seen.append(quality)
            self._best = max(self._best, quality.laplacian_variance)
            self.number += 1

    @property
    def jpeg(self) -> bytes:
        """The newest picture, b"" before the first."""
        with self._lock:
            return self._jpeg

    def figures(self) -> dict[str, Any]:
        """Of the newest picture, and over all that were looked at in the last minutes."""
        with self._lock:
            if not self._seen:
                return {"pictures": 0}
            return {
                "pictures": self.number,
                "height_px": self._size[0], "width_px": self._size[1],
                **asdict(self._seen[-1]),
                "laplacian_variance_median": round(median(q.laplacian_variance for q in self._seen), 2),
                "laplacian_variance_best": self._best,
                "saturated_share_max": max(q.saturated_share for q in self._seen),
                "headroom_stops_min": min(q.headroom_stops for q in self._seen),
            }  # fmt: skip


class Gallery:
    """All cameras, their pictures and their figures, in rig order."""

    def __init__(self, cameras: tuple[str, ...], link: ChildLink) -> None:
        self.views = {camera: View() for camera in cameras}
        self._link = link

    def figures(self) -> dict[str, dict[str, Any]]:
        """Of every camera what its picture says and, as the parent told, what capture counts."""
        told = self._link.told.get("cameras", {})
        return {
            name: {**camera_figures(told.get(name, {})), **view.figures()}
            for name, view in self.views.items()
        }


def preview_reader(link: ChildLink, plan: PreviewPlan) -> None:
    """Look until told to stop."""
    gallery = Gallery(plan.cameras, link)
    rings = RingReaders(Path(plan.runtime), plan.cameras, "preview")
    due_ns = dict.fromkeys(plan.cameras, 0)
    with contextlib.ExitStack() as ending:
        ending.callback(rings.close)
        address = ""
        if plan.page is not None:
            from acquisition.preview.page import page_served

            address = ending.enter_context(page_served(gallery, *plan.page))
        while not link.stopping:
            newest: dict[str, Leased] = {}
            for leased in rings.receive(0.05):
                if leased.image is None:
                    continue
                before = newest.pop(leased.stamp.camera, None)
                if before is not None:
                    before.release()
                newest[leased.stamp.camera] = leased
            for camera, leased in newest.items():
                now_ns = time.monotonic_ns()
                copy = None
                if now_ns >= due_ns[camera] and leased.image is not None:
                    due_ns[camera] = now_ns + EVERY_NS
                    copy = np.array(leased.image)
                leased.release()
                if copy is not None:
                    gallery.views[camera].take(copy)
            rings.gone()
            if rings.connected:
                figures = {name: view.figures() for name, view in gallery.views.items()}
                link.report(state="ready", address=address, views=figures)
    link.report(now=True, views={name: view.figures() for name, view in gallery.views.items()})

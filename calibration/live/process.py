"""The process that watches the board: frame sets from the rings, a few of them looked at, a page beside.

Of every camera's frames nearly all are given back at once. A look takes two frame sets, the newest there are
when the one before is over, and copies them; it is done by a thread of its own, at most four times a second
and for at most half of the time. Nothing queues: what comes meanwhile is passed by.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from acquisition.child import ChildLink
from acquisition.rings.readers import RingReaders
from acquisition.rings.ring import release
from acquisition.synchronisation.synchronise import StampSet, Synchroniser
from calibration.camera_identity import device_of
from calibration.live.gallery import Gallery
from calibration.live.kept_views import KeptViews
from calibration.live.plan import WatchPlan
from calibration.live.watch import BoardWatch, Instant

EVERY_NS = 250_000_000
_WAIT_S = 0.02
_NICE = 10


def watch_board(link: ChildLink, plan: WatchPlan) -> None:
    """Watch until told to stop."""
    from calibration.live.page import served  # starlette and uvicorn, on use

    os.nice(_NICE)
    cv2.setNumThreads(1)  # its pool would compete with capture
    gallery, asked = Gallery(plan.cameras, str(plan.board)), threading.Event()
    with contextlib.ExitStack() as ending:
        rings = RingReaders(Path(plan.runtime), plan.cameras, "board")
        ending.callback(rings.close)
        where = ending.enter_context(served(plan, gallery, lambda: link.told, asked))
        while not (rings.connected and "pulses" in link.told):
            release(rings.receive(_WAIT_S))
            if rings.connected:
                link.report(state="ready", address=where.look, control=where.control)
            if link.stopping:
                return
        looking = Looking(plan, rings, gallery)
        ending.callback(looking.close)
        synchroniser = Synchroniser(plan.cameras, plan.sync, **link.told["pulses"])
        while not link.stopping:
            for leased in rings.receive(_WAIT_S):
                synchroniser.add(leased.stamp, leased)
            for camera in rings.gone():
                synchroniser.gone(camera)
            for frame_set in synchroniser.closed(time.monotonic_ns()):
                looking.offer(frame_set)
                release(frame_set.payloads)
            release(synchroniser.rejected)
            synchroniser.rejected.clear()
            synchroniser.resolved()  # who is late, and why, does not matter here
            link.report(
                state="ready", address=where.look, control=where.control,
                asked="stop" if asked.is_set() else "", passed=looking.passed, summary=gallery.summary(),
            )  # fmt: skip
    link.report(now=True, passed=looking.passed, summary=gallery.summary())


class Looking:
    """Takes frame sets as it has time for them.

    Attributes
    ----------
    passed:
        Frame sets that were not looked at.
    """

    def __init__(self, plan: WatchPlan, rings: RingReaders, gallery: Gallery) -> None:
        infos = {camera: rings.readers[camera].info for camera in plan.cameras}
        exposures_s = [float(info.get("exposure_us", 0.0)) * 1e-6 for info in infos.values()]
        self.passed = 0
        self._cameras = plan.cameras
        self._watch = BoardWatch(plan.board, exposures_s)
        self._kept = KeptViews(Path(plan.output), {name: device_of(info) for name, info in infos.items()})
        self._gallery = gallery
        self._before: Instant | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="look")
        self._look: Future[int] | None = None
        self._due_ns = 0

    def offer(self, frame_set: StampSet) -> None:
        """Look at a frame set, or pass it by; its images are copied, and may be released afterwards.

        Raises
        ------
        RigposeError
            What the look before could not do: the disk is full.
        """
        if self._look is not None and self._look.done():
            self._due_ns = max(self._due_ns, time.monotonic_ns() + self._look.result())
            self._look = None
        empty = all(leased is None for leased in frame_set.payloads)
        if empty or self._look is not None or time.monotonic_ns() < self._due_ns:
            self.passed += 1
        elif self._before is None:
            self._before = _copied(frame_set)
        else:
            before, self._before = self._before, None
            self._due_ns = time.monotonic_ns() + EVERY_NS
            self._look = self._pool.submit(self._look_at, before, _copied(frame_set))

    def close(self) -> None:
        """Let the look in progress end."""
        self._pool.shutdown()
        if self._look is not None:
            self._look.result()

    def _look_at(self, before: Instant, now: Instant) -> int:
        """In the thread: look, keep what is worth it, show it; how long that took, ns."""
        begun_ns = time.monotonic_ns()
        look = self._watch.look(before, now)
        if look.kept:
            self._kept.keep({
                name: camera.image
                for name, camera in zip(self._cameras, look.cameras, strict=True)
                if camera is not None and camera.state == "kept"
            })  # fmt: skip
        self._gallery.show(look, self._watch.looks, self._watch.coverage, self._watch.hint)
        return time.monotonic_ns() - begun_ns


def _copied(frame_set: StampSet) -> Instant:
    images = tuple(
        None if leased is None or leased.image is None else np.array(leased.image)
        for leased in frame_set.payloads
    )
    return Instant(frame_set.index, frame_set.t_exposure_ns, frame_set.spread_ns, images)

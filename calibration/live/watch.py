"""Looking for the board in two frame sets, one soon after the other: where it is, and whether it moves."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image
from calibration.boards import BoardSettings
from calibration.detection import Corners, Detector, patterns, recognise
from calibration.live.coverage import Coverage, Trouble
from calibration.live.seen import Array, SeenView, seen_view, speed_px_s

_HINT_AFTER, _HINT_EVERY = 12, 60  # looks without any board: what is seen instead is asked, which takes long
_MARGIN = 0.5  # of a board's extent: about so far around it the picture before is searched

State = Literal["", "moving", "blurred", "seen", "kept"]


@dataclass(frozen=True, slots=True, eq=False)
class Instant:
    """Copied images of one frame set.

    Attributes
    ----------
    index, t_exposure_ns, spread_ns:
        As in `FrameSet`.
    images:
        uint8, one a camera in rig order, None where there is none.
    """

    index: int
    t_exposure_ns: int
    spread_ns: int
    images: tuple[Image | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CameraLook:
    """What one camera shows.

    Attributes
    ----------
    image:
        uint8 (H, W).
    px:
        float64 (n, 2), the corners found; none where there is no board.
    tilt_deg:
        None where there is no board.
    state:
        "" without a board; why it is not used; "seen" (as before) or "kept".
    """

    image: Image
    px: Array
    tilt_deg: float | None
    state: State


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One frame set as it was looked at, `cameras` in rig order; `kept` whether it told something new."""

    index: int
    cameras: tuple[CameraLook | None, ...]
    kept: bool


class BoardWatch:
    """Looks for one board and sums up what was seen of it. One thread owns it.

    Attributes
    ----------
    coverage:
        What was seen so far.
    looks:
        How often was looked.
    hint:
        What the images show in place of the board, as long as none has shown it; "" otherwise.

    Parameters
    ----------
    board:
        The board; how it was printed (`detection.Pattern`) is found out.
    exposures_s:
        Of each camera; 0 where it does not tell.
    """

    def __init__(self, board: BoardSettings, exposures_s: Sequence[float]) -> None:
        self.coverage = Coverage(len(exposures_s))
        self.looks = 0
        self.hint = ""
        self._board = board
        self._exposures_s = tuple(exposures_s)
        self._seen_once = False
        self._threads = max(1, min(len(exposures_s), (os.cpu_count() or 2) // 2))
        self._detectors = [Detector(board, pattern) for pattern in patterns(board)]

    def look(self, before: Instant, now: Instant) -> Look:
        """What `now` shows; `before` tells how fast it moves. Views in motion are shown, and not counted."""
        self.looks += 1
        images = [None if image is None else _grey(image) for image in now.images]
        with ThreadPoolExecutor(self._threads) as pool:
            found = self._fitting(list(pool.map(self._find, images)))
            if not found:
                self._ask_what_else([image for image in images if image is not None])
            views = dict(pool.map(lambda c: (c, self._view(c, found[c], before, now)), found))
        seen = [view for view in views.values() if view is not None]
        trouble = {view.camera: self.coverage.trouble(view) for view in seen}
        kept = self.coverage.take(seen)
        looks = [
            None if image is None else _camera_look(image, views.get(c), trouble.get(c, ""), kept)
            for c, image in enumerate(images)
        ]
        return Look(now.index, tuple(looks), kept)

    def _find(self, image: Image | None) -> list[Corners | None]:
        """The corners by each pattern that is still possible."""
        return [None if image is None else detector.find(image) for detector in self._detectors]

    def _fitting(self, by_camera: Sequence[Sequence[Corners | None]]) -> dict[int, Corners]:
        """By camera, the corners of the pattern that fits best; from the first board on it alone is tried."""
        counts = [
            sum(len(corners.ids) for found in by_camera if (corners := found[p]) is not None)
            for p in range(len(self._detectors))
        ]
        best = int(np.argmax(counts))
        if counts[best]:
            self._detectors = [self._detectors[best]]
            self._seen_once, self.hint = True, ""
        return {c: corners for c, found in enumerate(by_camera) if (corners := found[best]) is not None}

    def _view(self, camera: int, corners: Corners, before: Instant, now: Instant) -> SeenView | None:
        image, earlier = now.images[camera], before.images[camera]
        assert image is not None
        size_px = image.shape[1], image.shape[0]
        smear_px = math.inf
        if earlier is not None and earlier.shape == image.shape:
            elapsed_s = (now.t_exposure_ns - before.t_exposure_ns) * 1e-9
            found = _found_near(corners, _grey(earlier), self._detectors[0])
            # a camera that does not tell its exposure is taken to expose for half of the time
            exposure_s = (self._exposures_s[camera] or elapsed_s / 2) + now.spread_ns * 1e-9
            if found is not None:
                smear_px = exposure_s * speed_px_s(found, corners, self._board.symmetries, elapsed_s)
        return seen_view(camera, corners, self._board, size_px, smear_px)

    def _ask_what_else(self, images: Sequence[Image]) -> None:
        if self._seen_once or not images or self.looks % _HINT_EVERY != _HINT_AFTER:
            return
        try:
            pattern = recognise(self._board, images, "board")
        except RigposeError as error:
            self.hint = error.found
        else:
            self._detectors = [Detector(self._board, pattern)]


def _camera_look(image: Image, view: SeenView | None, trouble: Trouble, kept: bool) -> CameraLook:
    if view is None:
        return CameraLook(image, np.empty((0, 2)), None, "")
    state: State = trouble or ("kept" if kept else "seen")
    return CameraLook(image, view.px, view.tilt_deg, state)


def _found_near(corners: Corners, image: Image, detector: Detector) -> Corners | None:
    """The board in an image if it is near the corners' place: from farther away it came in motion."""
    margin = _MARGIN * float(np.ptp(corners.px, axis=0).max())
    left, top = np.maximum(corners.px.min(axis=0) - margin, 0).astype(int)
    right, bottom = (corners.px.max(axis=0) + margin + 1).astype(int)
    found = detector.find(np.ascontiguousarray(image[top:bottom, left:right]))
    return None if found is None else replace(found, px=found.px + np.array([left, top]))


def _grey(image: Image) -> Image:
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)

"""A closed-loop processor that answers the trigger's LED: light in a camera's picture makes the output high.

It goes the way of every processor's decision: the pose of a frame set arrives, the processor looks whether
the LED was on in that set's picture (it reads the camera's ring itself), and sets the output. The LED is
found by the code of the pulse count that it blinks (`acquisition.synchronisation.pulse_code`).
"""

from __future__ import annotations

import json
import select
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from acquisition.rings.ring import RingReader, ring_path
from acquisition.synchronisation.pulse_code import led
from deploy.closed_loop.outputs.client import Outputs
from deploy.closed_loop.processor import Moment

LEARNED_FROM = 64  # pictures: two words of the code
_REACH_PX = 1  # the LED's level is the mean of a square of this reach
_LEVELS_KEPT = 256
_SEEN, _NOISE_AT_LEAST = 4.0, 0.5  # its contrast in usual changes of its level while it stays on or off
_SAVE_NS = 250_000_000


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the LED is in a picture, px, and the grey level between off and on."""

    x: int
    y: int
    threshold: float
    contrast: float

    def level(self, image: Image) -> float:
        """The picture's level there, of a colour picture the green one."""
        image = _grey(image)
        top, left = max(self.y - _REACH_PX, 0), max(self.x - _REACH_PX, 0)
        return float(image[top : self.y + _REACH_PX + 1, left : self.x + _REACH_PX + 1].mean())


def find_spot(images: Sequence[Image], slots: Sequence[int]) -> Spot | None:
    """The place that brightens and darkens with the code; None where none does.

    Parameters
    ----------
    images:
        uint8 (H, W) or (H, W, 3), all of one camera.
    slots:
        Pulse count of each.
    """
    states = np.array([led(slot) for slot in slots])
    if states.all() or not states.any():
        return None
    grey = np.stack([_grey(image) for image in images]).astype(np.float32)
    turns = np.diff(
        states.astype(np.float32)
    )  # what moves slowly hardly changes from one picture to the next
    side = 2 * _REACH_PX + 1
    follows = cv2.blur(np.tensordot(turns, np.diff(grey, axis=0), axes=1), (side, side))
    y, x = (int(place) for place in np.unravel_index(int(follows.argmax()), follows.shape))
    levels = np.array([Spot(x, y, 0, 0).level(image) for image in grey])
    steps = np.diff(levels)
    contrast = float(np.median(steps[turns != 0] * turns[turns != 0]))
    still = np.abs(steps[turns == 0])
    noise = float(np.median(still)) + _NOISE_AT_LEAST if len(still) else _NOISE_AT_LEAST
    if contrast < _SEEN * noise:
        return None
    return Spot(x, y, float(np.median(levels[states]) + np.median(levels[~states])) / 2, contrast)


def _grey(image: Image) -> Image:
    """The picture itself, or its green."""
    return image if image.ndim == 2 else image[:, :, 1]


class FlashLoop:
    """The processor.

    Parameters
    ----------
    camera:
        Whose picture it looks at.
    output:
        What it sets.
    report:
        JSON kept up to date: `led_px`, `contrast`, `answered`, how often the LED was `right` and `wrong` by
        the pulse count.
    """

    def __init__(self, camera: str, output: str, report: str) -> None:
        self._camera, self._output, self._report = camera, output, Path(report)
        self._lock = threading.Lock()
        self._levels: deque[tuple[int, float]] = deque(maxlen=_LEVELS_KEPT)
        self._pictures: list[tuple[int, Image]] = []
        self._slots: dict[int, int] = {}
        self._spot: Spot | None = None
        self._counts = {"answered": 0, "right": 0, "wrong": 0, "no_picture": 0, "attempts": 0}
        self._reading = False

    def process(
        self, pose: npt.NDArray[np.float32], *, moment: Moment, outputs: Outputs, **_: Any
    ) -> npt.NDArray[np.float32]:
        """Look for the LED in the picture of this pose's frame set, and set the output."""
        if not self._reading and outputs.runtime is not None:
            self._reading = True
            threading.Thread(target=self._read, args=(outputs.runtime,), name="flash", daemon=True).start()
        if self._spot is None:
            self._learn(moment)
            return pose
        level = self._level_at(moment.t_exposure_ns)
        if level is None:
            self._counts["no_picture"] += 1
            return pose
        on = level > self._spot.threshold
        outputs[self._output].set(on)
        self._counts["answered"] += 1
        self._counts["right" if on == led(moment.index) else "wrong"] += 1
        return pose

    def save(self, file: str = "") -> None:
        """What there is to keep is in `report`."""

    def _learn(self, moment: Moment) -> None:
        self._slots[moment.t_exposure_ns] = moment.index
        times = np.array(list(self._slots))
        with self._lock:
            pictures = list(self._pictures)
        if len(pictures) < LEARNED_FROM:
            return
        known = []
        for t_ns, image in pictures:
            nearest = int(times[np.abs(times - t_ns).argmin()])
            if abs(nearest - t_ns) < _same_set_ns(times):
                known.append((image, self._slots[nearest]))
        if len(known) >= LEARNED_FROM // 2:
            self._counts["attempts"] += 1
            self._spot = find_spot([image for image, _ in known], [slot for _, slot in known])
        self._slots.clear()
        with self._lock:
            self._pictures.clear()

    def _level_at(self, t_ns: int) -> float | None:
        with self._lock:
            levels = list(self._levels)
        if len(levels) < 2:
            return None
        times = np.array([time_ns for time_ns, _ in levels])
        nearest = int(np.abs(times - t_ns).argmin())
        return levels[nearest][1] if abs(levels[nearest][0] - t_ns) < _same_set_ns(times) else None

    def _read(self, runtime: Path) -> None:
        """The thread: every picture's level as it comes, its slot given back at once."""
        reader = RingReader(ring_path(runtime, self._camera), "flash")
        saved_ns = 0
        while True:
            if not reader.connect():
                time.sleep(0.02)
                continue
            select.select([reader], [], [], 0.1)
            while (leased := reader.receive()) is not None:
                with leased:
                    if leased.image is not None:
                        self._take(leased.stamp.t_exposure_ns, leased.image)
            if time.monotonic_ns() - saved_ns > _SAVE_NS:
                saved_ns = time.monotonic_ns()
                self._save_report()

    def _take(self, t_ns: int, image: Image) -> None:
        spot = self._spot
        with self._lock:
            if spot is not None:
                self._levels.append((t_ns, spot.level(image)))
            elif len(self._pictures) < LEARNED_FROM:
                self._pictures.append((t_ns, image.copy()))

    def _save_report(self) -> None:
        spot = self._spot
        found = {} if spot is None else {"led_px": [spot.x, spot.y], "contrast": round(spot.contrast, 1)}
        temporary = self._report.with_suffix(".part")
        temporary.write_text(json.dumps({**found, **self._counts}), encoding="utf-8")
        temporary.replace(self._report)


def _same_set_ns(times: npt.NDArray[np.int64]) -> float:
    """How far a picture's exposure may be from its set's: less than half of the shortest interval."""
    intervals = np.diff(np.sort(times))
    intervals = intervals[intervals > 0]
    return 0.4 * float(intervals.min()) if len(intervals) else 0.0

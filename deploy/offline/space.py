"""A picture of 3D poses in a box with axes, drawn fast enough for every frame of a video.

The view is orthographic, from a fixed place; lengths in mm stand at a grid on the floor. Which of the
world's axes points upwards is said by who knows: a calibration's world may well be that of a camera.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from deploy.offline.drawing import Colour, Pen, write

Floats = npt.NDArray[np.float64]

BACKGROUND, GRID, EDGE, INK = (24, 24, 28), (58, 58, 64), (110, 110, 118), (200, 200, 200)
AZIMUTH_DEG, ELEVATION_DEG = -60.0, 25.0
MARGIN = 0.12  # of the picture, on each side
LINES = 5  # of the grid, about
_BEYOND = 0.5  # percent of the points on either side that the box need not hold


class Space:
    """The box, its axes, and where its points come to lie.

    Parameters
    ----------
    points:
        (T, K, 3) mm: what the box has to hold; NaN where there is none.
    width_px, height_px:
        Of the picture.
    up:
        (3,) a direction that is upwards, about; the axis nearest to it stands upright.
    """

    def __init__(
        self, points: Floats, width_px: int, height_px: int, up: npt.ArrayLike = (0.0, 0.0, 1.0)
    ) -> None:
        self._turn = _upright(np.asarray(up, np.float64))
        there = points[np.isfinite(points).all(axis=2)] @ self._turn.T
        low, high = np.zeros(3), np.ones(3)
        if len(there):
            low, high = np.percentile(there, [_BEYOND, 100 - _BEYOND], axis=0)
        middle = (low + high) / 2
        half = np.maximum((high - low) / 2, max(float(np.max(high - low)) / 20, 1e-3))
        self.low, self.high = middle - 1.15 * half, middle + 1.15 * half
        azimuth, elevation = np.radians([AZIMUTH_DEG, ELEVATION_DEG])
        right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
        upwards = np.array(
            [-np.sin(elevation) * np.cos(azimuth), -np.sin(elevation) * np.sin(azimuth), np.cos(elevation)]
        )
        self._axes = np.stack([right, -upwards])  # a picture's y runs down
        corners = np.array(list(itertools.product(*zip(self.low, self.high, strict=True)))) @ self._axes.T
        span = np.ptp(corners, axis=0)
        size = np.array([width_px, height_px], np.float64)
        self._scale = float(((1 - 2 * MARGIN) * size / span).min())
        self._offset = size / 2 - self._scale * (corners.min(axis=0) + corners.max(axis=0)) / 2
        self._empty: Image = np.full((height_px, width_px, 3), BACKGROUND, np.uint8)
        self._draw_axes()

    def project(self, points: Floats) -> Floats:
        """(..., 3) mm to (..., 2) px."""
        return self._projected(points @ self._turn.T)

    def picture(self, pen: Pen, points: Floats, trail: Floats) -> Image:
        """uint8 (H, W, 3) with a pose (K, 3) mm, its shadow on the floor, and its trail (N, K, 3)."""
        image: Image = self._empty.copy()
        shadow = points @ self._turn.T
        shadow[:, 2] = self.low[2]
        dark: tuple[Colour, ...] = (EDGE,) * len(points)
        Pen(dark, (), max(1.0, pen.dot_px / 2)).pose(
            image, self._projected(shadow), np.empty((0, len(points), 2))
        )
        pen.pose(image, self.project(points), self.project(trail))
        return image

    def _projected(self, turned: Floats) -> Floats:
        projected: Floats = turned @ self._axes.T * self._scale + self._offset
        return projected

    def _draw_axes(self) -> None:
        low, high = self.low, self.high
        names = ["xyz"[int(np.abs(row).argmax())] for row in self._turn]
        signs = self._turn.sum(axis=1)
        for axis, other in ((0, 1), (1, 0)):
            for value in ticks(low[axis], high[axis]):
                start, end = low.copy(), low.copy()
                start[axis] = end[axis] = value
                end[other] = high[other]
                self._line(start, end, GRID)
                # the labels stand at the near edges
                self._label(start if axis == 0 else end, f"{signs[axis] * value + 0.0:g}", below=True)
            end = low.copy()
            end[axis] = high[axis]
            self._line(low, end, EDGE)
        top = low.copy()
        top[2] = high[2]
        self._line(low, top, EDGE)
        for value in ticks(low[2], high[2]):
            at = low.copy()
            at[2] = value
            self._label(at, f"{signs[2] * value + 0.0:g}", below=False)
        middle, size = (low + high) / 2, high - low
        self._label(np.array([middle[0], low[1] - 0.16 * size[1], low[2]]), f"{names[0]} mm", below=True)
        self._label(np.array([high[0] + 0.16 * size[0], middle[1], low[2]]), f"{names[1]} mm", below=True)
        self._label(top, f"{names[2]} mm", below=False, above=True)

    def _line(self, start: Floats, end: Floats, colour: Colour) -> None:
        first, last = ([int(v) for v in np.rint(self._projected(p))] for p in (start, end))
        cv2.line(self._empty, first, last, colour, 1, cv2.LINE_AA)

    def _label(self, at: Floats, text: str, *, below: bool, above: bool = False) -> None:
        x, y = (int(v) for v in np.rint(self._projected(at)))
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
        corner = (x - width // 2, y + height + 6) if below else (x - width - 6, y + height // 2)
        if above:
            corner = x - width // 2, y - 8
        write(self._empty, text, corner, 0.4, INK)


def _upright(up: Floats) -> Floats:
    """(3, 3): the rotation by quarters that lays the axis nearest to `up` upon z."""
    axis = int(np.abs(up).argmax())
    third = np.zeros(3)
    third[axis] = 1.0 if up[axis] >= 0 else -1.0
    first = np.zeros(3)
    first[(axis + 1) % 3] = 1.0
    return np.stack([first, np.cross(third, first), third])


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between `low` and `high`, about five of them."""
    rough = (high - low) / LINES
    step = 10.0 ** np.floor(np.log10(rough))
    step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= rough)
    first = np.ceil(low / step) * step
    return [float(value) for value in np.arange(first, high + 1e-9 * step, step)]

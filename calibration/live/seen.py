"""What one picture of the board says for guiding a person: where it is, how tilted, how fast.

No lens is known yet, so that all of it comes from the picture of the plane: the homography from the print to
the image (Zhang, "A flexible new technique for camera calibration", 2000).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.boards import BoardSettings, Permutation
from calibration.detection import Corners

Array = npt.NDArray[np.float64]

_LEAST_COMMON = 3  # corners in both pictures, for a speed


@dataclass(frozen=True, slots=True, eq=False)
class SeenView:
    """The board in one image.

    Attributes
    ----------
    camera:
        Place of the camera in the rig.
    size_px:
        Width and height of its images.
    px:
        float64 (n, 2), the corners found.
    tilt_deg:
        Angle between board and image plane, at the board's middle: views without any tell nothing of the
        focal length.
    place:
        float64 (6,): middle and extent as shares of the image, and the tilt with its direction as shares of a
        length. Near-by places are near-by views.
    sharpness:
        As in `detection.Corners`, 1/px.
    smear_px:
        How far the corners moved during the exposure, or between the exposures of the set; inf where it is
        not known.
    """

    camera: int
    size_px: tuple[int, int]
    px: Array
    tilt_deg: float
    place: Array
    sharpness: float
    smear_px: float


def seen_view(
    camera: int, corners: Corners, board: BoardSettings, size_px: tuple[int, int], smear_px: float
) -> SeenView | None:
    """What corners found in an image of `size_px` (width, height) say; None where they form no plane."""
    slant = _slant(board.points_mm[corners.ids, :2], corners.px)
    if slant is None:
        return None
    size = np.asarray(size_px, dtype=np.float64)
    place = np.concatenate([corners.px.mean(axis=0) / size, np.ptp(corners.px, axis=0) / size, slant])
    tilt_deg = math.degrees(math.acos(1.0 - min(1.0, float(np.hypot(*slant)))))
    return SeenView(camera, size_px, corners.px, tilt_deg, place, corners.sharpness, smear_px)


def speed_px_s(before: Corners, now: Corners, symmetries: Sequence[Permutation], elapsed_s: float) -> float:
    """Median speed of the corners between two pictures; inf where too few are in both.

    A board that looks alike when it is turned may be numbered otherwise in each: the slower reading counts.
    """
    slowest = math.inf
    for symmetry in symmetries:
        _, of_before, of_now = np.intersect1d(symmetry[before.ids], now.ids, return_indices=True)
        if len(of_now) < _LEAST_COMMON or elapsed_s <= 0:
            continue
        moved = np.linalg.norm(now.px[of_now] - before.px[of_before], axis=1)
        slowest = min(slowest, float(np.median(moved)) / elapsed_s)
    return slowest


def _slant(points_mm: Array, px: Array) -> Array | None:
    """(2,): foreshortening (1 - cosine of the tilt) along its direction in the image, angles doubled.

    Doubled, because a picture of a plane does not tell which of its edges is the near one.
    """
    homography, _ = cv2.findHomography(points_mm, px)
    if homography is None:
        return None
    h = np.asarray(homography, dtype=np.float64)
    x, y, depth = h @ np.append(points_mm.mean(axis=0), 1.0)
    if depth == 0:
        return None
    # the map's derivative there: a turned and scaled disc becomes an ellipse, short by the tilt's cosine
    derivative = (h[:2, :2] - np.outer((x / depth, y / depth), h[2, :2])) / depth
    turned, lengths, _ = np.linalg.svd(derivative)
    if not lengths[0] > 0:
        return None
    a, b = turned[:, 1]
    return np.asarray((1.0 - lengths[1] / lengths[0]) * np.array([a * a - b * b, 2 * a * b]))

"""How doubtful poses are, instant by instant: what jumps, what the network doubts, what does not fit.

Every function gives one number per instant, in px (or 1 - confidence), 0 where nothing can be said; who
asks compares it with a bound of their own. Points below the least confidence say nothing about jumps or
fit: a point that is not to be seen lies anywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import solveh_banded
from scipy.ndimage import median_filter

from calibration.camera_model import CalibratedRig
from calibration.triangulation import TriangulationSettings, triangulate_many

Scores = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

# The smoother halves a movement of this period, and follows slower ones.
HALVED_PERIOD = 8
MEDIAN_OVER = 5
ROUNDS = 6
TUKEY = 4.685  # 95 % efficient for normal errors (Holland and Welsch 1977)
LEAST_SCALE_PX = 0.25
_THIRD_DIFFERENCE = np.array([-1.0, 3.0, -3.0, 1.0])


def jumps(index: npt.NDArray[np.int64], values: Values, cutoff: float) -> Scores:
    """(T,) px: the largest move since the instant before, of the points that are sure at both.

    Parameters
    ----------
    index:
        (T,) what the instants are called: only from n to n + 1 does anything jump.
    values:
        (T, K, 3) x, y, confidence; NaN where there is no frame.
    """
    points = _sure(values, cutoff)
    moved = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    moved[np.diff(index) != 1] = np.nan
    scores = np.zeros(len(values))
    scores[1:] = _largest(moved)
    return scores


def doubts(values: Values) -> Scores:
    """(T,) 1 - the lowest confidence."""
    return _largest(1 - values[..., 2].astype(np.float64))


def misfits(index: npt.NDArray[np.int64], values: Values, cutoff: float) -> Scores:
    """(T,) px: the largest distance of a sure point from a smooth path through its neighbours.

    The path is the maximum a posteriori of a point whose acceleration is a random walk, measured with
    noise: what a Kalman smoother of constant acceleration gives, here as one penalised least-squares
    problem (Whittaker 1923, third differences), weighted by confidence. Wrong points are kept from
    bending it by Tukey's weights, begun from a running median.
    """
    grid = index - index[0]
    measured = np.full((int(grid[-1]) + 1, *values.shape[1:]), np.nan)
    measured[grid] = values
    points = _sure(measured, cutoff)
    residuals = np.zeros(points.shape[:2])
    for keypoint in range(points.shape[1]):
        path, weights = points[:, keypoint], measured[:, keypoint, 2]
        there = np.isfinite(path).all(axis=1)
        if there.sum() > len(_THIRD_DIFFERENCE):
            smooth = smoothed(path, np.where(there, weights, 0.0))
            residuals[there, keypoint] = np.linalg.norm(path[there] - smooth[there], axis=1)
    worst: Scores = residuals[grid].max(axis=1, initial=0.0)
    return worst


def smoothed(path: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The smooth path (T, 2) px through `path` (T, 2); a point of weight 0 is bridged."""
    times = np.arange(len(path))
    there = weights > 0
    filled = np.stack([np.interp(times, times[there], path[there, axis]) for axis in (0, 1)], axis=1)
    smooth: npt.NDArray[np.float64] = median_filter(filled, size=(MEDIAN_OVER, 1), mode="nearest")
    stiffness = 1 / (2 * np.sin(np.pi / HALVED_PERIOD)) ** 6
    bands = stiffness * _penalty(len(path))
    for _ in range(ROUNDS):
        distance = np.linalg.norm(filled - smooth, axis=1)
        scale = max(1.4826 * float(np.median(distance[there])), LEAST_SCALE_PX)
        trust = np.maximum(1 - (distance / (TUKEY * scale)) ** 2, 0) ** 2
        # a gap is held, very weakly, by the straight line across it: the equations stay well conditioned
        kept = np.maximum(weights * trust, 1e-6)
        system = bands.copy()
        system[0] += kept
        smooth = solveh_banded(system, kept[:, None] * filled, lower=True)
    return smooth


def reprojections(rig: CalibratedRig, values: Values, cutoff: float) -> Scores:
    """(T,) px: the largest distance of a sure point from where the cameras together see it.

    The 3D point is that of the views that agree, so a single wrong view shows. Where sure views
    contradict each other and none can be told to be wrong, infinite.

    Parameters
    ----------
    rig:
        The C cameras, in the order of `values`.
    values:
        (T, C, K, 3) x, y, confidence; NaN where absent.
    """
    points = triangulate_many(rig, values, TriangulationSettings(min_confidence=cutoff))
    seen = np.moveaxis(rig.project(points[..., :3].astype(np.float64)), 0, 1)
    sure = _sure(values, cutoff)
    distance = np.linalg.norm(seen - sure, axis=-1)
    several = np.isfinite(sure).all(axis=-1).sum(axis=1) > 1
    scores = _largest(distance.reshape(len(values), -1))
    scores[(several & np.isnan(points[..., 0])).any(axis=1)] = np.inf
    return scores


def _sure(values: npt.NDArray[np.floating], cutoff: float) -> npt.NDArray[np.float64]:
    """The places (..., 2), NaN where the confidence is below the cutoff."""
    points = values[..., :2].astype(np.float64)
    with np.errstate(invalid="ignore"):
        points[~(values[..., 2] >= cutoff)] = np.nan
    return points


def _largest(numbers: npt.NDArray[np.float64]) -> Scores:
    """(T,) largest number of each row, 0 where there is none."""
    largest: Scores = np.where(np.isnan(numbers), 0.0, numbers).max(axis=1, initial=0.0)
    return largest


def _penalty(count: int) -> npt.NDArray[np.float64]:
    """D'D of third differences D over `count` points, its four lower bands."""
    bands = np.zeros((4, count))
    rows = count - 3
    for offset in range(4):
        for first in range(4 - offset):
            product = _THIRD_DIFFERENCE[first] * _THIRD_DIFFERENCE[first + offset]
            bands[offset, first : first + rows] += product
    return bands

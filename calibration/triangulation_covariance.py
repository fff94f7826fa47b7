"""Covariances of triangulated points with the calibration's own uncertainty in them.

A point is where its views agree best, so it moves with the cameras: by the normal equations that found it, to
first order. All parameters of all cameras go in together, with what is known of how they hang together: the
error is one for the whole session, and common to points that lie close to each other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calibration.bundle import DELAY, Array, jacobians, of_points
from calibration.camera_model import CalibratedRig
from calibration.triangulation import TriangulationSettings, prepare

BLOCK = 4000  # points at a time, for memory's sake
UPPER = ([0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2])  # columns 3 to 8 of a point


def with_calibration(
    rig: CalibratedRig, keypoints: npt.ArrayLike, points: npt.ArrayLike, covariance: Array,
    settings: TriangulationSettings,
) -> Array:  # fmt: skip
    """Points whose covariances hold the calibration's besides the keypoints'.

    Parameters
    ----------
    keypoints:
        (T, C, K, 3): what was triangulated.
    points:
        (T, K, 11): what `triangulate_many` made of it, with the same settings.
    covariance:
        (C, 18, C, 18): of the rig's lenses, rotations and translations.

    Returns
    -------
    float64 (T, K, 11): the same, with larger covariances.
    """
    given = np.asarray(keypoints, dtype=np.float64)
    found = np.array(points, dtype=np.float64)
    noise, _ = prepare(rig, given, settings)
    rows = found.reshape(-1, found.shape[-1])  # a view: what is added there is added to `found`
    seen = given.transpose(1, 0, 2, 3).reshape(len(rig.cameras), -1, 3)
    sigma2 = np.tile(noise**2, len(given))
    solved = np.flatnonzero(np.isfinite(rows[:, 0]))
    for begin in range(0, len(solved), BLOCK):
        here = solved[begin : begin + BLOCK]
        views = rows[here, 9].astype(int)
        spread = _spread(rig, seen[:, here], rows[here, :3], views, sigma2[here], covariance, settings)
        rows[here, 3:9] += spread[:, UPPER[0], UPPER[1]]
    return found


def _spread(
    rig: CalibratedRig, seen: Array, points: Array, views: npt.NDArray[np.int_], sigma2: Array,
    covariance: Array, settings: TriangulationSettings,
) -> Array:  # fmt: skip
    """What the calibration adds (N, 3, 3) mm^2; `views` of a point's are those that agree with it best."""
    there = (seen[..., 2] >= settings.min_confidence) & np.isfinite(seen).all(-1)
    problem, bundle = of_points(rig.lenses, rig.rotations, rig.translations, points, seen[..., :2], there)
    residuals, by_camera, by_board = jacobians(problem, bundle)
    by_camera, by_point = by_camera[..., :DELAY], by_board[..., 3:]
    weight = np.where(there, seen[..., 2], 0.0) / sigma2
    off = np.where(there, weight * (residuals**2).sum(-1), np.inf)
    used = there & (off.argsort(0).argsort(0) < views)
    back = (by_point * np.where(used, weight, 0.0)[..., None, None]).swapaxes(-1, -2)  # (C, N, 3, 2)
    normal = (back @ by_point).sum(0)
    pulls = np.moveaxis(back @ by_camera, 0, 2).reshape(len(points), 3, -1)  # (N, 3, C * 18)
    moves = np.linalg.solve(normal, pulls)
    size = moves.shape[-1]
    found: Array = moves @ covariance.reshape(size, size) @ moves.swapaxes(-1, -2)
    return found

"""The world's frame: moving a rig rigidly, onto a board or onto known points; and its scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.camera_model import CalibratedRig
from calibration.rotation import compose, invert, rotation_vector

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """A rigid motion found from points, y = rotation x + translation_mm.

    Attributes
    ----------
    rig:
        The rig in the new world.
    rotation, translation_mm:
        (3, 3), (3,): old world to new.
    residuals_mm:
        (N, 3): moved points minus given ones.
    """

    rig: CalibratedRig
    rotation: Array
    translation_mm: Array
    residuals_mm: Array

    @property
    def rms_mm(self) -> float:
        """Root mean square distance of the points after the motion."""
        return float(np.sqrt(np.mean(np.sum(self.residuals_mm**2, axis=-1))))


def align(rig: CalibratedRig, points_from: npt.ArrayLike, points_to: npt.ArrayLike) -> Alignment:
    """Move the rig so that `points_from` (N, 3) mm of its world come to lie on `points_to`.

    Least squares without scale (Kabsch 1976; Umeyama 1991 for the sign). Points that are NaN in
    either are left out. Raises `ValueError` with fewer than three points.
    """
    source, target = (np.asarray(p, dtype=np.float64).reshape(-1, 3) for p in (points_from, points_to))
    known = np.isfinite(source).all(1) & np.isfinite(target).all(1)
    if known.sum() < 3:
        raise ValueError(f"a rigid motion needs 3 points, {int(known.sum())} are known in both worlds")
    a, b = source[known], target[known]
    u, _, vt = np.linalg.svd((b - b.mean(0)).T @ (a - a.mean(0)))
    rotation = u @ np.diag([1.0, 1.0, np.linalg.det(u) * np.linalg.det(vt)]) @ vt
    translation = b.mean(0) - rotation @ a.mean(0)
    residuals = source @ rotation.T + translation - target
    return Alignment(moved(rig, rotation, translation), rotation, translation, residuals[known])


def moved(rig: CalibratedRig, rotation: Array, translation_mm: Array) -> CalibratedRig:
    """The same rig, its world moved by y = rotation x + translation_mm."""
    back = invert(np.asarray(rotation), np.asarray(translation_mm))
    cameras = []
    for camera in rig.cameras:
        r, t = compose(camera.rotation_matrix, camera.translation, *back)
        cameras.append(camera.looking_from(rotation_vector(r), t))
    return CalibratedRig(tuple(cameras))


def on_board(rig: CalibratedRig, board_rotation: Array, board_translation: Array) -> CalibratedRig:
    """The rig in the frame of a board: origin at its first corner, x along the columns, z up out of it.

    `board_rotation`, `board_translation` carry board points (z into the board) to the rig's world.
    """
    upright = np.diag([1.0, -1.0, -1.0])
    to_board = invert(board_rotation, board_translation)
    return moved(rig, *compose(upright, np.zeros(3), *to_board))


def scaled(rig: CalibratedRig, factor: float) -> CalibratedRig:
    """The same rig in a world whose lengths are `factor` times as long."""
    return CalibratedRig(
        tuple(camera.looking_from(camera.rotation, camera.translation * factor) for camera in rig.cameras)
    )

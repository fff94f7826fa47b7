"""The distance of two cameras, which holds the scale where only one camera stays where it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.bundle import LENS, Array
from calibration.camera_model import CalibratedRig
from calibration.rotation import skew

SD = 1e-4  # of a distance of which the calibration does not say how well it is known
LEAST_SD = 1e-7


@dataclass(frozen=True, slots=True)
class Baseline:
    """Two cameras, by their places in the rig, and how far apart they stand as calibrated."""

    first: int
    second: int
    length_mm: float
    sd_mm: float


def baseline_of(rig: CalibratedRig, first: int, second: int, known: Array | None) -> Baseline:
    """The baseline of two cameras; `known` (C, 18, C, 18) is the covariance of the rig's parameters."""
    pair = [first, second]
    length, by_poses = length_by_poses(rig.rotations[pair], rig.translations[pair])
    sd = SD * length
    if known is not None:
        pose = range(LENS, known.shape[1])
        spread = known[np.ix_(pair, pose, pair, pose)].reshape(by_poses.size, by_poses.size)
        variance = by_poses.ravel() @ spread @ by_poses.ravel()
        sd = max(float(np.sqrt(np.maximum(variance, 0.0))), LEAST_SD * length)
    return Baseline(first, second, length, sd)


def length_by_poses(rotations: Array, translations: Array) -> tuple[float, Array]:
    """The distance mm of two cameras, and its derivative (2, 6) by their poses."""
    centres = -(rotations.swapaxes(-1, -2) @ translations[..., None])[..., 0]
    along = centres[1] - centres[0]
    length = float(np.linalg.norm(along))
    by_poses = [
        sign * along / length @ centre_by_pose(rotation, translation)
        for sign, rotation, translation in zip((-1.0, 1.0), rotations, translations, strict=True)
    ]
    return length, np.stack(by_poses)


def centre_by_pose(rotation: Array, translation: Array) -> Array:
    """Derivative (3, 6) of where a camera stands (mm) by its rotation (left, rad) and translation (mm)."""
    found: Array = -rotation.T @ np.concatenate([skew(translation), np.eye(3)], axis=1)
    return found

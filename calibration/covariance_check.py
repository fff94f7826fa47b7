"""Are triangulation's covariances true? Each camera's keypoints predicted from the others say so.

A keypoint is triangulated without a camera and projected into it; what is found there should lie within the
95 % ellipse of prediction and measurement in 95 of 100 frames. A network's errors are biased and correlated,
so it does not; the factor by which standard deviations must grow until it does is fitted for each keypoint.
It needs three cameras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from calibration.camera_model import CalibratedRig
from calibration.triangulation import TriangulationSettings, triangulate_exactly

Array = npt.NDArray[np.float64]

MOST_SETS = 2000  # looked at, evenly spaced: more change no figure
LEAST_PREDICTIONS = 20
MEDIAN_CHI2, P95_CHI2 = 1.3863, 5.9915  # of two degrees of freedom


@dataclass(frozen=True, slots=True)
class KeypointCheck:
    """One keypoint's covariance against what the left-out cameras saw.

    Attributes
    ----------
    predictions:
        How many views were predicted from others.
    coverage:
        Share of them inside the 95 % ellipse; None with too few.
    inflation:
        Factor on standard deviations that puts half of them inside the 50 % ellipse: what a typical frame
        needs. `inflation_95` puts 95 % inside the 95 % ellipse: what the rare gross error needs as well.
    """

    keypoint: str
    predictions: int
    coverage: float | None
    inflation: float | None
    inflation_95: float | None


def check_covariance(
    rig: CalibratedRig, keypoints: npt.ArrayLike, names: Sequence[str], settings: TriangulationSettings
) -> tuple[KeypointCheck, ...]:
    """Leave each camera out in turn; empty with fewer than three cameras.

    Parameters
    ----------
    keypoints:
        (T, C, K, 3): x px, y px, confidence, as for `triangulate_many`; `names` are the K keypoints'.
    """
    points = np.asarray(keypoints, dtype=np.float64)
    if len(rig.cameras) < 3 or not len(points):
        return ()
    chosen = np.unique(np.linspace(0, len(points) - 1, MOST_SETS).astype(int))
    points = points[chosen]
    distances = np.stack([_left_out(rig, points, settings, c) for c in range(len(rig.cameras))])
    found = []
    for k, name in enumerate(names):
        mine = distances[..., k]
        mine = mine[np.isfinite(mine)]
        if len(mine) < LEAST_PREDICTIONS:
            found.append(KeypointCheck(name, len(mine), None, None, None))
            continue
        middle, far = np.percentile(mine, [50, 95])
        found.append(
            KeypointCheck(
                name, len(mine), float(np.mean(mine <= P95_CHI2)), float(np.sqrt(middle / MEDIAN_CHI2)),
                float(np.sqrt(far / P95_CHI2)),
            )
        )  # fmt: skip
    return tuple(found)


def fitted_noise(checks: Sequence[KeypointCheck], settings: TriangulationSettings) -> TriangulationSettings:
    """The settings with each keypoint's noise as its check found it; as it was where there was too little."""
    given = np.broadcast_to(np.asarray(settings.noise_px, dtype=np.float64), len(checks))
    noise = [
        float(px) * (check.inflation or 1.0) for px, check in zip(given, checks, strict=True)
    ]  # fmt: skip
    return replace(settings, noise_px=tuple(noise)) if checks else settings


def _left_out(rig: CalibratedRig, points: Array, settings: TriangulationSettings, camera: int) -> Array:
    """Squared Mahalanobis distances (T, K) in a camera that was left out; NaN where nothing is predicted."""
    others = [name for c, name in enumerate(rig.names) if c != camera]
    there = [c for c in range(len(rig.cameras)) if c != camera]
    found = triangulate_exactly(rig.subset(others), points[:, there], settings)
    model = rig.cameras[camera]
    x = found[..., :3]
    covariance = found[..., [[3, 4, 5], [4, 6, 7], [5, 7, 8]]]
    error = points[:, camera, :, :2] - model.project(x)
    confidence = points[:, camera, :, 2]
    seen = (confidence >= settings.min_confidence) & np.isfinite(error).all(-1)
    noise2 = np.square(np.asarray(settings.noise_px, dtype=np.float64)) / np.where(seen, confidence, 1.0)
    jacobian = model.jacobian(np.where(seen[..., None], x, model.centre_mm + model.rotation_matrix[2]))
    spread = jacobian @ np.where(seen[..., None, None], covariance, 0.0) @ jacobian.swapaxes(-1, -2)
    spread = spread + noise2[..., None, None] * np.eye(2)
    solved = np.linalg.solve(spread, np.where(seen[..., None], error, 0.0)[..., None])[..., 0]
    return np.where(seen, (error * solved).sum(-1), np.nan)

"""From 2D keypoints in several cameras to 3D: weighted, through the lens, robust to a wrong view.

A view's variance is noise^2 / confidence. All views are fitted (linear, then Gauss-Newton on the
pixels); where their chi-square with 2 n - 3 degrees of freedom is too large, or one view lies outside the
gate, every pair of views is tried (MSAC, Torr and Zisserman 2000), and the views within the gate of the best
are fitted again.
The covariance is that of independent errors of `noise_px`; the calibration's own uncertainty and
biases common to the views are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri

from calibration import kernels
from calibration.camera_model import CalibratedRig

FALSE_ALARM = 1e-3  # share of clean points for which outliers are searched in vain


@dataclass(frozen=True, slots=True)
class TriangulationSettings:
    """What is known about the 2D keypoints.

    Attributes
    ----------
    noise_px:
        Standard deviation per axis at confidence 1: one number or one per keypoint.
    min_confidence:
        A view below it is not used. Never 0: a view of no confidence says nothing.
    gate_sigmas:
        A view whose error is larger than this many standard deviations is an outlier.
    """

    noise_px: float | tuple[float, ...] = 2.0
    min_confidence: float = 0.3
    gate_sigmas: float = 4.0

    def __post_init__(self) -> None:
        if not (np.min(self.noise_px) > 0 and self.min_confidence > 0 and self.gate_sigmas > 0):
            raise ValueError("noise_px, min_confidence and gate_sigmas must be larger than 0")


DEFAULT = TriangulationSettings()


def triangulate(
    rig: CalibratedRig, keypoints: npt.ArrayLike, settings: TriangulationSettings = DEFAULT
) -> npt.NDArray[np.float32]:
    """One frame set.

    Parameters
    ----------
    keypoints:
        (C, K, 3): x px, y px, confidence, cameras in the order of `rig`; NaN where absent.

    Returns
    -------
    float32 (K, 11), columns as `POSE3D_COLUMNS`. Where fewer than two views are usable, or the
    views contradict each other and none can be told to be wrong, position and covariance are NaN.
    """
    points: npt.NDArray[np.float32] = triangulate_many(rig, np.asarray(keypoints)[None], settings)[0]
    return points


def triangulate_many(
    rig: CalibratedRig, keypoints: npt.ArrayLike, settings: TriangulationSettings = DEFAULT
) -> npt.NDArray[np.float32]:
    """Frame sets (T, C, K, 3) as `triangulate`: float32 (T, K, 11)."""
    return triangulate_exactly(rig, keypoints, settings).astype(np.float32)


def triangulate_exactly(
    rig: CalibratedRig, keypoints: npt.ArrayLike, settings: TriangulationSettings = DEFAULT
) -> npt.NDArray[np.float64]:
    """`triangulate_many` in float64."""
    points = np.ascontiguousarray(keypoints, dtype=np.float64)
    noise, quantiles = prepare(rig, points, settings)
    out = np.empty((points.shape[0], points.shape[2], 11))
    kernels.triangulate_block(
        points, rig.lenses, rig.rotations, rig.translations, noise,
        float(settings.min_confidence), float(settings.gate_sigmas**2), quantiles, out,
    )  # fmt: skip
    return out


def prepare(
    rig: CalibratedRig, points: npt.NDArray[np.float64], settings: TriangulationSettings
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Noise (K,) px per keypoint and the chi-square bounds (C + 1,) by number of views."""
    cameras = len(rig.cameras)
    if points.ndim != 4 or points.shape[1] != cameras or points.shape[3] != 3:
        raise ValueError(f"expected keypoints (sets, {cameras} cameras, keypoints, 3), got {points.shape}")
    return _noise_and_bounds(settings, cameras, points.shape[2])


@lru_cache(maxsize=16)
def _noise_and_bounds(
    settings: TriangulationSettings, cameras: int, keypoints: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    noise = np.asarray(settings.noise_px, dtype=np.float64)
    if noise.ndim and noise.shape != (keypoints,):
        raise ValueError(f"expected noise_px for {keypoints} keypoints, got {noise.shape}")
    quantiles = np.full(cameras + 1, np.inf)
    quantiles[2:] = chdtri(2 * np.arange(2, cameras + 1) - 3, FALSE_ALARM)
    # a writable copy: a read-only array is another type to numba, and another minute of compiling
    return np.broadcast_to(noise, keypoints).copy(), quantiles

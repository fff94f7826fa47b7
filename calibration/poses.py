"""The values of tracking: `PoseSet`, what all cameras see; `Pose3D`, where the animal is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

POSE3D_COLUMNS = (
    "x_mm", "y_mm", "z_mm",
    "xx_mm2", "xy_mm2", "xz_mm2", "yy_mm2", "yz_mm2", "zz_mm2",
    "views", "reprojection_px",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PoseSet:
    """2D keypoints of one frame set.

    Attributes
    ----------
    index, t_exposure_ns:
        Those of the `FrameSet` it was found in.
    keypoints:
        float32 (cameras, keypoints, 3): x px, y px of the camera's full image (an integer is the
        centre of a pixel), confidence 0..1. NaN in all three where the camera had no frame.
    """

    index: int
    t_exposure_ns: int
    keypoints: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pose3D:
    """3D keypoints of one frame set.

    Attributes
    ----------
    index, t_exposure_ns:
        Those of the `FrameSet` it was found in.
    points:
        float32 (keypoints, 11), columns as `POSE3D_COLUMNS`: position mm in the calibration's world
        frame, upper triangle of its covariance mm^2, number of views used, RMS reprojection
        error px. Position and covariance are NaN where fewer than two views saw the point.
    """

    index: int
    t_exposure_ns: int
    points: npt.NDArray[np.float32]

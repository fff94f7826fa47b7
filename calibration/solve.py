"""From observations of a board to a calibrated rig: initialise, adjust, say what was used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.boards import BoardSettings
from calibration.bundle_adjustment import Adjusted, Problem, adjust
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.observations import Observations
from calibration.rotation import rotation_vector
from calibration.view_graph import FULL_LENS, initialise


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A calibrated rig and how it came about.

    Attributes
    ----------
    rig:
        World frame: the first camera's.
    observations:
        What was fitted (corners of symmetric boards renumbered); `adjusted` has its views' order.
    adjusted:
        Residuals, noise, covariance.
    instants:
        (I,) the instant of each board pose of `adjusted.bundle`.
    shared:
        (C, C) instants that two cameras share.
    """

    rig: CalibratedRig
    observations: Observations
    adjusted: Adjusted
    instants: npt.NDArray[np.int64]
    shared: npt.NDArray[np.int64]


def solve(observations: Observations, board: BoardSettings, *, k3: bool = False) -> Solution:
    """Calibrate from all the views.

    Raises
    ------
    RigposeError
        As `view_graph.initialise`.
    """
    free = (*FULL_LENS[:8], k3)
    points = board.points_mm
    start = initialise(observations, points, board.symmetries, free_lens=free)
    rows = np.searchsorted(start.instants, [view.instant for view in start.observations.views])
    problem = Problem.of_views(start.observations.views, rows, points)
    adjusted = adjust(problem, start.bundle, free_lens=free, fixed_cameras=(0,))
    bundle = adjusted.bundle
    cameras = tuple(
        CameraModel(
            name, observations.sizes_px[c], _matrix(bundle.lenses[c]), bundle.lenses[c, 4:],
            rotation_vector(bundle.rotations[c]), bundle.translations[c],
        )
        for c, name in enumerate(observations.cameras)
    )  # fmt: skip
    return Solution(CalibratedRig(cameras), start.observations, adjusted, start.instants, start.shared)


def _matrix(lens: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.array([[lens[0], 0.0, lens[2]], [0.0, lens[1], lens[3]], [0.0, 0.0, 1.0]])

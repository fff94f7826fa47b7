"""From observations of a board to a calibrated rig: initialise, adjust, say what was used."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from calibration.boards import BoardSettings
from calibration.bundle_adjustment import ROUGHLY, START_JITTER_S, Adjusted, Bundle, Problem, adjust
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
    free_lens:
        Which of fx fy cx cy k1 k2 p1 p2 k3 were estimated.
    """

    rig: CalibratedRig
    observations: Observations
    adjusted: Adjusted
    instants: npt.NDArray[np.int64]
    shared: npt.NDArray[np.int64]
    free_lens: tuple[bool, ...]


def solve(observations: Observations, board: BoardSettings, *, k3: bool = False) -> Solution:
    """Calibrate from all the views.

    Raises
    ------
    RigposeError
        As `view_graph.initialise`.
    """
    free = (*FULL_LENS[:8], k3)
    start = initialise(observations, board.points_mm, board.symmetries, free_lens=free)
    problem = _problem(start.observations, start.instants, board)
    adjusted = adjust(problem, start.bundle, free_lens=free, fixed_cameras=(0,))
    rig = rig_of(observations, adjusted.bundle)
    return Solution(rig, start.observations, adjusted, start.instants, start.shared, free)


def solve_again(solution: Solution, board: BoardSettings, keep: npt.NDArray[np.bool_]) -> Solution:
    """Calibrate from only the views where `keep`, starting where `solution` is."""
    views, instants = solution.observations.keep(keep), solution.instants
    start = solution.adjusted.bundle
    used = np.isin(instants, [view.instant for view in views.views])
    start = replace(
        start, board_rotations=start.board_rotations[used], board_translations=start.board_translations[used],
        jitter=start.jitter[keep],
    )  # fmt: skip
    problem = _problem(views, instants[used], board)
    adjusted = adjust(
        problem, start, free_lens=solution.free_lens, fixed_cameras=(0,), rounds=2, enough=ROUGHLY
    )
    rig = rig_of(views, adjusted.bundle)
    return replace(solution, rig=rig, observations=views, adjusted=adjusted, instants=instants[used])


def place_boards(
    solution: Solution, fitted: Solution, board: BoardSettings, keep: npt.NDArray[np.bool_]
) -> Adjusted:
    """The views of `solution` where `keep` seen by the rig of `fitted`, which stays as it is."""
    views, instants = solution.observations.keep(keep), solution.instants
    used = np.isin(instants, [view.instant for view in views.views])
    poses, rig = solution.adjusted.bundle, fitted.adjusted.bundle
    start = replace(
        rig, board_rotations=poses.board_rotations[used], board_translations=poses.board_translations[used],
        jitter=poses.jitter[keep],
    )  # fmt: skip
    problem = replace(_problem(views, instants[used], board), jitter_s=fitted.adjusted.jitter_s)
    everyone = tuple(range(len(rig.lenses)))
    return adjust(problem, start, free_lens=(False,) * 9, fixed_cameras=everyone, rounds=2, enough=ROUGHLY)


def rig_of(observations: Observations, bundle: Bundle) -> CalibratedRig:
    """The rig that a bundle describes."""
    cameras = []
    for c, name in enumerate(observations.cameras):
        fx, fy, cx, cy, *distortion = bundle.lenses[c]
        matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
        cameras.append(
            CameraModel(
                name, observations.sizes_px[c], matrix, np.array(distortion),
                rotation_vector(bundle.rotations[c]), bundle.translations[c],
            )
        )  # fmt: skip
    return CalibratedRig(tuple(cameras))


def _problem(observations: Observations, instants: npt.NDArray[np.int64], board: BoardSettings) -> Problem:
    rows = np.searchsorted(instants, [view.instant for view in observations.views])
    jitter_s = START_JITTER_S if observations.free_running and len(observations.cameras) > 1 else 0.0
    return Problem.of_views(observations.views, rows, board.points_mm, jitter_s)

"""From observations of a board to a calibrated rig: initialise, adjust, say what was used."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from calibration.boards import BoardSettings
from calibration.bundle import CAMERA, DELAY, LENS, Bundle, Problem
from calibration.bundle_adjustment import ROUGHLY, START_JITTER_S, Adjusted, adjust, joint_covariance
from calibration.camera_model import CalibratedRig
from calibration.lens import LensModel
from calibration.lens_choice import ChosenLens
from calibration.observations import Observations
from calibration.rotation import rotation_vector
from calibration.single_camera import camera_of_lens
from calibration.view_graph import initialise
from calibration.world import scaled


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
    lenses:
        The model of each camera, and what else was tried.
    """

    rig: CalibratedRig
    observations: Observations
    adjusted: Adjusted
    instants: npt.NDArray[np.int64]
    shared: npt.NDArray[np.int64]
    lenses: tuple[ChosenLens, ...]

    @property
    def free_lens(self) -> npt.NDArray[np.bool_]:
        """(C, 12): which of `lens.PARAMETERS` were estimated."""
        return np.stack([lens.free for lens in self.lenses])

    def board_pose(self, row: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(3, 3) and (3,) mm: board points to the rig's world, as the board lay at `instants[row]`."""
        return self.adjusted.bundle.board_rotations[row], self.adjusted.bundle.board_translations[row]

    def scaled(self, factor: float) -> Solution:
        """The same in a world whose lengths are `factor` times as long."""
        bundle, covariance = self.adjusted.bundle, self.adjusted.covariance.copy()
        covariance[:, DELAY - 3 : DELAY] *= factor
        covariance[..., DELAY - 3 : DELAY] *= factor
        bundle = replace(
            bundle, translations=bundle.translations * factor,
            board_translations=bundle.board_translations * factor,
        )  # fmt: skip
        adjusted = replace(self.adjusted, bundle=bundle, covariance=covariance)
        return replace(self, rig=scaled(self.rig, factor), adjusted=adjusted)


def solve(
    observations: Observations, board: BoardSettings, *, lens: LensModel | None = None,
    known: npt.NDArray[np.float64] | None = None,
) -> Solution:  # fmt: skip
    """Calibrate from all the views; `lens` None: the model of each camera by its held-out error.

    `known` (C, 13): lens rows that stay as they are.

    Raises
    ------
    RigposeError
        As `view_graph.initialise`.
    """
    start = initialise(observations, board.points_mm, board.symmetries, lens=lens, known=known)
    free = np.stack([each.free for each in start.lenses])
    problem = _problem(start.observations, start.instants, board)
    adjusted = adjust(problem, start.bundle, free_lens=free, fixed_cameras=(0,))
    rig = rig_of(observations, adjusted.bundle)
    return Solution(rig, start.observations, adjusted, start.instants, start.shared, start.lenses)


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
    return adjust(problem, start, free_lens=np.zeros(LENS), fixed_cameras=everyone, rounds=2, enough=ROUGHLY)


def covariance_with_board(solution: Solution, board: BoardSettings, row: int) -> npt.NDArray[np.float64]:
    """Joint covariance (C*18 + 6)^2 of the cameras' lenses and poses and of one board pose."""
    problem = _problem(solution.observations, solution.instants, board)
    everything = joint_covariance(problem, solution.adjusted, row)
    cameras = len(solution.rig.cameras)
    kept = np.append(np.tile(np.arange(CAMERA) < DELAY, cameras), np.ones(6, dtype=bool))
    found: npt.NDArray[np.float64] = everything[np.ix_(kept, kept)]
    return found


def rig_of(observations: Observations, bundle: Bundle) -> CalibratedRig:
    """The rig that a bundle describes."""
    return CalibratedRig(
        tuple(
            camera_of_lens(
                bundle.lenses[c], name, observations.sizes_px[c], rotation_vector(bundle.rotations[c]),
                bundle.translations[c],
            )
            for c, name in enumerate(observations.cameras)
        )
    )  # fmt: skip


def _problem(observations: Observations, instants: npt.NDArray[np.int64], board: BoardSettings) -> Problem:
    rows = np.searchsorted(instants, [view.instant for view in observations.views])
    jitter_s = START_JITTER_S if observations.free_running and len(observations.cameras) > 1 else 0.0
    return Problem.of_views(observations.views, rows, board.points_mm, jitter_s)

"""What a calibration is worth: errors per camera, coverage, and distances on boards that were not fitted.

The held-out figures come from four folds (`calibration.folds`): the rig is fitted without a fold, the board's
corners of the fold are triangulated and their distances compared with the print.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.boards import BoardSettings
from calibration.camera_model import CalibratedRig
from calibration.folds import FOLDS, fold_masks
from calibration.observations import Observations, View
from calibration.solve import Solution, place_boards, solve_again
from calibration.triangulation import TriangulationSettings, triangulate_exactly

Array = npt.NDArray[np.float64]

COVER_CELLS = (8, 6)
SHIFT_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class CameraQuality:
    """One camera in numbers, errors as distances in px over all its corners."""

    name: str
    views: int
    shared: int
    corners: int
    left_out: int
    rms_px: float
    median_px: float
    p95_px: float
    max_px: float
    coverage: float
    focal_px: tuple[float, float]
    focal_sd: float
    centre_sd_px: float
    delay_ms: float


@dataclass(frozen=True, slots=True)
class BoardDistances:
    """Distances between triangulated corners against the print.

    Attributes
    ----------
    pairs:
        How many distances.
    rms_mm, median_mm:
        Of their errors.
    scale_bias:
        By how much measured lengths are too long, as a share (least squares).
    reprojection_px:
        RMS of the triangulated corners.
    """

    pairs: int
    rms_mm: float
    median_mm: float
    scale_bias: float
    reprojection_px: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Figures on frame sets that were not fitted; `distances` is None for one camera."""

    folds: int
    frame_sets: int
    rms_px: float
    distances: BoardDistances | None


def camera_qualities(solution: Solution) -> tuple[CameraQuality, ...]:
    """Errors and coverage of every camera, on the frame sets that were fitted."""
    adjusted, observations = solution.adjusted, solution.observations
    error = np.linalg.norm(adjusted.residuals, axis=-1)
    camera = np.array([view.camera for view in observations.views])
    instants = np.array([view.instant for view in observations.views])
    found = []
    for c, name in enumerate(observations.cameras):
        mine = camera == c
        seen = np.isfinite(error[mine])
        own = error[mine][seen]
        sd = np.sqrt(np.maximum(np.diag(adjusted.camera_covariance[c]), 0))
        lens = adjusted.bundle.lenses[c]
        found.append(
            CameraQuality(
                name, int(mine.sum()), int(np.isin(instants[mine], instants[~mine]).sum()), int(seen.sum()),
                int((seen & ~adjusted.inliers[mine]).sum()), _rms(own), float(np.median(own)),
                float(np.percentile(own, 95)), float(own.max()),
                coverage(observations.of_camera(c), observations.sizes_px[c]),
                (float(lens[0]), float(lens[1])), float(max(sd[0] / lens[0], sd[1] / lens[1])),
                float(max(sd[2], sd[3])), float(adjusted.bundle.delays[c] * 1e3),
            )
        )  # fmt: skip
    return tuple(found)


def coverage(views: tuple[View, ...], size_px: tuple[int, int]) -> float:
    """Share of the image's cells (8 x 6) in which a corner was seen."""
    cells: set[tuple[int, int]] = set()
    for view in views:
        x = np.clip(view.px[:, 0] * COVER_CELLS[0] / size_px[0], 0, COVER_CELLS[0] - 1).astype(int)
        y = np.clip(view.px[:, 1] * COVER_CELLS[1] / size_px[1], 0, COVER_CELLS[1] - 1).astype(int)
        cells |= set(zip(x.tolist(), y.tolist(), strict=True))
    return len(cells) / (COVER_CELLS[0] * COVER_CELLS[1])


def held_out(solution: Solution, board: BoardSettings) -> HeldOut | None:
    """Fit without each fold in turn and measure on it; None with too few frame sets to spare any."""
    observations = solution.observations
    masks = fold_masks(observations)
    if not masks:
        return None
    errors, points, reprojections = [], [], []
    for kept, spared in masks:
        fitted = solve_again(solution, board, kept)
        placed = place_boards(solution, fitted, board, spared)
        errors.append(placed.residuals[np.isfinite(placed.residuals).all(-1)])
        if len(observations.cameras) > 1:
            delays = fitted.adjusted.bundle.delays
            found = triangulate_corners(
                fitted.rig, observations.keep(spared), board, delays, fitted.adjusted.jitter_s
            )
            points.append(found[..., :3])
            reprojections.append(found[..., 10])
    rms = _rms(np.linalg.norm(np.concatenate(errors), axis=-1))
    distances = None
    if points:
        distances = board_distances(np.concatenate(points), np.concatenate(reprojections), board)
    return HeldOut(FOLDS, len(observations.frame_sets), rms, distances)


def triangulate_corners(
    rig: CalibratedRig, observations: Observations, board: BoardSettings, delays: Array | None = None,
    jitter_s: float = 0.0,
) -> Array:  # fmt: skip
    """Corners of every instant, (I, N, 11) as `POSE3D_COLUMNS`, without knowing that they form a board.

    Where cameras run freely (`jitter_s` > 0), corners are moved along their velocity by the cameras'
    delays, and each view by the time that makes it agree best with the others.
    """
    instants = sorted({view.instant for view in observations.views})
    row = {instant: k for k, instant in enumerate(instants)}
    shape = (len(instants), len(rig.cameras), len(board.points_mm), 3)
    points, velocity = np.full(shape, np.nan), np.zeros((*shape[:3], 2))
    for view in observations.views:
        points[row[view.instant], view.camera, view.ids, :2] = view.px
        points[row[view.instant], view.camera, view.ids, 2] = 1.0
        if view.velocity is not None:
            velocity[row[view.instant], view.camera, view.ids] = view.velocity
    # a wide gate: nothing is to be left out because it disagrees, that is what is measured here
    settings = TriangulationSettings(noise_px=0.3, gate_sigmas=1e6)
    late = np.zeros(shape[:2]) + (0.0 if delays is None else delays)
    for _ in range(SHIFT_ROUNDS if jitter_s > 0 else 1):
        shifted = points.copy()
        shifted[..., :2] -= velocity * late[..., None, None]
        found = triangulate_exactly(rig, shifted, settings)
        if jitter_s > 0:
            residual = np.moveaxis(rig.project(found[..., :3]), 0, 1) - shifted[..., :2]
            good = np.isfinite(residual).all(-1)
            pull = np.where(good[..., None], residual * velocity, 0.0).sum((2, 3))
            push = np.where(good[..., None], velocity**2, 0.0).sum((2, 3))
            offset = late - (0.0 if delays is None else delays)
            prior = (settings.noise_px / jitter_s) ** 2  # type: ignore[operator]
            late = late - (pull + prior * offset) / (push + prior)
    return found


def board_distances(points: Array, reprojection: Array, board: BoardSettings) -> BoardDistances | None:
    """All distances between corners (I, N, 3) of one instant against the print; None without any."""
    a, b = np.triu_indices(len(board.points_mm), 1)
    true = np.linalg.norm(board.points_mm[a] - board.points_mm[b], axis=1)
    measured = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
    known = np.isfinite(measured)
    if not known.any():
        return None
    measured, expected = measured[known], np.broadcast_to(true, known.shape)[known]
    error = measured - expected
    scale = float(measured @ expected / (expected @ expected) - 1)
    reprojected = _rms(reprojection[np.isfinite(reprojection)])
    return BoardDistances(int(known.sum()), _rms(error), float(np.median(np.abs(error))), scale, reprojected)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))

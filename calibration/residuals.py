"""The residuals of a calibration by place: across each image, over the board, view by view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.boards import BoardSettings
from calibration.solve import Solution

Array = npt.NDArray[np.float64]

FIELD = (8, 6)
LEAST_CORNERS = 5  # of a cell: the mean of fewer is noise
TILTS_DEG = (0, 15, 30, 45, 90)


@dataclass(frozen=True, slots=True)
class ViewError:
    """One view's error; tilt is the angle between the board's normal and the line of sight."""

    camera: str
    frame_set: int
    corners: int
    rms_px: float
    max_px: float
    tilt_deg: float


def residual_field(solution: Solution, camera: int) -> Array:
    """Mean residual (6, 8, 2) px, found minus predicted, over the cells of an image; NaN with few corners.

    What a lens model cannot describe stays here as a pattern; noise does not.
    """
    width, height = solution.observations.sizes_px[camera]
    total, count = np.zeros((FIELD[1], FIELD[0], 2)), np.zeros((FIELD[1], FIELD[0]))
    for v, view in enumerate(solution.observations.views):
        if view.camera != camera:
            continue
        kept = solution.adjusted.inliers[v, : len(view.ids)]
        px, residual = view.px[kept], solution.adjusted.residuals[v, : len(view.ids)][kept]
        x = np.clip(px[:, 0] * FIELD[0] / width, 0, FIELD[0] - 1).astype(int)
        y = np.clip(px[:, 1] * FIELD[1] / height, 0, FIELD[1] - 1).astype(int)
        np.add.at(total, (y, x), -residual)
        np.add.at(count, (y, x), 1)
    return np.where((count >= LEAST_CORNERS)[..., None], total / np.maximum(count, 1)[..., None], np.nan)


def corner_rms(solution: Solution, board: BoardSettings) -> Array:
    """RMS residual (rows, columns) px of each of the board's corners: a bent board shows at its edges."""
    columns, rows = board.grid
    squares, count = np.zeros(rows * columns), np.zeros(rows * columns)
    for v, view in enumerate(solution.observations.views):
        kept = solution.adjusted.inliers[v, : len(view.ids)]
        np.add.at(
            squares, view.ids[kept], (solution.adjusted.residuals[v, : len(view.ids)][kept] ** 2).sum(-1)
        )
        np.add.at(count, view.ids[kept], 1)
    found = np.where(count > 0, np.sqrt(squares / np.maximum(count, 1)), np.nan)
    return found.reshape(rows, columns)


def view_errors(solution: Solution) -> tuple[ViewError, ...]:
    """Every view's error, the worst first."""
    bundle, observations = solution.adjusted.bundle, solution.observations
    rows = np.searchsorted(solution.instants, [view.instant for view in observations.views])
    found = []
    for v, (row, view) in enumerate(zip(rows, observations.views, strict=True)):
        error = np.linalg.norm(solution.adjusted.residuals[v, : len(view.ids)], axis=-1)
        normal = bundle.rotations[view.camera] @ bundle.board_rotations[row][:, 2]
        sight = bundle.rotations[view.camera] @ bundle.board_translations[row]
        sight = sight + bundle.translations[view.camera]
        cosine = abs(normal @ sight) / np.linalg.norm(sight)
        found.append(
            ViewError(
                observations.cameras[view.camera], view.frame_set, len(view.ids),
                float(np.sqrt(np.mean(error**2))), float(error.max()),
                float(np.degrees(np.arccos(min(cosine, 1.0)))),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda each: -each.rms_px))


def tilts(views: tuple[ViewError, ...], camera: str) -> tuple[int, ...]:
    """How many of a camera's views are tilted by 0-15, 15-30, 30-45 and more degrees."""
    mine = [view.tilt_deg for view in views if view.camera == camera]
    return tuple(int(count) for count in np.histogram(mine, TILTS_DEG)[0])

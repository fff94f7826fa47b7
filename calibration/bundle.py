"""What a bundle adjustment estimates, what it is given, and how one predicts the other.

Rotations move by left multiplication, R <- exp(w) R; the Jacobian is analytic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.lens import ESTIMATED, distort, radial, radial_by_coefficient
from calibration.observations import View
from calibration.rotation import skew

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

LENS = ESTIMATED
DELAY = LENS + 6
CAMERA = DELAY + 1
K_COLUMNS = [4, 5, 8, 9, 10, 11]  # of k1 ... k6


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """Everything the adjustment estimates.

    Attributes
    ----------
    lenses:
        (C, 13), rows as `calibration.lens`.
    rotations, translations:
        (C, 3, 3), (C, 3) mm: world to camera.
    board_rotations, board_translations:
        (I, 3, 3), (I, 3) mm: board to world, one per instant.
    delays, jitter:
        (C,), (V,) s: how much later than its instant a camera's images, and a single view, were taken.
    """

    lenses: Array
    rotations: Array
    translations: Array
    board_rotations: Array
    board_translations: Array
    delays: Array
    jitter: Array


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Views as padded arrays: V views of at most P corners.

    Attributes
    ----------
    camera, board:
        int64 (V,): which camera and which row of the board poses.
    points:
        (V, P, 3) mm on the board; px: (V, P, 2); valid: (V, P).
    velocity:
        (V, P, 2) px/s: zero where unknown.
    sigma:
        (V,) px: noise of a view's corners.
    jitter_s:
        Standard deviation of the views' jitter; 0: the cameras are synchronised.
    """

    camera: Rows
    board: Rows
    points: Array
    px: Array
    valid: Mask
    velocity: Array
    sigma: Array
    jitter_s: float = 0.0

    @classmethod
    def of_views(
        cls, views: tuple[View, ...], boards: npt.NDArray[np.int64], points_mm: Array, jitter_s: float = 0.0
    ) -> Problem:
        """Pack views; `boards` gives each view's row of the board poses."""
        most = max(len(view.ids) for view in views)
        points, px = np.zeros((len(views), most, 3)), np.zeros((len(views), most, 2))
        velocity = np.zeros_like(px)
        valid = np.zeros((len(views), most), dtype=bool)
        for v, view in enumerate(views):
            n = len(view.ids)
            points[v, :n], px[v, :n], valid[v, :n] = points_mm[view.ids], view.px, True
            if view.velocity is not None:
                velocity[v, :n] = view.velocity
        camera = np.array([view.camera for view in views])
        return cls(camera, np.asarray(boards), points, px, valid, velocity, np.ones(len(views)), jitter_s)


def of_points(
    lenses: Array, rotations: Array, translations: Array, points: Array, px: Array, seen: Mask
) -> tuple[Problem, Bundle]:
    """Free world points (N, 3) mm as the cameras saw them, px (C, N, 2) where `seen` (C, N).

    They stand as one board in the world's frame, with a view by each camera: what `residuals_of` and
    `jacobians` give are (C, N, ...), and of the derivatives by the board's pose the last three are those by a
    point. `lenses`, `rotations`, `translations`: of the cameras, as `Bundle` has them.
    """
    cameras = len(lenses)
    bundle = Bundle(
        lenses, rotations, translations, np.eye(3)[None], np.zeros((1, 3)), np.zeros(cameras),
        np.zeros(cameras),
    )  # fmt: skip
    everywhere = np.broadcast_to(points, (cameras, *points.shape))
    problem = Problem(
        np.arange(cameras), np.zeros(cameras, dtype=np.int64), everywhere, np.where(seen[..., None], px, 0.0),
        seen, np.zeros((cameras, *points.shape[:-1], 2)), np.ones(cameras),
    )  # fmt: skip
    return problem, bundle


def project_board(bundle: Bundle, camera: Rows, board: Rows, points: Array) -> Array:
    """Board points (V, P, 3) as pixels (V, P, 2), for arrays of camera and board rows (V,)."""
    world = (
        points @ bundle.board_rotations[board].swapaxes(-1, -2) + bundle.board_translations[board][:, None]
    )
    local = world @ bundle.rotations[camera].swapaxes(-1, -2) + bundle.translations[camera][:, None]
    return _pixels(local, bundle.lenses[camera][:, None])[0]


def residuals_of(problem: Problem, bundle: Bundle) -> Array:
    """Predicted minus found (V, P, 2) px; 0 where there is no corner."""
    residuals = project_board(bundle, problem.camera, problem.board, problem.points) - problem.px
    residuals += problem.velocity * _late(problem, bundle)
    return np.where(problem.valid[..., None], residuals, 0.0)


def _late(problem: Problem, bundle: Bundle) -> Array:
    return (bundle.delays[problem.camera] + bundle.jitter)[:, None, None]


def _pixels(local: Array, lens: Array) -> tuple[Array, Array, Array]:
    """Camera points to pixels; also normalised points (..., 2) and depth (...)."""
    depth = np.where(np.abs(local[..., 2]) > 1e-9, local[..., 2], 1e-9)
    normalised = local[..., :2] / depth[..., None]
    return distort(normalised, lens) * lens[..., :2] + lens[..., 2:4], normalised, depth


def jacobians(problem: Problem, bundle: Bundle) -> tuple[Array, Array, Array]:
    """Residuals (V, P, 2) and derivatives by camera (V, P, 2, 19) and by board pose (V, P, 2, 6)."""
    lens = bundle.lenses[problem.camera][:, None]
    camera_r, board_r = bundle.rotations[problem.camera], bundle.board_rotations[problem.board]
    turned = problem.points @ board_r.swapaxes(-1, -2)
    world = turned + bundle.board_translations[problem.board][:, None]
    seen = world @ camera_r.swapaxes(-1, -2)
    local = seen + bundle.translations[problem.camera][:, None]
    px, normalised, depth = _pixels(local, lens)
    fx, fy, p1, p2 = (lens[..., column] for column in (0, 1, 6, 7))
    a, b = normalised[..., 0], normalised[..., 1]
    r2 = a * a + b * b
    g, slope = radial(r2, lens)

    by_camera = np.zeros((*a.shape, 2, CAMERA))
    by_camera[..., 0, 0] = a * g + 2 * p1 * a * b + p2 * (r2 + 2 * a * a)
    by_camera[..., 1, 1] = b * g + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b
    by_camera[..., 0, 2] = by_camera[..., 1, 3] = 1
    by_k = radial_by_coefficient(r2, lens)
    by_camera[..., 0, K_COLUMNS] = (fx * a)[..., None] * by_k
    by_camera[..., 1, K_COLUMNS] = (fy * b)[..., None] * by_k
    by_camera[..., 0, 6], by_camera[..., 1, 6] = fx * 2 * a * b, fy * (r2 + 2 * b * b)
    by_camera[..., 0, 7], by_camera[..., 1, 7] = fx * (r2 + 2 * a * a), fy * 2 * a * b

    cross = slope * a * b + 2 * p1 * a + 2 * p2 * b
    daa = fx * (g + slope * a * a + 2 * p1 * b + 6 * p2 * a) / depth
    dab, dba = fx * cross / depth, fy * cross / depth
    dbb = fy * (g + slope * b * b + 6 * p1 * b + 2 * p2 * a) / depth
    by_local = np.stack(
        [
            np.stack([daa, dab, -(daa * a + dab * b)], -1),
            np.stack([dba, dbb, -(dba * a + dbb * b)], -1),
        ],
        -2,
    )
    by_world = by_local @ camera_r[:, None]
    by_camera[..., LENS : LENS + 3] = -by_local @ skew(seen)
    by_camera[..., LENS + 3 : DELAY] = by_local
    by_camera[..., DELAY] = problem.velocity
    by_board = np.concatenate([-by_world @ skew(turned), by_world], axis=-1)
    residuals = px - problem.px + problem.velocity * _late(problem, bundle)
    return np.where(problem.valid[..., None], residuals, 0.0), by_camera, by_board

"""One camera by itself: its lens and its boards' poses from its own views.

The focal length is scanned (a planar board gives every view's pose in closed form for a known lens: IPPE,
Collins and Bartoli 2014), then lens and poses are adjusted together.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from calibration.bundle import LENS, Bundle, Problem, project_board
from calibration.bundle_adjustment import ROUGHLY, Adjusted, adjust
from calibration.camera_model import CameraModel
from calibration.lens import (
    FISHEYE,
    PARAMETERS,
    ROW,
    WIDEST_START,
    LensModel,
    free_parameters,
    undistort_start,
)
from calibration.observations import View
from calibration.rotation import rotation_matrix

Array = npt.NDArray[np.float64]
Motion = tuple[Array, Array]

SCAN_VIEWS = 12
FOCAL_PER_WIDTH = np.geomspace(0.3, 8, 34)  # from a wide lens to a telephoto
FISHEYE_FOCAL_PER_WIDTH = np.geomspace(0.15, 1.5, 24)  # 0.32: the width spans 180 degrees
FIRST = tuple(name in ("fx", "fy", "k1") for name in PARAMETERS)
LEAST_VISIBLE = 6  # corners that a trial lens must be able to have seen


def fit_camera(
    views: tuple[View, ...], size_px: tuple[int, int], points_mm: Array, model: LensModel,
    start: Adjusted | None = None,
) -> Adjusted:  # fmt: skip
    """Lens and board poses (one per view, in the camera's frame) of a camera of the given model.

    `start`: a fit of the same views by a smaller model, where there is one.
    """
    views = tuple(replace(view, camera=0) for view in views)
    problem = Problem.of_views(views, np.arange(len(views)), points_mm)
    if start is None:
        some = [views[k] for k in np.unique(np.linspace(0, len(views) - 1, SCAN_VIEWS).astype(int))]
        lens = _scanned(some, size_px, points_mm, model == "fisheye")
        rough = adjust(
            problem, _posed(views, lens, points_mm), free_lens=FIRST, fixed_cameras=(0,), rounds=1,
            enough=ROUGHLY,
        )  # fmt: skip
        # posed anew: with the better lens a view that took the wrong one of two tilts may find the right one
        bundle = _posed(views, rough.bundle.lenses[0], points_mm)
        if model in ("k3", "rational"):
            free = free_parameters("pinhole")
            bundle = adjust(
                problem, bundle, free_lens=free, fixed_cameras=(0,), rounds=1, enough=ROUGHLY
            ).bundle
    else:
        bundle = start.bundle
    free = free_parameters(model)
    return adjust(problem, bundle, free_lens=free, fixed_cameras=(0,), rounds=2, enough=ROUGHLY)


def place_camera(views: tuple[View, ...], points_mm: Array, lens: Array) -> Adjusted:
    """Board poses (one per view, in the camera's frame) through a known lens (13,)."""
    views = tuple(replace(view, camera=0) for view in views)
    problem = Problem.of_views(views, np.arange(len(views)), points_mm)
    return adjust(
        problem, _posed(views, lens, points_mm), free_lens=np.zeros(LENS), fixed_cameras=(0,), rounds=2,
        enough=ROUGHLY,
    )  # fmt: skip


def _scanned(views: list[View], size_px: tuple[int, int], points_mm: Array, fisheye: bool) -> Array:
    """The lens without distortion that suits the views best."""
    width, height = size_px
    lens = np.zeros(ROW)
    lens[2:4], lens[FISHEYE] = ((width - 1) / 2, (height - 1) / 2), fisheye
    costs = []
    focals = (FISHEYE_FOCAL_PER_WIDTH if fisheye else FOCAL_PER_WIDTH) * width
    for focal in focals:
        lens[:2] = focal
        costs.append(np.median([_plane_pose(view, lens, points_mm)[1] for view in views]))
    lens[:2] = focals[int(np.argmin(costs))]
    return lens


def _posed(views: tuple[View, ...], lens: Array, points_mm: Array) -> Bundle:
    poses = [_plane_pose(view, lens, points_mm)[0] for view in views]
    return Bundle(
        lens[None], np.eye(3)[None], np.zeros((1, 3)), np.stack([p[0] for p in poses]),
        np.stack([p[1] for p in poses]), np.zeros(1), np.zeros(len(views)),
    )  # fmt: skip


def _plane_pose(view: View, lens: Array, points_mm: Array) -> tuple[Motion, float]:
    """Board to camera in closed form, and its RMS error px."""
    points, px = points_mm[view.ids], view.px
    if lens[FISHEYE]:  # IPPE knows no fisheye, but rays
        px = _rays(lens, px)
        there = np.isfinite(px).all(1)
        if there.sum() < LEAST_VISIBLE:
            return NOWHERE, np.inf
        count, rotations, translations, errors = cv2.solvePnPGeneric(
            points[there], px[there], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
        )
    else:
        matrix = np.array([[lens[0], 0, lens[2]], [0, lens[1], lens[3]], [0, 0, 1]])
        count, rotations, translations, errors = cv2.solvePnPGeneric(
            points, px, matrix, lens[4:12], flags=cv2.SOLVEPNP_IPPE
        )
    if not count:
        return NOWHERE, np.inf
    best = int(np.argmin(errors))
    pose = rotation_matrix(rotations[best].ravel()), translations[best].ravel().astype(np.float64)
    if lens[FISHEYE]:
        return pose, board_error(view, lens, pose, points_mm) if there.all() else np.inf
    return pose, float(np.asarray(errors[best]).ravel()[0])


def _rays(lens: Array, px: Array) -> Array:
    """Undistorted points of a fisheye, NaN where there are none; in closed form while it is undistorted."""
    if lens[4:FISHEYE].any():
        return camera_of_lens(lens).undistort(px)
    bent = (px - lens[2:4]) / lens[:2]
    within = np.linalg.norm(bent, axis=-1, keepdims=True) < WIDEST_START
    return np.where(within, undistort_start(bent, lens), np.nan)


NOWHERE: Motion = (np.eye(3), np.array([0.0, 0.0, 1000.0]))


def board_error(view: View, lens: Array, pose: Motion, points_mm: Array) -> float:
    """RMS px of a view's corners from where a board in `pose` (to the camera's frame) would show them."""
    zero = np.zeros(1)
    bundle = Bundle(lens[None], np.eye(3)[None], np.zeros((1, 3)), pose[0][None], pose[1][None], zero, zero)
    row = np.zeros(1, dtype=np.int64)
    px = project_board(bundle, row, row, points_mm[view.ids][None])[0]
    return float(np.sqrt(np.mean(((px - view.px) ** 2).sum(-1))))


def camera_of_lens(
    lens: Array, name: str = "", size_px: tuple[int, int] = (0, 0), rotation: npt.ArrayLike = (0, 0, 0),
    translation: npt.ArrayLike = (0, 0, 0),
) -> CameraModel:  # fmt: skip
    """A camera from a lens row."""
    fx, fy, cx, cy = lens[:4]
    matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    fisheye = bool(lens[FISHEYE])
    distortion = lens[[4, 5, 8, 9]] if fisheye else lens[4:12] if np.any(lens[9:12]) else lens[4:9]
    return CameraModel(
        name, size_px, matrix, distortion, np.asarray(rotation), np.asarray(translation), fisheye
    )

"""Tests of a calibration that its own residuals cannot pass by themselves.

Epipolar distances use two cameras at a time and no board; leaving a camera out predicts its corners from the
others; relative poses say, frame by frame, whether two cameras stand to each other as calibrated; and the
timing test tells bad synchronisation from bad calibration: it lets every camera be late and sees whether the
residuals go away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from calibration.boards import BoardSettings
from calibration.bundle import LENS, Problem
from calibration.bundle_adjustment import ROUGHLY, START_JITTER_S, adjust
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.lens import distort_jacobian
from calibration.rotation import compose, invert, rotation_vector
from calibration.solve import Solution
from calibration.triangulation import TriangulationSettings, triangulate_exactly

Array = npt.NDArray[np.float64]

LEAST_MOVING = 6  # views of a camera in which the board moves
MOVING_PX_S = 20.0


@dataclass(frozen=True, slots=True)
class PairDistance:
    """Distance px of a corner from the epipolar line that another camera's view of it draws."""

    first: str
    second: str
    corners: int
    rms_px: float
    p95_px: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A camera's corners as the others predict them."""

    name: str
    corners: int
    rms_px: float
    median_px: float


@dataclass(frozen=True, slots=True)
class RelativePose:
    """How two cameras stand to each other, frame by frame, from what each alone makes of the board.

    Attributes
    ----------
    frame_sets, moved_mm, turned_deg:
        Per frame set: the difference from the calibrated relative pose.
    speed_px_s:
        Of the board in the first camera; NaN where unknown.
    """

    first: str
    second: str
    frame_sets: tuple[int, ...]
    moved_mm: tuple[float, ...]
    turned_deg: tuple[float, ...]
    speed_px_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CameraTiming:
    """How late a camera is against the others, by boards in motion; None where too few moved."""

    name: str
    moving_views: int
    delay_ms: float | None
    delay_sd_ms: float | None


@dataclass(frozen=True, slots=True)
class Timing:
    """Whether residuals come from time.

    Attributes
    ----------
    slow_px, fast_px:
        RMS residual of the slower and of the faster half of the views whose speed is known.
    rms_px, timed_px:
        Of the views in motion, as calibrated, and with every camera's delay (and each view's jitter) free.
    """

    cameras: tuple[CameraTiming, ...]
    slow_px: float
    fast_px: float
    rms_px: float
    timed_px: float


@dataclass(frozen=True, slots=True)
class CrossChecks:
    """All of them; empty or None where the recording does not allow one."""

    pairs: tuple[PairDistance, ...]
    left_out: tuple[LeftOut, ...]
    relative: tuple[RelativePose, ...]
    timing: Timing | None


def cross_check(solution: Solution, board: BoardSettings) -> CrossChecks:
    """Run every test that the recording allows."""
    instants = solution.instants
    seen = corners_seen(solution, len(board.points_mm))
    rig = solution.rig
    if len(rig.cameras) < 2:
        return CrossChecks((), (), (), None)
    pairs = tuple(
        found
        for a, b in combinations(range(len(rig.cameras)), 2)
        if (found := _pair(rig.cameras[a], rig.cameras[b], seen[:, a], seen[:, b])) is not None
    )
    left_out = _left_out(rig, seen) if len(rig.cameras) > 2 else ()
    return CrossChecks(pairs, left_out, _relative(solution, board, instants), _timing(solution, board))


def corners_seen(solution: Solution, corners: int) -> Array:
    """Corners (I, C, N, 2) px at their instant, wrong ones left out: NaN where a camera did not see one."""
    observations, adjusted = solution.observations, solution.adjusted
    seen = np.full((len(solution.instants), len(observations.cameras), corners, 2), np.nan)
    rows = np.searchsorted(solution.instants, [view.instant for view in observations.views])
    for v, (row, view) in enumerate(zip(rows, observations.views, strict=True)):
        px = view.px
        if view.velocity is not None and observations.free_running:
            px = px - view.velocity * (adjusted.bundle.delays[view.camera] + adjusted.bundle.jitter[v])
        kept = adjusted.inliers[v, : len(view.ids)]
        seen[row, view.camera, view.ids[kept]] = px[kept]
    return seen


def epipolar_distances(first: CameraModel, second: CameraModel, px: Array, other: Array) -> Array:
    """Signed distances (N,) px in `second` of `other` (N, 2) from the epipolar lines of `px` in `first`.

    To first order, through the second camera's lens.
    """
    rotation, translation = compose(
        second.rotation_matrix, second.translation, *invert(first.rotation_matrix, first.translation)
    )
    ray = np.concatenate([first.undistort(px), np.ones((len(px), 1))], axis=1)
    there = second.undistort(other)
    line = np.cross(translation, ray @ rotation.T)  # (N, 3): essential matrix times the ray
    off = (line[:, :2] * there).sum(1) + line[:, 2]
    by_px = distort_jacobian(there, second.lens) * second.matrix[[0, 1], [0, 1]][:, None]
    # px move by J d, so the line's normal in px is J^-T of the normalised one
    known = np.asarray(np.isfinite(by_px).all((1, 2)))
    normal = np.linalg.solve(
        np.where(known[:, None, None], by_px, np.eye(2)).swapaxes(-1, -2), line[:, :2, None]
    )[..., 0]
    distance: Array = np.where(known, off / np.linalg.norm(normal, axis=1), np.nan)
    return distance


def _pair(first: CameraModel, second: CameraModel, px: Array, other: Array) -> PairDistance | None:
    both = np.isfinite(px).all(-1) & np.isfinite(other).all(-1)
    if not both.any():
        return None
    distance = epipolar_distances(first, second, px[both], other[both])
    distance = np.abs(distance[np.isfinite(distance)])
    return PairDistance(
        first.name, second.name, len(distance), _rms(distance), float(np.percentile(distance, 95))
    )


def _left_out(rig: CalibratedRig, seen: Array) -> tuple[LeftOut, ...]:
    found = []
    settings = TriangulationSettings(noise_px=0.3, gate_sigmas=1e6)  # nothing is left out: that is measured
    for c, camera in enumerate(rig.cameras):
        others = [other for other in range(len(rig.cameras)) if other != c]
        px = seen[:, others]
        keypoints = np.concatenate([px, np.ones((*px.shape[:3], 1))], axis=-1)
        points = triangulate_exactly(rig.subset([rig.names[o] for o in others]), keypoints, settings)
        error = np.linalg.norm(camera.project(points[..., :3]) - seen[:, c], axis=-1)
        error = error[np.isfinite(error)]
        if len(error):
            found.append(LeftOut(camera.name, len(error), _rms(error), float(np.median(error))))
    return tuple(found)


def _relative(
    solution: Solution, board: BoardSettings, instants: npt.NDArray[np.int64]
) -> tuple[RelativePose, ...]:
    """Each camera against the one it shares most views with."""
    alone = [_own_poses(solution, board, c) for c in range(len(solution.rig.cameras))]
    found = []
    for c, name in enumerate(solution.rig.names):
        if c == 0:
            continue
        partner = int(np.argmax(np.where(np.arange(len(solution.shared)) < c, solution.shared[c], -1)))
        calibrated = compose(
            solution.rig.rotations[c], solution.rig.translations[c],
            *invert(solution.rig.rotations[partner], solution.rig.translations[partner]),
        )  # fmt: skip
        rows = []
        for instant in instants:
            if int(instant) not in alone[c] or int(instant) not in alone[partner]:
                continue
            (here, _), (there, speed) = alone[c][int(instant)], alone[partner][int(instant)]
            # where the second camera sees the board, and where it should by the first
            r, t = compose(*here, *invert(*compose(*calibrated, *there)))
            centre = board.points_mm.mean(axis=0) @ here[0].T + here[1]
            moved = float(np.linalg.norm(centre - invert(r, t)[0] @ centre - invert(r, t)[1]))
            rows.append((int(instant), moved, float(np.degrees(np.linalg.norm(rotation_vector(r)))), speed))
        if rows:
            sets, moved_mm, turned, speeds = zip(*rows, strict=True)
            found.append(RelativePose(solution.rig.names[partner], name, sets, moved_mm, turned, speeds))
    return tuple(found)


def _own_poses(
    solution: Solution, board: BoardSettings, camera: int
) -> dict[int, tuple[tuple[Array, Array], float]]:
    """Board to camera by that camera's view alone, and the board's speed px/s, by instant."""
    chosen = np.array([view.camera == camera for view in solution.observations.views])
    views = solution.observations.keep(chosen).views
    bundle = solution.adjusted.bundle
    rows = np.searchsorted(solution.instants, [view.instant for view in views])
    rotations, translations = compose(
        bundle.rotations[camera], bundle.translations[camera], bundle.board_rotations[rows],
        bundle.board_translations[rows],
    )  # fmt: skip
    start = replace(
        bundle, lenses=bundle.lenses[camera][None], rotations=np.eye(3)[None], translations=np.zeros((1, 3)),
        board_rotations=rotations, board_translations=translations,
        delays=bundle.delays[camera][None], jitter=bundle.jitter[chosen],
    )  # fmt: skip
    alone = tuple(replace(view, camera=0) for view in views)
    problem = Problem.of_views(alone, np.arange(len(views)), board.points_mm)
    placed = adjust(
        problem, start, free_lens=np.zeros(LENS), fixed_cameras=(0,), rounds=2, enough=ROUGHLY
    ).bundle
    return {
        view.instant: ((placed.board_rotations[k], placed.board_translations[k]), _speed(view.velocity))
        for k, view in enumerate(views)
    }


def _timing(solution: Solution, board: BoardSettings) -> Timing | None:
    observations, adjusted = solution.observations, solution.adjusted
    speeds = np.array([_speed(view.velocity) for view in observations.views])
    known = np.isfinite(speeds)
    moving = known & (speeds > MOVING_PX_S)
    camera = np.array([view.camera for view in observations.views])
    counts = np.array([(moving & (camera == c)).sum() for c in range(len(observations.cameras))])
    if (counts >= LEAST_MOVING).sum() < 2:
        return None
    rows = np.searchsorted(solution.instants, [view.instant for view in observations.views])
    timed = adjusted
    if not observations.free_running:
        jitter_s = adjusted.jitter_s or START_JITTER_S
        problem = Problem.of_views(observations.views, rows, board.points_mm, jitter_s)
        timed = adjust(
            problem, adjusted.bundle, free_lens=np.zeros(LENS), fixed_cameras=(0,), rounds=2, enough=ROUGHLY
        )
    sd = np.sqrt(np.maximum(np.diagonal(timed.camera_covariance[:, -1:, -1:], axis1=1, axis2=2)[:, 0], 0))
    cameras = []
    for c, name in enumerate(observations.cameras):
        enough = counts[c] >= LEAST_MOVING and (c > 0 or counts[0] >= LEAST_MOVING)
        delay = float(timed.bundle.delays[c] * 1e3) if enough else None
        cameras.append(CameraTiming(name, int(counts[c]), delay, float(sd[c] * 1e3) if enough else None))
    squares = (adjusted.residuals**2).sum(-1)
    middle = float(np.median(speeds[known]))
    slow, fast = squares[known & (speeds <= middle)], squares[known & (speeds > middle)]
    return Timing(
        tuple(cameras), _root(slow), _root(fast), _root(squares[moving]),
        _root((timed.residuals**2).sum(-1)[moving]),
    )  # fmt: skip


def _speed(velocity: Array | None) -> float:
    """px/s of the board; NaN where unknown (an unknown velocity is 0 throughout)."""
    if velocity is None or not velocity.any():
        return float("nan")
    return float(np.median(np.linalg.norm(velocity, axis=1)))


def _root(squares: Array) -> float:
    squares = squares[np.isfinite(squares)]
    return float(np.sqrt(squares.mean())) if len(squares) else float("nan")


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))

"""One joint robust bundle adjustment: lenses, camera poses and board poses at once.

Levenberg-Marquardt on the analytic Jacobian of `calibration.bundle`. A view touches one camera and one board
pose, so the board poses are eliminated (Schur complement; Triggs et al., "Bundle adjustment: a modern
synthesis", 2000) and what is left is a dense system in the cameras. The loss is Huber's. Where cameras run
freely, each has a delay (the constant part of what its time stamps do not tell) and each view a jitter around
it, along the measured velocity of its corners; the jitter is eliminated view by view. No random numbers, one
order of summation: the same result bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from calibration.bundle import CAMERA, DELAY, LENS, Bundle, Mask, Problem, jacobians, residuals_of
from calibration.rotation import rotation_matrix

Array = npt.NDArray[np.float64]

MAX_STEPS = 200
ENOUGH = 1e-12  # relative gain of a step below which the sum of squares has settled
ROUGHLY = 1e-5  # the same where only a start is wanted
HUBER = 2.5  # sigmas: 4 % of good corners lie beyond, hardly any efficiency is lost
OUTLIER = 5.0  # sigmas of its view: such a corner is a wrong detection
ROUNDS = 4
CAMERA_RANGE = 1.5  # a camera's noise may differ from the rig's by this factor
VIEW_RANGE = 4.0  # a view's may exceed its camera's by this factor
START_JITTER_S, LEAST_JITTER_S, MOST_JITTER_S = 0.01, 1e-4, 0.1
FLOOR_PX = 1e-6  # so that perfect synthetic corners do not divide by nothing


@dataclass(frozen=True, slots=True, eq=False)
class Adjusted:
    """A solution and what is known about it.

    Attributes
    ----------
    bundle:
        The estimate.
    residuals:
        (V, P, 2) px, predicted minus found; NaN where there is no corner.
    inliers:
        (V, P): corners that took part.
    sigma:
        (V,) px: noise per axis given to each view.
    covariance:
        (C, 19, C, 19): lens, rotation (left, rad), translation (mm), delay (s); zero where one is fixed.
    steps:
        Steps of the last round.
    jitter_s:
        Standard deviation of the views' jitter as found; 0 where the cameras are synchronised.
    """

    bundle: Bundle
    residuals: Array
    inliers: Mask
    sigma: Array
    covariance: Array
    steps: int
    jitter_s: float

    @property
    def camera_covariance(self) -> Array:
        """(C, 19, 19): of each camera by itself."""
        found: Array = np.einsum("cicj->cij", self.covariance)
        return found


def adjust(
    problem: Problem, start: Bundle, *, free_lens: npt.ArrayLike, fixed_cameras: tuple[int, ...],
    rounds: int = ROUNDS, enough: float = ENOUGH,
) -> Adjusted:  # fmt: skip
    """Minimise the robust reprojection error.

    The noise of every camera is estimated from its residuals, that of a view from its own where it
    is worse than its camera's (blur, a camera that is late); corners beyond the gate are left out.

    Parameters
    ----------
    free_lens:
        Flags (12,), or (C, 12) per camera: which of `lens.PARAMETERS` are estimated.
    fixed_cameras:
        Cameras whose pose stays: at least one in each group of linked cameras.
    enough:
        Relative gain of a step below which a round ends.
    """
    cameras = len(start.lenses)
    free = np.zeros((cameras, CAMERA), dtype=bool)
    free[:, :LENS] = np.asarray(free_lens, dtype=bool)
    free[:, LENS:] = ~np.isin(np.arange(cameras), fixed_cameras)[:, None]
    free[:, DELAY] &= problem.jitter_s > 0
    seen = problem.valid
    bundle, steps = start, 0
    for attempt in range(rounds):
        last = attempt == rounds - 1  # before it the weights are provisional anyway
        bundle, steps = _minimise(problem, bundle, free.ravel(), enough if last else max(enough, ROUGHLY))
        residuals = residuals_of(problem, bundle)
        problem = replace(problem, sigma=_view_noise(problem, residuals))
        if problem.jitter_s > 0:
            problem = replace(problem, jitter_s=_jitter_noise(problem, bundle))
        if not last:
            error = np.linalg.norm(residuals, axis=-1)
            valid = seen & (error <= OUTLIER * problem.sigma[:, None])
            # a view without enough good corners keeps them all: its sigma says what it is worth
            few = valid.sum(1) < 4
            valid[few] = seen[few]
            problem = replace(problem, valid=valid)
    residuals = np.where(seen[..., None], residuals_of(problem, bundle), np.nan)
    covariance = _covariance(problem, bundle, free.ravel())
    return Adjusted(bundle, residuals, problem.valid, problem.sigma, covariance, steps, problem.jitter_s)


def joint_covariance(problem: Problem, adjusted: Adjusted, row: int) -> Array:
    """Covariance (C*19 + 6)^2 of all cameras and one board pose (rotation left, rad; translation mm)."""
    weighed = replace(problem, valid=adjusted.inliers, sigma=adjusted.sigma, jitter_s=adjusted.jitter_s)
    _, normal = _normal(weighed, adjusted.bundle)
    inverse = np.linalg.inv(normal.boards[row])
    follows = -inverse @ normal.coupling[row].T  # how the board moves where the cameras do
    size = normal.coupling.shape[1]
    cameras = adjusted.covariance.reshape(size, size)
    across = cameras @ follows.T
    return np.block([[cameras, across], [across.T, follows @ across + inverse]])


def _view_noise(problem: Problem, residuals: Array) -> Array:
    """Noise per axis of every view, px: its camera's, or its own where that is clearly larger.

    Bounded: a view or camera that were free to call itself noisy could leave the solution.
    """
    squares = np.where(problem.valid, (residuals**2).sum(-1), np.nan)
    # the squared length of 2D noise has median 2 ln 2 sigma^2
    own = np.array([np.nanmedian(row) if np.isfinite(row).any() else 0.0 for row in squares]) / np.log(4)
    overall = np.nanmedian(squares) / np.log(4)
    sigma2 = np.empty(len(own))
    for camera in np.unique(problem.camera):
        mine = problem.camera == camera
        common = np.clip(
            np.nanmedian(squares[mine]) / np.log(4), overall / CAMERA_RANGE**2, overall * CAMERA_RANGE**2
        )
        # of few corners the median wanders: only what is clearly worse is called worse
        clearly = own[mine] > common * (1 + 3 / np.sqrt(np.maximum(problem.valid[mine].sum(1), 1)))
        sigma2[mine] = np.where(clearly, np.minimum(own[mine], common * VIEW_RANGE**2), common)
    return np.maximum(np.sqrt(sigma2), FLOOR_PX)


def _jitter_noise(problem: Problem, bundle: Bundle) -> float:
    """Standard deviation of the views' jitter: what was found, and what could not be (an EM step)."""
    weight = np.where(problem.valid, 1 / problem.sigma[:, None] ** 2, 0.0)
    known = (weight * (problem.velocity**2).sum(-1)).sum(1)
    moving = known * problem.jitter_s**2 > 1  # still views say nothing about time
    if not moving.any():
        return problem.jitter_s
    mean = np.mean(bundle.jitter[moving] ** 2 + 1 / (known[moving] + _stiffness(problem)))
    return float(np.clip(np.sqrt(mean), LEAST_JITTER_S, MOST_JITTER_S))


def _loss(problem: Problem, bundle: Bundle, residuals: Array) -> tuple[float, Array]:
    """Sum of Huber's loss (and of the jitter's prior), and the weight (V, P) of every corner."""
    error = np.sqrt((residuals**2).sum(-1)) / problem.sigma[:, None]
    linear = error > HUBER
    loss = np.where(linear, 2 * HUBER * error - HUBER**2, error**2)
    weight = np.where(linear, HUBER / np.maximum(error, HUBER), 1.0) / problem.sigma[:, None] ** 2
    prior = (bundle.jitter**2).sum() * _stiffness(problem)
    return float(loss[problem.valid].sum() + prior), np.where(problem.valid, weight, 0.0)


def _stiffness(problem: Problem) -> float:
    return 1 / problem.jitter_s**2 if problem.jitter_s > 0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Normal:
    """Normal equations: cameras (C*19)^2, coupling (I, C*19, 6), boards (I, 6, 6), right sides.

    `views` (V, 27) gives a view's jitter from the steps: constant, minus by camera, minus by board.
    """

    cameras: Array
    coupling: Array
    boards: Array
    right_cameras: Array
    right_boards: Array
    views: Array


def _normal(problem: Problem, bundle: Bundle) -> tuple[float, _Normal]:
    residuals, by_camera, by_board = jacobians(problem, bundle)
    loss, weight = _loss(problem, bundle, residuals)
    views, corners = weight.shape
    joint = np.concatenate([by_camera, by_board, residuals[..., None], problem.velocity[..., None]], -1)
    joint = (joint * np.sqrt(weight)[..., None, None]).reshape(views, corners * 2, CAMERA + 8)
    product = joint.swapaxes(-1, -2) @ joint  # (V, 27, 27)
    back = np.zeros((views, CAMERA + 7))
    if problem.jitter_s > 0:
        stiffness = _stiffness(problem)
        product[:, -1, -1] += stiffness
        product[:, -2, -1] += stiffness * bundle.jitter
        back = product[:, :-1, -1] / product[:, -1, -1][:, None]
        product = product[:, :-1, :-1] - product[:, :-1, -1][..., None] * back[:, None]
    else:
        product = product[:, :-1, :-1]
    n, boards = len(bundle.lenses), len(bundle.board_rotations)
    blocks, right = np.zeros((n, CAMERA, CAMERA)), np.zeros((n, CAMERA))
    coupling = np.zeros((boards, n, CAMERA, 6))
    board_blocks, board_right = np.zeros((boards, 6, 6)), np.zeros((boards, 6))
    np.add.at(blocks, problem.camera, product[:, :CAMERA, :CAMERA])
    np.add.at(right, problem.camera, -product[:, :CAMERA, -1])
    np.add.at(coupling, (problem.board, problem.camera), product[:, :CAMERA, CAMERA:-1])
    np.add.at(board_blocks, problem.board, product[:, CAMERA:-1, CAMERA:-1])
    np.add.at(board_right, problem.board, -product[:, CAMERA:-1, -1])
    full = np.zeros((n * CAMERA, n * CAMERA))
    for c in range(n):
        full[c * CAMERA : (c + 1) * CAMERA, c * CAMERA : (c + 1) * CAMERA] = blocks[c]
    joined = coupling.reshape(boards, n * CAMERA, 6)
    return loss, _Normal(full, joined, board_blocks, right.ravel(), board_right, back)


def _reduced(normal: _Normal, free: Mask, damping: float) -> tuple[Array, Array]:
    """Schur complement of the boards in the free parameters: matrix and right side."""
    diagonal = np.arange(6)
    boards = normal.boards.copy()
    boards[:, diagonal, diagonal] *= 1 + damping
    coupling = normal.coupling[:, free]
    size = int(free.sum())
    width = 6 * len(boards)
    flat = (coupling @ np.linalg.inv(boards)).transpose(1, 0, 2).reshape(size, width)
    own = normal.cameras[np.ix_(free, free)]
    matrix = own - flat @ coupling.transpose(1, 0, 2).reshape(size, width).T
    diagonal = np.arange(size)
    matrix[diagonal, diagonal] += damping * own[diagonal, diagonal]
    right = normal.right_cameras[free] - flat @ normal.right_boards.ravel()
    return matrix, right


def _step(normal: _Normal, free: Mask, damping: float) -> tuple[Array, Array]:
    matrix, right = _reduced(normal, free, damping)
    step = np.zeros(len(free))
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))  # parameters of very different size
    solved = np.linalg.lstsq(matrix * scale[:, None] * scale, right * scale, rcond=1e-14)[0]
    step[free] = solved * scale
    diagonal = np.arange(6)
    boards = normal.boards.copy()
    boards[:, diagonal, diagonal] *= 1 + damping
    rest = normal.right_boards - np.einsum("ikm,k->im", normal.coupling, step)
    return step.reshape(-1, CAMERA), np.linalg.solve(boards, rest[..., None])[..., 0]


def _moved(problem: Problem, bundle: Bundle, views: Array, cameras: Array, boards: Array) -> Bundle:
    steps = np.concatenate([cameras[problem.camera], boards[problem.board]], axis=1)
    return Bundle(
        bundle.lenses + np.pad(cameras[:, :LENS], ((0, 0), (0, 1))),
        rotation_matrix(cameras[:, LENS : LENS + 3]) @ bundle.rotations,
        bundle.translations + cameras[:, LENS + 3 : DELAY],
        rotation_matrix(boards[:, :3]) @ bundle.board_rotations,
        bundle.board_translations + boards[:, 3:],
        bundle.delays + cameras[:, DELAY],
        bundle.jitter - views[:, -1] - (views[:, :-1] * steps).sum(1),
    )


def _minimise(problem: Problem, bundle: Bundle, free: Mask, enough: float) -> tuple[Bundle, int]:
    damping = 1e-3
    loss, normal = _normal(problem, bundle)
    for step in range(1, MAX_STEPS + 1):
        trial = _moved(problem, bundle, normal.views, *_step(normal, free, damping))
        trial_loss = _loss(problem, trial, residuals_of(problem, trial))[0]
        if np.isfinite(trial_loss) and trial_loss < loss and np.all(trial.lenses[:, :2] > 0):
            settled = loss - trial_loss < enough * loss
            bundle, damping = trial, max(damping / 10, 1e-12)
            loss, normal = _normal(problem, bundle)
            if settled:
                return bundle, step
        else:
            if damping > 1e8:
                return bundle, step
            # near the minimum rounding decides: one more try with little damping settles it
            if np.isfinite(trial_loss) and trial_loss - loss <= ENOUGH * loss:
                return bundle, step
            damping *= 10
    return bundle, MAX_STEPS


def _covariance(problem: Problem, bundle: Bundle, free: Mask) -> Array:
    _, normal = _normal(problem, bundle)
    matrix = _reduced(normal, free, 0.0)[0]
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    inverse = np.linalg.pinv(matrix * scale[:, None] * scale, hermitian=True) * scale[:, None] * scale
    full = np.zeros((len(free), len(free)))
    full[np.ix_(free, free)] = inverse
    n = len(bundle.lenses)
    return full.reshape(n, CAMERA, n, CAMERA)

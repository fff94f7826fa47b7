"""Camera poses from an animal's keypoints: lenses and the other cameras stay, every keypoint's place is free.

Levenberg-Marquardt on the Jacobian of `calibration.bundle`, the points eliminated (Schur complement). The
loss is Huber's, then what lies far off is left out. A view's variance is its keypoint's noise squared
over its confidence; the noise is estimated from the residuals.

A network's errors are alike from frame to frame and from view to view, so the covariance is not believed: it
grows by what sums of the gradient over stretches of the session, and over keypoints, scatter more than
independent errors would make them (the cluster-robust covariance of Liang and Zeger, 1986).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calibration.baseline import Baseline, length_by_poses
from calibration.bundle import DELAY, LENS, Array, Bundle, Mask, Problem, jacobians, of_points, residuals_of
from calibration.bundle_adjustment import FLOOR_PX, HUBER, OUTLIER, ROUGHLY
from calibration.camera_model import CalibratedRig
from calibration.rotation import rotation_matrix, rotation_vector
from calibration.sightings import Sightings

MOST_STEPS = 30
ENOUGH = 1e-6  # relative gain of a step below which the loss has settled
ROUNDS = 3  # the first without leaving anything out
NOISE_RANGE = 4.0  # a keypoint's noise may differ from that of all by this factor
LEAST_SPARE = 0.1  # share of the measurements that points do not use up
LEAST_CLUSTERS = 4
RIDGE = 1e-12  # of a point's information: nearly parallel rays must not divide by nothing


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A rig whose cameras were moved to where keypoints agree best.

    Attributes
    ----------
    rig:
        The same lenses; only the cameras that were free stand elsewhere.
    points:
        (N, 3) mm: the keypoints that took part.
    loss:
        Huber's of the first round, in which every view counts.
    covariance:
        (C, 18, C, 18): lens, rotation (left, rad), translation (mm), in the rig's world. Of what was held it
        is what was known of it, or 0.
    inflation:
        Factor by which standard deviations are larger than independent errors would make them.
    """

    rig: CalibratedRig
    points: Array
    loss: float
    covariance: Array
    inflation: float


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    lenses: Array
    rotations: Array
    translations: Array
    points: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Normal:
    """Normal equations: cameras (C*18)^2, their right side (N, C*18) by point, coupling (N, C*18, 3), points.

    `prior` (C*18,): the baseline's part of the right side.
    """

    cameras: Array
    pulls: Array
    prior: Array
    coupling: Array
    points: Array
    right_points: Array


def fit_poses(
    rig: CalibratedRig, sightings: Sightings, free: tuple[int, ...], *, rounds: int = ROUNDS,
    baseline: Baseline | None = None, known: Array | None = None,
) -> Fitted:  # fmt: skip
    """Move the cameras `free` to where the keypoints agree best.

    Parameters
    ----------
    baseline:
        Needed where only one camera is held.
    known:
        (C, 18, C, 18): covariance of the rig's parameters; what is held passes its own on to what is found.
    """
    start = sightings.triangulated(rig)
    there = np.asarray(np.isfinite(start).all(1))
    sightings = sightings.keep(there)
    state = _State(rig.lenses, rig.rotations, rig.translations, start[there])
    mask = np.zeros((len(rig.cameras), DELAY), dtype=bool)
    mask[list(free), LENS:] = True
    sigma = _noise(sightings, _residuals(sightings, state))
    state, loss = _minimise(sightings, sigma, state, mask.ravel(), baseline, ROUGHLY)
    for _ in range(rounds - 1):
        residuals = _residuals(sightings, state)
        sigma = _noise(sightings, residuals)
        near = _errors(sightings, sigma, residuals) <= OUTLIER
        # where most of a camera's views lie far off it is not they that are wrong
        near |= (near.sum(1) < 0.5 * (sightings.weight > 0).sum(1))[:, None]
        weight = np.where(near, sightings.weight, 0.0)
        kept = (weight > 0).sum(0) >= 2
        sightings, sigma = sightings.weighted(weight), sigma[kept]
        state = replace(state, points=state.points[kept])
        state, _ = _minimise(sightings, sigma, state, mask.ravel(), baseline, ENOUGH)
    sigma = _noise(sightings, _residuals(sightings, state))
    columns = mask.ravel() if known is None else np.ones(mask.size, dtype=bool)
    normal = _normal(sightings, sigma, state, baseline, columns)[1]
    covariance, inflation = _covariance(normal, mask.ravel(), columns, known, sightings)
    cameras = list(rig.cameras)
    for c in free:
        cameras[c] = cameras[c].looking_from(rotation_vector(state.rotations[c]), state.translations[c])
    return Fitted(CalibratedRig(tuple(cameras)), state.points, loss, covariance, inflation)


def _residuals(sightings: Sightings, state: _State) -> Array:
    return residuals_of(*_seen(sightings, state))


def _seen(sightings: Sightings, state: _State) -> tuple[Problem, Bundle]:
    return of_points(
        state.lenses, state.rotations, state.translations, state.points, sightings.px, sightings.weight > 0
    )


def _noise(sightings: Sightings, residuals: Array) -> Array:
    """Noise (N,) px per axis at confidence 1 of each point, by its keypoint."""
    seen = sightings.weight > 0
    squares = sightings.weight * (residuals**2).sum(-1)
    spare = max(1 - 1.5 * seen.shape[1] / max(int(seen.sum()), 1), LEAST_SPARE)
    # the squared length of 2D noise has median 2 ln 2 sigma^2
    overall = float(np.median(squares[seen])) / np.log(4) if seen.any() else 0.0
    found = np.empty(seen.shape[1])
    for k in np.unique(sightings.keypoint):
        mine = sightings.keypoint == k
        own = np.median(squares[:, mine][seen[:, mine]]) / np.log(4)
        found[mine] = np.clip(own, overall / NOISE_RANGE**2, overall * NOISE_RANGE**2)
    sigma: Array = np.maximum(np.sqrt(found / spare), FLOOR_PX)
    return sigma


def _errors(sightings: Sightings, sigma: Array, residuals: Array) -> Array:
    """(C, N) in standard deviations."""
    found: Array = np.sqrt(sightings.weight * (residuals**2).sum(-1)) / sigma
    return found


def _loss(sightings: Sightings, sigma: Array, residuals: Array) -> tuple[float, Array]:
    """Sum of Huber's loss, and the weight (C, N) of every view."""
    error = _errors(sightings, sigma, residuals)
    linear = error > HUBER
    loss = np.where(linear, 2 * HUBER * error - HUBER**2, error**2)
    weight = np.where(linear, HUBER / np.maximum(error, HUBER), 1.0) * sightings.weight / sigma**2
    return float(loss.sum()), weight


def _stretch(state: _State, baseline: Baseline) -> tuple[float, Array]:
    """How much too long the baseline is, in standard deviations, and its derivative (C*18,)."""
    pair = [baseline.first, baseline.second]
    length, by_poses = length_by_poses(state.rotations[pair], state.translations[pair])
    row = np.zeros((len(state.lenses), DELAY))
    row[pair, LENS:] = by_poses / baseline.sd_mm
    return (length - baseline.length_mm) / baseline.sd_mm, row.ravel()


def _total(sightings: Sightings, sigma: Array, state: _State, baseline: Baseline | None) -> float:
    loss = _loss(sightings, sigma, _residuals(sightings, state))[0]
    return loss if baseline is None else loss + _stretch(state, baseline)[0] ** 2


def _normal(
    sightings: Sightings, sigma: Array, state: _State, baseline: Baseline | None, columns: Mask
) -> tuple[float, _Normal]:
    """The loss and the normal equations, of the cameras that have one of the `columns` (C*18,)."""
    residuals, by_camera, by_board = jacobians(*_seen(sightings, state))
    by_camera, by_point = by_camera[..., :DELAY], by_board[..., 3:]
    loss, weight = _loss(sightings, sigma, residuals)
    count, points = weight.shape
    cameras = np.zeros((count, DELAY, count, DELAY))
    coupling, pulls = np.zeros((points, count, DELAY, 3)), np.zeros((points, count, DELAY))
    for c in np.flatnonzero(columns.reshape(count, DELAY).any(1)):
        weighted = by_camera[c] * weight[c, :, None, None]
        flat = weighted.reshape(2 * points, DELAY)
        cameras[c, :, c] = flat.T @ by_camera[c].reshape(2 * points, DELAY)
        back = weighted.swapaxes(-1, -2)
        coupling[:, c] = back @ by_point[c]
        pulls[:, c] = -(back @ residuals[c, ..., None])[..., 0]
    back = (by_point * weight[..., None, None]).swapaxes(-1, -2)
    own = (back @ by_point).sum(0)
    own += RIDGE * np.trace(own, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    right = -(back @ residuals[..., None])[..., 0].sum(0)
    size = count * DELAY
    full, prior = cameras.reshape(size, size), np.zeros(size)
    if baseline is not None:
        off, row = _stretch(state, baseline)
        full, prior, loss = full + np.outer(row, row), -off * row, loss + off**2
    return loss, _Normal(
        full, pulls.reshape(points, size), prior, coupling.reshape(points, size, 3), own, right
    )


def _reduced(normal: _Normal, columns: Mask, damping: float) -> tuple[Array, Array, Array]:
    """Schur complement of the points in some columns, coupling times the inverse points, and that inverse."""
    diagonal = np.arange(3)
    points = normal.points.copy()
    points[:, diagonal, diagonal] *= 1 + damping
    inverse = np.linalg.inv(points)
    coupling = normal.coupling[:, columns]
    gain = coupling @ inverse
    flat, other = (a.transpose(1, 0, 2).reshape(coupling.shape[1], -1) for a in (gain, coupling))
    return normal.cameras[np.ix_(columns, columns)] - flat @ other.T, gain, inverse


def _step(normal: _Normal, free: Mask, damping: float) -> tuple[Array, Array]:
    matrix, gain, inverse = _reduced(normal, free, damping)
    diagonal = np.arange(len(matrix))
    matrix[diagonal, diagonal] += damping * np.diag(normal.cameras)[free]
    right = (normal.pulls.sum(0) + normal.prior)[free] - np.einsum("nik,nk->i", gain, normal.right_points)
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    solved = np.linalg.lstsq(matrix * scale[:, None] * scale, right * scale, rcond=1e-14)[0] * scale
    step = np.zeros(len(free))
    step[free] = solved
    rest = normal.right_points - np.einsum("nik,i->nk", normal.coupling[:, free], solved)
    return step.reshape(-1, DELAY), (inverse @ rest[..., None])[..., 0]


def _minimise(
    sightings: Sightings, sigma: Array, state: _State, free: Mask, baseline: Baseline | None, enough: float
) -> tuple[_State, float]:
    damping = 1e-3
    loss, normal = _normal(sightings, sigma, state, baseline, free)
    for _ in range(MOST_STEPS):
        cameras, points = _step(normal, free, damping)
        trial = _State(
            state.lenses, rotation_matrix(cameras[:, LENS : LENS + 3]) @ state.rotations,
            state.translations + cameras[:, LENS + 3 :], state.points + points,
        )  # fmt: skip
        reached = _total(sightings, sigma, trial, baseline)
        if np.isfinite(reached) and reached < loss:
            if loss - reached < enough * loss:
                return trial, reached
            state, damping = trial, max(damping / 10, 1e-12)
            loss, normal = _normal(sightings, sigma, state, baseline, free)
        elif damping > 1e8 or (np.isfinite(reached) and reached - loss <= enough * loss):
            break
        else:
            damping *= 10
    return state, loss


def _covariance(
    normal: _Normal, free: Mask, columns: Mask, known: Array | None, sightings: Sightings
) -> tuple[Array, float]:
    """Of all parameters (C, 18, C, 18), and by how much standard deviations have grown."""
    matrix, gain, _ = _reduced(normal, columns, 0.0)
    mine = free[columns]
    inner = matrix[np.ix_(mine, mine)]
    scale = 1 / np.sqrt(np.maximum(np.diag(inner), 1e-300))
    own = np.linalg.pinv(inner * scale[:, None] * scale, hermitian=True) * scale[:, None] * scale
    scores = (normal.pulls[:, columns] - (gain @ normal.right_points[..., None])[..., 0])[:, mine]
    inflation = _inflation(scores, own, sightings)
    full = np.zeros((len(free), len(free)))
    full[np.ix_(free, free)] = own * inflation**2
    if known is not None:
        rest = known.reshape(full.shape)[np.ix_(~free, ~free)]
        follows = -own @ matrix[np.ix_(free, ~free)]  # how what was found moves with what was held
        full[np.ix_(~free, ~free)] = rest
        full[np.ix_(free, free)] += follows @ rest @ follows.T
        full[np.ix_(free, ~free)] = follows @ rest
        full[np.ix_(~free, free)] = (follows @ rest).T
    cameras = len(free) // DELAY
    return full.reshape(cameras, DELAY, cameras, DELAY), inflation


def _inflation(scores: Array, own: Array, sightings: Sightings) -> float:
    """By how much standard deviations grow where errors within a stretch, or of a keypoint, are alike."""
    worst = 1.0
    for label in (sightings.run, sightings.keypoint):
        groups = np.unique(label)
        if len(groups) < LEAST_CLUSTERS or not len(own):
            continue
        sums = np.stack([scores[label == group].sum(0) for group in groups])
        # the sums' chi-square by what independent errors would make it, on average over all directions; a
        # scale from few groups is itself uncertain, by which the mean of F(., G - 1) exceeds 1
        ratio = np.trace(sums.T @ sums @ own) / len(own) * len(groups) / (len(groups) - 3)
        worst = max(worst, float(np.sqrt(ratio)))
    return worst

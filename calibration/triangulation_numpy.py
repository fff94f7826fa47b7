"""Triangulation in plain NumPy: the twin that says what `kernels` must compute.

Vectorised over points, with every array (points, cameras, ...); unused views have weight zero.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from calibration.camera_model import CalibratedRig
from calibration.kernels import (
    LINEAR_PASSES,
    NEWTON_STEPS,
    NEXT_STEP_MM,
    NEXT_STEP_WIDE_MM,
    REFIT_ROUNDS,
)
from calibration.lanes import FLAT
from calibration.lens import distort_jacobian

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def triangulate_reference(
    rig: CalibratedRig, points: Array, noise: Array, least: float, gate2: float, quantiles: Array
) -> Array:
    """Points (T, C, K, 3) to float64 (T, K, 11); parameters as `kernels.triangulate_block`."""
    sets, cameras, keypoints, _ = points.shape
    flat = points.transpose(0, 2, 1, 3).reshape(-1, cameras, 3)
    pixels = flat[..., :2]
    rays = np.stack([camera.undistort(pixels[:, c]) for c, camera in enumerate(rig.cameras)], axis=1)
    seen = (flat[..., 2] >= least) & np.isfinite(rays).all(-1)
    rays, pixels = np.where(seen[..., None], rays, 0.0), np.where(seen[..., None], pixels, 0.0)
    weights = np.where(seen, flat[..., 2], 0.0) / np.tile(noise, sets)[:, None] ** 2
    problem = _Problem(rig, pixels, rays, weights)

    views = seen.sum(1)
    use = seen & (views >= 2)[:, None]
    x, normal = problem.refine(problem.linear(use), use)
    fitted = np.where(use, problem.errors2(x), 0.0)
    doubtful = (views > 2) & ~((fitted.sum(1) <= quantiles[views]) & (fitted.max(1) <= gate2))
    if doubtful.any():
        part = _Problem(rig, pixels[doubtful], rays[doubtful], weights[doubtful])
        x[doubtful], use[doubtful], normal[doubtful] = _robust(part, seen[doubtful], gate2)

    e2 = problem.errors2(x)
    solved = np.isfinite(x).all(1) & (use.sum(1) >= 2)
    out = np.full((len(flat), 11), np.nan)
    out[:, 9] = np.where(solved, use.sum(1), views)
    with np.errstate(invalid="ignore"):
        px2 = np.where(use, e2 / np.where(use, weights, 1.0), 0.0).sum(1)
        out[solved, 10] = np.sqrt(px2 / np.maximum(use.sum(1), 1))[solved]
        kept = solved & np.all(~use | (e2 <= gate2), axis=1)
    covariance = np.linalg.inv(np.where(kept[:, None, None], normal, np.eye(3)))
    out[kept, :3] = x[kept]
    out[kept, 3:9] = covariance[kept][:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    return out.reshape(sets, keypoints, 11)


def _robust(problem: _Problem, seen: Mask, gate2: float) -> tuple[Array, Mask, Array]:
    """MSAC over all pairs of views, then refits on the views within the gate."""
    lowest = np.full(len(seen), np.inf)
    use = np.zeros_like(seen)
    for pair in itertools.combinations(range(seen.shape[1]), 2):
        chosen = np.zeros_like(seen)
        chosen[:, pair] = (seen[:, pair[0]] & seen[:, pair[1]])[:, None]
        x = problem.linear(chosen)
        solved: Mask = np.asarray(np.isfinite(x).all(1))
        e2 = np.where(solved[:, None], problem.errors2(x), np.inf)
        cost = np.where(seen, np.minimum(e2, gate2), 0.0).sum(1)
        cost[~solved] = np.inf
        better = cost < lowest
        lowest[better] = cost[better]
        use[better] = (seen & (e2 <= gate2))[better]
    x, normal = np.full((len(seen), 3), np.nan), np.full((len(seen), 3, 3), np.nan)
    active = np.isfinite(lowest)
    for _ in range(REFIT_ROUNDS):
        found, normals = problem.refine(problem.linear(use), use)
        x[active], normal[active] = found[active], normals[active]
        inside = seen & (problem.errors2(x) <= gate2)
        active &= np.isfinite(x).all(1) & (inside != use).any(1) & (inside.sum(1) >= 2)
        if not active.any():
            break
        use[active] = inside[active]
    return x, use, normal


class _Problem:
    """Points seen by a rig: linear solution, refinement, errors, normal matrix."""

    def __init__(self, rig: CalibratedRig, pixels: Array, rays: Array, weights: Array) -> None:
        self._rig, self._pixels, self._rays, self._weights = rig, pixels, rays, weights

    def linear(self, use: Mask) -> Array:
        r, t = self._rig.rotations, self._rig.translations
        a = self._rays[..., None] * r[:, None, 2] - r[:, :2]  # (points, cameras, 2, 3)
        b = t[:, :2] - self._rays * t[:, None, 2]
        depth = np.ones(use.shape)
        x = np.full((len(use), 3), np.nan)
        for attempt in range(LINEAR_PASSES):
            if attempt:
                depth = x @ r[:, 2].T + t[:, 2]
            with np.errstate(invalid="ignore"):
                behind = (use & ~(depth > 0)).any(1)
            w = np.where(use, self._weights / np.where(use & (depth > 0), depth, 1.0) ** 2, 0.0)
            h = np.einsum("nc,ncim,ncik->nmk", w, a, a)
            x = _solve(h, np.einsum("nc,ncim,nci->nm", w, a, b))
            x[behind] = np.nan
        return x

    def refine(self, x: Array, use: Mask) -> tuple[Array, Array]:
        """The point, and the normal matrix that its last step was solved with."""
        x = x.copy()
        normal = np.full((len(x), 3, 3), np.nan)
        moving = np.isfinite(x).all(1)
        tolerance = NEXT_STEP_WIDE_MM if self._rig.lenses[:, 9:].any() else NEXT_STEP_MM
        before = np.zeros(len(x))
        for _ in range(NEWTON_STEPS):
            residual, jacobian = self._derive(x, use)
            w = np.where(use, self._weights, 0.0)
            h = np.einsum("nc,ncim,ncik->nmk", w, jacobian, jacobian)
            step = _solve(h, -np.einsum("nc,ncim,nci->nm", w, jacobian, residual))
            lost = (use & ~np.isfinite(residual).all(-1)).any(1)
            step[lost] = np.nan
            x[moving] += step[moving]
            normal[moving] = h[moving]
            size = np.abs(step).sum(1)
            with np.errstate(invalid="ignore"):
                done = (size < tolerance) | ((size < before) & (size * size < tolerance * before))
            moving &= np.isfinite(size) & ~done
            before = size
            if not moving.any():
                break
        return x, normal

    def errors2(self, x: Array) -> Array:
        """Weighted squared error (points, cameras); infinite behind a camera."""
        residual, _ = self._derive(x, np.zeros(self._weights.shape, dtype=bool))
        error = np.where(np.isfinite(residual).all(-1), (residual**2).sum(-1), np.inf)
        with np.errstate(invalid="ignore"):
            weighted: Array = np.where(self._weights > 0, self._weights * error, np.inf)
        return weighted

    def _derive(self, x: Array, use: Mask) -> tuple[Array, Array]:
        residuals, jacobians = [], []
        for c, camera in enumerate(self._rig.cameras):
            point = camera.to_camera(x)
            with np.errstate(invalid="ignore"):
                depth = np.where(point[:, 2:] > 0, point[:, 2:], np.nan)
            flat = point[:, :2] / depth
            residuals.append(camera.to_pixels(camera.distort(flat)) - self._pixels[:, c])
            r = self._rig.rotations[c]
            by_point = (r[:2] - flat[:, :, None] * r[2]) / depth[:, :, None]
            focal = camera.matrix[[0, 1], [0, 1]][:, None]
            jacobian = focal * (distort_jacobian(flat, camera.lens) @ by_point)
            jacobians.append(np.where(use[:, c, None, None], jacobian, 0.0))
        return np.stack(residuals, 1), np.stack(jacobians, 1)


def _solve(h: Array, g: Array) -> Array:
    """Stacked 3x3 systems; NaN where singular."""
    scale = np.trace(h, axis1=-2, axis2=-1) / 3
    with np.errstate(invalid="ignore"):
        good = np.linalg.det(h) > FLAT * scale**3
    x = np.full(g.shape, np.nan)
    x[good] = np.linalg.solve(h[good], g[good][..., None])[..., 0]
    return x

"""Where a calibration is sure of itself: in each camera's image, and in the volume before the cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.bundle import K_COLUMNS, LENS
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.lens import distort_jacobian, radial_by_coefficient
from calibration.solve import Solution

Array = npt.NDArray[np.float64]

GRID = (12, 9)
ACROSS = 24  # cells of the volume's slices
SLICES = 3
MARGIN = 0.15  # of the volume's extent, around where boards were


def projection_sd(solution: Solution, camera: int) -> Array:
    """Standard deviation px (9, 12) of where a camera sees a far direction, by its lens's covariance.

    The worse axis, over a grid of the image. A turn of the camera that undoes a change of its lens is no
    error (the pose takes it up), so the best turn is taken out first (as mrcal does). NaN outside the lens.
    """
    model = solution.rig.cameras[camera]
    width, height = model.size_px
    x, y = np.meshgrid(
        (np.arange(GRID[0]) + 0.5) * width / GRID[0] - 0.5,
        (np.arange(GRID[1]) + 0.5) * height / GRID[1] - 0.5,
    )
    rays = model.undistort(np.stack([x, y], -1))
    known = np.isfinite(rays).all(-1)
    by_lens, by_turn = _by_lens(model, rays[known]), _by_turn(model, rays[known])
    undo = np.linalg.lstsq(by_turn.reshape(-1, 3), by_lens.reshape(-1, LENS), rcond=None)[0]
    left = by_lens - by_turn @ undo
    covariance = left @ solution.adjusted.camera_covariance[camera, :LENS, :LENS] @ left.swapaxes(-1, -2)
    found = np.full(known.shape, np.nan)
    found[known] = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance)[:, -1], 0))
    return found


def _by_lens(model: CameraModel, rays: Array) -> Array:
    """Derivative (N, 2, 12) of the pixel by `lens.PARAMETERS`."""
    a, b = rays[:, 0], rays[:, 1]
    fx, fy = model.matrix[0, 0], model.matrix[1, 1]
    r2 = a * a + b * b
    found = np.zeros((len(rays), 2, LENS))
    bent = model.distort(rays)
    found[:, 0, 0], found[:, 1, 1] = bent[:, 0], bent[:, 1]
    found[:, 0, 2] = found[:, 1, 3] = 1
    by_k = radial_by_coefficient(r2, model.lens)
    found[:, 0, K_COLUMNS], found[:, 1, K_COLUMNS] = fx * a[:, None] * by_k, fy * b[:, None] * by_k
    found[:, 0, 6], found[:, 1, 6] = fx * 2 * a * b, fy * (r2 + 2 * b * b)
    found[:, 0, 7], found[:, 1, 7] = fx * (r2 + 2 * a * a), fy * 2 * a * b
    return found


def _by_turn(model: CameraModel, rays: Array) -> Array:
    """Derivative (N, 2, 3) of the pixel by a turn of the camera."""
    a, b = rays[:, 0], rays[:, 1]
    one = np.ones_like(a)
    by_turn = np.stack(
        [np.stack([-a * b, one + a * a, -b], -1), np.stack([-one - b * b, a * b, a], -1)], axis=1
    )
    return _by_ray(model, rays) @ by_turn


def _by_ray(model: CameraModel, rays: Array) -> Array:
    found: Array = model.matrix[[0, 1], [0, 1]][:, None] * distort_jacobian(rays, model.lens)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class VolumeMap:
    """What one pixel of noise in every view costs in the working volume.

    Attributes
    ----------
    sd_mm:
        (slices, rows, columns): root of the trace of the Cramer-Rao bound for 1 px noise; NaN where fewer
        than two cameras look.
    views:
        Same shape: how many cameras see the place.
    axes:
        (3, 3): the map's columns, rows and slices as directions of the world.
    extent_mm:
        (3,): width, height and depth of the whole.
    """

    sd_mm: Array
    views: npt.NDArray[np.int64]
    axes: Array
    extent_mm: Array


def volume_map(rig: CalibratedRig, places_mm: Array) -> VolumeMap:
    """The bound throughout the box that holds `places_mm` (N, 3), where the board was."""
    middle = np.median(places_mm, axis=0)
    axes = np.linalg.svd(places_mm - middle, full_matrices=True)[2]
    local = (places_mm - middle) @ axes.T
    low, high = local.min(0), local.max(0)
    margin = MARGIN * (high - low).max()
    low, high = low - margin, high + margin
    # whole cells of one size in the plane
    columns = ACROSS
    rows = int(np.clip(round(ACROSS * (high[1] - low[1]) / (high[0] - low[0])), 4, ACROSS))
    u = low[0] + (np.arange(columns) + 0.5) * (high[0] - low[0]) / columns
    v = low[1] + (np.arange(rows) + 0.5) * (high[1] - low[1]) / rows
    w = low[2] + (np.arange(SLICES) + 0.5) * (high[2] - low[2]) / SLICES
    grid = np.stack(np.meshgrid(u, v, w, indexing="ij"), -1).transpose(2, 1, 0, 3)
    sd, views = cramer_rao(rig, middle + grid @ axes)
    return VolumeMap(sd, views, axes, high - low)


def cramer_rao(
    rig: CalibratedRig, points_mm: Array, noise_px: float = 1.0
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Root of the trace of the Cramer-Rao bound mm at points (..., 3), and how many cameras see them."""
    information = np.zeros((*points_mm.shape[:-1], 3, 3))
    views = np.zeros(points_mm.shape[:-1], dtype=np.int64)
    for model in rig.cameras:
        local = model.to_camera(points_mm)
        depth = np.where(local[..., 2] > 0, local[..., 2], np.nan)
        rays = local[..., :2] / depth[..., None]
        px = model.to_pixels(model.distort(rays))
        size = np.asarray(model.size_px)
        with np.errstate(invalid="ignore"):
            seen = np.asarray(((px >= -0.5) & (px <= size - 0.5)).all(-1))
        jacobian = np.where(seen[..., None, None], model.jacobian(points_mm), 0.0)
        information += jacobian.swapaxes(-1, -2) @ jacobian / noise_px**2
        views += seen
    enough = views >= 2
    inverse = np.linalg.pinv(np.where(enough[..., None, None], information, np.eye(3)), hermitian=True)
    sd = np.sqrt(np.trace(inverse, axis1=-2, axis2=-1))
    return np.where(enough, sd, np.nan), views

"""The arena: a textured floor with low walls, drawn once per camera through its true lens."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.simulation.lens import Floats

if TYPE_CHECKING:
    from acquisition.simulation.viewpoints import Viewpoint

ARENA_HALF_MM = 200.0
WALL_HEIGHT_MM = 25.0
_TEXTURE_MM = 600.0
_TEXELS = 1200
_SUBPIXELS = 2


def noise_texture(random: np.random.Generator, texels: int, finest: float, coarsest: float) -> Floats:
    """Isotropic noise of many scales, (texels, texels) float64: mean 0, deviation 1, periodic.

    `finest` and `coarsest` are wavelengths in texels; amplitude falls with frequency as 1/f.
    """
    white = np.fft.rfft2(random.standard_normal((texels, texels)))
    frequency = np.hypot(np.fft.fftfreq(texels)[:, None], np.fft.rfftfreq(texels)[None, :])
    frequency[0, 0] = 1.0
    band = np.exp(-((frequency * finest) ** 4)) * (1 - np.exp(-((frequency * coarsest) ** 4)))
    field = np.fft.irfft2(white * band / frequency, s=(texels, texels))
    return np.asarray(field / field.std())


def noise_texture_3d(random: np.random.Generator, voxels: int, finest: float, coarsest: float) -> Floats:
    """As `noise_texture`, in three dimensions: (voxels, voxels, voxels)."""
    white = np.fft.rfftn(random.standard_normal((voxels, voxels, voxels)))
    axis = np.fft.fftfreq(voxels)
    frequency = np.sqrt(
        axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + np.fft.rfftfreq(voxels)[None, None, :] ** 2
    )
    frequency[0, 0, 0] = 1.0
    band = np.exp(-((frequency * finest) ** 4)) * (1 - np.exp(-((frequency * coarsest) ** 4)))
    field = np.fft.irfftn(white * band / frequency**1.5, s=(voxels, voxels, voxels), axes=(0, 1, 2))
    return np.asarray(field / field.std())


def gain_map(view: Viewpoint) -> Floats:
    """Grey levels per unit of radiance for every pixel: gain, vignette, uneven light; (H, W)."""
    width, height = view.size_px
    x = (np.arange(width) - view.lens.centre_x_px) / (width / 2)
    y = (np.arange(height) - view.lens.centre_y_px) / (width / 2)
    falloff = 1 - view.vignette * (x[None, :] ** 2 + y[:, None] ** 2) / 1.56
    uneven = 1 + 0.5 * (view.gradient[0] * x[None, :] + view.gradient[1] * y[:, None])
    return view.gain * falloff * uneven


def floor_points(view: Viewpoint, rays: Floats) -> Floats:
    """Where rays (..., 2), normalised coordinates, meet the plane z = 0: (..., 2) mm, world x and y."""
    direction = np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1) @ view.rotation
    position = view.position_mm
    distance = -position[2] / np.minimum(direction[..., 2], -1e-9)
    return np.asarray(position[:2] + distance[..., None] * direction[..., :2], dtype=np.float64)


def subdivide(corner_rays: Floats) -> Floats:
    """Rays at the sub-pixels' centres, (H n, W n, 2), linear between the pixels' corners."""
    share = (np.arange(_SUBPIXELS) + 0.5) / _SUBPIXELS
    rows = corner_rays[:-1, None] * (1 - share[:, None, None]) + corner_rays[1:, None] * share[:, None, None]
    rows = rows.reshape(-1, *corner_rays.shape[1:])
    both = rows[:, :-1, None] * (1 - share[:, None]) + rows[:, 1:, None] * share[:, None]
    return both.reshape(len(rows), -1, 2)


@lru_cache(maxsize=1)
def _textures(seed: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Reflectance of the floor and of the walls; the cameras of a scene share them."""
    random = np.random.default_rng([seed, 3])
    floor = np.clip(0.60 + 0.055 * noise_texture(random, _TEXELS, 3.0, 160.0), 0.35, 0.85)
    walls = 0.5 + 0.02 * noise_texture(random, 512, 3.0, 100.0)
    return floor.astype(np.float32), walls.astype(np.float32)


def draw_arena(view: Viewpoint, seed: int, corner_rays: Floats) -> Floats:
    """Radiance of the empty arena per pixel, float64 (H, W); times `gain_map` it is grey levels.

    corner_rays (H+1, W+1, 2): normalised coordinates at the pixels' corners.
    """
    texture, wall_texture = _textures(seed)
    rays = subdivide(corner_rays)
    floor = floor_points(view, rays)
    shade = view.ambient + (1 - view.ambient) * float(view.light[2])
    radiance = shade * _sample(texture, floor * (_TEXELS / _TEXTURE_MM) + _TEXELS / 2)
    outside = np.abs(floor).max(axis=-1) > ARENA_HALF_MM
    radiance[outside] *= 0.45

    position = view.position_mm
    direction = np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1) @ view.rotation
    for axis in (0, 1):
        for side in (-1.0, 1.0):
            with np.errstate(divide="ignore", invalid="ignore"):
                reach = (side * ARENA_HALF_MM - position[axis]) / direction[..., axis]
            # Only the inner faces are drawn: from behind, a wall is as clear as glass.
            leaving = side * direction[..., axis] > 0
            along = position[1 - axis] + reach * direction[..., 1 - axis]
            z = position[2] + reach * direction[..., 2]
            hit = leaving & (reach > 0) & (z >= 0) & (z <= WALL_HEIGHT_MM) & (np.abs(along) <= ARENA_HALF_MM)
            if not hit.any():
                continue
            facing = max(0.0, float(-side * view.light[axis]))
            lit = view.ambient + (1 - view.ambient) * facing
            picked = wall_texture[z[hit].astype(int), (along[hit] + 256).astype(int)]
            radiance[hit] = lit * picked * (0.8 + 0.2 * z[hit] / WALL_HEIGHT_MM)
    width, height = view.size_px
    pixels = radiance.reshape(height, _SUBPIXELS, width, _SUBPIXELS)
    return np.asarray(pixels.mean(axis=(1, 3)), dtype=np.float64)


def _sample(texture: npt.NDArray[np.float32], where: Floats) -> Floats:
    """Bilinear reading of a periodic texture at (rows, columns, 2) texel coordinates x, y."""
    size = texture.shape[0]
    xy = np.nan_to_num(where).astype(np.float32) % size
    read = cv2.remap(texture, xy[..., 0], xy[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(read, dtype=np.float64)

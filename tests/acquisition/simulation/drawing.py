"""Ellipsoids drawn black on a plain ground, to be weighed by tests."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from acquisition.simulation import render
from acquisition.simulation.lens import Floats, Lens
from acquisition.simulation.viewpoints import Viewpoint


@lru_cache(maxsize=4)
def _corner_rays(lens: Lens, size_px: tuple[int, int]) -> npt.NDArray[np.float32]:
    width, height = size_px
    corners = np.stack(np.meshgrid(np.arange(width + 1) - 0.5, np.arange(height + 1) - 0.5), axis=-1)
    return lens.rays(corners).astype(np.float32)


def centroid_of_black(view: Viewpoint, centres: Floats, frames: Floats) -> Floats:
    """Centre of mass in px of one ellipsoid that is at centres (S, 3) mm at the S sample times.

    frames (S, 3, 3): its half axes as columns; world coordinates.
    """
    width, height = view.size_px
    rays = _corner_rays(view.lens, view.size_px)
    to_unit = np.linalg.inv(view.rotation @ frames)[:, None]
    origins = -(to_unit[:, 0] @ view.to_camera(centres)[..., None])[:, None, :, 0]
    middle = view.project(centres.mean(axis=0))
    assert middle.min() > 35
    assert np.all(middle < np.array(view.size_px) - 35)
    x0, y0 = np.floor(middle).astype(int) - 30
    bounds = np.tile(np.array([x0, y0, x0 + 61, y0 + 61]), (len(centres), 1, 1))
    box = np.array([x0, y0, 61, 61])
    plain = np.full((height, width), 200.0, np.float32)
    picture = np.zeros((61, 61), np.uint8)
    axis = np.array([0.0, 0.0, 1.0])
    render.draw_ellipsoids(
        rays, render.SAMPLES, box, to_unit, origins, bounds, np.zeros((1, 3)), np.eye(3)[None],
        np.zeros((render.FUR_SIDE,) * 3, np.float32), axis, axis, 0.5, 0.0, 0.0, plain, np.ones_like(plain),
        np.zeros((height, width, 2), np.float32), np.zeros((0, 4)), picture,
    )  # fmt: skip
    weight = 200.0 - picture
    assert weight.sum() > 0
    assert weight[0].sum() + weight[-1].sum() + weight[:, 0].sum() + weight[:, -1].sum() == 0
    y, x = np.mgrid[y0 : y0 + 61, x0 : x0 + 61]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()

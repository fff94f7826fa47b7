"""Lens models: how a camera's optics bend what it sees, and which coefficients each model has.

A point at a = x / z, b = y / z of the camera's frame, r2 = a^2 + b^2, goes to

    a' = a g(r2) + 2 p1 a b + p2 (r2 + 2 a^2)        u = fx a' + cx
    b' = b g(r2) + p1 (r2 + 2 b^2) + 2 p2 a b        v = fy b' + cy

The models differ in g only (OpenCV's, coefficient by coefficient: calib3d and its `fisheye`):

    pinhole    1 + k1 r2 + k2 r2^2                       (Brown 1971)
    k3         1 + k1 r2 + k2 r2^2 + k3 r2^3
    rational   (1 + k1 r2 + k2 r2^2 + k3 r2^3) / (1 + k4 r2 + k5 r2^2 + k6 r2^3)
    fisheye    q t / r, t = atan r, q = 1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8      (Kannala and Brandt 2006;
               no p1, p2; what lies 90 degrees or more off the axis is not seen)

A lens is a row of 13 numbers: fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6, and 1 for a fisheye.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
LensModel = Literal["pinhole", "k3", "rational", "fisheye"]

PARAMETERS = ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
ESTIMATED = len(PARAMETERS)
FISHEYE = ESTIMATED  # the column that tells a fisheye
ROW = ESTIMATED + 1
_OF: dict[LensModel, tuple[str, ...]] = {
    "pinhole": PARAMETERS[:8],
    "k3": PARAMETERS[:9],
    "rational": PARAMETERS,
    "fisheye": ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4"),
}
MODELS: tuple[LensModel, ...] = get_args(LensModel)
WIDEST_START = 1.45  # rad: where Newton's method begins for what lies further out
NEAR_AXIS = 1e-9  # of r2: there the series of atan is exact to double precision


def free_parameters(model: LensModel) -> npt.NDArray[np.bool_]:
    """Which of `PARAMETERS` a model has, bool (12,)."""
    return np.array([name in _OF[model] for name in PARAMETERS])


def parameter_names(model: LensModel) -> tuple[str, ...]:
    """Names of a model's parameters, in the order of `PARAMETERS`."""
    return _OF[model]


def model_of(lens: Array) -> LensModel:
    """The smallest model that holds a lens row."""
    if lens[FISHEYE]:
        return "fisheye"
    return "rational" if np.any(lens[9:12]) else "k3" if lens[8] else "pinhole"


def radial(r2: Array, lens: Array) -> tuple[Array, Array]:
    """g(r2) and 2 dg/dr2, for lens rows (..., 13) that broadcast against r2 (...)."""
    k1, k2, _, _, k3, k4, k5, k6, fisheye = np.moveaxis(lens, -1, 0)[4:]
    g = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
    if np.any(lens[..., 9:12]):
        below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
        by_r2 = k4 + r2 * (2 * k5 + r2 * 3 * k6)
        g = g / below
        slope = (slope - 2 * g * by_r2) / below
    if np.any(fisheye):
        t2, shrink, near = _angle(r2)
        q = 1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4)))
        bent = q * shrink
        by_t = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
        steep = np.where(near, 2 * (k1 - 1 / 3), (by_t / (1 + r2) - bent) / np.where(near, 1.0, r2))
        g, slope = np.where(fisheye, bent, g), np.where(fisheye, steep, slope)
    return g, slope


def radial_by_coefficient(r2: Array, lens: Array) -> Array:
    """Derivatives of g by k1 k2 k3 k4 k5 k6, (..., 6)."""
    k1, k2, _, _, k3, k4, k5, k6, fisheye = np.moveaxis(lens, -1, 0)[4:]
    above = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    powers = np.stack([r2, r2 * r2, r2 * r2 * r2], -1)
    upper = powers / below[..., None]
    found = np.concatenate([upper, -upper * (above / below)[..., None]], -1)
    if np.any(fisheye):
        t2, shrink, _ = _angle(r2)
        bent = shrink[..., None] * t2[..., None] ** np.arange(1, 5)
        bent = np.concatenate([bent, np.zeros((*bent.shape[:-1], 2))], -1)
        found = np.where(np.broadcast_to(fisheye, r2.shape)[..., None] != 0, bent, found)
    return found


def _angle(r2: Array) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Squared angle t^2 off the axis, t / r, and where r is so small that only the series holds."""
    near = r2 < NEAR_AXIS
    r = np.sqrt(np.where(near, 1.0, r2))
    t = np.where(near, 0.0, np.arctan(r))
    shrink = np.where(near, 1 - r2 / 3, t / r)
    return np.where(near, r2, t * t), shrink, near


def distort(normalised: Array, lens: Array) -> Array:
    """Normalised points (..., 2) through the lens (..., 13), still normalised."""
    a, b = normalised[..., 0], normalised[..., 1]
    p1, p2 = lens[..., 6], lens[..., 7]
    r2 = a * a + b * b
    g, _ = radial(r2, lens)
    return np.stack(
        [a * g + 2 * p1 * a * b + p2 * (r2 + 2 * a * a), b * g + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b], -1
    )


def distort_jacobian(normalised: Array, lens: Array) -> Array:
    """Derivative (..., 2, 2) of `distort` by the undistorted point."""
    a, b = normalised[..., 0], normalised[..., 1]
    p1, p2 = lens[..., 6], lens[..., 7]
    g, slope = radial(a * a + b * b, lens)  # dg/da = slope * a
    cross = slope * a * b + 2 * p1 * a + 2 * p2 * b
    return np.stack(
        [
            np.stack([g + slope * a * a + 2 * p1 * b + 6 * p2 * a, cross], -1),
            np.stack([cross, g + slope * b * b + 6 * p1 * b + 2 * p2 * a], -1),
        ],
        -2,
    )


def undistort_start(target: Array, lens: Array) -> Array:
    """Where to begin the search for what `distort` brings to `target` (..., 2)."""
    if not lens[FISHEYE]:
        start: Array = target.copy()
        return start
    angle = np.linalg.norm(target, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        stretch = np.tan(np.minimum(angle, WIDEST_START)) / np.where(angle > 1e-9, angle, 1.0)
    return target * np.where(angle > 1e-9, stretch, 1.0)

"""Limb lengths as soft constraints on 3D keypoints.

A limb's length and how much it varies are learned from the recording itself: what varies beyond the points'
own uncertainty is the limb's, and a limb that bends or stretches (a spine, a tail) constrains little. Each
frame's points are then the most likely ones given both, by Gauss-Newton. It follows a smoother over time
(`rigpose filter --kind kalman`), whose covariances it takes, and gives smaller ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEAST_FRAMES = 20  # that show both ends, to know a length
STEPS = 3
CHUNK = 1000  # frames at a time, for memory's sake
# A limb is never taken for much more rigid than it looks: the points' covariances may be too large.
LEAST_SHARE = 0.25  # of the variance seen
NORMAL_MAD = 1.4826  # standard deviation of normal values over their median absolute deviation


@dataclass(frozen=True, slots=True)
class Limb:
    """A limb as learned: its length and the standard deviation of that over time."""

    first: int
    second: int
    length_mm: float
    sd_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Points (T, K, 3) mm with their covariances (T, K, 3, 3) mm^2, and the limbs that held them."""

    points: Array
    covariance: Array
    limbs: tuple[Limb, ...]


def hold_limbs(points: Array, covariance: Array, limbs: Sequence[tuple[int, int]]) -> Held:
    """Draw points to where their limbs have their lengths, as far as both are uncertain.

    Parameters
    ----------
    points, covariance:
        float64 (T, K, 3) mm and (T, K, 3, 3) mm^2; NaN where there is no point. They stay NaN.
    limbs:
        Pairs of keypoints; one that was seen whole in fewer than twenty frames constrains nothing.
    """
    there = np.asarray(np.isfinite(points).all(-1) & np.isfinite(covariance).all((-2, -1)))
    learned = tuple(limb for pair in limbs if (limb := _learned(points, covariance, there, pair)) is not None)
    if not learned:
        return Held(points, covariance, ())
    held, less = points.copy(), covariance.copy()
    for begin in range(0, len(points), CHUNK):
        part = slice(begin, begin + CHUNK)
        held[part], less[part] = _drawn(points[part], covariance[part], there[part], learned)
    return Held(held, less, learned)


def _drawn(
    points: Array, covariance: Array, there: npt.NDArray[np.bool_], learned: tuple[Limb, ...]
) -> tuple[Array, Array]:
    sets, keypoints = points.shape[:2]
    start = np.where(there[..., None], points, 0.0)
    spread = np.where(there[..., None, None], covariance, np.eye(3))
    # a point that is not there is held by nothing and holds nothing
    prior = np.where(there[..., None, None], np.linalg.inv(spread), np.eye(3))
    x = start.copy()
    normal = np.empty((sets, 3 * keypoints, 3 * keypoints))
    for _ in range(STEPS):
        normal[:] = 0
        right = np.einsum("tkij,tkj->tki", prior, start - x)
        for k in range(keypoints):
            normal[:, 3 * k : 3 * k + 3, 3 * k : 3 * k + 3] = prior[:, k]
        for limb in learned:
            a, b = limb.first, limb.second
            both = there[:, a] & there[:, b]
            along = x[:, b] - x[:, a]
            length = np.linalg.norm(along, axis=-1)
            weight = np.where(both & (length > 0), 1 / limb.sd_mm**2, 0.0)
            unit = along / np.where(length > 0, length, 1.0)[:, None]
            pull = (weight * (limb.length_mm - length))[:, None] * unit
            right[:, a] -= pull
            right[:, b] += pull
            block = weight[:, None, None] * unit[:, :, None] * unit[:, None]
            for one, other, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
                normal[:, 3 * one : 3 * one + 3, 3 * other : 3 * other + 3] += sign * block
        step = np.linalg.solve(normal, right.reshape(sets, -1, 1)).reshape(sets, keypoints, 3)
        x = x + step
    inverse = np.linalg.inv(normal).reshape(sets, keypoints, 3, keypoints, 3)
    less = np.stack([inverse[:, k, :, k] for k in range(keypoints)], axis=1)
    return np.where(there[..., None], x, points), np.where(there[..., None, None], less, covariance)


def _learned(
    points: Array, covariance: Array, there: npt.NDArray[np.bool_], pair: tuple[int, int]
) -> Limb | None:
    a, b = pair
    both = there[:, a] & there[:, b]
    along = points[both, b] - points[both, a]
    length = np.linalg.norm(along, axis=-1)
    if (length > 0).sum() < LEAST_FRAMES:
        return None
    unit = along / np.where(length > 0, length, 1.0)[:, None]
    own = np.einsum("ti,tij,tj->t", unit, covariance[both, a] + covariance[both, b], unit)
    # of lengths that noise has stretched: to second order it adds what lies across
    across = np.trace(covariance[both, a] + covariance[both, b], axis1=1, axis2=2) - own
    middle = float(np.median(length - across / (2 * np.maximum(length, 1e-9))))
    seen = (NORMAL_MAD * float(np.median(np.abs(length - np.median(length))))) ** 2
    variance = max(seen - float(np.median(own)), LEAST_SHARE * seen)
    if variance <= 0 or middle <= 0:
        return None
    return Limb(a, b, middle, float(np.sqrt(variance)))

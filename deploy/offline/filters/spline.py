"""Smoothing splines through the measured points; short gaps are bridged by them.

The natural cubic spline g that minimises sum w (y - g)^2 + a integral g''^2 (Reinsch 1967; Green and
Silverman 1994, section 2.3): with h the steps, Q and R the banded matrices there,

    (R + a Q' W^-1 Q) c = Q' y        g = y - a W^-1 Q c

a is chosen by generalised cross-validation (Craven and Wahba 1978), whose trace is estimated with one
random vector (Girard 1989). It bends to a wrong point of high confidence: `median` and `kalman` do not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline
from scipy.linalg import solveh_banded
from scipy.optimize import minimize_scalar

Floats = npt.NDArray[np.float64]
LEAST_POINTS = 5
LOG10_SMOOTHING = (-4.0, 10.0)  # frames^3: from hardly any to a straight line over minutes


def spline(points: Floats, weights: Floats, index: npt.NDArray[np.int64], smoothing: float | None) -> Floats:
    """Splines of every coordinate over the whole span of its measured points.

    Parameters
    ----------
    points:
        float64 (T, K, D), NaN where there is none.
    weights:
        float64 (T, K): how much a measured point counts.
    index:
        int64 (T,): ascending frame numbers.
    smoothing:
        a above. None: chosen for each coordinate. 0: through the points, as in DeepLabCut's filter of
        this name, which so fills gaps only.

    Returns
    -------
    float64 (T, K, D), NaN before the first and after the last measured point, and everywhere where
    fewer than five were measured.
    """
    result = np.full(points.shape, np.nan)
    times = index.astype(np.float64)
    for keypoint in range(points.shape[1]):
        there = np.flatnonzero(np.isfinite(points[:, keypoint]).all(axis=1))
        if len(there) < LEAST_POINTS:
            continue
        span = slice(int(there[0]), int(there[-1]) + 1)
        for axis in range(points.shape[2]):
            values = points[there, keypoint, axis]
            if smoothing == 0:
                through = CubicSpline(times[there], values)
            else:
                smoother = _Smoother(times[there], values, weights[there, keypoint])
                kept = smoother.fitted(smoother.best() if smoothing is None else smoothing)
                through = CubicSpline(times[there], kept, bc_type="natural")
            result[span, keypoint, axis] = through(times[span])
    return result


class _Smoother:
    """One coordinate: its spline for any smoothing."""

    def __init__(self, times: Floats, values: Floats, weights: Floats) -> None:
        self._steps = np.diff(times)
        self._middle = float(values.mean())
        probe = np.random.default_rng(0).choice([-1.0, 1.0], len(values))
        self._columns = np.stack([values - self._middle, probe], axis=1)
        self._weights = weights
        inverse = 1 / weights
        left, right = 1 / self._steps[:-1], 1 / self._steps[1:]
        own = -left - right
        # upper bands of R and of Q' W^-1 Q, the diagonal last
        self._stiff = np.zeros((3, len(own)))
        self._stiff[2] = (self._steps[:-1] + self._steps[1:]) / 3
        self._stiff[1, 1:] = self._steps[1:-1] / 6
        self._rough = np.zeros((3, len(own)))
        self._rough[2] = left**2 * inverse[:-2] + own**2 * inverse[1:-1] + right**2 * inverse[2:]
        self._rough[1, 1:] = own[:-1] * left[1:] * inverse[1:-2] + right[:-1] * own[1:] * inverse[2:-1]
        self._rough[0, 2:] = right[:-2] * left[2:] * inverse[2:-2]

    def fitted(self, smoothing: float) -> Floats:
        """The spline at the measured points."""
        fitted: Floats = self._columns[:, 0] - self._removed(smoothing)[:, 0] + self._middle
        return fitted

    def best(self) -> float:
        """The smoothing that predicts a point left out best."""

        def score(log10_smoothing: float) -> float:
            removed = self._removed(10.0**log10_smoothing)
            freedom = float(self._columns[:, 1] @ removed[:, 1])  # points less what the spline takes
            return float(np.log(self._weights @ removed[:, 0] ** 2 + 1e-30) - 2 * np.log(max(freedom, 1e-9)))

        best = minimize_scalar(score, bounds=LOG10_SMOOTHING, method="bounded", options={"xatol": 0.02})
        return float(10.0**best.x)

    def _removed(self, smoothing: float) -> Floats:
        """What the spline takes away from the values, and from the random vector; (N, 2)."""
        slopes = np.diff(self._columns, axis=0) / self._steps[:, None]
        bends = solveh_banded(self._stiff + smoothing * self._rough, np.diff(slopes, axis=0))
        edges = np.zeros((1, 2))
        kinks = np.diff(np.concatenate([edges, bends, edges]), axis=0) / self._steps[:, None]
        removed: Floats = np.diff(np.concatenate([edges, kinks, edges]), axis=0)
        return smoothing * removed / self._weights[:, None]

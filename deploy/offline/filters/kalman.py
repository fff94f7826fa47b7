"""Kalman smoother of constant acceleration: every point by what was measured before and after it.

Each keypoint moves as `motion` says; over frames, q is in units of r.

A measured point has the covariance r M, M from its file (3D) or 1/confidence (2D). q/r and r are found
from the measurements by maximum likelihood of the innovations, a keypoint at a time. Smoothing is that of
Rauch, Tung and Striebel (1965). A measurement further from its prediction than the gate counts as none,
and the fit is repeated without it; after some of them the prediction is so uncertain that the gate is wide.

The covariances that come out are of what differs from frame to frame. What a network gets wrong in the same
way for a while (a limb behind another) looks like movement to any filter, and is not in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from deploy.motion import advance, correct

Floats = npt.NDArray[np.float64]

GATE = 30.0  # squared distance in deviations: 3e-7 of normal errors in 2D, 1e-6 in 3D, lie beyond
LOG10_RATIO = (-8.0, 2.0)  # of q/r: from an animal asleep to one that is somewhere else in each frame
LEAST_POINTS = 10
ROUNDS = 4  # of fitting without what was rejected
VAGUE = 1e8  # times the variance of a measurement: what is known before the first one
LOST = 1e12  # where a prediction is less certain than that, the next measurement begins anew
UNSETTLED = 3  # measurements that the vague beginning explains, whatever they are


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """What the smoother says of one keypoint.

    Attributes
    ----------
    points:
        float64 (T, D), at every row.
    covariance:
        float64 (T, D, D) of `points`.
    noise:
        Deviation of one measurement, in the points' unit.
    rejected:
        bool (T,): measured, and outside the gate.
    """

    points: Floats
    covariance: Floats
    noise: float
    rejected: npt.NDArray[np.bool_]


def smooth(points: Floats, shapes: Floats, index: npt.NDArray[np.int64]) -> Smoothed | None:
    """Smooth one keypoint; None where fewer than ten points were measured.

    Parameters
    ----------
    points:
        float64 (T, D), NaN where there is none.
    shapes:
        float64 (T, D, D): covariance of each measured point up to a common factor.
    index:
        int64 (T,): ascending frame numbers.
    """
    there: npt.NDArray[np.bool_] = np.all(np.isfinite(points), axis=1)
    if there.sum() < LEAST_POINTS:
        return None
    steps = np.diff(index, prepend=index[0]).astype(np.float64)
    typical = float(np.median(np.trace(shapes[there], axis1=1, axis2=2))) / points.shape[1]
    relative = np.where(there[:, None, None], shapes / typical, np.eye(points.shape[1]))
    origin = np.median(points[there], axis=0)
    measured = np.where(there[:, None], points - origin, 0.0)
    whitening: Floats = np.linalg.inv(np.linalg.cholesky(relative)).astype(np.float64)
    values: Floats = np.einsum("tij,tj->ti", whitening, measured)

    rows, size = len(points), 3 * points.shape[1]
    states, spreads = np.empty((rows, size)), np.empty((rows, size, size))
    trusted = there
    for _ in range(ROUNDS):
        ratio, variance = _fitted(values, whitening, trusted, steps)
        rejected, begins = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
        _forwards(
            values, whitening, there, steps, ratio, GATE * variance, states, spreads,
            np.empty(rows), rejected, begins,
        )  # fmt: skip
        if (there & ~rejected == trusted).all() or (there & ~rejected).sum() < LEAST_POINTS:
            break
        trusted = there & ~rejected
    _backwards(states, spreads, steps, ratio, begins)
    return Smoothed(
        states[:, ::3] + origin, spreads[:, ::3, ::3] * variance, float(np.sqrt(variance)), rejected
    )


def _fitted(
    values: Floats, whitening: Floats, there: npt.NDArray[np.bool_], steps: Floats
) -> tuple[float, float]:
    """q/r and r that make the innovations most likely."""
    dimensions = values.shape[1]

    def misfit(log10_ratio: float) -> float:
        log_determinants, distances = _innovations(values, whitening, there, steps, 10.0**log10_ratio)
        settled = distances[UNSETTLED:]
        spread = settled.size * dimensions * math.log(_variance(settled, dimensions))
        return float(log_determinants + spread)

    best = minimize_scalar(misfit, bounds=LOG10_RATIO, method="bounded", options={"xatol": 0.05})
    ratio = 10.0 ** float(best.x)
    _, distances = _innovations(values, whitening, there, steps, ratio)
    return ratio, _variance(distances[UNSETTLED:], dimensions)


def _variance(distances: Floats, dimensions: int) -> float:
    """The variance of which squared distances are multiples, of those within the gate.

    An M-estimate (Huber 1981): the mean of min(distance / variance, gate) is that of chi squared. It
    bears wrong points up to a fifteenth of all; a median would take a whole walk between two rests for wrong.
    """
    largest = max(float(distances.max(initial=0.0)), 1e-12)
    low, high = largest * 1e-12, largest
    for _ in range(60):
        middle = np.sqrt(low * high)
        if np.minimum(distances / middle, GATE).mean() > dimensions:
            low = middle
        else:
            high = middle
    return float(high)


def _innovations(
    values: Floats, whitening: Floats, there: npt.NDArray[np.bool_], steps: Floats, ratio: float
) -> tuple[float, Floats]:
    """Sum of the innovations' log determinants, and their squared distances, in units of r."""
    rows = len(values)
    distances = np.empty(rows)
    nothing = np.zeros(rows, np.bool_)
    kept = np.empty((0, 0)), np.empty((0, 0, 0))
    logs = _forwards(
        values, whitening, there, steps, ratio, np.inf, *kept, distances, nothing, nothing.copy()
    )
    return float(logs), distances[there]


@numba.njit(cache=True, nogil=True)
def _forget(state, spread):  # type: ignore[no-untyped-def]
    for a in range(len(state)):
        state[a] = 0.0
        for b in range(len(state)):
            spread[a, b] = VAGUE if a == b else 0.0


@numba.njit(cache=True, nogil=True)
def _forwards(  # type: ignore[no-untyped-def]
    values, whitening, there, steps, ratio, gate, states, spreads, distances, rejected, begins
):
    """The filter. Keeps states and spreads where they have room; returns the sum of log determinants."""
    rows, dimensions = values.shape
    size = 3 * dimensions
    state, spread = np.empty(size), np.empty((size, size))
    new, less, gain = np.empty(size), np.empty((size, size)), np.empty(size)
    logs = 0.0
    seen = 0
    for t in range(rows):
        if t == 0:
            _forget(state, spread)
            begins[t] = True
        else:
            advance(state, spread, steps[t], ratio)
            if spread[0, 0] > LOST:
                _forget(state, spread)
                begins[t] = True
        distances[t] = 0.0
        if there[t]:
            new[:] = state
            less[:] = spread
            distances[t], log = correct(new, less, values[t], whitening[t], gain)
            if distances[t] <= gate:
                state[:] = new
                spread[:] = less
                if seen >= UNSETTLED:
                    logs += log
                seen += 1
            else:
                rejected[t] = True
        if len(states):
            for a in range(size):
                states[t, a] = state[a]
                for b in range(size):
                    spreads[t, a, b] = spread[a, b]
    return logs


@numba.njit(cache=True, nogil=True)
def _solve(matrix, right):  # type: ignore[no-untyped-def]
    """matrix^-1 right, matrix positive definite, by Cholesky; both are overwritten, right with the result."""
    size = len(matrix)
    for a in range(size):
        for b in range(a + 1):
            total = matrix[a, b]
            for k in range(b):
                total -= matrix[a, k] * matrix[b, k]
            matrix[a, b] = np.sqrt(max(total, 1e-300)) if a == b else total / matrix[b, b]
    for column in range(right.shape[1]):
        for a in range(size):
            for k in range(a):
                right[a, column] -= matrix[a, k] * right[k, column]
            right[a, column] /= matrix[a, a]
        for a in range(size - 1, -1, -1):
            for k in range(a + 1, size):
                right[a, column] -= matrix[k, a] * right[k, column]
            right[a, column] /= matrix[a, a]


@numba.njit(cache=True, nogil=True)
def _backwards(states, spreads, steps, ratio, begins):  # type: ignore[no-untyped-def]
    """Rauch, Tung and Striebel's recursion, in place."""
    rows, size = states.shape
    ahead, around = np.empty(size), np.empty((size, size))
    factor, gain, change = np.empty((size, size)), np.empty((size, size)), np.empty((size, size))
    for t in range(rows - 2, -1, -1):
        if begins[t + 1]:
            continue
        step = steps[t + 1]
        for a in range(size):
            ahead[a] = states[t, a]
            for b in range(size):
                around[a, b] = gain[a, b] = spreads[t, a, b]
        # F P: what the prediction has in common with the state it began from
        for d in range(0, size, 3):
            for k in range(size):
                gain[d, k] += step * gain[d + 1, k] + step * step / 2 * gain[d + 2, k]
                gain[d + 1, k] += step * gain[d + 2, k]
        advance(ahead, around, step, ratio)
        for a in range(size):
            for b in range(size):
                factor[a, b] = around[a, b]
        _solve(factor, gain)  # the gain's transpose
        for a in range(size):
            for b in range(size):
                states[t, a] += gain[b, a] * (states[t + 1, b] - ahead[b])
                change[a, b] = 0.0
                for k in range(size):
                    change[a, b] += gain[k, a] * (spreads[t + 1, k, b] - around[k, b])
        for a in range(size):
            for b in range(a + 1):
                total = 0.0
                for k in range(size):
                    total += change[a, k] * gain[k, b]
                spreads[t, a, b] += total
                if a != b:
                    spreads[t, b, a] = spreads[t, a, b]

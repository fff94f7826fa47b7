"""How a keypoint moves: the Wiener process of acceleration, as kernels that filters are made of.

Bar-Shalom, Li and Kirubarajan 2001, section 6.2.3: state position, velocity, acceleration in each of D
dimensions, one dimension after the other; over a time dt, with q the intensity of the jerk,

    F = 1 dt dt^2/2      Q = q  dt^5/20 dt^4/8 dt^3/6
        0  1   dt                dt^4/8  dt^3/3 dt^2/2
        0  0   1                 dt^3/6  dt^2/2 dt
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def advance(state, spread, step, jerk):  # type: ignore[no-untyped-def]
    """F x and F P F' + Q, in place: state (3 D,), spread (3 D, 3 D), after the time `step`."""
    half = step * step / 2
    size = len(state)
    for d in range(0, size, 3):
        state[d] += step * state[d + 1] + half * state[d + 2]
        state[d + 1] += step * state[d + 2]
        for k in range(size):
            spread[d, k] += step * spread[d + 1, k] + half * spread[d + 2, k]
            spread[d + 1, k] += step * spread[d + 2, k]
    for d in range(0, size, 3):
        for k in range(size):
            spread[k, d] += step * spread[k, d + 1] + half * spread[k, d + 2]
            spread[k, d + 1] += step * spread[k, d + 2]
    for d in range(0, size, 3):
        spread[d, d] += jerk * step**5 / 20
        spread[d, d + 1] += jerk * step**4 / 8
        spread[d + 1, d] += jerk * step**4 / 8
        spread[d, d + 2] += jerk * step**3 / 6
        spread[d + 2, d] += jerk * step**3 / 6
        spread[d + 1, d + 1] += jerk * step**3 / 3
        spread[d + 1, d + 2] += jerk * step**2 / 2
        spread[d + 2, d + 1] += jerk * step**2 / 2
        spread[d + 2, d + 2] += jerk * step


@numba.njit(cache=True, nogil=True)
def correct(state, spread, value, whitening, gain):  # type: ignore[no-untyped-def]
    """Take in a measured position, in place; (squared distance, log determinant) of its innovation.

    `whitening` (D, D) makes coordinates of variance 1, which are taken in one after the other; `value` (D,)
    is whitened already. `gain` (3 D,) is room to work in.
    """
    dimensions, size = len(value), len(state)
    distance, log = 0.0, 0.0
    for i in range(dimensions):
        innovation, variance = value[i], 1.0
        for j in range(dimensions):
            innovation -= whitening[i, j] * state[3 * j]
        for a in range(size):
            gain[a] = 0.0
            for j in range(dimensions):
                gain[a] += whitening[i, j] * spread[a, 3 * j]
        for j in range(dimensions):
            variance += whitening[i, j] * gain[3 * j]
        distance += innovation * innovation / variance
        log += np.log(variance)
        for a in range(size):
            state[a] += gain[a] * innovation / variance
            for b in range(size):
                spread[a, b] -= gain[a] * gain[b] / variance
    for a in range(size):
        for b in range(a):
            spread[a, b] = spread[b, a] = (spread[a, b] + spread[b, a]) / 2
    return distance, log

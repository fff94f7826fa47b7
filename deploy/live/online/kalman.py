"""A Kalman filter of constant acceleration for the stream, that finds noise and movement by itself.

How fast an animal's acceleration changes is not known beforehand, and changes when it wakes up. So each
point is followed by several filters at once that differ in the jerk they expect (`motion`), each weighted by
how likely the measurements of late were under it (multiple models, Magill 1965; Bar-Shalom, Li and
Kirubarajan 2001, section 11.6): with s the mean squared innovation over the last measurements,

    misfit = mean log det S + D log s        weight ~ exp(-measurements misfit / 2)

which is the likelihood at the noise that fits best: s also says how much larger the measurements' variances
are than they were said to be. A measurement too far from where it was expected counts as none.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from deploy.motion import advance, correct

Floats = npt.NDArray[np.float64]

# Jerk intensities in (measurement's variance) / (period)^5. A factor of 100 changes a filter's
# bandwidth by 100^(1/6) = 2.2; between the outermost lies one of 22.
JERKS = np.array([1e-7, 1e-5, 1e-3, 0.1, 10.0])
GATE = 30.0  # squared distance in deviations, as in `filters.kalman`
MEMORY = 48.0  # measurements over which innovations are averaged
SETTLED = 8  # measurements before one may be refused
SPEED_VARIANCE, ACCELERATION_VARIANCE = 1e4, 1e2  # before anything is known; in measurement's variances
BRIDGE_NS = 100_000_000
LONGEST = 10.0  # of these: between two sets in a row, too, nothing is known of an animal any longer
"""How long a point is followed without being measured."""


class KalmanBank:
    """N points in D dimensions, each followed by itself.

    Parameters
    ----------
    count, dimensions:
        N and D.
    period_ns:
        Usual time between measurements; a unit, nothing more.
    """

    def __init__(self, count: int, dimensions: int, period_ns: int) -> None:
        size, models = 3 * dimensions, len(JERKS)
        self._period_ns = period_ns
        self._t_ns: int | None = None
        self._states = np.zeros((count, models, size))
        self._spreads = np.zeros((count, models, size, size))
        self._logs = np.zeros((count, models))
        self._squares = np.full((count, models), float(dimensions))
        self._weights = np.full((count, models), 1.0 / models)
        self._seen = np.zeros(count, np.int64)
        self._since = np.zeros(count)
        self._units = np.ones(count)

    def take(self, points: Floats, shapes: Floats, t_ns: int) -> None:
        """Take in what was measured at `t_ns`; times ascend.

        Parameters
        ----------
        points:
            float64 (N, D); NaN where nothing was measured.
        shapes:
            float64 (N, D, D): covariance of each measured point, up to a factor common to all its time.
        """
        step = 0.0 if self._t_ns is None else max(0.0, (t_ns - self._t_ns) / self._period_ns)
        self._t_ns = t_ns
        _take(
            points, shapes, step, BRIDGE_NS / self._period_ns, self._states, self._spreads, self._logs,
            self._squares, self._weights, self._seen, self._since, self._units,
        )  # fmt: skip

    def at(self, t_ns: int) -> tuple[Floats, Floats]:
        """Where the points are at `t_ns`, not before the last measurement.

        Returns
        -------
        points, covariances:
            float64 (N, D) and (N, D, D); NaN where there was no measurement for `BRIDGE_NS` before the last
            call of `take`.
        """
        count, _, size = self._states.shape
        points = np.empty((count, size // 3))
        covariances = np.empty((count, size // 3, size // 3))
        horizon = 0.0 if self._t_ns is None else (t_ns - self._t_ns) / self._period_ns
        _look(
            self._states, self._spreads, self._squares, self._weights, self._seen, self._units,
            max(0.0, horizon), points, covariances,
        )  # fmt: skip
        return points, covariances


@numba.njit(cache=True, nogil=True)
def _whiten(point, shape, value, whitening):  # type: ignore[no-untyped-def]
    """The inverse of the Cholesky factor of `shape`, and `point` in its coordinates; the mean variance.

    0 where point or shape is not known.
    """
    size = len(point)
    unit = 0.0
    for a in range(size):
        unit += shape[a, a] / size
        if not np.isfinite(point[a]):
            return 0.0
    if not (np.isfinite(unit) and unit > 0):
        return 0.0
    # Row by row: the factor's row, then the inverse's, which needs nothing of the factor above it.
    factor = np.zeros((size, size))
    for a in range(size):
        for b in range(a + 1):
            total = shape[a, b]
            if a == b:
                total += 1e-6 * unit
            for k in range(b):
                total -= factor[a, k] * factor[b, k]
            factor[a, b] = np.sqrt(max(total, 1e-9 * unit)) if a == b else total / factor[b, b]
        for b in range(size):
            total = 1.0 if a == b else 0.0
            for k in range(b, a):
                total -= factor[a, k] * whitening[k, b]
            whitening[a, b] = total / factor[a, a] if b <= a else 0.0
        value[a] = 0.0
        for b in range(a + 1):
            value[a] += whitening[a, b] * point[b]
    return unit


@numba.njit(cache=True, nogil=True)
def _begin(place, unit, states, spreads):  # type: ignore[no-untyped-def]
    """A point that was first seen at `place`: at rest, as far as is known."""
    states[:] = 0.0
    spreads[:] = 0.0
    for m in range(len(states)):
        for d in range(len(place)):
            states[m, 3 * d] = place[d]
            spreads[m, 3 * d, 3 * d] = unit
            spreads[m, 3 * d + 1, 3 * d + 1] = SPEED_VARIANCE * unit
            spreads[m, 3 * d + 2, 3 * d + 2] = ACCELERATION_VARIANCE * unit


@numba.njit(cache=True, nogil=True)
def _weigh(dimensions, seen, logs, squares, weights):  # type: ignore[no-untyped-def]
    """The weights of the models of one point."""
    least = np.inf
    for m in range(len(weights)):
        weights[m] = logs[m] + dimensions * np.log(squares[m])
        least = min(least, weights[m])
    total = 0.0
    for m in range(len(weights)):
        weights[m] = np.exp(-min(seen, MEMORY) * (weights[m] - least) / 2)
        total += weights[m]
    for m in range(len(weights)):
        weights[m] /= total


@numba.njit(cache=True, nogil=True)
def _take(  # type: ignore[no-untyped-def]
    points, shapes, step, bridge, states, spreads, logs, squares, weights, seen, since, unit_of
):
    count, models, size = states.shape
    dimensions = size // 3
    value, gain, whitening = np.empty(dimensions), np.empty(size), np.empty((dimensions, dimensions))
    new, less = np.empty(size), np.empty((size, size))
    for n in range(count):
        if seen[n]:
            unseen = since[n] > 0  # the set before as well: slow cameras are no gap
            since[n] += step
            if since[n] > bridge and (unseen or since[n] > LONGEST * bridge):
                seen[n] = 0
            else:
                for m in range(models):
                    advance(states[n, m], spreads[n, m], step, JERKS[m] * unit_of[n])
        unit = _whiten(points[n], shapes[n], value, whitening)
        if unit == 0:
            if since[n] > bridge:
                seen[n] = 0
            continue
        if seen[n] == 0:
            unit_of[n] = unit
            _begin(points[n], unit, states[n], spreads[n])
            seen[n], since[n] = 1, 0.0
            continue
        if seen[n] >= SETTLED:
            best = np.argmax(weights[n])
            new[:] = states[n, best]
            less[:] = spreads[n, best]
            distance, _ = correct(new, less, value, whitening, gain)
            if distance > GATE * squares[n, best] / dimensions:
                # refused, and a doubt: several in a row, and the gate is wide enough
                squares[n, best] *= 1 + (GATE / dimensions - 1) / MEMORY
                continue
        seen[n] += 1
        since[n] = 0.0
        share = 1 / min(float(seen[n]), MEMORY)
        for m in range(models):
            distance, log = correct(states[n, m], spreads[n, m], value, whitening, gain)
            if seen[n] > 3:  # the first ones tell of where the point began, not of how it moves
                distance = min(distance, GATE * squares[n, m])
                squares[n, m] = max(squares[n, m] + share * (distance - squares[n, m]), 1e-9)
                logs[n, m] += share * (log - logs[n, m])
        _weigh(dimensions, seen[n], logs[n], squares[n], weights[n])


@numba.njit(cache=True, nogil=True)
def _look(states, spreads, squares, weights, seen, unit_of, horizon, points, covariances):  # type: ignore[no-untyped-def]
    """Mean and covariance of the mixture of models, `horizon` periods ahead."""
    count, models, size = states.shape
    dimensions = size // 3
    ahead = np.array([1.0, horizon, horizon * horizon / 2])
    place = np.empty((models, dimensions))
    for n in range(count):
        if seen[n] == 0:
            points[n] = np.nan
            covariances[n] = np.nan
            continue
        points[n] = 0.0
        covariances[n] = 0.0
        for m in range(models):
            for d in range(dimensions):
                place[m, d] = 0.0
                for i in range(3):
                    place[m, d] += ahead[i] * states[n, m, 3 * d + i]
                points[n, d] += weights[n, m] * place[m, d]
        for m in range(models):
            noise = squares[n, m] / dimensions
            for d in range(dimensions):
                for e in range(dimensions):
                    total = 0.0
                    for i in range(3):
                        for j in range(3):
                            total += ahead[i] * ahead[j] * spreads[n, m, 3 * d + i, 3 * e + j]
                    if d == e:
                        total += JERKS[m] * unit_of[n] * horizon**5 / 20
                    apart = (place[m, d] - points[n, d]) * (place[m, e] - points[n, e])
                    covariances[n, d, e] += weights[n, m] * (noise * total + apart)

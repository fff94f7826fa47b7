"""The one-euro filter: a low pass whose cutoff rises with the speed (Casiez, Roussel and Vogel, CHI 2012).

    alpha(cutoff) = 1 / (1 + 1 / (2 pi cutoff dt))     x' <- x' + alpha (x - x')
    cutoff = min_cutoff + beta |speed|, the speed low-passed at derivative_cutoff

The paper filters each coordinate by itself. Here the speed of a keypoint is the length of its velocity, so
that a rotation of the axes changes nothing; in one dimension it is the paper's filter.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from deploy.tracking_settings import OneEuroSettings

Floats = npt.NDArray[np.float64]


class OneEuro:
    """N points in D dimensions, filtered side by side.

    A point that is absent has no filtered place; when it is back, its filter goes on with the time that has
    passed, so that an old place weighs little.

    Parameters
    ----------
    count, dimensions:
        N and D.
    settings:
        The three parameters of the paper; they are for px or mm per second.
    """

    def __init__(self, count: int, dimensions: int, settings: OneEuroSettings) -> None:
        self._settings = settings
        self._place: Floats = np.full((count, dimensions), np.nan)
        self._velocity: Floats = np.zeros((count, dimensions))
        self._t_ns = np.zeros(count, np.int64)

    def take(self, points: Floats, t_ns: int) -> Floats:
        """The filtered points at `t_ns`, float64 (N, D); NaN where `points` (N, D) is NaN.

        Times ascend; a call at the time of the last one changes nothing of a point.
        """
        places = np.empty_like(self._place)
        settings = self._settings
        _take(
            points, t_ns, settings.min_cutoff_hz, settings.beta, settings.derivative_cutoff_hz, self._place,
            self._velocity, self._t_ns, places,
        )  # fmt: skip
        return places


@numba.njit(cache=True, nogil=True)
def _alpha(cutoff_hz, dt_s):  # type: ignore[no-untyped-def]
    """Weight of the newest value in an exponential filter."""
    return 1.0 / (1.0 + 1.0 / (2.0 * np.pi * cutoff_hz * dt_s))


@numba.njit(cache=True, nogil=True)
def _take(  # type: ignore[no-untyped-def]
    points, t_ns, min_cutoff_hz, beta, derivative_cutoff_hz, place, velocity, last_ns, places
):
    for n in range(len(points)):
        if not np.isfinite(points[n]).all():
            places[n] = np.nan
            continue
        dt_s = (t_ns - last_ns[n]) * 1e-9
        if np.isnan(place[n, 0]):
            place[n], last_ns[n] = points[n], t_ns
        elif dt_s > 0:
            alpha, speed = _alpha(derivative_cutoff_hz, dt_s), 0.0
            for d in range(points.shape[1]):
                velocity[n, d] += alpha * ((points[n, d] - place[n, d]) / dt_s - velocity[n, d])
                speed += velocity[n, d] ** 2
            alpha = _alpha(min_cutoff_hz + beta * np.sqrt(speed), dt_s)
            for d in range(points.shape[1]):
                place[n, d] += alpha * (points[n, d] - place[n, d])
            last_ns[n] = t_ns
        places[n] = place[n]

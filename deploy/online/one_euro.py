"""The one-euro filter: a low pass whose cutoff rises with the speed (Casiez, Roussel and Vogel, CHI 2012).

    alpha(cutoff) = 1 / (1 + 1 / (2 pi cutoff dt))     x' <- x' + alpha (x - x')
    cutoff = min_cutoff + beta |speed|, the speed low-passed at derivative_cutoff

The paper filters each coordinate by itself. Here the speed of a keypoint is the length of its velocity, so
that a rotation of the axes changes nothing; in one dimension it is the paper's filter.
"""

from __future__ import annotations

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
        there: npt.NDArray[np.bool_] = np.all(np.isfinite(points), axis=1)
        new = there & np.isnan(self._place[:, 0])
        self._place[new], self._velocity[new], self._t_ns[new] = points[new], 0.0, t_ns
        dt_s = (t_ns - self._t_ns) * 1e-9
        known = there & (dt_s > 0)
        if known.any():
            dt: Floats = np.asarray(dt_s[known, None], np.float64)
            place, velocity = self._place[known], self._velocity[known]
            away: Floats = points[known] - place
            velocity += _alpha(self._settings.derivative_cutoff_hz, dt) * (away / dt - velocity)
            speed: Floats = np.sqrt(np.sum(velocity * velocity, axis=1, keepdims=True))
            cutoff_hz: Floats = self._settings.min_cutoff_hz + self._settings.beta * speed
            self._place[known] = place + _alpha(cutoff_hz, dt) * away
            self._velocity[known], self._t_ns[known] = velocity, t_ns
        return np.where(there[:, None], self._place, np.nan)


def _alpha(cutoff_hz: float | Floats, dt_s: Floats) -> Floats:
    """Weight of the newest value in an exponential filter."""
    alpha: Floats = 1.0 / (1.0 + 1.0 / (2.0 * np.pi * cutoff_hz * dt_s))
    return alpha

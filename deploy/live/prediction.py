"""How good forward prediction was: each prediction against what was measured when its instant had come.

A prediction is judged at the first exposure at or after the instant its message speaks of, so that what it
is compared with is a measurement of its own and not one that it was made from. Beside it stands what one has
without prediction: the last measured place. Both are off by the noise of the measurement they are compared
with, the second also by its own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_EDGES = np.geomspace(1e-3, 1e4, 351)  # px or mm; 4.7 % each
_WAITING = 64
_SAME_EXPOSURE = 0.1  # of a period


class ErrorHistogram:
    """Errors in logarithmic bins: bounded, whatever is added; a percentile is right to 5 %."""

    def __init__(self) -> None:
        self.count = 0
        self._counts: npt.NDArray[np.int64] = np.zeros(len(_EDGES) + 1, np.int64)

    def add(self, errors: Floats) -> None:
        """Count errors (N,); NaN is none."""
        self.count += _count(errors, self._counts)

    def percentile(self, percent: float) -> float | None:
        """The error that `percent` of all do not exceed; None if there is none."""
        if not self.count:
            return None
        rank = max(1, int(np.ceil(self.count * percent / 100)))
        place = int(np.searchsorted(np.cumsum(self._counts), rank))
        return float(f"{_EDGES[min(place, len(_EDGES) - 1)]:.3g}")


@dataclass(frozen=True, slots=True)
class _Due:
    """A prediction of (N, D) points for `t_ns`, and the points as they were measured last."""

    t_ns: int
    periods: int
    predicted: Floats
    last: Floats


class PredictionErrors:
    """The account of one kind of pose.

    Parameters
    ----------
    unit:
        "px" or "mm".
    """

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self._due: deque[_Due] = deque(maxlen=_WAITING)
        self._period_ns = 0
        self._errors: dict[int, tuple[ErrorHistogram, ErrorHistogram]] = {}

    def expect(self, t_ns: int, periods: int, predicted: Floats, last: Floats) -> None:
        """A prediction (N, D) for the exposure at `t_ns`, `periods` after that of `last` (N, D)."""
        self._due.append(_Due(t_ns, periods, predicted, last))

    def measured(self, t_ns: int, points: Floats, period_ns: int) -> None:
        """What was measured, (N, D), at an exposure; NaN where nothing was."""
        self._period_ns = period_ns
        tolerance_ns = _SAME_EXPOSURE * period_ns
        while self._due and self._due[0].t_ns <= t_ns + tolerance_ns:
            due = self._due.popleft()
            if abs(due.t_ns - t_ns) > tolerance_ns:
                continue  # that exposure never came
            missed, moved = _distances(due.predicted, due.last, points)
            if due.periods not in self._errors:
                self._errors[due.periods] = ErrorHistogram(), ErrorHistogram()
            with_prediction, without = self._errors[due.periods]
            with_prediction.add(missed)
            without.add(moved)

    def summary(self) -> dict[str, dict[str, float | int | None]]:
        """By horizon in ms: points, and median and 95th percentile with and without prediction."""
        told: dict[str, dict[str, float | int | None]] = {}
        for periods, (with_prediction, without) in sorted(self._errors.items()):
            told[f"{periods * self._period_ns / 1e6:.1f} ms"] = {
                "points": with_prediction.count,
                f"median_{self.unit}": with_prediction.percentile(50),
                f"p95_{self.unit}": with_prediction.percentile(95),
                f"without_median_{self.unit}": without.percentile(50),
                f"without_p95_{self.unit}": without.percentile(95),
            }
        return told

    def counters(self) -> dict[str, float]:
        """The same flat, for `health`: names begin with the horizon."""
        return {
            f"{horizon} {name}": value
            for horizon, figures in self.summary().items()
            for name, value in figures.items()
            if value is not None
        }


@numba.njit(cache=True, nogil=True)
def _distances(predicted, last, points):  # type: ignore[no-untyped-def]
    """From `points` to each of both (N,), for the same points; NaN for both where any is not known."""
    missed, moved = np.zeros(len(points)), np.zeros(len(points))
    for n in range(len(points)):
        for d in range(points.shape[1]):
            missed[n] += (predicted[n, d] - points[n, d]) ** 2
            moved[n] += (last[n, d] - points[n, d]) ** 2
        missed[n], moved[n] = np.sqrt(missed[n]), np.sqrt(moved[n])
        if np.isnan(missed[n] + moved[n]):
            missed[n] = moved[n] = np.nan
    return missed, moved


@numba.njit(cache=True, nogil=True)
def _count(errors, counts):  # type: ignore[no-untyped-def]
    """Put errors into their bins; how many there were."""
    number = 0
    for error in errors:
        if not np.isnan(error):
            counts[np.searchsorted(_EDGES, error)] += 1
            number += 1
    return number

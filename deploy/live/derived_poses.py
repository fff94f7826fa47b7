"""What the tracker makes of measured poses: filtered ones, and predictions of where the animal is by now.

A point is used where its confidence is at least that of triangulation (2D), or where it has a place (3D).
A derived 2D pose keeps the confidence of the measured one, 0 where nothing was measured and the place is a
filter's; a derived 3D pose keeps views and reprojection error, 0 views where the place is a filter's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from statistics import median
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from calibration.poses import POSE3D_COLUMNS, Pose3D, PoseSet
from calibration.triangulation import DEFAULT
from deploy.live.online.kalman import KalmanBank
from deploy.live.online.one_euro import OneEuro
from deploy.live.prediction import PredictionErrors
from deploy.stream.messages import Kind
from deploy.tracking_settings import TrackingSettings

Floats = npt.NDArray[np.float64]

Derived = tuple[Kind, int, npt.NDArray[np.float32]]
"""Kind, the instant it speaks of (rig clock, ns), and the array as in `PoseSet` or `Pose3D`."""

_SOME_PERIOD_NS = 10_000_000  # a unit of time, where none is known yet
_VIEWS = POSE3D_COLUMNS.index("views")
_REPROJECTION = POSE3D_COLUMNS.index("reprojection_px")


class DerivedPoses:
    """The filters of one stream session.

    Parameters
    ----------
    settings:
        Which to run.
    cameras, keypoints:
        How many.
    period_ns:
        Of the trigger; 0 on a free-running rig, where it is followed.
    """

    def __init__(self, settings: TrackingSettings, cameras: int, keypoints: int, period_ns: int) -> None:
        self._settings = settings
        self._flat = _Filters(settings, cameras * keypoints, 2, period_ns)
        self._solid = _Filters(settings, keypoints, 3, period_ns)

    def warm_up(self) -> None:
        """Compile what will run; the filters have seen nothing afterwards."""
        trial = DerivedPoses(self._settings, 1, 2, _SOME_PERIOD_NS)
        keypoints, points = np.ones((1, 2, 3), np.float32), np.eye(2, 11, dtype=np.float32)
        points[:, [3, 6, 8]] = 1.0
        for index in range(3):
            t_ns = index * _SOME_PERIOD_NS
            list(trial.of_2d(PoseSet(index, t_ns, keypoints), t_ns))
            list(trial.of_3d(Pose3D(index, t_ns, points), t_ns))

    def of_2d(self, pose: PoseSet, now_ns: int) -> Iterator[Derived]:
        """The derived poses of a measured 2D pose, the predicted one for `now_ns` and the lead."""
        if not self._flat.wanted:
            return
        points, shapes = _flat_input(pose.keypoints, DEFAULT.min_confidence)
        for kind, t_ns, found, _ in self._flat.take(points, shapes, pose.t_exposure_ns, now_ns):
            yield kind, t_ns, _flat_output(pose.keypoints, found)

    def of_3d(self, pose: Pose3D, now_ns: int) -> Iterator[Derived]:
        """The derived poses of a measured 3D pose; covariances are the filter's where it has any."""
        if not self._solid.wanted:
            return
        places, shapes = _solid_input(pose.points)
        for kind, t_ns, found, spread in self._solid.take(places, shapes, pose.t_exposure_ns, now_ns):
            yield kind, t_ns, _solid_output(pose.points, found, shapes if spread is None else spread)

    def counters(self) -> dict[str, dict[str, float]]:
        """Errors of prediction, for `health`."""
        sources = {"prediction pose2d": self._flat.errors, "prediction pose3d": self._solid.errors}
        return {name: counts for name, errors in sources.items() if (counts := errors.counters())}

    def summary(self) -> dict[str, Any]:
        """Errors of prediction by pose and horizon."""
        both = {"pose2d": self._flat.errors.summary(), "pose3d": self._solid.errors.summary()}
        return {topic: horizons for topic, horizons in both.items() if horizons}


class _Filters:
    """The filters of N points in D dimensions."""

    def __init__(self, settings: TrackingSettings, count: int, dimensions: int, period_ns: int) -> None:
        self.wanted = settings.smooth != "none" or settings.predict
        self.errors = PredictionErrors("px" if dimensions == 2 else "mm")
        self._settings = settings
        self._lead_ns = round(settings.lead_ms * 1e6)
        self._shape = count, dimensions
        self._period_ns = period_ns
        self._intervals_ns: deque[int] | None = None if period_ns else deque(maxlen=15)
        self._last_ns = 0
        self._uses_bank = settings.predict or settings.smooth == "kalman"
        self._bank: KalmanBank | None = None
        self._one_euro: OneEuro | None = None
        if settings.smooth == "one-euro":
            self._one_euro = OneEuro(count, dimensions, settings.one_euro)

    def take(
        self, points: Floats, shapes: Floats, t_ns: int, now_ns: int
    ) -> Iterator[tuple[Kind, int, Floats, Floats | None]]:
        """Kind, instant, points and their covariances; the prediction first, since it is of now."""
        self._follow_period(t_ns)
        bank = self._measured(points, shapes, t_ns) if self._uses_bank else None
        if bank is not None and self._settings.predict:
            valid_ns = max(t_ns, now_ns + self._lead_ns)
            yield "predicted", valid_ns, *bank.at(valid_ns)
            self._expect(bank, t_ns, valid_ns, points)
        if self._one_euro is not None:
            yield "filtered", t_ns, self._one_euro.take(points, t_ns), None
        if bank is not None and self._settings.smooth == "kalman":
            yield "filtered", t_ns, *bank.at(t_ns)

    def _measured(self, points: Floats, shapes: Floats, t_ns: int) -> KalmanBank:
        """The bank, with a measurement more."""
        if self._bank is None:
            self._bank = KalmanBank(*self._shape, self._period_ns or _SOME_PERIOD_NS)
        if self._settings.predict and self._period_ns:
            self.errors.measured(t_ns, points, self._period_ns)
        self._bank.take(points, shapes, t_ns)
        return self._bank

    def _expect(self, bank: KalmanBank, t_ns: int, valid_ns: int, points: Floats) -> None:
        """After the message has gone: what there is to be seen at the next exposure after it."""
        if self._period_ns:
            periods = max(1, -(-(valid_ns - t_ns) // self._period_ns))
            due_ns = t_ns + periods * self._period_ns
            self.errors.expect(due_ns, periods, bank.at(due_ns)[0], points)

    def _follow_period(self, t_ns: int) -> None:
        """On a free-running rig: the median of the last intervals."""
        if self._intervals_ns is not None and self._last_ns:
            self._intervals_ns.append(t_ns - self._last_ns)
            self._period_ns = max(1, round(median(self._intervals_ns)))
        self._last_ns = t_ns


@numba.njit(cache=True, nogil=True)
def _flat_input(keypoints, least):  # type: ignore[no-untyped-def]
    """Trusted points (C K, 2) and the shapes of their covariances (C K, 2, 2)."""
    cameras, count, _ = keypoints.shape
    points, shapes = np.full((cameras * count, 2), np.nan), np.zeros((cameras * count, 2, 2))
    for c in range(cameras):
        for k in range(count):
            n, confidence = c * count + k, keypoints[c, k, 2]
            if confidence >= least:  # False for NaN
                points[n] = keypoints[c, k, :2]
                shapes[n, 0, 0] = shapes[n, 1, 1] = 1.0 / confidence
    return points, shapes


@numba.njit(cache=True, nogil=True)
def _flat_output(keypoints, found):  # type: ignore[no-untyped-def]
    """The places found, with the confidence measured; 0 where there is a place and no measurement."""
    cameras, count, _ = keypoints.shape
    out = np.empty((cameras, count, 3), np.float32)
    for c in range(cameras):
        for k in range(count):
            place, confidence = found[c * count + k], keypoints[c, k, 2]
            out[c, k, 0], out[c, k, 1] = place[0], place[1]
            out[c, k, 2] = 0.0 if np.isnan(confidence) and not np.isnan(place[0]) else confidence
    return out


@numba.njit(cache=True, nogil=True)
def _solid_input(points):  # type: ignore[no-untyped-def]
    """Places (K, 3) mm and covariances (K, 3, 3) mm^2."""
    places, shapes = np.empty((len(points), 3)), np.empty((len(points), 3, 3))
    for k in range(len(points)):
        column = 3
        for a in range(3):
            places[k, a] = points[k, a]
            for b in range(a, 3):
                shapes[k, a, b] = shapes[k, b, a] = points[k, column]
                column += 1
    return places, shapes


@numba.njit(cache=True, nogil=True)
def _solid_output(points, found, shapes):  # type: ignore[no-untyped-def]
    """Places and covariances found; no views where there is a place and no measurement."""
    out = points.copy()
    for k in range(len(points)):
        column = 3
        for a in range(3):
            out[k, a] = found[k, a]
            for b in range(a, 3):
                out[k, column] = shapes[k, a, b]
                column += 1
        if np.isnan(points[k, 0]):
            out[k, _VIEWS], out[k, _REPROJECTION] = 0.0, np.nan
    return out

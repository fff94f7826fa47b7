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

import numpy as np
import numpy.typing as npt

from calibration.poses import POSE3D_COLUMNS, Pose3D, PoseSet
from calibration.triangulation import DEFAULT
from deploy.messages import Kind
from deploy.online.kalman import KalmanBank
from deploy.online.one_euro import OneEuro
from deploy.prediction import PredictionErrors
from deploy.tracking_settings import TrackingSettings

Floats = npt.NDArray[np.float64]

Derived = tuple[Kind, int, npt.NDArray[np.float32]]
"""Kind, the instant it speaks of (rig clock, ns), and the array as in `PoseSet` or `Pose3D`."""

_SOME_PERIOD_NS = 10_000_000  # a unit of time, where none is known yet
_UPPER = np.triu_indices(3)
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
        self._flat = _Filters(settings, cameras * keypoints, 2, period_ns)
        self._solid = _Filters(settings, keypoints, 3, period_ns)

    def warm_up(self) -> None:
        """Compile what will run; the filters have seen nothing afterwards."""
        for filters in (self._flat, self._solid):
            filters.warm_up()

    def of_2d(self, pose: PoseSet, now_ns: int) -> Iterator[Derived]:
        """The derived poses of a measured 2D pose, the predicted one for `now_ns` and the lead."""
        if not self._flat.wanted:
            return
        confidence = pose.keypoints[..., 2]
        trusted = confidence >= DEFAULT.min_confidence  # False for NaN
        points = np.where(trusted[..., None], pose.keypoints[..., :2], np.nan).reshape(-1, 2)
        weight = np.where(trusted, confidence, np.nan).reshape(-1)
        shapes = np.eye(2) / weight.astype(np.float64)[:, None, None]
        for kind, t_ns, found, _ in self._flat.take(
            points.astype(np.float64), shapes, pose.t_exposure_ns, now_ns
        ):
            keypoints = np.empty_like(pose.keypoints)
            keypoints[..., :2] = found.reshape(*confidence.shape, 2)
            nowhere = np.isnan(keypoints[..., 0])
            keypoints[..., 2] = np.where(nowhere, confidence, np.nan_to_num(confidence))
            yield kind, t_ns, keypoints

    def of_3d(self, pose: Pose3D, now_ns: int) -> Iterator[Derived]:
        """The derived poses of a measured 3D pose; covariances are the filter's where it has any."""
        if not self._solid.wanted:
            return
        measured = pose.points.astype(np.float64)
        shapes = np.empty((len(measured), 3, 3))
        shapes[:, _UPPER[0], _UPPER[1]] = shapes[:, _UPPER[1], _UPPER[0]] = measured[:, 3:9]
        for kind, t_ns, found, spread in self._solid.take(
            measured[:, :3], shapes, pose.t_exposure_ns, now_ns
        ):
            points = pose.points.copy()
            points[:, :3] = found
            points[:, 3:9] = points[:, 3:9] if spread is None else spread[:, _UPPER[0], _UPPER[1]]
            bridged = np.isnan(measured[:, 0])
            points[bridged, _VIEWS], points[bridged, _REPROJECTION] = 0.0, np.nan
            yield kind, t_ns, points

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

    def warm_up(self) -> None:
        """Compile what will run."""
        if self._uses_bank:
            bank = KalmanBank(1, self._shape[1], _SOME_PERIOD_NS)
            for t_ns in (0, _SOME_PERIOD_NS):
                bank.take(np.zeros((1, self._shape[1])), np.eye(self._shape[1])[None], t_ns)
                bank.at(t_ns)

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

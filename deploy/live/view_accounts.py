"""How good the 3D is while it runs: from how many views, how exact, and which cameras are missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.poses import POSE3D_COLUMNS, Pose3D

GONE, BACK = "camera absent", "camera back"
ABSENT_SETS = 10  # in a row: more than a lost frame or two
_VIEWS = POSE3D_COLUMNS.index("views")
_ERROR = POSE3D_COLUMNS.index("reprojection_px")
_VARIANCES = [POSE3D_COLUMNS.index(name) for name in ("xx_mm2", "yy_mm2", "zz_mm2")]
_MEMORY = 0.02  # weight of the newest set in what is told as of now


class ViewAccounts:
    """Counts of one tracker.

    Parameters
    ----------
    cameras:
        Names in rig order.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        self._cameras = tuple(cameras)
        self._absent = dict.fromkeys(self._cameras, 0)
        self._by_views = [0] * (len(self._cameras) + 1)
        self._points = self._placed = self._fewer = 0
        self._now: dict[str, float] = {}

    def present(self, there: Sequence[bool]) -> list[tuple[str, str, str]]:
        """Which cameras have a frame in a set, in rig order; events (name, camera, detail) to be told."""
        news = []
        left = f"{sum(there)} of {len(there)} cameras are left"
        for camera, is_there in zip(self._cameras, there, strict=True):
            if is_there:
                if self._absent[camera] >= ABSENT_SETS:
                    news.append((BACK, camera, f"after {self._absent[camera]} sets"))
                self._absent[camera] = 0
                continue
            self._absent[camera] += 1
            if self._absent[camera] == ABSENT_SETS:
                news.append((GONE, camera, f"no frame in {ABSENT_SETS} sets; {left}"))
        self._fewer += not all(there)
        return news

    def add(self, pose: Pose3D) -> None:
        """A measured 3D pose."""
        points = pose.points
        for number, count in zip(
            *np.unique(points[:, _VIEWS].astype(np.int64), return_counts=True), strict=True
        ):
            self._by_views[min(int(number), len(self._cameras))] += int(count)
        placed = np.isfinite(points[:, 0])
        self._points += len(points)
        self._placed += int(placed.sum())
        if not placed.any():
            return
        newest = {
            "views": float(points[placed, _VIEWS].mean()),
            "sigma_mm": float(np.sqrt(points[placed][:, _VARIANCES].sum(axis=1) / 3).mean()),
            "reprojection_px": float(points[placed, _ERROR].mean()),
        }
        for name, value in newest.items():
            before = self._now.get(name, value)
            self._now[name] = before + _MEMORY * (value - before)

    def counters(self) -> dict[str, int | float]:
        """For `health`: points with and without a place, by number of views, and means of late."""
        if not self._points:
            return {}
        return {
            "points": self._points,
            "points_placed": self._placed,
            "sets_with_fewer_cameras": self._fewer,
            **{f"points_of_{views}_views": count for views, count in enumerate(self._by_views) if count},
            **{f"{name}_of_late": round(value, 3) for name, value in self._now.items()},
        }

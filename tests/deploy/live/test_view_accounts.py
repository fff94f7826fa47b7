"""Accounts of 3D while cameras come and go."""

import numpy as np

from calibration.poses import Pose3D
from deploy.live.view_accounts import ABSENT_SETS, BACK, GONE, ViewAccounts


def pose(*views: int) -> Pose3D:
    points = np.zeros((len(views), 11), np.float32)
    points[:, [3, 6, 8]] = 4.0
    points[:, 9], points[:, 10] = views, 0.5
    points[np.array(views) < 2, :9] = np.nan
    return Pose3D(0, 0, points)


def test_a_camera_that_stays_away_is_told_once_and_when_it_is_back() -> None:
    accounts = ViewAccounts(("top", "left", "right"))
    news = []
    for n in range(60):
        there = [True, not 10 <= n < 40, n % 7 != 0]  # right loses single frames only
        news += [(n, *event[:2]) for event in accounts.present(there)]
    assert news == [(9 + ABSENT_SETS, GONE, "left"), (40, BACK, "left")]


def test_points_are_counted_by_views() -> None:
    accounts = ViewAccounts(("top", "left", "right"))
    assert accounts.counters() == {}
    accounts.present([True, True, False])
    accounts.add(pose(3, 2, 1, 0))
    accounts.add(pose(2, 2, 2, 2))
    assert accounts.counters() == {
        "points": 8, "points_placed": 6, "sets_with_fewer_cameras": 1, "points_of_0_views": 1,
        "points_of_1_views": 1, "points_of_2_views": 5, "points_of_3_views": 1, "views_of_late": 2.49,
        "sigma_mm_of_late": 2.0, "reprojection_px_of_late": 0.5,
    }  # fmt: skip

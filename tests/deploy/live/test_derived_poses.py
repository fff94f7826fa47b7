"""Derived poses: what stands in them where points are seen, doubtful, absent, or gone."""

import numpy as np
import pytest

from calibration.poses import Pose3D, PoseSet
from deploy.live.derived_poses import DerivedPoses
from deploy.tracking_settings import TrackingSettings

PERIOD_NS = 10_000_000
MS = 1_000_000


def poses(rows: int) -> list[PoseSet]:
    """Two cameras, one keypoint that moves by 4 px a set."""
    rng = np.random.default_rng(0)
    found = []
    for t in range(rows):
        keypoints = np.ones((2, 1, 3), np.float32)
        keypoints[..., :2] = rng.normal([100 + 4.0 * t, 50.0], 0.2, (2, 1, 2))
        keypoints[..., 2] = 0.9
        found.append(PoseSet(t, t * PERIOD_NS, keypoints))
    return found


def solid(t: int, views: int = 3) -> Pose3D:
    points = np.zeros((1, 11), np.float32)
    points[0] = [2.0 * t, 5, 7, 0.2, 0.05, 0, 0.3, 0, 0.4, views, 0.5]
    if views < 2:
        points[0, :9] = np.nan
    return Pose3D(t, t * PERIOD_NS, points)


def test_without_settings_nothing_is_derived() -> None:
    derived = DerivedPoses(TrackingSettings(), 2, 1, PERIOD_NS)
    assert not list(derived.of_2d(poses(1)[0], 0)) and not list(derived.of_3d(solid(0), 0))
    assert derived.summary() == {} and derived.counters() == {}


@pytest.mark.parametrize("smooth", ["one-euro", "kalman"])
def test_kinds_instants_and_confidences(smooth: str) -> None:
    derived = DerivedPoses(TrackingSettings(smooth=smooth, predict=True, lead_ms=2), 2, 1, PERIOD_NS)
    sets = poses(60)
    sets[40].keypoints[1] = np.nan  # camera absent
    sets[41].keypoints[1, :, :2], sets[41].keypoints[1, :, 2] = 400.0, 0.1  # a guess
    for pose in sets:
        now_ns = pose.t_exposure_ns + 8 * MS
        (ahead, ahead_ns, predicted), (kind, t_ns, filtered) = derived.of_2d(pose, now_ns)
        assert (kind, t_ns, ahead, ahead_ns) == ("filtered", pose.t_exposure_ns, "predicted", now_ns + 2 * MS)
        assert filtered.shape == predicted.shape == (2, 1, 3) and filtered.dtype == np.float32
        index = pose.index
        if index > 20:
            where = [100 + 4.0 * index, 50.0]
            assert np.abs(filtered[0, 0, :2] - where).max() < (1 if smooth == "kalman" else 20)
            assert np.abs(predicted[:, 0, :2] - [where[0] + 4, 50]).max() < 2
            assert filtered[0, 0, 2] == np.float32(0.9)
        if index == 40:
            assert predicted[1, 0, 2] == 0.0
        if index == 41:
            assert predicted[1, 0, 2] == np.float32(0.1)
        if index in (40, 41):
            assert np.isnan(filtered[1, 0, :2]).all() == (smooth == "one-euro")
    (horizon,) = derived.summary()["pose2d"]
    figures = derived.summary()["pose2d"][horizon]
    assert horizon == "10.0 ms" and figures["points"] > 100
    assert figures["median_px"] < 0.5 * figures["without_median_px"]
    assert derived.counters()["prediction pose2d"][f"{horizon} points"] == figures["points"]


def test_3d_says_of_how_many_views_it_is() -> None:
    derived = DerivedPoses(TrackingSettings(smooth="kalman", predict=True), 2, 1, PERIOD_NS)
    for t in range(60):
        views = 1 if 40 <= t < 55 else 3
        (_, _, predicted), (_, _, filtered) = derived.of_3d(solid(t, views), t * PERIOD_NS + 8 * MS)
        if t > 20 and views == 3 and t < 55:
            assert filtered[0, :3] == pytest.approx([2.0 * t, 5, 7], abs=1)
            assert predicted[0, :3] == pytest.approx([2.0 * t + 1.6, 5, 7], abs=1)
            upper = filtered[0, 3:9]
            assert np.linalg.eigvalsh(upper[[[0, 1, 2], [1, 3, 4], [2, 4, 5]]]).min() > 0
            assert filtered[0, 9] == 3
        if 40 <= t < 50:  # bridged
            assert filtered[0, :3] == pytest.approx([2.0 * t, 5, 7], abs=3) and filtered[0, 9] == 0
            assert np.isnan(filtered[0, 10])
        if t in (52, 54):  # too long
            assert np.isnan(filtered[0, :9]).all() and np.isnan(predicted[0, :9]).all()


def test_a_free_running_rig_finds_its_period() -> None:
    derived = DerivedPoses(TrackingSettings(predict=True), 2, 1, 0)
    jitter = np.random.default_rng(1)
    for pose in poses(60):
        t_ns = pose.t_exposure_ns + int(jitter.normal(0, 0.1 * MS))
        list(derived.of_2d(PoseSet(pose.index, t_ns, pose.keypoints), t_ns + 3 * MS))
    (horizon,) = derived.summary()["pose2d"]
    assert float(horizon.split()[0]) == pytest.approx(10, abs=0.2)

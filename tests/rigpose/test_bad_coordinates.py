"""Poses whose coordinates are NaN, infinite or absurd: every command gets over them, and invents nothing."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from calibration.camera_model import CalibratedRig, CameraModel
from calibration.formats.anipose import save_toml
from deploy.offline.tracks import load_tracks
from deploy.poses_io.anipose_csv import load_anipose_csv
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.poses import Poses
from tests.acquisition.clips import clip
from tests.rigpose.calling import run

pytestmark = pytest.mark.long
ROWS = 60
BAD = (10, 11, 12, 40)
NAMES = ("snout", "neck", "tail")
VALUES = {
    "nan": (np.nan, np.nan, 0.9), "half": (12.0, np.nan, 0.9), "infinite": (np.inf, -np.inf, 0.9),
    "no confidence": (20.0, 20.0, np.nan),
}  # fmt: skip


def good(camera: int = 0) -> np.ndarray:
    """(T, K, 3): points that walk through the image."""
    along = np.linspace(10, 40, ROWS)
    values = np.ones((ROWS, len(NAMES), 3), np.float32)
    for keypoint in range(len(NAMES)):
        values[:, keypoint, 0] = along + 4 * keypoint + 3 * camera
        values[:, keypoint, 1] = 20 + keypoint
    return values


@pytest.fixture(params=list(VALUES), ids=list(VALUES))
def spoilt(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the poses of two cameras, as CSV and as column file; one point of camera 0 is bad."""
    for camera in (0, 1):
        values = good(camera)
        if camera == 0:
            values[list(BAD), 1] = VALUES[request.param]
        poses = Poses.of_video(NAMES, values, {"scorer": "S"})
        save_csv(poses, "S", tmp_path / f"cam_{camera}S.csv")
        save_columns(poses, tmp_path / f"cam_{camera}S.poses.npz")
    (tmp_path / "config.yaml").write_text("skeleton: [[snout, neck], [neck, tail]]")
    return tmp_path


def finite_or_missing(path: Path) -> np.ndarray:
    """The points of a file, of which none is infinite or half there."""
    points = load_tracks(path).points
    there = np.isfinite(points)
    assert not np.isinf(points).any()
    assert (there.all(axis=2) == there.any(axis=2)).all()
    return points


@pytest.mark.parametrize(("kind", "ending"), [("median", "csv"), ("spline", "poses.npz"), ("kalman", "csv")])
def test_filters(spoilt: Path, kind: str, ending: str) -> None:
    assert run("filter", spoilt / f"cam_0S.{ending}", "--kind", kind) == 0
    points = finite_or_missing(spoilt / f"cam_0S_filtered.{ending}")
    assert np.nanmax(np.abs(points - good()[..., :2])) < 5  # nothing is drawn towards what is no place


@pytest.mark.parametrize("spoilt", ["nan", "infinite"], indirect=True)
def test_bones_charts_and_a_video(spoilt: Path) -> None:
    poses = spoilt / "cam_0S.csv"
    assert run("skeleton", poses, "--skeleton", spoilt / "config.yaml") == 0
    lines = (spoilt / "cam_0S_skeleton.csv").read_text().splitlines()[2:]
    assert len(lines) == ROWS
    assert "inf" not in "".join(lines) and "nan" not in "".join(lines)
    assert run("plot", poses) == 0
    video = clip(spoilt / "cam_0.mp4", range(0, 40 * ROWS, 40))
    assert run("label-video", video, poses, "-o", spoilt / "o.mp4", "--skeleton", spoilt / "config.yaml") == 0


@pytest.mark.parametrize("spoilt", ["nan", "infinite"], indirect=True)
def test_3d(spoilt: Path) -> None:
    matrix = np.array([[50.0, 0, 32], [0, 50, 24], [0, 0, 1]])
    cameras = [
        CameraModel(f"cam_{n}", (64, 48), matrix, np.zeros(5), np.zeros(3), np.array([30.0 * n, 0, 500]))
        for n in (0, 1)
    ]
    save_toml(CalibratedRig(tuple(cameras)), spoilt / "c.toml")
    files = [spoilt / f"cam_{camera}S.csv" for camera in (0, 1)]
    assert run("triangulate", spoilt / "c.toml", *files, "-o", spoilt / "3d.csv") == 0
    points = load_anipose_csv(spoilt / "3d.csv").points
    assert not np.isinf(points).any()
    assert np.isnan(points[list(BAD), 1, :3]).all()
    rest = np.delete(points, BAD, axis=0)
    assert np.isfinite(rest[..., :3]).all()


@pytest.mark.parametrize("spoilt", ["half", "infinite"], indirect=True)
def test_sleap_gets_points_that_are_places(spoilt: Path) -> None:
    clip(spoilt / "cam_0.mp4", range(0, 40 * ROWS, 40))
    output = spoilt / "o.slp"
    assert run("export-slp", spoilt / "cam_0.mp4", spoilt / "cam_0S.poses.npz", "-o", output) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sleap_io

        labels = sleap_io.load_slp(str(output), open_videos=False)
    for frame in labels:
        (instance,) = frame.predicted_instances
        points = instance.numpy()
        assert not np.isinf(points).any()
        assert np.isfinite(points[[0, 2]]).all()
        assert np.isfinite(instance.score)

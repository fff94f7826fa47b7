"""Charts are drawn of whatever poses hold, also of hardly anything; what they show is measured on them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.offline.plots import CHARTS, likelihood, over_time, plot_files, steps, trajectory
from deploy.offline.tracks import load_tracks
from deploy.poses_io.anipose_csv import save_anipose_csv
from deploy.poses_io.columns import save_columns
from deploy.poses_io.poses import Poses
from tests.deploy.tracks import walk


@pytest.fixture
def poses(tmp_path):
    save_columns(walk(rows=80, gaps=((30, 40),)).poses(), tmp_path / "aS.poses.npz")
    return tmp_path / "aS.poses.npz"


@pytest.fixture
def points(tmp_path):
    points = walk(rows=80, dimensions=3, gaps=((30, 40),)).points()
    save_anipose_csv(tmp_path / "a3d.csv", points.keypoints, points.points, points.index)
    return tmp_path / "a3d.csv"


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_every_chart_is_a_file_of_its_kind(poses, kind):
    (said,) = plot_files([poses], kind=kind)["files"]
    folder = poses.parent / "plot-poses" / "aS"
    assert said["charts"] == [str(folder / f"{name}.{kind}") for name in CHARTS]
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert all((folder / f"{name}.{kind}").read_bytes().startswith(start) for name in CHARTS)
    assert said["keypoints"]["snout"]["sure"] == 70
    assert said["keypoints"]["snout"]["step_median_px"] > 1
    plot_files([poses], kind=kind)  # again: replaced


def test_3d_without_scores_has_no_likelihoods(points, tmp_path):
    (said,) = plot_files([points], output=tmp_path / "o")["files"]
    assert [path.rpartition("/")[2] for path in said["charts"]] == ["trajectory.png", "plot.png", "hist.png"]
    image = cv2.imread(said["charts"][0])
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20


def test_what_is_drawn_is_what_is_sure(poses):
    tracks = load_tracks(poses)
    tracks.confidence[10] = 0.1
    drawn = trajectory(tracks, 0.6).axes[0].lines[0].get_xydata()
    assert np.isnan(drawn[10]).all() and np.isfinite(drawn[9]).all()
    np.testing.assert_allclose(drawn[9], tracks.points[9, 0])
    x, y = over_time(tracks, 0.6).axes
    np.testing.assert_allclose(x.lines[1].get_ydata()[9], tracks.points[9, 1, 0])
    np.testing.assert_allclose(y.lines[1].get_ydata()[9], tracks.points[9, 1, 1])
    assert likelihood(tracks, 0.6).axes[0].lines[0].get_ydata()[10] == 0.1
    counted = sum(patch.get_xy()[:, 1].max() > 0 for patch in steps(tracks, 0.6).axes[0].patches)
    assert counted == 2


def test_a_missing_frame_set_breaks_the_line(points):
    tracks = load_tracks(points)
    apart = type(tracks)(
        tracks.keypoints, tracks.index + (np.arange(80) > 20) * 50, tracks.points, tracks.confidence, None,
        tracks.source,
    )  # fmt: skip
    assert np.isnan(over_time(apart, 0).axes[0].lines[0].get_xdata()[21])


@pytest.mark.parametrize(
    "values", [np.full((1, 2, 3), np.nan), np.zeros((1, 2, 3)), np.full((5, 2, 3), np.nan)]
)
def test_hardly_anything_to_draw(tmp_path, values):
    save_columns(Poses.of_video(("a", "b"), values), tmp_path / "a.poses.npz")
    (said,) = plot_files([tmp_path / "a.poses.npz"])["files"]
    assert said["keypoints"]["a"]["step_median_px"] is None


def test_only_the_keypoints_asked_for(poses):
    (said,) = plot_files([poses], keypoints=["tail"])["files"]
    assert list(said["keypoints"]) == ["tail"]


def test_refused_before_anything_is_drawn(poses, tmp_path):
    save_columns(Poses.of_video(("a",), np.zeros((0, 1, 3))), tmp_path / "empty.poses.npz")
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / poses.name
    twin.write_bytes(poses.read_bytes())
    for given, options, says in (
        ([], {}, "found none"),
        ([poses, tmp_path / "empty.poses.npz"], {}, "no rows"),
        ([poses], {"keypoints": ["ear"]}, "'ear'"),
        ([poses, twin], {"output": tmp_path / "o"}, "another -o"),
    ):
        with pytest.raises(RigposeError, match=says):
            plot_files(given, **options)
    assert not (tmp_path / "plot-poses").exists() and not (tmp_path / "o").exists()

"""Bones and angles: geometry that is known, DeepLabCut's layout, skeletons from wherever they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from deploy.offline.skeleton import load_skeleton, measure_angles, measure_bones
from deploy.offline.skeleton_files import skeleton_files
from deploy.offline.tracks import Tracks, load_tracks
from deploy.poses_io.anipose_csv import save_anipose_csv
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.poses import Poses
from tests.deploy.tracks import walk

GOLDEN = Path(__file__).parents[1] / "golden" / "schema1.bundle"
BONES = (("a", "b"), ("b", "c"))


def tracks(points, confidence=1.0) -> Tracks:
    array = np.asarray(points, np.float64)
    sure = np.full(array.shape[:2], confidence)
    source = Poses.of_video(("a", "b", "c"), np.zeros((len(array), 3, 3)))
    return Tracks(("a", "b", "c"), np.arange(len(array)), array, sure, None, source)


@pytest.mark.parametrize(
    ("end", "degrees"), [((1, 0), 0), ((0, 1), 90), ((-1, 0), 180), ((0, -1), 270), ((1, 1), 45)]
)
def test_direction_of_a_bone(end, degrees):
    found = measure_bones(tracks([[(5, 5), (5 + end[0], 5 + end[1]), (0, 0)]]), BONES[:1])
    assert found.columns == (("a_b", "length"), ("a_b", "orientation"), ("a_b", "likelihood"))
    np.testing.assert_allclose(found.values[0], [np.hypot(*end), degrees, 1])


@given(st.floats(0.0, 180.0), st.floats(0, 6.3), st.floats(0.1, 100), st.floats(0.1, 100))
def test_angle_between_two_bones(degrees, turned, first, second):
    a = first * np.array([np.cos(turned), np.sin(turned)])
    other = turned + np.radians(degrees)
    c = second * np.array([np.cos(other), np.sin(other)])
    found = measure_angles(tracks([[a + 7, (7, 7), c + 7]]), BONES)
    assert found.columns == (("a_b_c", "angle"), ("a_b_c", "likelihood"))
    assert found.values[0, 0] == pytest.approx(degrees, abs=1e-6)


def test_3d_bones_have_two_directions():
    found = measure_bones(tracks([[(0, 0, 0), (0, 3, 4), (0, 0, 1)]]), BONES[:1])
    assert [part for _, part in found.columns] == ["length", "azimuth", "elevation", "likelihood"]
    np.testing.assert_allclose(found.values[0, :3], [5, 90, np.degrees(np.arctan2(4, 3))])
    angle = measure_angles(tracks([[(0, 0, 0), (0, 3, 4), (0, 3, 9)]]), BONES).values[0, 0]
    assert angle == pytest.approx(180 - np.degrees(np.arccos(4 / 5)))


def test_missing_and_doubtful_points_measure_nothing():
    points = np.array([[(0, 0), (1, 0), (1, 1)]] * 3, float)
    points[1, 1] = np.nan
    points[2, 2] = points[2, 1]  # a bone without length has no direction to make an angle with
    assert np.isfinite(measure_bones(tracks(points), BONES).values[:, 0]).tolist() == [True, False, True]
    assert np.isfinite(measure_angles(tracks(points), BONES).values[:, 0]).tolist() == [True, False, False]
    assert np.isnan(measure_bones(tracks(points, confidence=0.2), BONES, cutoff=0.5).values[:, 0]).all()


def test_files_are_laid_out_as_deeplabcuts(tmp_path):
    import pandas

    animal = walk(rows=40, gaps=((3, 5),))
    save_csv(animal.poses(), "S", tmp_path / "aS.csv")
    (tmp_path / "config.yaml").write_text("skeleton: [[snout, tail], [tail, ghost]]\n")
    said = skeleton_files([tmp_path / "aS.csv"], tmp_path)["files"][0]
    assert [Path(file).name for file in said["files"]] == ["aS_skeleton.csv", "aS_skeleton.h5"]
    expected = np.linalg.norm(animal.measured[:, 1] - animal.measured[:, 0], axis=1)
    h5 = pandas.read_hdf(tmp_path / "aS_skeleton.h5", "df_with_missing")
    # what pandas makes of a frame of DeepLabCut's, as its analyzeskeleton writes it
    theirs = pandas.concat({"snout_tail": h5["snout_tail"].rename_axis(columns=None)}, axis=1)
    theirs.to_csv(tmp_path / "theirs.csv")
    assert (tmp_path / "theirs.csv").read_text().splitlines()[:2] == (
        (tmp_path / "aS_skeleton.csv").read_text().splitlines()[:2]
    )
    read = pandas.read_csv(tmp_path / "aS_skeleton.csv", header=[0, 1], index_col=0)
    for frame in (h5, read):
        assert list(frame.columns) == [("snout_tail", p) for p in ("length", "orientation", "likelihood")]
        np.testing.assert_allclose(frame["snout_tail"]["length"], expected, atol=1e-3)
        assert list(frame.index) == list(range(40))
    assert said["measured"]["snout_tail"]["rows"] == 38
    assert said["measured"]["snout_tail"]["length_px_median"] == pytest.approx(np.nanmedian(expected), 1e-4)


def test_3d_file_and_angles(tmp_path):
    points = walk(rows=10, dimensions=3).points()
    three = ("snout", "neck", "tail")
    values = np.concatenate([points.points, points.points[:, :1] * 2], axis=1)
    save_anipose_csv(tmp_path / "a.csv", three, values, points.index + 100)
    (tmp_path / "c.yaml").write_text("skeleton: [[snout, neck], [neck, tail]]\n")
    said = skeleton_files([tmp_path / "a.csv"], tmp_path / "c.yaml", output=tmp_path / "o")["files"][0]
    assert len(said["files"]) == 4
    assert set(said["measured"]) == {"snout_neck", "neck_tail", "snout_neck_tail"}
    assert (tmp_path / "o" / "a_angles.csv").read_text().splitlines()[2].startswith("100,")
    again = load_tracks(tmp_path / "a.csv")
    np.testing.assert_allclose(again.covariance[0, 0], [[4, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])


def test_skeletons_are_found_wherever_they_stand(tmp_path):
    from deploy.bundles.bundle import Bundle

    manifest = Bundle.load(GOLDEN).manifest
    assert load_skeleton(GOLDEN, manifest.keypoints) == tuple(manifest.skeleton)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text(json.dumps({"skeleton": [["a", "b"]]}))
    assert load_skeleton(tmp_path / "run", ("a", "b")) == (("a", "b"),)
    (tmp_path / "config.yaml").write_text("skeleton: [[a, b], [a, b], [a, z]]")
    for source in (tmp_path, tmp_path / "config.yaml"):
        assert load_skeleton(source, ("a", "b")) == (("a", "b"),)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("skeleton: []", "none there"), ("skeleton:", "none there"), ("skeleton: [[x, y]]", "such as x-y"),
        ("skeleton: a-b", "under 'skeleton'"), ("skeleton: [[a, b, c]]", "under 'skeleton'"),
        (None, "nothing there"),
    ],
)  # fmt: skip
def test_sources_without_a_skeleton(tmp_path, content, says):
    if content is not None:
        (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(RigposeError, match=says):
        load_skeleton(tmp_path / "config.yaml", ("a", "b", "c"))
    (tmp_path / "v.mp4").write_text("")
    with pytest.raises(RigposeError, match="none of these"):
        load_skeleton(tmp_path / "v.mp4", ("a", "b"))

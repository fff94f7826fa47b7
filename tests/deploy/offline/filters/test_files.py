"""`X.h5` gives `X_filtered.h5`: of every kind of file, and none that was there is touched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.offline.filters.files import filter_files
from deploy.offline.filters.table import FilterSettings
from deploy.poses_io.anipose_csv import load_anipose_csv, save_anipose_csv
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv, save_h5
from deploy.poses_io.readers import load_poses
from tests.deploy.offline.free_session import write_free_session, write_poses
from tests.deploy.tracks import walk

SETTINGS = FilterSettings()


def written(folder, animal):
    if animal.truth.shape[2] == 3:
        points = animal.points()
        save_anipose_csv(folder / "a3d.csv", points.keypoints, points.points, points.index, points.scores)
        return [folder / "a3d.csv"]
    poses = animal.poses()
    save_csv(poses, "S", folder / "aS.csv")
    save_h5(poses, "S", folder / "aS.h5")
    save_columns(poses, folder / "aS.poses.npz")
    return [folder / f"aS{ending}" for ending in (".csv", ".h5", ".poses.npz")]


@pytest.mark.parametrize("kind", ["median", "kalman"])
def test_every_kind_of_file_gives_one_of_its_kind(tmp_path, kind):
    animal = walk(rows=200, gaps=((50, 52), (100, 140)))
    files = written(tmp_path, animal)
    before = [file.read_bytes() for file in files]
    figures = filter_files(files, kind, SETTINGS)
    assert [file.read_bytes() for file in files] == before
    found = []
    for file, said in zip(files, figures["files"], strict=True):
        ending = file.name.removeprefix("aS")
        output = tmp_path / f"aS_filtered{ending}"
        assert said["output"] == str(output)
        found.append(load_poses(output))
        assert said["measured"] == 2 * 158
        assert said["filtered"] == 2 * 158
        assert said["bridged"] + said["left_out"] == 2 * 42
        assert said["bridged"] >= 2 * 2
        assert found[-1].about["scorer"] == "S"
        np.testing.assert_array_equal(found[-1].values[..., 2], animal.poses().values[..., 2])
        np.testing.assert_allclose(found[-1].values, found[0].values, atol=1e-4)
    assert found[2].about["filter"]["kind"] == kind
    assert found[2].about["bundle"] == "b"


@pytest.mark.parametrize("kind", ["median", "kalman"])
def test_3d_files_keep_what_else_they_hold(tmp_path, kind):
    animal = walk(rows=500, dimensions=3, wrong=0.03, gaps=((50, 52), (100, 300)))
    (file,) = written(tmp_path, animal)
    filter_files([file], kind, SETTINGS, output=tmp_path / "new")
    before, after = load_anipose_csv(file), load_anipose_csv(tmp_path / "new" / "a3d_filtered.csv")
    assert after.keypoints == before.keypoints
    np.testing.assert_array_equal(after.index, before.index)
    np.testing.assert_array_equal(after.scores, before.scores)
    np.testing.assert_array_equal(after.points[..., 9:], before.points[..., 9:])
    assert animal.error(after.points[..., :3]) < animal.error(before.points[..., :3])
    assert np.isfinite(after.points[50:52, :, :3]).all() and np.isnan(after.points[180:220, :, :3]).all()
    if kind == "kalman":  # smaller than a measurement's, and there where a gap was bridged
        there = np.isfinite(after.points[..., 3] + before.points[..., 3])
        assert (after.points[there, 3] < before.points[there, 3]).mean() > 0.95
        assert np.isfinite(after.points[50:52, :, 3]).all()


def test_bad_files_and_outputs_that_exist_are_refused_before_any_is_written(tmp_path):
    files = written(tmp_path, walk(rows=30))
    filter_files(files[:1], "median", SETTINGS)
    there = sorted(tmp_path.iterdir())
    (tmp_path / "other").mkdir()
    copy = tmp_path / "other" / "aS.h5"
    copy.write_bytes(files[1].read_bytes())
    labels = tmp_path / "labels.csv"
    labels.write_text("scorer,S,S\nbodyparts,a,a\ncoords,x,y\n0,1,2\n")
    for given, options, says in (
        ([], {}, "found none"),
        (files[:1], {}, "--overwrite"),
        ([tmp_path / "aS_filtered.csv"], {}, "measured poses"),
        ([tmp_path / "none.h5"], {}, "no such file"),
        ([files[1], copy], {"output": tmp_path / "o"}, "different folders"),
        ([files[1], labels], {}, "columns x, y"),
    ):
        with pytest.raises(RigposeError, match=says):
            filter_files(given, "median", SETTINGS, **options)
    labels.unlink(), copy.unlink(), (tmp_path / "other").rmdir()
    assert sorted(tmp_path.iterdir()) == there
    filter_files(files[:1], "spline", SETTINGS, overwrite=True)


def test_rows_out_of_order_are_refused(tmp_path):
    points = walk(rows=20, dimensions=3).points()
    save_anipose_csv(tmp_path / "a.csv", points.keypoints, points.points, points.index[::-1])
    with pytest.raises(RigposeError, match="do not grow"):
        filter_files([tmp_path / "a.csv"], "median", SETTINGS)


def test_a_live_session_s_own_table_is_filtered_into_a_csv(tmp_path):
    from acquisition.frame import Absence
    from calibration.poses import Pose3D, PoseSet
    from deploy.poses_io.pose_table import PoseTableWriter

    animal = walk(rows=300, dimensions=3)
    points = animal.points()
    for stream, solved in (("solved", True), ("flat", False)):
        writer = PoseTableWriter(tmp_path, stream, ("top",), points.keypoints, {})
        for t, row in zip(points.index.tolist(), points.points, strict=True):
            pose = Pose3D(t, t * 10**7, row) if solved else None
            writer.append(
                PoseSet(t, t * 10**7, np.zeros((1, 2, 3), np.float32)), pose, (0,) * 4, (Absence.LOST,)
            )
        writer.close()
    table = tmp_path / "poses" / "solved.poses"
    before = table.read_bytes()
    filter_files([table], "kalman", SETTINGS)
    after = load_anipose_csv(tmp_path / "poses" / "solved_filtered.csv")
    assert table.read_bytes() == before
    assert animal.error(after.points[..., :3]) < 0.6 * animal.error(points.points[..., :3])
    with pytest.raises(RigposeError, match="no calibration"):
        filter_files([tmp_path / "poses" / "flat.poses"], "kalman", SETTINGS)


def test_a_gap_between_frame_sets_is_one_in_every_kind_of_file(tmp_path):
    """The trigger began anew after row 99. The first rows are of no set: empty where rows have numbers."""
    poses = walk(rows=200).poses()
    index = np.concatenate([[-1] * 3, np.arange(97), np.arange(500, 600)])
    files = [tmp_path / f"aS{ending}" for ending in (".poses.npz", ".csv", ".h5")]
    told = replace(poses, index=index, about={**poses.about, "camera": "top", "rows": "frames"})
    save_columns(told, files[0])
    save_csv(told, "S", files[1])
    save_h5(told, "S", files[2])
    said = filter_files(files, "median", FilterSettings(window=7))["files"]
    found = [load_poses(each["output"]) for each in said]
    assert [each["rows"] for each in said] == [197] * 3
    for each in found[1:]:
        np.testing.assert_array_equal(each.index, index)
        assert np.isnan(each.values[:3]).all()
        np.testing.assert_allclose(each.values[3:], found[0].values, atol=1e-4)
    np.testing.assert_array_equal(found[0].index, index[3:])


def test_a_part_of_a_video_s_rows_keeps_its_numbers(tmp_path):
    save_csv(walk(rows=40).poses(), "S", tmp_path / "aS.csv")
    lines = (tmp_path / "aS.csv").read_text().splitlines()
    (tmp_path / "aS.csv").write_text("\n".join(lines[:3] + lines[13:33]) + "\n")
    (said,) = filter_files([tmp_path / "aS.csv"], "median", SETTINGS)["files"]
    assert load_poses(said["output"]).frame.tolist() == list(range(10, 30))


def test_frames_of_no_set_are_left_out(tmp_path):
    animal = walk(rows=200)
    poses = animal.poses()
    index = poses.index.copy()
    index[:3] = -1
    save_columns(replace(poses, index=index), tmp_path / "aS.poses.npz")
    (said,) = filter_files([tmp_path / "aS.poses.npz"], "median", SETTINGS)["files"]
    np.testing.assert_array_equal(load_poses(said["output"]).index, poses.index[3:])


@pytest.mark.parametrize("rows", ["frame sets", "frames"])
@pytest.mark.parametrize("ending", [".csv", ".h5"])
def test_filtered_into_another_folder_a_recording_s_rows_are_still_known(tmp_path, ending, rows):
    session = write_free_session(tmp_path / "day1", {"A": (0, 20), "B": (-3, 17)})
    (tmp_path / "poses").mkdir()
    made = write_poses(session, tmp_path / "poses", rows)["B"][ending]
    (output,) = (
        said["output"] for said in filter_files([made], "median", SETTINGS, output=tmp_path / "f")["files"]
    )
    measured, filtered = load_poses(made), load_poses(output)
    np.testing.assert_array_equal(filtered.frame, measured.frame)
    np.testing.assert_array_equal(filtered.index, measured.index)
    np.testing.assert_array_equal(filtered.t_exposure_ns, measured.t_exposure_ns)
    assert not (measured.frame == measured.index).all()

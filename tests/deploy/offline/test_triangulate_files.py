import json
import sys

import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.formats.anipose import save_toml
from calibration.parameter_covariance import covariance_details
from calibration.triangulation import TriangulationSettings
from deploy.offline.joined_poses import camera_of
from deploy.offline.triangulate_files import triangulate_files
from deploy.poses_io.anipose_csv import load_anipose_csv
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.deeplabcut_table import read_table
from deploy.poses_io.poses import NO_TIME_NS, Poses
from tests.calibration.synthetic import ring

NAMES = ("nose", "left_ear", "tail")
SETTINGS = TriangulationSettings(noise_px=1.0)


@pytest.fixture
def scene(tmp_path):
    """A calibration, and per camera the poses of the same 30 frame sets."""
    rig = ring(3, arc=2.5)
    save_toml(rig, tmp_path / "c.toml")
    points = np.random.default_rng(0).uniform(-80, 80, (30, 3, 3))
    poses = {}
    for name, px in zip(rig.names, rig.project(points), strict=True):
        values = np.concatenate([px, np.full((30, 3, 1), 0.9)], axis=-1)
        poses[name] = Poses.of_video(NAMES, values, {"camera": name})
    return tmp_path, points, poses


def written(folder, poses, stem="s1_{}DLC_Net_x_rigpose_0a"):
    files = []
    for name, item in poses.items():
        files.append(folder / (stem.format(name) + ".csv"))
        save_csv(item, "S", files[-1])
    return files


def test_files_of_all_cameras_become_points(scene):
    folder, points, poses = scene
    figures = triangulate_files(folder / "c.toml", written(folder, poses)[::-1], folder / "out.csv", SETTINGS)
    read = load_anipose_csv(folder / "out.csv")
    found = read.points
    assert read.keypoints == NAMES
    np.testing.assert_array_equal(read.index, np.arange(30))
    np.testing.assert_allclose(found[..., :3], points, atol=2e-3)
    assert (found[..., 9] == 3).all()
    assert figures["cameras"] == ["cam_0", "cam_1", "cam_2"]
    assert figures["points"] == figures["possible"] == 90


def test_rows_join_by_frame_set_and_nothing_is_cut_to_the_shortest(scene):
    folder, points, poses = scene
    files = []
    for shift, (name, item) in enumerate(poses.items()):
        rows = slice(5 * shift, 30)  # the second camera began 5 sets later, the third 10
        index = np.arange(30)[rows]
        part = Poses(
            NAMES[::-1] if shift else NAMES, item.values[rows][:, ::-1] if shift else item.values[rows],
            np.arange(len(index)), index, np.full(len(index), NO_TIME_NS), {"camera": name},
        )  # fmt: skip
        files.append(folder / f"{shift}.poses.npz")
        save_columns(part, files[-1])
    triangulate_files(folder / "c.toml", files, folder / "out.csv", SETTINGS)
    read = load_anipose_csv(folder / "out.csv")
    found = read.points
    np.testing.assert_array_equal(read.index, np.arange(30))
    np.testing.assert_array_equal(found[:, 0, 9], [1] * 5 + [2] * 5 + [3] * 20)
    assert np.isnan(found[:5, :, 0]).all()
    np.testing.assert_allclose(found[5:, :, :3], points[5:], atol=2e-3)


@pytest.mark.parametrize(
    ("file", "names", "camera"),
    [
        ("mouse_topDLC_Resnet50_openfieldOct30shuffle1_snapshot_200.csv", ("top", "side"), "top"),
        ("cam_1.csv", ("cam_1", "cam_10"), "cam_1"),
        ("s_cam_10DLC_Net.h5", ("cam_1", "cam_10"), "cam_10"),
        ("2024-05-01_side_left.csv", ("side", "side_left"), "side_left"),
        ("camA-trial3.csv", ("camA", "camB"), "camA"),
    ],
)
def test_the_camera_is_found_in_the_file_name(tmp_path, file, names, camera):
    poses = Poses.of_video(("a",), np.zeros((1, 1, 3)))
    assert camera_of(tmp_path / file, poses, names) == camera


@pytest.mark.parametrize(
    ("file", "found"),
    [("mouse.csv", "found none"), ("topside.csv", "found none"), ("top_side.csv", "side and top")],
)
def test_none_or_two_cameras_in_a_name_are_refused(tmp_path, file, found):
    poses = Poses.of_video(("a",), np.zeros((1, 1, 3)))
    with pytest.raises(RigposeError, match=found):
        camera_of(tmp_path / file, poses, ("top", "side"))


def test_bad_input_writes_nothing(scene):
    folder, _, poses = scene
    files = written(folder, poses)
    again = written(folder, {"cam_0": poses["cam_0"]}, "other_{}")
    calibration, out = folder / "c.toml", folder / "out.csv"
    other = Poses.of_video(("nose", "paw", "tail"), poses["cam_1"].values)
    save_csv(other, "S", folder / "odd_cam_1.csv")
    for paths, message in (
        ([files[0], again[0]], "one file per camera"),
        ([files[0]], "at least two cameras"),
        ([], "at least two cameras"),
        ([files[0], folder / "odd_cam_1.csv"], "found nose, paw, tail"),
        ([files[0], folder / "none_cam_1.csv"], "no such file"),
    ):
        with pytest.raises(RigposeError, match=message):
            triangulate_files(calibration, paths, out, SETTINGS)
    with pytest.raises(RigposeError, match="one of the inputs"):
        triangulate_files(calibration, files, files[0], SETTINGS)
    with pytest.raises(RigposeError, match=r"ends in \.csv"):
        triangulate_files(calibration, files, folder / "out.h5", SETTINGS)
    assert not out.exists()


def test_covariances_are_checked_and_their_noise_fitted(scene):
    """Keypoints of 2 px of noise, of which the settings know 1: said, and mended on wish."""
    folder, _, once = scene
    rng = np.random.default_rng(4)
    poses = {c: Poses.of_video(NAMES, np.tile(x.values, (12, 1, 1)), x.about) for c, x in once.items()}
    for item in poses.values():
        item.values[..., :2] += rng.normal(0, 2 / np.sqrt(0.9), item.values[..., :2].shape)
    files = written(folder, poses)
    loose = TriangulationSettings(noise_px=1.0, gate_sigmas=20)
    plain = triangulate_files(folder / "c.toml", files, folder / "a.csv", loose)
    fitted = triangulate_files(folder / "c.toml", files, folder / "b.csv", loose, fit_noise=True)
    assert plain["covariance"]["calibration_uncertainty_included"] is False
    before, after = ([c["coverage"] for c in f["covariance"]["checked"]] for f in (plain, fitted))
    assert max(before) < 0.85 < min(after)
    assert all(1.4 < px < 2.8 for px in fitted["noise_px"].values())
    spread = [load_anipose_csv(folder / name).points[..., 3].mean() for name in ("a.csv", "b.csv")]
    assert spread[1] > 2 * spread[0]
    with pytest.raises(RigposeError, match="three cameras or more"):
        triangulate_files(folder / "c.toml", files[:2], folder / "d.csv", loose, fit_noise=True)
    assert not (folder / "d.csv").exists()


def test_the_calibrations_uncertainty_is_in_the_covariances_on_wish(scene):
    folder, _, poses = scene
    files = written(folder, poses)
    rig = ring(3, arc=2.5)
    plain = triangulate_files(folder / "c.toml", files, folder / "a.csv", SETTINGS)
    with pytest.raises(RigposeError, match="no covariance beside"):
        triangulate_files(folder / "c.toml", files, folder / "b.csv", SETTINGS, calibration_uncertainty=True)
    assert not (folder / "b.csv").exists()
    covariance = np.zeros((3, 18, 3, 18))
    covariance[2, 15:, 2, 15:] = 4 * np.eye(3)
    save_toml(rig, folder / "c.toml", {"covariance": covariance_details(rig.names, covariance)})
    included = triangulate_files(
        folder / "c.toml", files, folder / "b.csv", SETTINGS, calibration_uncertainty=True
    )
    assert plain["covariance"]["calibration_uncertainty_included"] is False
    assert included["covariance"]["calibration_uncertainty_included"] is True
    ours, theirs = (load_anipose_csv(folder / name).points for name in ("b.csv", "a.csv"))
    np.testing.assert_array_equal(ours[..., :3], theirs[..., :3])
    assert (ours[..., [3, 6, 8]].sum(-1) > 1.5 * theirs[..., [3, 6, 8]].sum(-1)).all()
    with pytest.raises(RigposeError, match="an output that holds covariances"):
        triangulate_files(
            folder / "c.toml", files, folder / "x_DLC_3D.csv", SETTINGS, calibration_uncertainty=True
        )


@pytest.mark.parametrize("ending", [".csv", ".h5"])
def test_deeplabcuts_3d_file_is_written_when_named(scene, ending):
    folder, points, poses = scene
    if ending == ".h5":
        pytest.importorskip("tables")
    output = folder / f"s1_DLC_3D{ending}"
    triangulate_files(folder / "c.toml", written(folder, poses), output, SETTINGS)
    table = read_table(output)
    assert table.scorers == ("DLC_3D",)
    assert table.keypoints() == NAMES
    np.testing.assert_allclose(table.points(("x", "y", "z")), points, atol=2e-3)


def frame_rows(folder, poses):
    """The same poses as `--rows frames` writes them: two frames of no set before each camera's first."""
    files = []
    for shift, (name, item) in enumerate(poses.items()):
        index = np.concatenate([[-1, -1], np.arange(30)[shift:]])
        values = np.concatenate([np.full((2, 3, 3), 0.5), item.values[shift:]]).astype(np.float32)
        about = {"camera": name, "rows": "frames", "session": "s1"}
        rows = np.arange(len(index))
        part = Poses(NAMES, values, rows, index, np.full(len(index), NO_TIME_NS), about)
        stem = folder / f"s1_{name}DLC_x"
        save_columns(part, stem.with_name(stem.name + ".poses.npz"))
        save_csv(part, "S", stem.with_name(stem.name + ".csv"))
        stem.with_name(stem.name + ".meta.json").write_text(json.dumps({"about": about}))
        files.append(stem.with_name(stem.name + ".poses.npz"))
    return files


@pytest.mark.parametrize("ending", [".poses.npz", ".csv"])
def test_rows_of_frames_join_by_their_sets_and_those_of_none_are_left_out(scene, ending):
    folder, points, poses = scene
    files = [file.with_name(file.name.replace(".poses.npz", ending)) for file in frame_rows(folder, poses)]
    triangulate_files(folder / "c.toml", files, folder / "out.csv", SETTINGS)
    read = load_anipose_csv(folder / "out.csv")
    np.testing.assert_array_equal(read.index, np.arange(30))
    np.testing.assert_allclose(read.points[1:, :, :3], points[1:], atol=2e-3)


def test_rows_of_frames_without_the_column_file_are_refused_by_its_name(scene):
    folder, _, poses = scene
    columns = frame_rows(folder, poses)
    for file in columns:
        file.unlink()
    files = [file.with_name(file.name.replace(".poses.npz", ".csv")) for file in columns]
    with pytest.raises(RigposeError, match=r"Give s1_cam_0DLC_x\.poses\.npz"):
        triangulate_files(folder / "c.toml", files, folder / "out.csv", SETTINGS)


def test_optim_needs_aniposelib_and_states_no_covariance(scene, monkeypatch):
    folder, _, poses = scene
    monkeypatch.setitem(sys.modules, "aniposelib", None)
    given = folder / "c.toml", written(folder, poses), folder / "out.csv", SETTINGS
    with pytest.raises(RigposeError, match=r"package aniposelib.* pip install 'rigpose\[anipose\]'"):
        triangulate_files(*given, optim=True)
    for options in ({"fit_noise": True}, {"calibration_uncertainty": True}):
        with pytest.raises(RigposeError, match="covariances to be stated"):
            triangulate_files(*given, optim=True, **options)
    with pytest.raises(RigposeError, match="--optim beside it"):
        triangulate_files(*given, skeleton=folder / "config.yaml")
    assert not (folder / "out.csv").exists()


def test_files_without_frame_sets_must_be_as_long_as_each_other(scene):
    """Three frames lost somewhere in one camera: no row after them is the instant of the others' rows."""
    folder, _, poses = scene
    short = poses["cam_1"]
    poses["cam_1"] = Poses.of_video(NAMES, short.values[3:], {})
    files = written(folder, poses)
    with pytest.raises(RigposeError, match="30 of cam_0, 27 of cam_1, 30 of cam_2"):
        triangulate_files(folder / "c.toml", files, folder / "out.csv", SETTINGS)
    figures = triangulate_files(folder / "c.toml", files, folder / "out.csv", SETTINGS, assume_aligned=True)
    assert figures["frame_sets"] == 30


def renamed(item, first, rows=slice(None)):
    names = np.arange(first, first + 30)[rows]
    return Poses(NAMES, item.values[rows], names, names, np.full(len(names), NO_TIME_NS), {})


def test_the_names_of_rows_are_no_frame_sets(scene):
    """Foreign files whose rows are named from 100: a name tells the frame of a video, never an instant."""
    folder, points, poses = scene
    calibration, out = folder / "c.toml", folder / "out.csv"

    def of(firsts, rows=slice(None), **options):
        own = {
            name: renamed(item, first, rows if number == 1 else slice(None))
            for number, (first, (name, item)) in enumerate(zip(firsts, poses.items(), strict=True))
        }
        triangulate_files(calibration, written(folder, own), out, SETTINGS, overwrite=True, **options)
        return load_anipose_csv(out)

    for first in (1, 100):
        with pytest.raises(RigposeError, match=r"as many rows .* 30 of cam_0, 28 of cam_1, 30 of cam_2"):
            of((first, first, first), slice(0, 28))
    with pytest.raises(RigposeError, match=r"same frames .* row 0 \(from 0\) 0 of cam_0, 100 of cam_1, 0"):
        of((0, 100, 0))
    for firsts, rows, options, index in (
        ((0, 1, 0), slice(None), {}, 0),  # one counts from 1
        ((100, 100, 100), slice(None), {}, 100),
        ((0, 100, 0), slice(None), {"assume_aligned": True}, 0),
        ((100, 100, 100), slice(0, 28), {"assume_aligned": True}, 100),
        ((100, 7, 100), slice(0, 28), {"assume_aligned": True}, 100),
    ):
        read = of(firsts, rows, **options)
        np.testing.assert_array_equal(read.index, np.arange(index, index + 30))
        np.testing.assert_allclose(read.points[..., :3], points, atol=2e-3)
        cameras = [3] * 30 if rows == slice(None) else [3] * 28 + [2] * 2
        np.testing.assert_array_equal(read.points[:, 0, 9], cameras)


def test_no_rows_and_an_output_that_is_there_are_refused(scene):
    folder, _, poses = scene
    empty = {name: Poses.of_video(NAMES, item.values[:0], {}) for name, item in poses.items()}
    with pytest.raises(RigposeError, match="at least one frame set"):
        triangulate_files(folder / "c.toml", written(folder, empty, "e_{}"), folder / "out.csv", SETTINGS)
    files = written(folder, poses)
    (folder / "out.csv").write_text("three weeks of work")
    with pytest.raises(RigposeError, match="--overwrite"):
        triangulate_files(folder / "c.toml", files, folder / "out.csv", SETTINGS)
    assert (folder / "out.csv").read_text() == "three weeks of work"
    triangulate_files(folder / "c.toml", files, folder / "out.csv", SETTINGS, overwrite=True)
    assert load_anipose_csv(folder / "out.csv").points.shape[0] == 30

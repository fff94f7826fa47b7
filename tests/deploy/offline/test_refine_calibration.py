import json

import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.formats.anipose import calibration_hash, load_calibration, load_details, save_toml
from calibration.parameter_covariance import covariance_details, load_covariance
from calibration.poses import PoseSet
from deploy.offline.refine_calibration import refine_files
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.pose_table import PoseTableWriter
from deploy.poses_io.poses import NO_TIME_NS, Poses
from tests.calibration.synthetic import bumped, ring, walk

NAMES = tuple("abcdef")


@pytest.fixture(scope="module")
def scene():
    """The true rig, the one before a camera was bumped, and keypoints (T, C, K, 3)."""
    true = ring(4, seed=1)
    return true, bumped(true, 2), walk(true, seed=3)


def files_of(folder, rig, keypoints, cameras):
    files = []
    for c in cameras:
        sets = np.arange(len(keypoints))
        about = {"camera": rig.names[c], "size_px": list(rig.cameras[c].size_px)}
        poses = Poses(NAMES, keypoints[:, c], sets, sets, np.full(len(sets), NO_TIME_NS), about)
        files.append(folder / f"{rig.names[c]}.poses.npz")
        save_columns(poses, files[-1])
    return files


def test_what_is_written_says_where_it_comes_from(scene, tmp_path):
    true, old, keypoints = scene
    known = np.zeros((4, 18, 4, 18))
    for c in range(4):
        known[c, :4, c, :4], known[c, 12:15, c, 12:15] = 0.25 * np.eye(4), 1e-8 * np.eye(3)
    cameras = {name: {"size_px": [640, 480], "serial": f"S{name}"} for name in old.names}
    details = {
        "cameras": cameras,
        "covariance": covariance_details(old.names, known),
        "board": {"a": 1},
        "report": {"verdict": "good"},
    }
    save_toml(old, tmp_path / "old.toml", details)
    files = files_of(tmp_path, old, keypoints, range(3))  # one camera has no poses
    figures = refine_files(tmp_path / "old.toml", files, tmp_path / "new.toml", min_confidence=0.6)
    json.dumps(figures, allow_nan=False)
    assert figures["moved"] == ["cam_2"]
    new = load_calibration(tmp_path / "new.toml")
    assert new.names == old.names
    np.testing.assert_array_equal(new.lenses, old.lenses)
    np.testing.assert_array_equal(new.translations[[0, 1, 3]], old.translations[[0, 1, 3]])
    points = np.random.default_rng(0).uniform(-80, 80, (50, 3))
    off = [np.linalg.norm((r.project(points) - true.project(points))[2], axis=-1).max() for r in (new, old)]
    assert off[0] < 0.3 * off[1]
    told = load_details(tmp_path / "new.toml")
    assert told["board"] == {"a": 1}
    assert "report" not in told  # it judged the old places
    assert told["cameras"]["cam_2"]["serial"] == "Scam_2"
    assert max(told["cameras"]["cam_2"]["translation_sd_mm"]) < 3
    record = told["refined"][0]
    assert record["calibration_sha256"] == calibration_hash(tmp_path / "old.toml")
    assert record["held_out_px"]["after"] < record["held_out_px"]["before"]
    assert set(record["files"]) == {"cam_0", "cam_1", "cam_2"}
    covariance = load_covariance(tmp_path / "new.toml", new.names)
    assert (np.diag(covariance[2, 12:, 2, 12:]) > 0).all()
    np.testing.assert_allclose(covariance[3, :, 3], known[3, :, 3])


def test_a_table_of_a_live_session_is_taken(scene, tmp_path):
    true, old, keypoints = scene
    save_toml(old, tmp_path / "old.toml")
    writer = PoseTableWriter(tmp_path, "live", true.names, NAMES, {})
    for number, one in enumerate(keypoints.astype(np.float32)):
        writer.append(PoseSet(number, number, one), None, (0, 0, 0, 0), (None,) * 4)
    writer.close()
    table = next((tmp_path / "poses").glob("*.poses"))
    figures = refine_files(tmp_path / "old.toml", [table], tmp_path / "new.toml", min_confidence=0.6)
    assert figures["moved"] == ["cam_2"]
    assert figures["calibration_uncertainty_included"] is False
    assert "covariance" not in load_details(tmp_path / "new.toml")


def test_rows_of_other_programs_are_joined_by_row_where_a_person_says_so(scene, tmp_path):
    _, old, keypoints = scene
    save_toml(old, tmp_path / "old.toml")
    files = []
    for c, name in enumerate(old.names):
        frame = np.arange(len(keypoints)) + 10 * c  # each video was cut at another frame
        poses = Poses(NAMES, keypoints[:, c], frame, frame, np.full(len(frame), NO_TIME_NS))
        files.append(tmp_path / f"{name}.csv")
        save_csv(poses, "DLC_x", files[-1])
    with pytest.raises(RigposeError, match="--assume-aligned"):
        refine_files(tmp_path / "old.toml", files, tmp_path / "new.toml", min_confidence=0.6)
    figures = refine_files(
        tmp_path / "old.toml", files, tmp_path / "new.toml", min_confidence=0.6, assume_aligned=True
    )
    assert figures["moved"] == ["cam_2"] and figures["frame_sets"] == len(keypoints)


def test_bad_input_writes_nothing(scene, tmp_path):
    _, old, keypoints = scene
    save_toml(old, tmp_path / "old.toml")
    files = files_of(tmp_path, old, keypoints, range(3))
    for given, output, hold, found in (
        (files, "old.toml", (), "one of the inputs"),
        (files, "new.yaml", (), "new.yaml"),
        (files, "new.toml", ("left",), "camera 'left'"),
        (files[:1], "new.toml", (), "at least two cameras"),
        ([tmp_path / "no.poses.npz"], "new.toml", (), "no.poses.npz"),
    ):
        with pytest.raises(RigposeError, match=found):
            refine_files(tmp_path / "old.toml", given, tmp_path / output, hold=hold, min_confidence=0.6)
    assert not list(tmp_path.glob("new*"))

"""Real recordings of others. Figures are printed: run with -s to see them."""

import csv

import numpy as np
import pytest
from scipy.special import chdtri

from calibration.boards import BoardSettings
from calibration.calibrate import calibrate
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.cross_checks import corners_seen
from calibration.formats.anipose import save_toml, tomllib
from calibration.placing import World
from calibration.quality import board_distances, triangulate_corners
from calibration.refinement import refine
from calibration.rotation import rotation_vector
from calibration.triangulation import triangulate_exactly
from tests.calibration.synthetic import bumped
from tests.calibration.test_refinement import surprise

pytestmark = [pytest.mark.data, pytest.mark.long]

PUBLISHED_T_MM = (-99.80198, 1.12443, 0.05041)


def test_stereo_checkerboard(data_dir, tmp_path, capsys):
    (tmp_path / "board.yaml").write_text("kind: checkerboard\ninner_corners: [9, 6]\nsquare_mm: 30\n")
    result = calibrate(data_dir / "stereo-checkerboard", tmp_path / "board.yaml")
    figures = result.figures()
    left, right = result.rig.cameras
    with capsys.disabled():
        print(
            f"\nstereo-checkerboard: T {np.round(right.translation, 4)} mm, RMS {figures['rms_px']:.4f} px, "
            f"f {left.matrix[0, 0]:.2f} {right.matrix[0, 0]:.2f}, {figures['views']} views, "
            f"held out {figures['held_out']['rms_px']:.4f} px"
        )
    assert result.rig.names == ("left", "right")
    assert figures["views"] == 28
    assert figures["rms_px"] <= 0.205
    np.testing.assert_allclose(right.translation, PUBLISHED_T_MM, atol=0.1)
    np.testing.assert_allclose(right.rotation, (0.00669, 0.00452, -0.00350), atol=1e-3)
    np.testing.assert_allclose([left.matrix[0, 0], right.matrix[0, 0]], [533.5, 536.8], atol=1.0)
    assert figures["verdict"] != "FAIL"


def test_a_stereo_pair_that_nobody_touched_keeps_its_world(data_dir, tmp_path):
    """Nearly parallel cameras: their lines of sight meet metres away, the boards were at half a metre."""
    (tmp_path / "board.yaml").write_text("kind: checkerboard\ninner_corners: [9, 6]\nsquare_mm: 30\n")
    for name, left_out in (("monday", ()), ("tuesday", ("01", "11"))):
        (tmp_path / name).mkdir()
        for still in sorted((data_dir / "stereo-checkerboard").glob("*.jpg")):
            if still.stem[-2:] not in left_out:
                (tmp_path / name / still.name).symlink_to(still)
    monday = calibrate(tmp_path / "monday", tmp_path / "board.yaml", lens="pinhole")
    save_toml(monday.rig, tmp_path / "monday.toml")
    world = World(anchor=tmp_path / "monday.toml")
    tuesday = calibrate(tmp_path / "tuesday", tmp_path / "board.yaml", lens="pinhole", world=world)
    assert all(camera.stayed and camera.moved_mm < 0.5 for camera in tuesday.anchored.cameras)
    assert not [finding for finding in tuesday.findings if "moved" in finding.found]
    point = np.array([[50.0, 30, 500]])
    views = np.concatenate([monday.rig.project(point), np.ones((2, 1, 1))], axis=-1)[None]
    np.testing.assert_allclose(triangulate_exactly(tuesday.rig, views)[0, 0, :3], point[0], atol=0.3)


def test_charuco_four_free_running_webcams(data_dir, tmp_path, capsys):
    folder = data_dir / "charuco-4cam"
    (tmp_path / "board.yaml").write_text(
        "kind: charuco\nsquares: [4, 5]\nsquare_mm: 54\nmarker_mm: 40.5\ndictionary: DICT_4X4_1000\n"
    )
    result = calibrate(folder, tmp_path / "board.yaml")
    figures = result.figures()
    distances = figures["held_out"]["distances"]
    corners = triangulate_corners(origins_rig(folder), result.solution.observations, result.board)
    origin = board_distances(corners[..., :3], corners[..., 10], result.board)
    with capsys.disabled():
        print(
            f"\ncharuco-4cam: {figures['pattern']}, RMS {figures['rms_px']:.3f} px, held out "
            f"{distances['rms_mm']:.3f} mm over {distances['pairs']} distances, "
            f"scale {distances['scale_bias']:+.4%}, reprojection {distances['reprojection_px']:.3f} px; "
            f"the origin's calibration on the same corners {origin.rms_mm:.3f} mm, "
            f"{origin.scale_bias:+.4%}, {origin.reprojection_px:.3f} px; delays "
            f"{[round(camera['delay_ms'], 1) for camera in figures['cameras'].values()]} ms, "
            f"jitter {figures['jitter_ms']:.1f} ms"
        )
    assert figures["pattern"] == "new pattern, inverted print"
    assert figures["free_running"]
    assert figures["rms_px"] < 0.625  # half of the origin's 1.25
    assert distances["rms_mm"] < 0.5  # the origin's own: 1.16
    assert abs(distances["scale_bias"]) < 1e-3
    assert distances["rms_mm"] < 0.5 * origin.rms_mm
    corners_stand_in_for_an_animal(result)


def corners_stand_in_for_an_animal(result):
    """Refined by the same corners, each by itself: nothing has moved, and what we move is found back."""
    rig = result.solution.rig
    px = corners_seen(result.solution, len(result.board.points_mm))
    keypoints = np.concatenate([px, np.where(np.isfinite(px[..., :1]), 1.0, np.nan)], axis=-1)
    assert refine(rig, keypoints, known=result.covariance).moved == ()
    found = refine(bumped(rig, 2), keypoints, known=result.covariance)
    assert found.moved == ("cam_2",)
    assert surprise(found, rig, 2) < chdtri(6, 1e-3)


def origins_rig(folder) -> CalibratedRig:
    """The calibration that came with the recording; metres."""
    cameras = tomllib.loads((folder / "camera_array.toml").read_text())["cameras"]
    return CalibratedRig(
        tuple(
            CameraModel(
                f"cam_{key}", tuple(camera["size"]),
                np.array(camera["matrix"]), np.array(camera["distortions"]),
                rotation_vector(np.array(camera["rotation"])), 1000 * np.array(camera["translation"]),
            )
            for key, camera in sorted(cameras.items())
        )
    )  # fmt: skip


def test_the_origins_own_distances_are_as_it_says(data_dir):
    """So that our way of measuring distances is not kinder than theirs: 1.16 mm RMS."""
    board = BoardSettings(
        kind="charuco", squares=(4, 5), square_mm=54, marker_mm=40.5, dictionary="DICT_4X4_1000"
    )
    points: dict[int, np.ndarray] = {}
    with (data_dir / "charuco-4cam" / "xyz_CHARUCO.csv").open() as stream:
        for row in csv.DictReader(stream):
            instant = points.setdefault(int(row["sync_index"]), np.full((12, 3), np.nan))
            instant[int(row["keypoint_id"])] = [1000 * float(row[f"{axis}_coord"]) for axis in "xyz"]
    stacked = np.stack(list(points.values()))
    assert board_distances(stacked, np.zeros(len(stacked)), board).rms_mm == pytest.approx(1.16, abs=0.05)

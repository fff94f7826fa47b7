"""The world of an older calibration is kept, and a camera that was bumped is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from calibration.anchor import anchor, working_volume
from calibration.camera_model import CalibratedRig
from calibration.known_length import measure_length, scale_by
from calibration.rotation import rotation_matrix, rotation_vector
from calibration.world import moved, scaled
from tests.calibration.synthetic import ring, turn


def bumped(rig: CalibratedRig, number: int, angle: float, shift_mm: float) -> CalibratedRig:
    cameras = list(rig.cameras)
    camera = cameras[number]
    rotation = turn(np.array([0.2, 1.0, 0.1]), angle) @ camera.rotation_matrix
    centre = camera.centre_mm + np.array([shift_mm, 0, 0])
    cameras[number] = camera.looking_from(rotation_vector(rotation), -rotation @ centre)
    return CalibratedRig(tuple(cameras))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**20), st.integers(2, 6))
def test_an_unchanged_rig_comes_back_into_its_world(seed: int, cameras: int) -> None:
    rng = np.random.default_rng(seed)
    old = ring(cameras, seed=seed % 11)
    elsewhere = moved(old, rotation_matrix(rng.normal(0, 1, 3)), rng.normal(0, 500, 3))
    back = anchor(elsewhere, old)
    points = working_volume(old)
    np.testing.assert_allclose(back.rig.project(points), old.project(points), atol=1e-4)
    assert back.rms_mm < 1e-4
    assert all(camera.stayed and camera.moved_mm < 1e-3 for camera in back.cameras)


@pytest.mark.parametrize("number", [0, 2, 3])
def test_the_camera_that_was_bumped_is_named(number: int) -> None:
    old = ring(4, seed=5)
    new = moved(bumped(old, number, 0.02, 6.0), turn(np.array([1.0, 2.0, 3.0]), 0.7), np.array([9.0, 8, 7]))
    found = anchor(new, old)
    assert [camera.stayed for camera in found.cameras] == [n != number for n in range(4)]
    change = found.cameras[number]
    assert change.moved_mm == pytest.approx(6.0, abs=0.1)
    assert change.turned_deg == pytest.approx(np.degrees(0.02), abs=0.02)
    others = [n for n in range(4) if n != number]
    points = working_volume(old)
    for n in others:
        here = found.rig.cameras[n].project(points)
        np.testing.assert_allclose(here, old.cameras[n].project(points), atol=0.05)


def test_a_rig_that_was_rebuilt_has_no_old_world() -> None:
    old = ring(4, seed=5)
    new = old
    for number in range(3):
        new = bumped(new, number, 0.1 * (number + 1), 50.0 * (number + 1))
    with pytest.raises(RigposeError, match="begin a new world"):
        anchor(new, old)


def test_other_cameras_are_no_anchor() -> None:
    rig = ring(3)
    others = CalibratedRig(tuple(ring(5).cameras[3:]))
    with pytest.raises(RigposeError, match="Give an earlier calibration of this rig"):
        anchor(rig, others)


def length_file(folder: Path, rig: CalibratedRig, ends: np.ndarray, length_mm: float, views: int = 2) -> Path:
    path = folder / "length.yaml"
    lines = [f"length_mm: {length_mm}", "ends:"]
    for camera in rig.cameras[:views]:
        px = camera.project(ends).round(6).tolist()
        lines.append(f"  {camera.name}: {px}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_known_length_finds_a_bad_print(tmp_path: Path) -> None:
    """A print at 97 % makes a rig that is 1 / 0.97 too large, and nothing in the images tells."""
    rig, ends = ring(3, seed=2), np.array([[-60.0, 10, 5], [70.0, -20, 30]])
    true_mm = float(np.linalg.norm(ends[1] - ends[0]))
    path = length_file(tmp_path, rig, ends, true_mm)
    assert measure_length(rig, path).error == pytest.approx(0, abs=1e-6)
    wrong = scaled(rig, 1 / 0.97)
    assert measure_length(wrong, path).error == pytest.approx(1 / 0.97 - 1, abs=1e-6)
    mended, factor = scale_by(wrong, path)
    assert factor == pytest.approx(0.97, abs=1e-6)
    np.testing.assert_allclose(mended.project(ends), rig.project(ends), atol=1e-6)
    np.testing.assert_allclose(mended.cameras[1].centre_mm, rig.cameras[1].centre_mm, atol=1e-3)


def test_what_is_no_length_is_refused(tmp_path: Path) -> None:
    rig, ends = ring(3, seed=2), np.array([[-60.0, 10, 5], [70.0, -20, 30]])
    path = length_file(tmp_path, rig, ends, 100.0)
    path.write_text(path.read_text().replace("cam_1", "cam_9"))
    with pytest.raises(RigposeError, match="cam_9"):
        measure_length(rig, path)
    path.write_text("length_mm: 100\nends:\n  cam_0: [[1, 2], [1, 2]]\n  cam_1: [[1, 2], [1, 2]]\n")
    with pytest.raises(RigposeError, match="one point twice in cam_0"):
        measure_length(rig, path)
    path.write_text("length_mm: 100\nends:\n  cam_0: [[1, 2], [3, 4]]\n")
    with pytest.raises(RigposeError):
        measure_length(rig, path)
    path.write_text("length_mm: 100\nends:\n  cam_0: [[1, 2], [3, 4]]\n  cam_1: [[600, 400], [1, 1]]\n")
    with pytest.raises(RigposeError, match="Mark the ends again"):
        measure_length(rig, path)

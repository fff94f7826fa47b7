"""The world of an older calibration is kept, and a camera that was bumped is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from calibration.anchor import Anchored, anchor, places_of
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.known_length import measure_length, scale_by
from calibration.rotation import rotation_matrix, rotation_vector
from calibration.verdict import judge_world
from calibration.world import moved, scaled
from tests.calibration.synthetic import ring, turn


def turned(rig: CalibratedRig, number: int, by: np.ndarray, shift_mm: float = 0.0) -> CalibratedRig:
    """The rig with one camera turned by a rotation matrix about its centre, and pushed along x."""
    cameras, camera = list(rig.cameras), rig.cameras[number]
    rotation, centre = by @ camera.rotation_matrix, camera.centre_mm + np.array([shift_mm, 0, 0])
    cameras[number] = camera.looking_from(rotation_vector(rotation), -rotation @ centre)
    return CalibratedRig(tuple(cameras))


def bumped(rig: CalibratedRig, number: int, angle: float, shift_mm: float) -> CalibratedRig:
    return turned(rig, number, turn(np.array([0.2, 1.0, 0.1]), angle), shift_mm)


def boards(seed: int = 0, at: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """Where corners were, about `at`."""
    return np.random.default_rng(seed).uniform(-90, 90, (300, 3)) + at


def laid_on(new: CalibratedRig, old: CalibratedRig, points: np.ndarray) -> Anchored:
    return anchor(new, old, places_of(new, points))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**20), st.integers(2, 6))
def test_an_unchanged_rig_comes_back_into_its_world(seed: int, cameras: int) -> None:
    rng = np.random.default_rng(seed)
    old = ring(cameras, seed=seed % 11)
    points = boards(seed)
    rotation, translation = rotation_matrix(rng.normal(0, 1, 3)), rng.normal(0, 500, 3)
    elsewhere = moved(old, rotation, translation)
    back = laid_on(elsewhere, old, points @ rotation.T + translation)
    np.testing.assert_allclose(back.rig.project(points), old.project(points), atol=1e-4)
    assert back.rms_mm < 1e-4
    assert all(camera.stayed and camera.moved_mm < 1e-3 for camera in back.cameras)


@pytest.mark.parametrize("number", [0, 2, 3])
def test_the_camera_that_was_bumped_is_named(number: int) -> None:
    old = ring(4, seed=5)
    points, rotation, translation = boards(), turn(np.array([1.0, 2.0, 3.0]), 0.7), np.array([9.0, 8, 7])
    new = moved(bumped(old, number, 0.02, 6.0), rotation, translation)
    found = laid_on(new, old, points @ rotation.T + translation)
    assert [camera.stayed for camera in found.cameras] == [n != number for n in range(4)]
    change = found.cameras[number]
    assert change.moved_mm == pytest.approx(6.0, abs=0.1)
    assert change.turned_deg == pytest.approx(np.degrees(0.02), abs=0.02)
    others = [n for n in range(4) if n != number]
    for n in others:
        here = found.rig.cameras[n].project(points)
        np.testing.assert_allclose(here, old.cameras[n].project(points), atol=0.05)


def test_a_rig_that_was_rebuilt_has_no_old_world() -> None:
    old = ring(4, seed=5)
    new = old
    for number in range(3):
        new = bumped(new, number, 0.1 * (number + 1), 50.0 * (number + 1))
    with pytest.raises(RigposeError, match="begin a new world"):
        laid_on(new, old, boards())


@pytest.mark.parametrize("factor", [0.97, 0.995, 1.005, 1.01, 1.03])
def test_a_board_of_another_size_is_no_camera_that_moved(factor: float) -> None:
    old = ring(4, seed=5)
    found = laid_on(scaled(old, factor), old, boards() * factor)
    assert all(camera.stayed and camera.shift_px < 0.01 for camera in found.cameras)
    assert found.scale == pytest.approx(1 / factor, rel=1e-6)
    (finding,) = judge_world(found, None, None)
    assert finding.found == f"lengths differ by {factor - 1:+.2%} from the old calibration's"
    one = laid_on(scaled(bumped(old, 2, 0.02, 6.0), factor), old, boards() * factor)
    assert [camera.stayed for camera in one.cameras] == [True, True, False, True]
    pair = old.subset(["cam_0", "cam_1"])
    (finding,) = [
        each
        for each in judge_world(laid_on(scaled(pair, factor), pair, boards() * factor), None, None)
        if each.whose == "scale"
    ]
    assert "or the cameras were moved apart" in finding.remedy


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_other_size(seed: int) -> None:
    old = ring(4, seed=seed)
    assert laid_on(calibrated_anew(old, seed), old, boards()).scale is None
    assert laid_on(scaled(old, 1.001), old, boards() * 1.001).scale is None


def facing(
    yaws_deg: list[float], apart_mm: float = 100.0, focal_px: float = 535.0, k: Sequence[float] = (-0.28, 0.1)
) -> CalibratedRig:
    """Cameras side by side that look along z, each turned about the vertical by its own angle."""
    matrix = np.array([[focal_px, 0, 319.5], [0, focal_px, 239.5], [0, 0, 1]])
    lens, cameras = np.array([*k, 0, 0, 0]), []
    for number, yaw in enumerate(yaws_deg):
        rotation = turn(np.array([0.0, 1, 0]), np.radians(yaw))
        centre = np.array([apart_mm * number, 0, 0])
        cameras.append(
            CameraModel(
                f"cam_{number}", (640, 480), matrix, lens, rotation_vector(rotation), -rotation @ centre
            )
        )
    return CalibratedRig(tuple(cameras))


def calibrated_anew(rig: CalibratedRig, seed: int) -> CalibratedRig:
    """Another good calibration of it: every camera but the first turned and pushed a little."""
    rng = np.random.default_rng(seed)
    cameras = [rig.cameras[0]]
    for camera in rig.cameras[1:]:
        rotation = rotation_matrix(rng.normal(0, 1e-4, 3)) @ camera.rotation_matrix
        centre = camera.centre_mm + rng.normal(0, 0.1, 3)
        cameras.append(camera.looking_from(rotation_vector(rotation), -rotation @ centre))
    return CalibratedRig(tuple(cameras))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([0.0, 0.5, -0.5, 1.0, -1.0, 10.0, -6.0]), st.integers(2, 4), st.integers(0, 2**20))
def test_cameras_side_by_side_keep_their_world(each_deg: float, cameras: int, seed: int) -> None:
    """Lines of sight that are parallel, or meet far away or behind: boards were where they were."""
    old = facing([each_deg * (number - (cameras - 1) / 2) for number in range(cameras)])
    points = boards(seed, (50.0 * (cameras - 1), 0, 500))
    found = laid_on(calibrated_anew(old, seed), old, points)
    assert all(camera.stayed for camera in found.cameras)
    for camera in found.cameras:
        assert camera.moved_mm < 2
    assert found.rms_mm < 2
    exact = laid_on(old, old, points)
    assert exact.rms_mm < 1e-4 and all(camera.moved_mm < 1e-3 for camera in exact.cameras)


def test_places_beyond_the_fold_of_a_lens_are_not_in_its_image() -> None:
    """At 46 degrees the polynomial turns back, and puts into the image what no camera sees."""
    bent = np.array([-0.3, 0, 0, 0, 0])
    rig = CalibratedRig(tuple(replace(camera, distortion=bent) for camera in facing([0.0, 0.0]).cameras))
    tangents = np.tan(np.radians([0.0, 10, 20, 30, 60, 60.5, 61, 61.5, 62]))
    points = np.array([50.0, 0, 500]) + 500 * tangents[:, None] * [1.0, 0, 0]
    px = rig.project(points)
    assert ((px >= 0) & (px <= [639, 479])).all((0, 2)).sum() == 9  # what the image's edge alone would take
    assert len(places_of(rig, points).points_mm) == 4


def test_too_few_common_places_are_said() -> None:
    rig = facing([0.0, 0.0])
    for points in (np.zeros((0, 3)), boards(0, (5000.0, 0, 500)), boards(0, (50.0, 0, 500))[:2]):
        with pytest.raises(RigposeError, match="places where two of the cameras cam_0, cam_1 saw the board"):
            laid_on(rig, rig, points)


def test_a_camera_that_was_turned_away_has_moved_by_a_number() -> None:
    old = ring(4, seed=5)
    found = laid_on(old, turned(old, 3, turn(np.array([0.0, 1, 0]), np.pi)), boards())
    assert [camera.stayed for camera in found.cameras] == [True, True, True, False]
    assert found.cameras[3].shift_px == np.hypot(640, 480)


def row(cameras: int, toe_deg: float) -> CalibratedRig:
    """Cameras 500 mm apart that look along z at 1000 mm: mostly, two see a place and no third."""
    yaws_deg = [toe_deg * ((cameras - 1) / 2 - number) for number in range(cameras)]
    return facing(yaws_deg, 500.0, focal_px=800.0, k=(0.0, 0.0))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([(3, 0), (3, 2), (4, 0), (4, 1), (4, 2), (5, 2)]), st.sampled_from([0.0, -4.0, -8.0]),
    st.sampled_from([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]), st.floats(1, 3),
    st.integers(0, 999),
)  # fmt: skip
def test_in_a_row_the_others_keep_the_world(
    which: tuple[int, int], toe_deg: float, about: tuple[float, float, float], deg: float, seed: int
) -> None:
    """The bumped one has a part in more than half of the places, or in all but a few."""
    cameras, number = which
    rng, old = np.random.default_rng(seed), row(cameras, toe_deg)
    shares = 0.1 + rng.dirichlet(np.full(cameras - 1, 3.0))  # of the places between neighbours
    counts = (2000 * shares).astype(int)
    x = np.concatenate([rng.uniform(500 * n - 50, 500 * n + 550, m) for n, m in enumerate(counts)])
    points = np.stack([x, rng.uniform(-200, 200, len(x)), rng.uniform(900, 1100, len(x))], axis=-1)
    found = laid_on(turned(old, number, turn(np.array(about), np.radians(deg))), old, points)
    assert [camera.stayed for camera in found.cameras] == [n != number for n in range(cameras)]
    assert found.rms_mm < 1e-3
    assert found.cameras[number].turned_deg == pytest.approx(deg, abs=1e-3)


def test_the_one_that_links_two_others_is_told_apart_by_none() -> None:
    old = row(3, 0)
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform((x, -200, 950), (x + 260, 200, 1050), (300, 3)) for x in (120, 620)])
    with pytest.raises(RigposeError, match="or the one that links the others moved"):
        laid_on(turned(old, 1, turn(np.array([1.0, 0, 0]), np.radians(1))), old, points)


def test_other_cameras_are_no_anchor() -> None:
    rig = ring(3)
    others = CalibratedRig(tuple(ring(5).cameras[3:]))
    with pytest.raises(RigposeError, match="Give an earlier calibration of this rig"):
        laid_on(rig, others, boards())


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

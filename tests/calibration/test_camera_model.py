from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig, CameraModel
from tests.calibration.synthetic import project, ring, turn, with_lens


def test_projection_agrees_with_one_written_apart():
    rig = ring(4, seed=3)
    rig = CalibratedRig(
        tuple(
            replace(camera, name=f"{name} {camera.name}")
            for name, part in (
                ("pinhole", rig),
                ("rational", with_lens(rig, "rational")),
                ("fisheye", with_lens(rig, "fisheye")),
            )
            for camera in part.cameras
        )
    )
    points = np.random.default_rng(0).uniform(-120, 120, (50, 3))
    for c, px in enumerate(rig.project(points)):
        expected = project(rig.lenses[c], rig.rotations[c], rig.translations[c], points)
        np.testing.assert_allclose(px, expected, atol=1e-9)


@pytest.mark.parametrize("model", ["rational", "fisheye"])
def test_projection_agrees_with_opencv(model):
    camera = with_lens(ring(1, seed=3), model).cameras[0]
    points = np.random.default_rng(0).uniform(-120, 120, (1, 50, 3))
    how = (camera.rotation, camera.translation, camera.matrix, camera.distortion)
    if model == "fisheye":
        expected, _ = cv2.fisheye.projectPoints(points, *how)
    else:
        expected, _ = cv2.projectPoints(points, *how)
    np.testing.assert_allclose(camera.project(points[0]), expected.reshape(-1, 2), atol=1e-9)


RIGS = {"pinhole": ring(6, seed=1)} | {
    name: with_lens(ring(6, seed=1), name) for name in ("rational", "fisheye")
}


@settings(deadline=None)
@given(st.floats(0, 639), st.floats(0, 479), st.integers(0, 5), st.sampled_from(sorted(RIGS)))
def test_undistorting_a_pixel_and_projecting_its_ray_gives_the_pixel(x, y, camera, lens):
    model = RIGS[lens].cameras[camera]
    ray = model.undistort([x, y])
    point = model.centre_mm + model.rotation_matrix.T @ (np.array([*ray, 1.0]) * 321.0)
    np.testing.assert_allclose(model.project(point), [x, y], atol=1e-7)


def test_pixels_beyond_the_fold_of_the_lens_are_not_a_number():
    model = CameraModel(
        "fold", (640, 480), np.array([[400.0, 0, 320], [0, 400.0, 240], [0, 0, 1]]),
        np.array([-0.4, 0, 0, 0, 0]), np.zeros(3), np.zeros(3),
    )  # fmt: skip
    assert np.isfinite(model.undistort([300.0, 200.0])).all()
    # the largest radius that any ray reaches is 2/3 sqrt(1/1.2) of the focal length
    assert np.isnan(model.undistort([320 + 400 * 0.62, 240.0])).all()


def test_points_behind_a_camera_are_not_a_number():
    model = ring(1).cameras[0]
    behind = model.centre_mm - 10 * model.rotation_matrix[2]
    assert np.isnan(model.project(behind)).all()
    assert np.isfinite(model.project([behind, np.zeros(3)])[1]).all()


def test_the_centre_is_where_the_camera_stands():
    rotation = turn([1, 2, 3], 0.7)
    camera = ring(1).cameras[0].looking_from([0, 0, 0], [1, 2, 3])
    np.testing.assert_allclose(camera.centre_mm, [-1, -2, -3])
    assert rotation.shape == camera.rotation_matrix.shape


def test_subset_keeps_the_asked_order_and_names_a_missing_camera():
    rig = ring(3)
    assert rig.subset(["cam_2", "cam_0"]).names == ("cam_2", "cam_0")
    np.testing.assert_array_equal(rig.subset(["cam_2"]).lenses[0], rig.lenses[2])
    with pytest.raises(RigposeError, match="expected camera 'side', found cameras cam_0, cam_1, cam_2"):
        rig.subset(["side"])


def test_a_rig_refuses_equal_names_and_wrong_shapes():
    camera = ring(1).cameras[0]
    with pytest.raises(ValueError, match="names that differ"):
        CalibratedRig((camera, camera))
    with pytest.raises(ValueError, match="distortion of camera 'a'"):
        CameraModel("a", (4, 4), np.eye(3), np.zeros(4), np.zeros(3), np.zeros(3))

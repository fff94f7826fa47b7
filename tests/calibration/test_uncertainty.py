import numpy as np
import pytest

from calibration.boards import BoardSettings
from calibration.covariance_check import check_covariance, fitted_noise
from calibration.lens import ESTIMATED
from calibration.single_camera import camera_of_lens
from calibration.solve import solve
from calibration.triangulation import TriangulationSettings
from calibration.uncertainty import cramer_rao, projection_sd, volume_map
from tests.calibration.synthetic import SQUARE_MM, board_poses, observe, ring, with_lens
from tests.calibration.test_triangulation import cramer_rao as by_differences
from tests.calibration.test_triangulation import seen, world

BOARD = BoardSettings(kind="checkerboard", inner_corners=(9, 6), square_mm=SQUARE_MM)


@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
def test_the_bound_is_that_of_the_projections_differences(model):
    rig = ring(3, seed=1) if model == "pinhole" else with_lens(ring(3, seed=1), model)
    points = world(1, 30, 2)
    found, views = cramer_rao(rig, points[0], noise_px=0.5)
    assert (views == 3).all()
    np.testing.assert_allclose(found**2, by_differences(rig, points, 0.5)[0], rtol=1e-4)


def test_where_no_two_cameras_look_there_is_no_bound():
    rig = ring(2, arc=1.0)
    found, views = cramer_rao(rig, np.array([[0.0, 0, 0], [5000.0, 0, 0], [-3000.0, 4000, 100]]))
    assert np.isfinite(found[0])
    assert np.isnan(found[1:]).all()
    assert (views[1:] < 2).all()
    places = np.random.default_rng(0).uniform(-1, 1, (30, 3)) * [90, 60, 10]
    volume = volume_map(rig, places)
    assert volume.sd_mm.shape[0] == 3
    assert volume.extent_mm[0] > volume.extent_mm[1] > volume.extent_mm[2]
    assert np.isfinite(volume.sd_mm).mean() > 0.5


def test_the_lens_is_as_sure_as_lenses_drawn_from_its_covariance_agree():
    found = solve(observe(ring(1, seed=6), board_poses(16, seed=3), 0.2), BOARD, lens="pinhole")
    stated = projection_sd(found, 0)
    model = found.rig.cameras[0]
    width, height = model.size_px
    x, y = (np.arange(12) + 0.5) * width / 12 - 0.5, (np.arange(9) + 0.5) * height / 9 - 0.5
    rays = model.undistort(np.stack(np.meshgrid(x, y), -1))
    here = model.to_pixels(model.distort(rays))
    covariance = found.adjusted.camera_covariance[0, :ESTIMATED, :ESTIMATED]
    rng = np.random.default_rng(0)
    turns = np.stack([_turned(model, rays, axis) - here for axis in np.eye(3) * 1e-6], -1) / 1e-6
    shifts = []
    for drawn in rng.multivariate_normal(np.zeros(ESTIMATED), covariance, 300, method="eigh"):
        lens = model.lens
        lens[:ESTIMATED] += drawn
        other = camera_of_lens(lens)
        shift = (other.to_pixels(other.distort(rays)) - here).reshape(-1)
        flat = turns.reshape(-1, 3)
        shifts.append(shift - flat @ np.linalg.lstsq(flat, shift, rcond=None)[0])
    shifts = np.stack(shifts).reshape(300, 9, 12, 2)
    spread = np.einsum("nyxi,nyxj->yxij", shifts, shifts) / 300
    np.testing.assert_allclose(stated, np.sqrt(np.linalg.eigvalsh(spread)[..., -1]), rtol=0.25)
    assert stated[0, 0] > stated[4, 6]  # a corner of the image is less sure than its middle


def _turned(model, rays, vector):
    points = np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], -1)
    points = points + np.cross(vector, points)
    return model.to_pixels(model.distort(points[..., :2] / points[..., 2:]))


def test_true_covariances_cover_and_wrong_ones_are_told_by_how_much():
    rig, points = ring(4, seed=2, arc=2.1), world(300, 3, 1)
    keypoints = seen(rig, points)
    noise = (
        np.random.default_rng(3).normal(0, 1, (*keypoints.shape[:3], 2)) * np.array([1.0, 1.0, 2.5])[:, None]
    )
    keypoints[..., :2] += noise
    settings = TriangulationSettings(noise_px=1.0, gate_sigmas=20)
    checks = check_covariance(rig, keypoints, ("nose", "ear", "tail"), settings)
    for check in checks[:2]:
        assert check.coverage == pytest.approx(0.95, abs=0.02)
        assert check.inflation == pytest.approx(1, abs=0.07)
    assert checks[2].coverage < 0.7
    assert checks[2].inflation == pytest.approx(2.5, rel=0.08)
    fitted = fitted_noise(checks, settings)
    again = check_covariance(rig, keypoints, ("nose", "ear", "tail"), fitted)
    assert all(check.coverage == pytest.approx(0.95, abs=0.02) for check in again)
    assert check_covariance(ring(2), keypoints[:, :2], ("nose", "ear", "tail"), settings) == ()
    few = check_covariance(rig, keypoints[:3], ("nose", "ear", "tail"), settings)
    assert few[0].coverage is None

import numpy as np
import pytest

from calibration.boards import BoardSettings
from calibration.bundle import DELAY
from calibration.parameter_covariance import stepped
from calibration.solve import solve
from calibration.triangulation import TriangulationSettings, triangulate_exactly
from calibration.triangulation_covariance import with_calibration
from tests.calibration.synthetic import SQUARE_MM, board_poses, observe, ring, with_lens
from tests.calibration.test_triangulation import seen, world

BOARD = BoardSettings(kind="checkerboard", inner_corners=(9, 6), square_mm=SQUARE_MM)
SETTINGS = TriangulationSettings(noise_px=0.3, gate_sigmas=50)
TRUE = ring(3, seed=2, arc=2.1)
UPPER = np.array([[3, 4, 5], [4, 6, 7], [5, 7, 8]])


@pytest.fixture(scope="module")
def calibrated():
    """A rig calibrated from ten noisy boards, and the covariance of its parameters."""
    found = solve(observe(TRUE, board_poses(10, seed=1), 0.4), BOARD, lens="pinhole")
    return found.rig, found.adjusted.covariance[:, :DELAY, :, :DELAY]


def before_it(sets, keypoints, seed):
    """Points (T, K, 3) in the middle, in the first camera's frame, which is the calibrated rig's world."""
    return TRUE.cameras[0].to_camera(world(sets, keypoints, seed))


def drawn(rig, covariance, count, seed=0):
    """Rigs as likely as the one found."""
    matrix = covariance.reshape(covariance.shape[0] * DELAY, -1)
    free = np.flatnonzero(np.diag(matrix))
    steps = np.zeros((count, len(matrix)))
    steps[:, free] = np.random.default_rng(seed).multivariate_normal(
        np.zeros(len(free)), matrix[np.ix_(free, free)], count, method="eigh"
    )
    return [stepped(rig, step.reshape(-1, DELAY)) for step in steps]


def test_points_scatter_as_stated_when_rigs_are_drawn_from_the_calibration(calibrated):
    """Keypoints with noise and rigs as they might have been: the sum of both is what is stated."""
    rig, covariance = calibrated
    points = before_it(1, 12, 3)
    rng = np.random.default_rng(1)
    clean = seen(rig, points)
    errors = []
    for other in drawn(rig, covariance, 300):
        keypoints = clean.copy()
        keypoints[..., :2] += rng.normal(0, 0.3, keypoints[..., :2].shape)
        errors.append(triangulate_exactly(other, keypoints, SETTINGS)[0, :, :3] - points[0])
    scatter = np.einsum("nki,nkj->kij", errors, errors) / len(errors)
    noise_only = triangulate_exactly(rig, clean, SETTINGS)
    stated = with_calibration(rig, clean, noise_only, covariance, SETTINGS)
    np.testing.assert_array_equal(stated[..., [0, 1, 2, 9, 10]], noise_only[..., [0, 1, 2, 9, 10]])
    spread = stated[0][:, UPPER]
    whitened = np.linalg.solve(np.linalg.cholesky(spread), np.swapaxes(errors, 0, 1).swapaxes(1, 2))
    share = np.einsum("kin,kjn->kij", whitened, whitened) / len(errors)
    np.testing.assert_allclose(share, np.broadcast_to(np.eye(3), share.shape), atol=0.3)
    assert np.trace(share.mean(0)) == pytest.approx(3, rel=0.15)
    assert np.trace(scatter.mean(0)) > 1.3 * np.trace(noise_only[0][:, UPPER].mean(0))


def test_only_the_views_that_were_used_count(calibrated):
    """A view that was left out as wrong, or is absent, brings nothing of its camera's uncertainty."""
    rig, covariance = calibrated
    points = before_it(2, 3, 4)
    keypoints = seen(rig, points)
    keypoints[0, 2] = np.nan
    keypoints[1, 2, :, :2] += 300.0
    settings = TriangulationSettings(noise_px=0.3, gate_sigmas=4)
    found = triangulate_exactly(rig, keypoints, settings)
    assert (found[..., 9] == 2).all()
    both = with_calibration(rig, keypoints, found, covariance, settings)
    pair = rig.subset(rig.names[:2])
    alone = with_calibration(
        pair, keypoints[:, :2], triangulate_exactly(pair, keypoints[:, :2], settings),
        covariance[:2, :, :2], settings,
    )  # fmt: skip
    np.testing.assert_allclose(both[..., 3:9], alone[..., 3:9], rtol=1e-6)


def test_points_that_are_none_stay_so_and_a_fisheye_counts_as_well(calibrated):
    _, covariance = calibrated
    rig = with_lens(TRUE, "fisheye")
    keypoints = seen(rig, world(1, 4, 5))
    keypoints[0, 1:, 2] = np.nan
    found = triangulate_exactly(rig, keypoints, SETTINGS)
    larger = with_calibration(rig, keypoints, found, covariance, SETTINGS)
    assert np.isnan(larger[0, 2, :9]).all()
    assert (larger[0, [0, 1, 3]][:, [3, 6, 8]] > found[0, [0, 1, 3]][:, [3, 6, 8]]).all()
    none = with_calibration(rig, keypoints, found, np.zeros_like(covariance), SETTINGS)
    np.testing.assert_array_equal(none, found)

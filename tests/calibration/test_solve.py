"""Calibration from synthetic corners: the projection that made them is written apart."""

from dataclasses import replace

import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.boards import BoardSettings
from calibration.bundle import CAMERA, Bundle, Problem, jacobians
from calibration.bundle_adjustment import _moved
from calibration.observations import Observations, View
from calibration.rotation import rotation_matrix
from calibration.solve import solve as solve_with
from calibration.triangulation import TriangulationSettings, triangulate_exactly
from calibration.view_graph import _renumber
from calibration.world import align
from tests.calibration.synthetic import SQUARE_MM, board_points, board_poses, observe, ring, with_lens

BOARD = BoardSettings(kind="checkerboard", inner_corners=(9, 6), square_mm=SQUARE_MM)


def solve(observations, board):
    """With the lenses' model known; `test_lens_choice` is about choosing it."""
    return solve_with(observations, board, lens="pinhole")


def placed_like(rig, true):
    """`true` moved into the frame of `rig`'s first camera, where calibrations end up."""
    first = true.cameras[0]
    ours = rig.cameras[0]
    points = np.concatenate([np.zeros((1, 3)), 100 * np.eye(3)])
    in_true = (points - first.translation) @ first.rotation_matrix
    in_ours = (points - ours.translation) @ ours.rotation_matrix
    return align(true, in_true, in_ours).rig


def test_without_noise_the_rig_comes_back():
    true = ring(3, seed=2)
    found = solve(observe(true, board_poses(14, seed=1), 0.0), BOARD)
    expected = placed_like(found.rig, true)
    np.testing.assert_allclose(found.rig.lenses[:, :4], expected.lenses[:, :4], atol=1e-3)
    np.testing.assert_allclose(found.rig.lenses[:, 4:], expected.lenses[:, 4:], atol=1e-5)
    np.testing.assert_allclose(found.rig.rotations, expected.rotations, atol=1e-6)
    np.testing.assert_allclose(found.rig.translations, expected.translations, atol=1e-2)
    assert np.nanmax(np.abs(found.adjusted.residuals)) < 1e-3


def test_twice_the_same_bit_for_bit():
    observations = observe(ring(2, seed=2), board_poses(10, seed=1), 0.2)
    first, second = solve(observations, BOARD), solve(observations, BOARD)
    np.testing.assert_array_equal(first.rig.lenses, second.rig.lenses)
    np.testing.assert_array_equal(first.rig.translations, second.rig.translations)


@pytest.mark.long
@pytest.mark.parametrize("cameras", [2, 4, 7])
def test_errors_stay_within_what_the_covariance_predicts(cameras):
    """0.2 px of noise: normalised lens errors look standard normal, points are as good as expected."""
    scores, ratios = [], []
    for seed in range(4):
        true = ring(cameras, seed=seed)
        found = solve(observe(true, board_poses(40, seed=seed), 0.2, seed), BOARD)
        sd = np.sqrt(np.stack([np.diag(c) for c in found.adjusted.camera_covariance]))[:, :8]
        scores.append(((found.rig.lenses - true.lenses)[:, :8] / sd).ravel())
        assert np.nanmedian(found.adjusted.sigma) == pytest.approx(0.2, rel=0.1)
        points = np.random.default_rng(seed).uniform(-80, 80, (300, 3))
        keypoints = np.concatenate([true.project(points), np.ones((cameras, 300, 1))], axis=-1)
        ours = triangulate_exactly(found.rig, keypoints[None], TriangulationSettings(noise_px=5))[0]
        good = np.isfinite(ours[:, 0])
        moved = align(found.rig, ours[good, :3], points[good])
        ratios.append(moved.rms_mm)
    scores = np.concatenate(scores)
    assert np.mean(np.abs(scores) < 3) >= 0.99
    assert 0.75 < np.sqrt(np.mean(scores**2)) < 1.25
    assert max(ratios) < 0.08  # mm, in a volume of 160 mm seen from 600


def test_a_camera_alone():
    true = ring(1, seed=6)
    found = solve(observe(true, board_poses(20, seed=3), 0.1), BOARD)
    sd = np.sqrt(np.diag(found.adjusted.camera_covariance[0]))[:8]
    assert (np.abs(found.rig.lenses[0] - true.lenses[0])[:8] < 4.5 * sd).all()
    assert sd[0] < 2.0


def test_cameras_that_never_see_the_board_together_are_linked_by_others():
    true = ring(4, seed=1, arc=3.0)
    groups = [(0, 1), (1, 2), (2, 3)]
    observations = observe(
        true,
        board_poses(45, seed=2, tilt=0.6),
        0.1,
        sees=lambda camera, frame_set: camera in groups[frame_set % 3],
    )
    found = solve(observations, BOARD)
    assert found.shared[0, 3] == found.shared[0, 2] == 0
    expected = placed_like(found.rig, true)
    centres = [[camera.centre_mm for camera in rig.cameras] for rig in (found.rig, expected)]
    assert np.linalg.norm(np.subtract(*centres), axis=1).max() < 3.0  # of 500 mm


def test_missing_views_and_cameras_do_not_matter():
    true = ring(4, seed=3)
    rng = np.random.default_rng(1)
    there = rng.uniform(size=(4, 40)) < 0.6
    observations = observe(true, board_poses(40, seed=4), 0.1, sees=lambda c, s: bool(there[c, s]))
    found = solve(observations, BOARD)
    expected = placed_like(found.rig, true)
    assert np.abs(found.rig.lenses[:, 0] - expected.lenses[:, 0]).max() < 2.0


def test_wrong_corners_are_left_out():
    true = ring(3, seed=2)
    clean = observe(true, board_poses(25, seed=1), 0.1)
    rng = np.random.default_rng(3)
    views = []
    wrong = 0
    for view in clean.views:
        px = view.px.copy()
        bad = rng.uniform(size=len(px)) < 0.03
        px[bad] += rng.uniform(5, 30, (bad.sum(), 2))
        wrong += bad.sum()
        views.append(replace(view, px=px))
    found = solve(replace(clean, views=tuple(views)), BOARD)
    left_out = np.isfinite(found.adjusted.residuals[..., 0]) & ~found.adjusted.inliers
    assert wrong <= left_out.sum() < wrong + 0.01 * left_out.size
    expected = solve(clean, BOARD)
    np.testing.assert_allclose(found.rig.lenses[:, :2], expected.rig.lenses[:, :2], atol=0.5)


@pytest.mark.parametrize("grid", [(8, 6), (6, 6)])
def test_half_and_quarter_turned_numberings_are_brought_together(grid):
    """Symmetric boards: every view is numbered from any corner, as a detector would."""
    board = BoardSettings(kind="checkerboard", inner_corners=grid, square_mm=SQUARE_MM)
    true = ring(3, seed=2, arc=2.5)
    straight = observe(true, board_poses(24, seed=5), 0.05, points=board_points(grid))
    rng = np.random.default_rng(2)
    views = []
    for view in straight.views:
        ids = board.symmetries[rng.integers(len(board.symmetries))][view.ids]
        order = np.argsort(ids)
        views.append(replace(view, ids=ids[order], px=view.px[order]))
    found = solve(replace(straight, views=tuple(views)), board)
    expected = placed_like(found.rig, true)
    np.testing.assert_allclose(found.rig.rotations, expected.rotations, atol=3e-3)
    assert np.nanmedian(np.abs(found.adjusted.residuals)) < 0.1


def test_delays_of_free_running_cameras_are_found():
    """Boards in motion; one camera is 30 ms late, which stamps do not tell."""
    true = ring(3, seed=2)
    poses = board_poses(30, seed=1)
    rng = np.random.default_rng(0)
    speed = rng.normal(0, 60, (30, 3))  # mm/s
    delay_s = np.array([0.0, 0.03, -0.015])
    views = []
    for c in range(3):
        for late, part in ((delay_s[c], 0), (delay_s[c] + 1e-3, 1)):
            moved = [(r, t + v * late) for (r, t), v in zip(poses, speed, strict=True)]
            seen = observe(true, moved, 0.0, sees=lambda camera, s, c=c: camera == c)
            views.append((part, {view.frame_set: view for view in seen.views}))
    now = {}
    for (_, here), (_, soon) in zip(views[::2], views[1::2], strict=True):
        for number, view in here.items():
            later = soon.get(number)
            if later is None or len(later.ids) != len(view.ids):
                continue
            velocity = (later.px - view.px) / 1e-3
            px = view.px + rng.normal(0, 0.05, view.px.shape)
            now[(number, view.camera)] = replace(view, px=px, velocity=velocity)
    observations = Observations(
        true.names,
        tuple(camera.size_px for camera in true.cameras),
        tuple(now[key] for key in sorted(now)),
        True,
    )
    found = solve(observations, BOARD)
    np.testing.assert_allclose(found.adjusted.bundle.delays, delay_s, atol=2e-3)
    blind = solve(replace(observations, free_running=False), BOARD)
    expected = placed_like(found.rig, true)
    error = [np.abs(rig.translations - expected.translations).max() for rig in (found.rig, blind.rig)]
    assert error[0] < 0.5 * error[1]


def test_too_few_views_name_the_camera():
    observations = observe(ring(2), board_poses(12), 0.1, sees=lambda c, s: c == 0 or s == 0)
    with pytest.raises(RigposeError, match=r"camera 'cam_1': expected at least 3 views .* found [01]\."):
        solve(observations, BOARD)


def test_cameras_without_common_view_are_named():
    observations = observe(ring(3), board_poses(30), 0.1, sees=lambda c, s: (c == 2) == (s % 2 == 0))
    with pytest.raises(
        RigposeError, match=r"cameras cam_0, cam_1 and cam_2: expected frame sets .* found none"
    ):
        solve(observations, BOARD)


@pytest.mark.parametrize("model", ["pinhole", "rational", "fisheye"])
def test_the_jacobian_is_the_derivative(model):
    rng = np.random.default_rng(0)
    true = ring(2, seed=2)
    if model != "pinhole":
        true = with_lens(true, model)
    observations = observe(true, board_poses(3, seed=1), 0.5)
    rows = np.array([view.frame_set for view in observations.views])
    views = tuple(replace(v, velocity=rng.normal(0, 50, v.px.shape)) for v in observations.views)
    problem = Problem.of_views(views, rows, board_points(), jitter_s=0.01)
    poses = board_poses(3, seed=1)
    bundle = Bundle(
        true.lenses + 0.0, true.rotations, true.translations, np.stack([r for r, _ in poses]),
        np.stack([t for _, t in poses]), np.array([0.0, 0.01]), rng.normal(0, 0.01, len(views)),
    )  # fmt: skip
    _, by_camera, by_board = jacobians(problem, bundle)
    still = np.zeros((len(views), CAMERA + 7))
    for column in range(CAMERA):
        step = np.zeros((2, CAMERA))
        step[:, column] = 1e-6 if column >= 4 else 1e-3
        sides = [
            jacobians(problem, _moved(problem, bundle, still, sign * step, np.zeros((3, 6))))[0]
            for sign in (1, -1)
        ]
        slope = (sides[0] - sides[1]) / (2 * step[0, column])
        valid = problem.valid[..., None]
        difference = np.abs(np.where(valid, slope - by_camera[..., column], 0)).max()
        assert difference < 1e-4 * max(np.abs(by_camera[..., column]).max(), 1)
    for column in range(6):
        step = np.zeros((3, 6))
        step[:, column] = 1e-6
        sides = [
            jacobians(problem, _moved(problem, bundle, still, np.zeros((2, CAMERA)), sign * step))[0]
            for sign in (1, -1)
        ]
        slope = (sides[0] - sides[1]) / 2e-6
        difference = np.abs(np.where(problem.valid[..., None], slope - by_board[..., column], 0)).max()
        assert difference < 1e-4 * np.abs(by_board[..., column]).max()
    assert rotation_matrix([0, 0, 0]).shape == (3, 3)


def test_corners_that_are_numbered_the_other_way_keep_their_velocity():
    ids, px = np.array([0, 1, 3]), np.array([[0.0, 0], [1, 1], [3, 3]])
    view = View(0, 0, 0, ids, px, np.ones(3), px * 10)
    turned = _renumber(view, np.array([3, 2, 1, 0]))
    np.testing.assert_array_equal(turned.ids, [0, 2, 3])
    np.testing.assert_array_equal(turned.velocity, turned.px * 10)

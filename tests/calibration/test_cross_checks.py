from dataclasses import replace

import numpy as np
import pytest

from calibration.boards import BoardSettings
from calibration.cross_checks import cross_check, epipolar_distances
from calibration.observations import Observations
from calibration.solve import solve
from calibration.verdict import judge_timing
from tests.calibration.synthetic import SQUARE_MM, board_poses, observe, ring, with_lens

BOARD = BoardSettings(kind="checkerboard", inner_corners=(9, 6), square_mm=SQUARE_MM)
NOISE_PX = 0.1


@pytest.fixture(scope="module")
def in_motion():
    """Boards in motion; the third camera is 20 ms late, though all count as one instant."""
    true = ring(3, seed=2)
    poses = board_poses(24, seed=1)
    rng = np.random.default_rng(0)
    speed = rng.normal(0, 60, (24, 3))  # mm/s
    now = {}
    for c, late_s in enumerate((0.0, 0.0, 0.02)):
        sides = []
        for ahead_s in (0.0, 1e-3):
            moved = [(r, t + v * (late_s + ahead_s)) for (r, t), v in zip(poses, speed, strict=True)]
            seen = observe(true, moved, 0.0, sees=lambda camera, s, c=c: camera == c)
            sides.append({view.frame_set: view for view in seen.views})
        for number, view in sides[0].items():
            later = sides[1].get(number)
            if later is not None and len(later.ids) == len(view.ids):
                px = view.px + rng.normal(0, NOISE_PX, view.px.shape)
                now[(number, c)] = replace(view, px=px, velocity=(later.px - view.px) / 1e-3)
    return Observations(
        true.names, tuple(camera.size_px for camera in true.cameras), tuple(now[key] for key in sorted(now))
    )


def test_a_late_camera_is_told_from_a_bad_calibration(in_motion):
    checks = cross_check(solve(in_motion, BOARD, lens="pinhole"), BOARD)
    timing = checks.timing
    assert timing.cameras[1].delay_ms == pytest.approx(0, abs=3)
    assert timing.cameras[2].delay_ms == pytest.approx(20, abs=3)
    assert timing.timed_px < 0.5 * timing.rms_px
    assert timing.fast_px > timing.slow_px
    findings = judge_timing(timing, free_running=False)
    assert [finding.whose for finding in findings] == ["camera 'cam_2'"]
    assert "later than the first camera's" in findings[0].found
    late = [np.median(each.moved_mm) for each in checks.relative]
    assert late[1] > 2 * late[0]


def test_of_a_good_calibration_every_test_agrees():
    true = ring(3, seed=2, arc=2.5)
    observations = observe(true, board_poses(24, seed=1), NOISE_PX)
    checks = cross_check(solve(observations, BOARD, lens="pinhole"), BOARD)
    assert checks.timing is None  # no velocity is known
    assert {(pair.first, pair.second) for pair in checks.pairs} == {
        ("cam_0", "cam_1"), ("cam_0", "cam_2"), ("cam_1", "cam_2")
    }  # fmt: skip
    for pair in checks.pairs:
        # the noise across the line, of both views
        assert NOISE_PX < pair.rms_px < 2.2 * NOISE_PX
    for camera in checks.left_out:
        assert camera.rms_px < 5 * NOISE_PX
    for relative in checks.relative:
        assert np.median(relative.turned_deg) < 0.3
        assert np.isnan(relative.speed_px_s).all()


@pytest.mark.parametrize("model", ["pinhole", "fisheye"])
def test_the_epipolar_distance_is_how_far_a_corner_was_moved(model):
    rig = ring(2, seed=3, arc=2.0)
    rig = rig if model == "pinhole" else with_lens(rig, model)
    first, second = rig.cameras
    points = np.random.default_rng(0).uniform(-80, 80, (40, 3))
    px, other = rig.project(points)
    np.testing.assert_allclose(epipolar_distances(first, second, px, other), 0, atol=1e-8)
    step = first.centre_mm - points
    along = second.project(points + 1e-3 * step) - other  # the line's direction in the second image
    normal = np.column_stack([-along[:, 1], along[:, 0]]) / np.linalg.norm(along, axis=1)[:, None]
    moved = epipolar_distances(first, second, px, other + 0.01 * normal)
    np.testing.assert_allclose(np.abs(moved), 0.01, rtol=0.02)

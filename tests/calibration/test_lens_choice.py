from dataclasses import replace

import numpy as np
import pytest

from calibration.boards import BoardSettings
from calibration.camera_model import CalibratedRig
from calibration.folds import fold_masks
from calibration.lens_choice import choose_lens
from calibration.solve import solve
from tests.calibration.synthetic import SQUARE_MM, board_points, board_poses, observe, ring, turn, with_lens

BOARD = BoardSettings(kind="checkerboard", inner_corners=(9, 6), square_mm=SQUARE_MM)


def near(count, seed=0, widest=0.95):
    """Board poses all over a camera that looks along z, up to 55 degrees off its axis."""
    rng = np.random.default_rng(seed)
    poses = []
    for _ in range(count):
        around = rng.uniform(0, 2 * np.pi)
        towards = turn([np.cos(around), np.sin(around), 0], widest * np.sqrt(rng.uniform()))
        lean = turn([*rng.normal(size=2), 0], rng.uniform(0, 0.6))
        rotation = towards @ lean @ turn([0, 0, 1], rng.uniform(0, 6))
        middle = board_points().mean(axis=0)
        poses.append((rotation, towards @ [0, 0, rng.uniform(230, 350)] - rotation @ middle))
    return poses


def one_camera(model):
    rig = ring(1, seed=4) if model == "pinhole" else with_lens(ring(1, seed=4), model)
    return CalibratedRig((replace(rig.cameras[0], rotation=np.zeros(3), translation=np.zeros(3)),))


@pytest.mark.parametrize(("model", "widest"), [("pinhole", 0.4), ("fisheye", 0.95)])
def test_the_lens_that_was_is_chosen(model, widest):
    true = one_camera(model)
    observations = observe(true, near(24, 1, widest), 0.2)
    assert len(observations.views) > 15
    chosen = choose_lens(observations, 0, board_points())
    assert chosen.model == model, chosen.trials
    assert chosen.trials[0].model == "pinhole"
    sd = np.sqrt(np.diag(chosen.fit.camera_covariance[0]))[:4]
    error = chosen.fit.bundle.lenses[0, :4] - true.lenses[0, :4]
    assert (np.abs(error) < 5 * sd).all(), (error, sd)
    if model == "fisheye":
        assert chosen.trials[0].fitted_px > 2 * chosen.trials[1].fitted_px


@pytest.mark.long
def test_a_rational_lens_is_calibrated_when_asked_for():
    true = one_camera("rational")
    found = solve(observe(true, near(40, 2, 0.7), 0.1), BOARD, lens="rational")
    rays = np.random.default_rng(0).uniform(-0.6, 0.6, (50, 2))
    points = np.column_stack([rays, np.ones(50)]) * 300
    # its coefficients trade with each other; where it sees things does not
    shift = found.rig.cameras[0].project(points) - true.cameras[0].project(points)
    assert np.abs(shift - shift.mean(axis=0)).max() < 0.5


def test_few_views_keep_the_simplest_lens():
    chosen = choose_lens(observe(one_camera("pinhole"), near(6, 3, 0.4), 0.2), 0, board_points())
    assert chosen.model == "pinhole"
    assert chosen.trials[0].held_out_px is None


def test_a_pose_is_never_fitted_and_held_out():
    """A board that lay still in every third frame set: those are held out together."""
    still, others = board_poses(1, seed=9)[0], board_poses(30, seed=1)
    poses = [still if k % 3 == 0 else pose for k, pose in enumerate(others)]
    observations = observe(ring(2), poses, 0.02)
    masks = fold_masks(observations)
    assert len(masks) == 4
    for fitted, spared in masks:
        sets = [
            {v.frame_set for v, m in zip(observations.views, mask, strict=True) if m}
            for mask in (fitted, spared)
        ]
        assert not sets[0] & sets[1]
        if any(number % 3 == 0 for number in sets[1]):
            assert not any(number % 3 == 0 for number in sets[0])
    every = np.sum([spared for _, spared in masks], axis=0)
    np.testing.assert_array_equal(every, 1)

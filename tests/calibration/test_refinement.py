"""Cameras that were moved after they were calibrated, found by keypoints that the test made itself."""

import numpy as np
import pytest
from scipy.special import chdtri

from acquisition.errors import RigposeError
from calibration.baseline import length_by_poses
from calibration.bundle import DELAY, LENS
from calibration.camera_model import CalibratedRig
from calibration.keypoint_adjustment import fit_poses
from calibration.parameter_covariance import stepped, steps_between
from calibration.refinement import refine
from calibration.sightings import choose_sightings
from tests.calibration.synthetic import bumped, ring, walk


def surprise(found, true, camera):
    """Chi-square, of six degrees of freedom, of a camera's true pose under what is stated of it."""
    off = steps_between(found.rig, true)[camera, LENS:]
    return float(off @ np.linalg.solve(found.covariance[camera, LENS:, camera, LENS:], off))


def test_a_bumped_camera_is_found_back_within_its_stated_uncertainty():
    true = ring(4, seed=1)
    old = bumped(true, 2)
    found = refine(old, walk(true, seed=3))
    assert found.moved == ("cam_2",)
    assert surprise(found, true, 2) < chdtri(6, 1e-3)
    move = found.cameras[2]
    assert move.moved_mm == pytest.approx(3, abs=4 * move.moved_sd_mm)
    assert move.turned_deg == pytest.approx(1, abs=4 * move.turned_sd_deg)
    assert move.moved_sd_mm < 1
    assert move.turned_sd_deg < 0.15
    assert move.shift_px > 3
    assert found.held_out_px[1] < 0.6 * found.held_out_px[0]
    assert all(after < before for before, after in found.folds_px)
    for kept in (0, 1, 3):
        assert found.rig.cameras[kept] is old.cameras[kept]
    np.testing.assert_array_equal(found.rig.lenses, old.lenses)


@pytest.mark.long
@pytest.mark.parametrize(("wrong", "bias_px", "degrees"), [(0.05, 0.0, 1.0), (0.0, 1.0, 3.0)])
def test_stated_uncertainties_hold_over_many_bumps(wrong, bias_px, degrees):
    """With gross errors, and with a bias of every keypoint in every camera, which no frame alone tells."""
    surprises = []
    for seed in range(4):
        true = ring(4, seed=seed)
        old = bumped(true, seed, degrees, seed=seed)
        found = refine(old, walk(true, seed=seed, wrong=wrong, bias_px=bias_px))
        assert found.moved == (f"cam_{seed}",)
        surprises.append(surprise(found, true, seed))
    assert max(surprises) < 2 * chdtri(6, 1e-3)
    assert np.mean(surprises) < 15


@pytest.mark.parametrize(("bias_px", "seed"), [(0.0, 0), (3.0, 1)])
def test_cameras_that_stayed_are_left_where_they_are(bias_px, seed):
    """Biased keypoints pull as well, but none towards what the others show."""
    rig = ring(3, seed=seed, arc=2.1)
    found = refine(rig, walk(rig, bias_px=bias_px, seed=seed))
    assert found.moved == ()
    assert found.rig is rig
    assert found.covariance is None


def test_garbage_is_refused():
    rig, keypoints = ring(3, seed=1), walk(ring(3, seed=1), sets=34, keypoints=4)
    keypoints[..., :2] = np.random.default_rng(5).uniform(0, 1, keypoints[..., :2].shape) * [640, 480]
    with pytest.raises(RigposeError, match=r"poses that agree .* wherever one camera is put"):
        refine(rig, keypoints, hold=["cam_0", "cam_1"])


@pytest.mark.long
def test_poses_of_another_session_in_one_camera_name_the_camera():
    rig = ring(4, seed=1)
    keypoints = walk(rig, sets=34, keypoints=4)
    keypoints[:, 2] = keypoints[::-1, 2]
    with pytest.raises(RigposeError, match=r"camera 'cam_2': expected poses that agree"):
        refine(rig, keypoints)


def test_of_two_cameras_the_held_one_stays_and_so_does_their_distance():
    true = ring(2, seed=1, arc=2.1)
    old = bumped(true, 0, mm=0.0)
    found = refine(old, walk(true, seed=2), hold=["cam_1"])
    assert found.moved == ("cam_0",)
    assert surprise(found, true, 0) < chdtri(6, 1e-3)
    lengths = [length_by_poses(rig.rotations, rig.translations)[0] for rig in (found.rig, old)]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-3)
    with pytest.raises(RigposeError, match="every camera held"):
        refine(old, walk(true), hold=["cam_0", "cam_1"])


@pytest.mark.long
def test_two_cameras_of_five_are_found():
    true = ring(5, seed=2)
    found = refine(bumped(bumped(true, 1), 3, seed=4), walk(true))
    assert sorted(found.moved) == ["cam_1", "cam_3"]
    assert max(surprise(found, true, c) for c in (1, 3)) < 2 * chdtri(6, 1e-3)


def test_too_few_keypoints_name_the_camera():
    rig = ring(3, seed=1)
    keypoints = walk(rig)
    keypoints[10:, 1, :, 2] = 0.1
    with pytest.raises(RigposeError, match=r"camera 'cam_1': .* 32 frame sets or more, found 10"):
        refine(rig, keypoints)


def test_keypoints_that_are_never_seen_leave_no_fold_empty():
    """A skeleton of six of which two are tracked well: the ones that remain are counted anew."""
    true = ring(4, seed=1)
    keypoints = walk(true, seed=3)
    keypoints[:, :, [k for k in range(keypoints.shape[2]) if k not in (1, 5)], 2] = 0.1
    assert refine(bumped(true, 2), keypoints).moved == ("cam_2",)


def test_a_camera_without_poses_takes_no_part():
    true = ring(4, seed=1)
    keypoints = walk(true, seed=3)
    keypoints[:, 3] = np.nan
    old = bumped(true, 2)
    found = refine(old, keypoints)
    assert found.moved == ("cam_2",)
    assert found.rig.cameras[3] is old.cameras[3]
    assert found.cameras[3].held_out_px is None


def test_what_is_held_passes_its_uncertainty_on():
    """Held cameras drawn from what is known of them: the free one follows as its covariance says."""
    rig = ring(3, seed=1)
    sightings = choose_sightings(rig, walk(rig, sets=33, keypoints=2, noise_px=0.0), 0.6)
    rng = np.random.default_rng(0)
    sd = np.zeros((3, DELAY))
    sd[:2, LENS : LENS + 3], sd[:2, LENS + 3 :], sd[:, :4] = 5e-4, 0.3, 0.4
    known = np.diag(sd.ravel() ** 2).reshape(3, DELAY, 3, DELAY)
    stated = fit_poses(rig, sightings, (2,), known=known).covariance[2, LENS:, 2, LENS:]
    moves = []
    for _ in range(30):
        drawn = stepped(rig, rng.normal(size=sd.shape) * sd)
        moves.append(steps_between(rig, fit_poses(drawn, sightings, (2,), rounds=1).rig)[2, LENS:])
    ratio = np.array(moves) / np.sqrt(np.diag(stated))
    assert 0.8 < np.sqrt(np.mean(ratio**2)) < 1.2


def test_the_frame_sets_are_spread_over_the_session():
    rig = ring(3, seed=1)
    keypoints = np.concatenate([walk(rig, sets=1)] * 5000 + [walk(rig, sets=400)])
    chosen = choose_sightings(CalibratedRig(rig.cameras), keypoints, 0.6)
    assert chosen.sets == 300
    assert len(chosen.keypoint) <= 3000
    assert set(chosen.run) == set(range(16))

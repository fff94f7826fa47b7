import numpy as np
import pytest

from calibration.smoothing import hold_limbs

LIMBS = [(0, 1), (1, 2)]


def walking(frames=400, seed=0, flexible=0.0):
    """Three keypoints of two limbs of 40 and 30 mm in motion; the second stretches by a share of itself."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames) / 30
    head = np.column_stack([80 * np.sin(time), 60 * np.cos(0.7 * time), 10 * np.sin(3 * time)])
    a, b = 1.5 * np.sin(0.9 * time), 0.6 * np.sin(2.1 * time)
    first = np.column_stack([np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), np.sin(b)])
    second = np.column_stack([np.cos(a + b), np.sin(a + b), 0 * a])
    stretch = 1 + flexible * np.sin(5 * time)[:, None]
    middle = head + 40 * first
    return np.stack([head, middle, middle + 30 * stretch * second], axis=1), rng


def measured(points, rng, sd_mm=(2.0, 2.0, 6.0)):
    """With noise that is worst along the third axis, as depth is; and its covariance."""
    covariance = np.broadcast_to(np.diag(np.square(sd_mm)), (*points.shape, 3)).copy()
    return points + rng.normal(size=points.shape) * sd_mm, covariance


def rms(points, true):
    return np.sqrt(np.nanmean((points - true) ** 2))


@pytest.mark.parametrize("flexible", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_limbs_never_make_it_worse(seed, flexible):
    true, rng = walking(seed=seed, flexible=flexible)
    points, covariance = measured(true, rng)
    held = hold_limbs(points, covariance, LIMBS)
    assert rms(held.points, true) <= rms(points, true)
    if not flexible:
        assert rms(held.points, true) < 0.93 * rms(points, true)
        assert [limb.length_mm for limb in held.limbs] == [pytest.approx(40, abs=1), pytest.approx(30, abs=1)]
    # what it says of its own certainty is true, or modest
    stated = np.sqrt(np.trace(held.covariance, axis1=-2, axis2=-1).mean() / 3)
    assert rms(held.points, true) < 1.1 * stated
    assert (np.linalg.eigvalsh(covariance - held.covariance) > -1e-9).all()


def test_covariances_that_are_too_large_do_no_harm():
    true, rng = walking(flexible=0.2)
    points, covariance = measured(true, rng, (1.0, 1.0, 2.0))
    held = hold_limbs(points, 9 * covariance, LIMBS)
    assert rms(held.points, true) <= 1.02 * rms(points, true)


def test_what_is_missing_stays_missing_and_holds_nothing():
    true, rng = walking()
    points, covariance = measured(true, rng)
    points[100:120, 1] = np.nan
    held = hold_limbs(points, covariance, LIMBS)
    assert np.isnan(held.points[100:120, 1]).all()
    np.testing.assert_allclose(held.points[100:120, [0, 2]], points[100:120, [0, 2]])
    few = hold_limbs(points[:15], covariance[:15], LIMBS)
    assert few.limbs == ()
    np.testing.assert_array_equal(few.points, points[:15])

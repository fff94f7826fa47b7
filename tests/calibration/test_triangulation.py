import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.camera_model import CalibratedRig
from calibration.triangulation import (
    TriangulationSettings,
    prepare,
    triangulate,
    triangulate_exactly,
    triangulate_many,
)
from calibration.triangulation_numpy import triangulate_reference
from tests.calibration.synthetic import ring, with_lens

BROAD = TriangulationSettings(noise_px=1.0, min_confidence=0.3, gate_sigmas=4.0)


def seen(rig, points, noise_px=0.0, seed=0, confidence=1.0):
    """Keypoints (T, C, K, 3) of world points (T, K, 3)."""
    px = np.moveaxis(rig.project(points), 0, 1)
    px = px + np.random.default_rng(seed).normal(0, 1, px.shape) * noise_px
    return np.concatenate([px, np.full((*px.shape[:-1], 1), confidence)], axis=-1)


def world(sets, keypoints, seed=0):
    return np.random.default_rng(seed).uniform(-100, 100, (sets, keypoints, 3))


def test_points_without_noise_come_back():
    rig, points = ring(4), world(20, 5)
    found = triangulate_exactly(rig, seen(rig, points), BROAD)
    np.testing.assert_allclose(found[..., :3], points, atol=1e-7)
    assert (found[..., 9] == 4).all()
    assert found[..., 10].max() < 1e-7


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 6), st.sampled_from(["pinhole", "rational", "fisheye", "mixed"]))
def test_the_kernel_agrees_with_numpy_whatever_it_is_given(seed, cameras, lens):
    rng = np.random.default_rng(seed)
    rig, points = ring(cameras, seed=seed % 7), world(6, 5, seed)
    if lens == "mixed":
        rig = CalibratedRig((*with_lens(rig, "fisheye").cameras[:1], *rig.cameras[1:]))
    elif lens != "pinhole":
        rig = with_lens(rig, lens)
    keypoints = seen(rig, points, 1.0, seed)
    wrong = rng.uniform(size=keypoints.shape[:3])
    keypoints[wrong < 0.15, :2] += rng.uniform(-150, 150, ((wrong < 0.15).sum(), 2))
    keypoints[..., 2] = rng.uniform(0.1, 1, keypoints.shape[:3])
    keypoints[wrong > 0.8] = np.nan
    found = triangulate_exactly(rig, keypoints, BROAD)
    expected = triangulate_reference(
        rig, keypoints, *(lambda noise, bound: (noise, 0.3, 16.0, bound))(*prepare(rig, keypoints, BROAD))
    )
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    # of the point's distance and of the covariance's size: two nearly parallel rays leave a metre open
    # where views contradict each other there is no point, and steps towards none have not settled
    settled = np.where(np.isnan(expected[..., :1]), 1e-3, 1e-7)
    for columns, agreed in ((slice(0, 3), 1e-9), (slice(3, 9), 1e-7), (slice(10, 11), settled)):
        size = np.linalg.norm(expected[..., columns], axis=-1, keepdims=True)
        far = np.abs(found - expected)[..., columns] > agreed * (1 + size)
        assert not far.any(), (found[..., columns][far], expected[..., columns][far])
    np.testing.assert_array_equal(found[..., 9], expected[..., 9])


@pytest.mark.parametrize("keypoints", [1, 5, 20])
def test_a_frame_set_by_itself_is_bit_for_bit_what_it_is_among_others(keypoints):
    """Live and analysed afterwards are the same; a neighbour that takes longer changes nothing."""
    rig, points = ring(5, seed=1), world(90, keypoints, 3)
    points[::7] *= 3.0
    many = seen(rig, points, 2.0, 4)
    many[::5, 0, :, :2] += 60.0
    alone = np.stack([triangulate(rig, one, BROAD) for one in many])
    np.testing.assert_array_equal(triangulate_many(rig, many, BROAD), alone)


@pytest.mark.parametrize("cameras", [2, 3, 4, 8])
def test_the_error_is_the_cramer_rao_bound(cameras):
    """With the arc at 120 degrees no pair of cameras faces each other, where nothing bounds the depth."""
    rig, points = ring(cameras, seed=2, arc=2.1), world(400, 20, 1)
    found = triangulate_exactly(rig, seen(rig, points, 0.5, 3), TriangulationSettings(noise_px=0.5))
    good = np.isfinite(found[..., 0])
    assert good.mean() > 0.995
    error = (found[..., :3] - points)[good]
    bound = cramer_rao(rig, points, 0.5)[good]
    ratio = np.sqrt(np.mean(np.sum(error**2, -1)) / np.mean(bound))
    assert 0.98 < ratio < 1.02
    predicted = found[good][:, [3, 6, 8]].sum(-1)
    assert np.sqrt(predicted.mean() / bound.mean()) == pytest.approx(1, abs=0.01)


def cramer_rao(rig, points, noise_px):
    """Trace of the inverse Fisher information, by differences of the projection."""
    step = 1e-3
    jacobian = np.stack(
        [
            (rig.project(points + step * axis) - rig.project(points - step * axis)) / (2 * step)
            for axis in np.eye(3)
        ],
        axis=-1,
    )
    information = np.einsum("ctkim,ctkin->tkmn", jacobian, jacobian) / noise_px**2
    return np.trace(np.linalg.inv(information), axis1=-2, axis2=-1)


def test_confidence_weighs_as_a_variance():
    """A view of confidence c is one of variance noise^2 / c: the spread shows in the result."""
    rig, points = ring(5, seed=4), world(300, 10, 2)
    keypoints = seen(rig, points)
    confidence = np.array([1.0, 0.35, 0.6, 1.0, 0.4])[None, :, None, None]
    noise = np.random.default_rng(5).normal(0, 1, (*keypoints.shape[:3], 2)) / np.sqrt(confidence)
    keypoints[..., :2] += noise
    level = keypoints.copy()
    keypoints[..., 2:] = confidence
    weighted = triangulate_exactly(rig, keypoints, BROAD)
    equal = triangulate_exactly(rig, level, TriangulationSettings(noise_px=10))
    squares = [np.nanmean((found[..., :3] - points) ** 2) for found in (weighted, equal)]
    assert squares[0] < 0.93 * squares[1]
    predicted = np.nanmean(weighted[..., [3, 6, 8]].sum(-1))
    assert predicted == pytest.approx(3 * squares[0], rel=0.06)


def test_outlier_views_are_left_out_and_the_rest_refitted():
    rig, points = ring(6, seed=1), world(200, 10, 4)
    clean = seen(rig, points, 1.0, 6)
    dirty = clean.copy()
    rng = np.random.default_rng(7)
    wrong = rng.uniform(size=dirty.shape[:3]) < 0.15
    dirty[wrong, :2] += rng.choice([-1, 1], (wrong.sum(), 2)) * rng.uniform(30, 150, (wrong.sum(), 2))
    error = [
        np.linalg.norm(triangulate_exactly(rig, keypoints, BROAD)[..., :3] - points, axis=-1)
        for keypoints in (clean, dirty)
    ]
    assert np.nanmedian(error[1]) < 1.3 * np.nanmedian(error[0])
    assert np.nanpercentile(error[1], 95) < 2 * np.nanpercentile(error[0], 95)
    assert np.isnan(error[1]).mean() < 0.02
    used = triangulate_exactly(rig, clean, BROAD)[..., 9]
    assert (6 - used).sum() < 0.01 * 6 * used.size  # of good views hardly one is thrown away


def test_a_swapped_view_of_three_is_found():
    rig, points = ring(3, arc=2.5), world(50, 4, 9)
    keypoints = seen(rig, points, 0.2, 1)
    keypoints[:, 1, [0, 1]] = keypoints[:, 1, [1, 0]]  # left and right exchanged in one camera
    found = triangulate_exactly(rig, keypoints, TriangulationSettings(noise_px=0.3))
    error = np.linalg.norm(found[..., :3] - points, axis=-1)
    assert np.nanmedian(error[:, :2]) < 1.0
    assert (found[:, 2:, 9] == 3).mean() > 0.9
    assert np.nanmedian(found[:, :2, 9]) == 2


def test_two_views_that_contradict_each_other_give_no_point():
    rig = ring(2, arc=2.5)
    keypoints = seen(rig, world(1, 1), 0.0)
    normal = np.array([0.0, 60.0])  # off the epipolar line, which is about level here
    keypoints[0, 0, 0, :2] += normal
    found = triangulate_exactly(rig, keypoints, BROAD)[0, 0]
    assert np.isnan(found[:9]).all()
    assert found[9] == 2
    assert found[10] > 10


def test_views_below_the_confidence_and_absent_ones_are_not_used():
    rig, points = ring(4), world(1, 3)
    keypoints = seen(rig, points)
    keypoints[0, 0, 0, 2] = 0.29
    keypoints[0, 0, 0, :2] = 0.0
    keypoints[0, 1:, 1] = np.nan
    keypoints[0, 2, 2, 0] = np.nan
    found = triangulate(rig, keypoints[0], BROAD)
    assert found.dtype == np.float32
    assert found.shape == (3, 11)
    np.testing.assert_array_equal(found[:, 9], [3, 1, 3])
    assert np.isnan(found[1, :9]).all()
    assert np.isnan(found[1, 10])
    np.testing.assert_allclose(found[[0, 2], :3], points[0, [0, 2]], atol=1e-3)


def test_one_set_is_the_same_as_many():
    rig, points = ring(3), world(5, 4)
    keypoints = seen(rig, points, 1.0)
    many = triangulate_many(rig, keypoints)
    for one, row in zip(keypoints, many, strict=True):
        np.testing.assert_array_equal(triangulate(rig, one), row)


def test_wrong_shapes_and_settings_are_refused():
    rig = ring(3)
    with pytest.raises(ValueError, match="3 cameras"):
        triangulate(rig, np.zeros((2, 5, 3)))
    with pytest.raises(ValueError, match="noise_px for 5 keypoints"):
        triangulate(rig, np.zeros((3, 5, 3)), TriangulationSettings(noise_px=(1.0, 2.0)))
    with pytest.raises(ValueError, match="larger than 0"):
        TriangulationSettings(min_confidence=0)


def test_noise_may_differ_by_keypoint():
    rig, points = ring(4), world(1, 2)
    found = triangulate(rig, seen(rig, points)[0], TriangulationSettings(noise_px=(1.0, 3.0)))
    alike = triangulate(rig, seen(rig, points)[0], TriangulationSettings(noise_px=1.0))
    np.testing.assert_allclose(found[1, 3:9], 9 * alike[1, 3:9], rtol=1e-5)
    np.testing.assert_allclose(found[0], alike[0], rtol=1e-5, atol=1e-6)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.world import align, moved
from tests.calibration.synthetic import ring, turn


@given(st.integers(0, 2**31))
def test_a_rig_is_brought_back_from_anywhere(seed):
    rng = np.random.default_rng(seed)
    rig, points = ring(3), rng.uniform(-100, 100, (6, 3))
    rotation, translation = turn(rng.normal(size=3), rng.uniform(0, 3)), rng.uniform(-500, 500, 3)
    away = moved(rig, rotation, translation)
    np.testing.assert_allclose(
        away.project(points @ rotation.T + translation), rig.project(points), atol=1e-6
    )
    back = align(away, points @ rotation.T + translation, points)
    assert back.rms_mm < 1e-9
    np.testing.assert_allclose(back.rig.project(points), rig.project(points), atol=1e-6)


def test_lengths_are_not_scaled_and_mirrors_not_believed():
    points = np.random.default_rng(0).uniform(-1, 1, (8, 3)) * 100
    grown = align(ring(2), points, 1.1 * points)
    assert np.linalg.det(grown.rotation) == pytest.approx(1)
    assert grown.rms_mm == pytest.approx(0.1 * np.sqrt(np.mean(np.sum((points - points.mean(0)) ** 2, 1))))
    mirrored = align(ring(2), points, points * [1, 1, -1])
    assert np.linalg.det(mirrored.rotation) == pytest.approx(1)
    assert mirrored.rms_mm > 10


def test_unknown_points_are_left_out_and_two_are_too_few():
    points = np.random.default_rng(0).uniform(-1, 1, (5, 3))
    holed = points.copy()
    holed[2] = np.nan
    assert align(ring(2), holed, points).rms_mm < 1e-12
    with pytest.raises(ValueError, match="3 points, 2 are known"):
        align(ring(2), points[:2], points[:2])

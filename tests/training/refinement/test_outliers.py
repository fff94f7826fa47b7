"""What is wrong in poses is found, what is right is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calibration.synthetic import ring
from training.refinement.outliers import doubts, jumps, misfits, reprojections, smoothed

T, K = 300, 3
INDEX = np.arange(T, dtype=np.int64)


def walk(seed: int = 0, noise_px: float = 0.7) -> np.ndarray:
    """(T, K, 3): an animal that runs in curves, measured with noise and full confidence."""
    rng = np.random.default_rng(seed)
    time = np.arange(T)[:, None]
    x = 200 + 150 * np.sin(2 * np.pi * time / 90 + np.arange(K))
    y = 200 + 100 * np.cos(2 * np.pi * time / 60 + np.arange(K))
    points = np.stack([x, y], axis=-1) + rng.normal(0, noise_px, (T, K, 2))
    return np.concatenate([points, np.full((T, K, 1), 0.95)], axis=-1).astype(np.float32)


def test_a_jump_is_found_where_it_happens():
    values = walk()
    values[100, 1, :2] += 60
    scores = jumps(INDEX, values, 0.5)
    assert np.flatnonzero(scores > 30).tolist() == [100, 101]  # there and back


def test_points_that_are_not_sure_and_frames_that_are_absent_do_not_jump():
    values = walk()
    values[100, 1] = (0, 0, 0.2)
    values[200] = np.nan
    assert jumps(INDEX, values, 0.5).max() < 30
    gap = np.delete(INDEX, slice(50, 90))
    assert jumps(gap, np.delete(values, slice(50, 90), axis=0), 0.5).max() < 30
    assert jumps(INDEX, np.delete(values, slice(50, 90), axis=0).repeat(2, axis=0)[:T], 0.5).max() > 30


def test_the_lowest_confidence_counts():
    values = walk()
    values[7, 2, 2] = 0.3
    values[9] = np.nan
    scores = doubts(values)
    assert scores[7] == pytest.approx(0.7)
    assert scores[9] == 0
    assert scores[8] == pytest.approx(0.05)


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_what_does_not_fit_is_found_and_what_does_is_left_alone(length, seed):
    values = walk(seed)
    values[150 : 150 + length, 0, :2] += 40
    found = np.flatnonzero(misfits(INDEX, values, 0.5) > 20)
    assert {*range(150, 150 + length)} <= {*found.tolist()} <= {*range(149, 152 + length)}


def test_a_slow_drift_jumps_nowhere_but_a_misfit_of_its_neighbours_does():
    values = walk()
    values[150, 0, :2] += 15  # less than the animal's own step at times
    assert misfits(INDEX, values, 0.5).argmax() == 150


def test_gaps_are_bridged_and_nothing_is_said_in_them():
    values = walk()
    values[60:90, 0, 2] = 0.1
    values[200:203] = np.nan
    scores = misfits(INDEX, values, 0.5)
    assert (scores[200:203] == 0).all()
    assert scores.max() < 8
    assert (misfits(INDEX, np.full_like(values, np.nan), 0.5) == 0).all()
    assert (misfits(INDEX[:3], values[:3], 0.5) == 0).all()


@given(st.integers(0, 2**32 - 1), st.integers(5, 60))
@settings(max_examples=25, deadline=None)
def test_the_smoother_keeps_what_accelerates_evenly(seed, count):
    """A quadratic path is free: it comes back as it is, whatever the weights."""
    rng = np.random.default_rng(seed)
    path = np.polynomial.polynomial.polyval(np.arange(count) / count, rng.uniform(-300, 300, (3, 2))).T
    weights = rng.uniform(0.3, 1, count)
    scale = np.abs(path).max() + 1
    far = np.abs(smoothed(path, weights) - path).max()
    assert far < 0.02 * scale


def test_the_smoother_is_the_solution_of_its_equations():
    rng = np.random.default_rng(0)
    path = rng.normal(0, 0.1, (40, 2)).cumsum(axis=0)
    third = np.diff(np.eye(40), n=3, axis=0)
    stiff = 1 / (2 * np.sin(np.pi / 8)) ** 6
    expected = np.linalg.solve(np.eye(40) + stiff * third.T @ third, path)
    # Tukey's weights are nearly 1 for what lies well within the least scale
    np.testing.assert_allclose(smoothed(path, np.ones(40)), expected, atol=0.02)


@pytest.fixture(scope="module")
def scene():
    """(rig, values (T, C, K, 3)): points that three cameras see exactly."""
    rig = ring(3, seed=2)
    points = np.random.default_rng(0).uniform(-80, 80, (20, K, 3))
    seen = np.moveaxis(rig.project(points), 0, 1)
    return rig, np.concatenate([seen, np.full((*seen.shape[:3], 1), 0.9)], axis=-1).astype(np.float32)


def test_a_wrong_view_shows_in_the_reprojection(scene):
    rig, clean = scene
    assert reprojections(rig, clean, 0.5).max() < 0.1
    values = clean.copy()
    values[5, 1, 2, :2] += (30, -40)
    values[9, 0, 0] = (0, 0, 0.1)  # unsure: says nothing
    values[11, 2] = np.nan  # a camera lost the frame: two views are left
    scores = reprojections(rig, values, 0.5)
    assert np.flatnonzero(scores > 5).tolist() == [5]
    assert scores[5] == pytest.approx(50, abs=3)


def test_views_that_contradict_each_other_are_infinitely_wrong(scene):
    rig, clean = scene
    values = clean[:, :2].copy()
    values[3, 0, 1, :2] += (120, 150)
    scores = reprojections(rig.subset(rig.names[:2]), values, 0.5)
    assert np.flatnonzero(scores > 20).tolist() == [3]

"""The kernels put things where the lens says, at the middle of the exposure."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.simulation import render
from acquisition.simulation.viewpoints import place_cameras
from tests.acquisition.simulation.drawing import centroid_of_black

VIEW = place_cameras(4, (640, 480), 1)[1]
BALL = np.tile(3.0 * np.eye(3), (8, 1, 1))


def test_samples_are_symmetric_and_uncorrelated() -> None:
    assert render.SAMPLES.shape == (8, 3)
    as_set = {tuple(sample) for sample in render.SAMPLES}
    assert {tuple(-sample) for sample in render.SAMPLES} == as_set
    assert all(len(set(column)) == 8 for column in render.SAMPLES.T)
    covariance = render.SAMPLES.T @ render.SAMPLES
    assert covariance == pytest.approx(np.diag(np.diag(covariance)))
    assert np.abs(render.SAMPLES).max() < 0.5


@pytest.mark.parametrize("travel_mm", [0.0, 4.0])
def test_a_ball_is_drawn_where_it_is_at_the_middle_of_the_exposure(travel_mm: float) -> None:
    random = np.random.default_rng(7)
    errors = []
    for _ in range(100):
        centre = np.array([*random.uniform(-120, 120, 2), random.uniform(5, 50)])
        heading = random.uniform(0, 2 * np.pi)
        step = travel_mm * np.array([np.cos(heading), np.sin(heading), 0.0])
        drawn = centroid_of_black(VIEW, centre + render.SAMPLES[:, 2:] * step, BALL)
        errors.append(drawn - VIEW.project(centre))
    errors = np.array(errors)
    assert np.abs(errors.mean(axis=0)).max() < 0.02  # no shift of half a pixel, or of any part of it
    assert np.abs(errors).max() < 0.2


@pytest.mark.parametrize(("floor", "slope"), [(7, 13), (0, 0), (16, 40)])
def test_noise_has_the_deviation_asked_for_and_no_mean(floor: int, slope: int) -> None:
    random = np.random.default_rng(3)
    bank = np.clip(np.rint(32 * random.standard_normal(300 * 400)), -127, 127).astype(np.int8)
    image = np.empty((300, 400), np.uint8)
    for level in (60, 120, 200):
        ground = np.full((300, 400), level, np.uint8)
        render.compose(ground, np.zeros((0, 0), np.uint8), 0, 0, bank, 0, floor, slope, image)
        noise = image.astype(float) - level
        wanted = (floor + (slope * level >> 8)) / 8
        assert noise.std() == pytest.approx(np.hypot(wanted, 0.29 if wanted else 0.0), rel=0.05)
        assert abs(noise.mean()) < 0.05


def test_compose_lays_the_patch_on_the_background() -> None:
    random = np.random.default_rng(4)
    ground = random.integers(0, 256, (40, 60), dtype=np.uint8)
    patch = random.integers(0, 256, (10, 20), dtype=np.uint8)
    image = np.empty_like(ground)
    render.compose(ground, patch, 33, 25, np.zeros(40 * 60, np.int8), 0, 8, 8, image)
    wanted = ground.copy()
    wanted[25:35, 33:53] = patch
    assert np.array_equal(image, wanted)


def test_compose_saturates() -> None:
    bank = np.tile(np.array([127, -127], np.int8), 50)
    image = np.empty((10, 10), np.uint8)
    ground = np.tile(np.array([254, 1], np.uint8), (10, 5))
    render.compose(ground, np.zeros((0, 0), np.uint8), 0, 0, bank, 0, 64, 0, image)
    assert np.array_equal(image, np.tile(np.array([255, 0], np.uint8), (10, 5)))

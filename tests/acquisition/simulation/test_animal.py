"""The animal: a body of its size, in the arena, in a loop without a seam, alike on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.simulation.animal import (
    KEYPOINT_NAMES,
    PART_NAMES,
    SKELETON,
    SYMMETRIC_PAIRS,
    Animal,
    keypoint_parts,
)

ALL_SEEDS = pytest.mark.parametrize("seed", range(5))


@ALL_SEEDS
@pytest.mark.parametrize("loop_s", [1.0, 20.0])
def test_the_loop_has_no_seam(seed: int, loop_s: float) -> None:
    animal = Animal(1, seed, loop_s)
    around = np.array([-1e-4, 0.0, 1e-4])
    here, there = animal.pose(around), animal.pose(around + loop_s)
    assert there.centres == pytest.approx(here.centres, abs=1e-6)
    assert there.frames == pytest.approx(here.frames, abs=1e-6)
    # Continuous in position and in velocity across the end of the loop.
    before, at, after = here.keypoints
    assert np.abs(after - 2 * at + before).max() < 1e-4
    assert np.abs(after - before).max() < 2e-4 * 600


@ALL_SEEDS
def test_it_stays_in_the_arena_and_walks_like_an_animal(seed: int) -> None:
    animal = Animal(1, seed, 20.0)
    posed = animal.pose(np.linspace(0, 20, 1200, endpoint=False))
    extent = np.sqrt((posed.frames**2).sum(axis=-1))
    assert np.abs(posed.centres[..., :2]).max() < 180
    assert (posed.centres[..., 2] - extent[..., 2]).min() > -1.5
    speed = np.linalg.norm(np.diff(posed.keypoints, axis=0), axis=-1) * 60
    assert speed[:, KEYPOINT_NAMES.index("mid_back")].max() < 300
    walked = posed.keypoints[:, KEYPOINT_NAMES.index("mid_back"), :2]
    assert np.ptp(walked, axis=0).min() > 100
    nose, tail = (posed.keypoints[:, KEYPOINT_NAMES.index(name)] for name in ("nose", "tail_base"))
    length = np.linalg.norm(nose - tail, axis=-1)
    assert 72 < np.median(length) < 88
    assert length.min() > 55
    assert np.ptp(posed.keypoints[:, 0, 2]) > 6  # the head goes up and down


def test_left_is_left() -> None:
    posed = Animal(1, 3, 20.0).pose(np.linspace(0, 20, 100))
    points = dict(zip(KEYPOINT_NAMES, posed.keypoints.transpose(1, 0, 2), strict=True))
    forward = points["neck"] - points["mid_back"]
    for left, right in SYMMETRIC_PAIRS:
        across = points[left] - points[right]
        assert np.all(forward[:, 0] * across[:, 1] - forward[:, 1] * across[:, 0] > 0)


def test_the_resting_body_is_its_own_mirror_image() -> None:
    centres, frames = Animal(1, 3, 20.0).rest
    mirror = np.array([1.0, -1.0, 1.0])
    for index, name in enumerate(PART_NAMES):
        other = PART_NAMES.index(name.replace("left", "R").replace("right", "left").replace("R", "right"))
        assert centres[other] == pytest.approx(centres[index] * mirror)
        # Ellipsoids are alike if frame @ frame^T is.
        shape, mirrored = frames[other] @ frames[other].T, frames[index] @ frames[index].T
        assert shape == pytest.approx(mirrored * np.outer(mirror, mirror), abs=1e-9)


def test_seeds() -> None:
    times = np.linspace(0, 20, 7)
    same, again = Animal(1, 3, 20.0).pose(times), Animal(1, 3, 20.0).pose(times)
    assert np.array_equal(same.frames, again.frames)
    assert np.array_equal(same.keypoints, again.keypoints)
    assert np.abs(Animal(1, 4, 20.0).pose(times).keypoints - same.keypoints).max() > 10
    assert np.abs(Animal(2, 3, 20.0).rest[1] - Animal(1, 3, 20.0).rest[1]).max() > 0.05


def test_names() -> None:
    assert len(KEYPOINT_NAMES) >= 8
    assert set(sum(SKELETON, ())) == set(KEYPOINT_NAMES)
    seen_on, tolerance_mm = keypoint_parts()
    assert seen_on.shape == (len(KEYPOINT_NAMES), len(PART_NAMES))
    assert seen_on.any(axis=1).all()
    assert tolerance_mm.max() < 10

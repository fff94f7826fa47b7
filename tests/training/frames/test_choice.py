"""Choosing frames: distinct, in range, the same for the same seed, and spread as promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.frames.choice import different, moving, thinned, uniform

sizes = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))
seeds = st.integers(0, 2**32 - 1)


def assert_is_a_choice(places: np.ndarray, candidates: int, count: int) -> None:
    assert places.dtype == np.int64
    assert len(places) == count
    assert (np.diff(places) > 0).all()
    assert places[0] >= 0
    assert places[-1] < candidates


@given(sizes, seeds)
def test_uniform_takes_one_frame_of_every_stretch(size, seed):
    candidates, count = size
    places = uniform(candidates, count, seed)
    assert_is_a_choice(places, candidates, count)
    np.testing.assert_array_equal(places, uniform(candidates, count, seed))
    edges = np.arange(count + 1) * candidates // count
    assert ((places >= edges[:-1]) & (places < edges[1:])).all()


def test_uniform_gives_every_frame_the_same_chance():
    drawn = np.bincount(np.concatenate([uniform(20, 5, seed) for seed in range(4000)]), minlength=20)
    assert abs(drawn / 4000 - 0.25).max() < 0.04


@given(sizes, seeds, st.integers(0, 2**32 - 1), st.booleans())
@settings(deadline=None)
def test_kmeans_chooses_of_any_pictures(size, seed, picture_seed, alike):
    candidates, count = size
    shape = (candidates, 3, 4)
    pictures = np.random.default_rng(picture_seed).integers(0, 2 if alike else 256, shape).astype(np.uint8)
    places = different(pictures, count, seed)
    assert_is_a_choice(places, candidates, count)
    np.testing.assert_array_equal(places, different(pictures, count, seed))


def test_kmeans_chooses_even_of_equal_pictures():
    assert_is_a_choice(different(np.full((9, 4, 4), 7, np.uint8), 5), 9, 5)


@pytest.mark.parametrize("seed", range(10))
def test_kmeans_finds_the_rare_kinds(seed):
    """Three of a hundred frames show something else: a random choice of four would miss them."""
    pictures = np.random.default_rng(seed).integers(90, 110, (100, 6, 8)).astype(np.uint8)
    for place, corner in ((17, np.s_[:3, :4]), (50, np.s_[3:, :4]), (81, np.s_[3:, 4:])):
        pictures[place][corner] = 250
    assert {17, 50, 81} < set(different(pictures, 4, seed).tolist())


@given(st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=60), st.data(), seeds)
def test_moving_chooses_of_any_changes(changes, data, seed):
    count = data.draw(st.integers(1, len(changes)))
    places = moving(changes, count, seed)
    assert_is_a_choice(places, len(changes), count)
    np.testing.assert_array_equal(places, moving(changes, count, seed))


def test_moving_frames_come_from_the_motion_and_spread_over_it():
    changes = np.full(1000, 1.0)
    changes[200:240] = 9.0
    changes[700:760] = 9.0
    places = moving(changes, 10, seed=3)
    assert set(places.tolist()) <= {*range(200, 240), *range(700, 760)}
    assert ((places < 500).sum(), (places > 500).sum()) == (4, 6)
    assert np.diff(places)[[0, 1, 2, 4, 5, 6, 7, 8]].max() <= 10


def test_a_flash_counts_once_and_still_frames_fill_up():
    changes = np.zeros(100)
    changes[40] = 1e9
    changes[60:80] = 1.0
    places = moving(changes, 6)
    assert 40 in places
    assert set(places.tolist()) <= {40, *range(60, 80)}
    more = moving(changes, 30)
    assert {40, *range(60, 80)} <= set(more.tolist())


@given(st.integers(0, 1000), st.integers(1, 100))
def test_thinned_places_are_even_and_few(candidates, at_most):
    places = thinned(candidates, at_most)
    assert len(places) <= at_most
    assert len(set(np.diff(places).tolist())) <= 1
    assert candidates == 0 or (places[0] == 0 and places[-1] < candidates)


@pytest.mark.parametrize("count", [0, 6, -1])
def test_more_than_there_is_cannot_be_chosen(count):
    for choose in (lambda: uniform(5, count), lambda: moving(np.ones(5), count),
                   lambda: different(np.zeros((5, 2, 2), np.uint8), count)):  # fmt: skip
        with pytest.raises(ValueError, match="of 5 candidates"):
            choose()

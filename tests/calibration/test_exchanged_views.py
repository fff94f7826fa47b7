"""Exchanged cameras, found by where they see one light."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.exchanged_views import judge_views
from tests.calibration.synthetic import ring


def places(rig, seed: int) -> dict[str, tuple[float, float]]:
    """Of a light somewhere in the volume, seen to about a pixel."""
    rng = np.random.default_rng(seed)
    pixels = rig.project(rng.uniform((60, 40, 10), (140, 120, 60))) + rng.normal(0, 1, (len(rig.cameras), 2))
    return {name: (float(x), float(y)) for name, (x, y) in zip(rig.names, pixels, strict=True)}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), cameras=st.integers(2, 6))
def test_views_under_their_own_names_meet(seed, cameras):
    assert judge_views(ring(cameras, seed=seed % 97), places(ring(cameras, seed=seed % 97), seed)) == []


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), cameras=st.integers(4, 6), data=st.data())
def test_exchanged_pair_is_named(seed, cameras, data):
    rig = ring(cameras, seed=seed % 97)
    seen = places(rig, seed)
    a, b = data.draw(st.lists(st.sampled_from(rig.names), min_size=2, max_size=2, unique=True).map(sorted))
    seen[a], seen[b] = seen[b], seen[a]
    (found,) = judge_views(rig, seen)
    assert found.level == "FAIL" and f"'{a}' and '{b}'" in found.whose


def test_three_exchanged_or_a_moved_camera_is_a_warning():
    rig = ring(5, seed=2)
    seen = places(rig, 7)
    seen["cam_0"], seen["cam_1"], seen["cam_2"] = seen["cam_1"], seen["cam_2"], seen["cam_0"]
    (found,) = judge_views(rig, seen)
    assert (found.level, found.whose) == ("WARN", "calibration")


@pytest.mark.parametrize("names", [[], ["cam_1"], ["top", "side"]])
def test_fewer_than_two_known_views_say_nothing(names):
    assert judge_views(ring(3), dict.fromkeys(names, (100.0, 100.0))) == []

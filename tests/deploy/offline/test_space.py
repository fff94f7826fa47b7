"""The box of 3D points: what is higher is drawn higher, whichever axis points up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.offline.drawing import Pen
from deploy.offline.space import BACKGROUND, Space, ticks

AXES = [sign * np.eye(3)[axis] for axis in range(3) for sign in (1, -1)]
CLOUD = np.random.default_rng(0).normal(0, (50, 80, 20), (40, 3, 3))


@pytest.mark.parametrize("up", AXES)
def test_upwards_is_upwards_and_nothing_is_mirrored(up):
    space = Space(CLOUD, 320, 240, up + 0.3)
    origin, higher = space.project(np.zeros(3)), space.project(10 * up)
    assert higher[1] < origin[1] and higher[0] == pytest.approx(origin[0])
    inside = space.project(CLOUD.reshape(-1, 3))
    assert (inside > -20).all() and (inside[:, 0] < 340).all() and (inside[:, 1] < 260).all()
    # a right-handed triple seen from within the first octant runs anticlockwise (in a picture: y down)
    a, b = (np.roll(up, n) * np.sign(up.sum()) for n in (1, 2))
    a, b = (a, b) if np.dot(np.cross(a, b), up) > 0 else (b, a)
    x, y = (space.project(10 * axis) - origin for axis in (a, b))
    toward_us = x[0] * -y[1] - -x[1] * y[0]
    assert toward_us > 0


def test_a_pose_its_bones_and_its_shadow_are_drawn_where_it_is():
    space = Space(CLOUD, 320, 240)
    pen = Pen(((255, 0, 0), (0, 255, 0), (0, 0, 255)), ((0, 1),), 4)
    points = np.array([[0, 0, 0], [40, 0, 30], [np.nan] * 3])
    picture = space.picture(pen, points, CLOUD[:0])
    for point, colour in zip(points[:2], pen.colours[:2], strict=True):
        x, y = np.rint(space.project(point)).astype(int)
        assert tuple(picture[y, x]) == colour
    below = space.project(np.array([40, 0, space.low[2]]))
    x, y = np.rint(below).astype(int)
    assert tuple(picture[y, x]) not in (BACKGROUND, pen.colours[1])
    assert not (picture == (0, 0, 255)).all(axis=2).any()
    again = space.picture(pen, points, CLOUD[:0])
    np.testing.assert_array_equal(picture, again)  # nothing of a pose stays behind


def test_trails_end_where_a_point_is_missing():
    space = Space(CLOUD, 320, 240)
    pen = Pen(((255, 0, 0),), (), 1)
    trail = np.linspace([-60.0, 0, 10], [60, 0, 10], 7)[:, None]

    def reds() -> int:
        picture = space.picture(pen, trail[-1], trail[:-1]).astype(int)
        return int((picture[..., 0] > picture[..., 1] + 60).sum())

    whole = reds()
    trail[3] = np.nan
    broken = reds()
    assert 0 < broken < 0.85 * whole


@pytest.mark.parametrize("points", [np.full((2, 1, 3), np.nan), np.zeros((0, 1, 3)), np.zeros((3, 1, 3))])
def test_hardly_any_points(points):
    assert Space(points, 100, 80).picture(Pen(((1, 2, 3),), (), 2), np.zeros((1, 3)), points[:0]).shape == (
        80,
        100,
        3,
    )


@given(st.floats(-1e5, 1e5), st.floats(1e-2, 1e5))
def test_ticks_are_few_round_and_inside(low, width):
    found = ticks(low, low + width)
    assert 2 <= len(found) <= 11
    assert min(found) >= low - 1e-6 * width and max(found) <= low + width * (1 + 1e-6)

"""Tilt, place and speed of a board whose pose is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.boards import BoardSettings
from calibration.detection import Corners
from calibration.live.seen import seen_view, speed_px_s
from tests.calibration.synthetic import turn

BOARD = BoardSettings(kind="checkerboard", inner_corners=(7, 5), square_mm=20)
SIZE = (640, 480)


def corners_of(tilt: float, direction: float, spin: float, depth_mm: float, focal_px: float) -> Corners:
    """The board on the optical axis of a pinhole, tilted."""
    points = BOARD.points_mm - BOARD.points_mm.mean(axis=0)
    rotation = turn([math.cos(direction), math.sin(direction), 0], tilt) @ turn([0, 0, 1], spin)
    x, y, z = rotation @ points.T + [[0], [0], [depth_mm]]
    px = np.stack([focal_px * x / z + 320, focal_px * y / z + 240], axis=1)
    return Corners(np.arange(len(points)), px, 0.4)


angle = st.floats(0, 2 * math.pi)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1.2), angle, angle, st.floats(300, 1500), st.floats(200, 2000))
def test_tilt_needs_no_focal_length(tilt, direction, spin, depth_mm, focal_px) -> None:
    seen = seen_view(1, corners_of(tilt, direction, spin, depth_mm, focal_px), BOARD, SIZE, 0.0)
    assert seen.tilt_deg == pytest.approx(math.degrees(tilt), abs=0.5)
    assert math.hypot(*seen.place[4:]) == pytest.approx(1 - math.cos(tilt), abs=3e-5)


@settings(max_examples=40, deadline=None)
@given(angle, st.floats(0.4, 1.0))
def test_noise_of_a_tenth_of_a_pixel_moves_the_place_little(direction, tilt) -> None:
    random = np.random.default_rng(0)
    corners = corners_of(tilt, direction, 0.3, 600, 600)
    noisy = Corners(corners.ids, corners.px + random.normal(0, 0.1, corners.px.shape), 0.4)
    places = [seen_view(0, each, BOARD, SIZE, 0.0).place for each in (corners, noisy)]
    assert np.linalg.norm(places[0] - places[1]) < 0.02


def test_no_plane_is_no_view() -> None:
    ids = np.arange(7)  # one row
    on_a_line = Corners(ids, np.column_stack([10.0 * ids, 5.0 * ids]), 0.4)
    assert seen_view(0, on_a_line, BOARD, SIZE, 0.0) is None


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 50), angle, st.floats(0.001, 1), st.booleans())
def test_speed_of_a_board_whichever_way_it_is_numbered(moved, direction, elapsed_s, turned) -> None:
    now = corners_of(0.4, 1.0, 0.3, 600, 600)
    shift = moved * np.array([math.cos(direction), math.sin(direction)])
    ids = BOARD.symmetries[-1][now.ids] if turned else now.ids
    order = np.argsort(ids)
    before = Corners(ids[order], (now.px - shift)[order], 0.4)
    assert len(BOARD.symmetries) == 2
    speed = speed_px_s(before, now, BOARD.symmetries, elapsed_s)
    assert speed <= moved / elapsed_s * (1 + 1e-6) + 1e-6
    if moved < 15:  # farther, and the turned reading may be the nearer one
        assert speed == pytest.approx(moved / elapsed_s, rel=1e-6, abs=1e-6)


def test_speed_is_unknown_where_nothing_is_in_both() -> None:
    now = corners_of(0.4, 1.0, 0.3, 600, 600)
    few = Corners(np.arange(2), now.px[:2], 0.4)
    assert speed_px_s(few, now, BOARD.symmetries, 0.1) == math.inf
    assert speed_px_s(now, now, BOARD.symmetries, 0.0) == math.inf

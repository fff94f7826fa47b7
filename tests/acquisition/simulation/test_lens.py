"""The simulated lens: both ways, and against OpenCV's statement of the same model."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.simulation.lens import Lens
from acquisition.simulation.viewpoints import camera_names, place_cameras


@st.composite
def lenses(draw: st.DrawFn) -> Lens:
    k1 = draw(st.floats(-0.3, -0.05))
    return Lens(
        draw(st.floats(500, 900)), draw(st.floats(500, 900)),
        draw(st.floats(300, 340)), draw(st.floats(220, 260)),
        k1, draw(st.floats(0.5, 0.8)) * k1 * k1,
        draw(st.floats(-5e-4, 5e-4)), draw(st.floats(-5e-4, 5e-4)), draw(st.floats(0, 2e-3)),
    )  # fmt: skip


@settings(deadline=None)
@given(lenses(), st.floats(-50, 690), st.floats(-50, 530))
def test_pixel_to_ray_and_back(lens: Lens, x: float, y: float) -> None:
    ray = lens.rays((x, y))
    assert lens.project(np.append(ray, 1.0) * 700.0) == pytest.approx([x, y], abs=1e-8)


@settings(deadline=None)
@given(lenses(), st.floats(-300, 300), st.floats(-300, 300), st.floats(400, 900))
def test_opencv_means_the_same_by_these_coefficients(lens: Lens, x: float, y: float, z: float) -> None:
    point = np.array([[x, y, z]])
    theirs, _ = cv2.projectPoints(point, np.zeros(3), np.zeros(3), lens.matrix, lens.distortion)
    assert lens.project(point[0]) == pytest.approx(theirs.ravel(), abs=1e-8)


def test_behind_the_camera_is_nowhere() -> None:
    lens = Lens(700, 700, 320, 240)
    assert np.isnan(lens.project([[0, 0, -1.0], [1, 1, 0]])).all()


@pytest.mark.parametrize("camera_seed", range(6))
def test_every_camera_sees_the_whole_arena_from_a_place_of_its_own(camera_seed: int) -> None:
    views = place_cameras(4, (640, 480), camera_seed)
    corners = np.array([[x, y, z] for x in (-200, 200) for y in (-200, 200) for z in (0, 25)], float)
    for view in views:
        pixels = view.project(corners)
        assert pixels.min() > 0
        assert np.all(pixels.max(axis=0) < (639, 479))
        assert np.linalg.det(view.rotation) == pytest.approx(1)
        assert view.position_mm[2] > 350
        # An 80 mm animal in the middle spans about a hundred pixels.
        ends = view.project(np.array([[-40, 0, 15], [40, 0, 15], [0, -40, 15], [0, 40, 15]], float))
        assert 80 < max(np.linalg.norm(ends[0] - ends[1]), np.linalg.norm(ends[2] - ends[3])) < 120
        # The radial map grows all over the image and beyond, so every pixel has one ray.
        radius = np.linspace(0, 1.5, 300)
        assert np.all(np.diff(view.lens.distort(np.stack([radius, 0 * radius], axis=-1))[:, 0]) > 0)
    assert len({view.lens for view in views}) == 4


def test_lamps_and_lenses_are_the_rigs_and_each_camera_has_its_own() -> None:
    one, same, other = (place_cameras(4, (640, 480), seed)[2] for seed in (5, 5, 6))
    assert one.lens == same.lens != other.lens
    assert np.array_equal(one.light, same.light)
    assert not np.array_equal(one.light, other.light)
    assert not np.array_equal(one.light, place_cameras(4, (640, 480), 5)[1].light)


def test_names_sort_in_rig_order() -> None:
    assert camera_names(4) == ["cam_0", "cam_1", "cam_2", "cam_3"]
    assert sorted(camera_names(12)) == camera_names(12)

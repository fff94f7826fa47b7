"""What is judged: the links that a rig hangs by."""

from dataclasses import replace

import numpy as np
import pytest

from calibration.boards import BoardSettings
from calibration.quality import camera_qualities
from calibration.solve import solve
from calibration.verdict import judge
from tests.calibration.synthetic import SQUARE_MM, board_poses, observe, ring, turn

BOARD = BoardSettings(kind="checkerboard", inner_corners=(9, 6), square_mm=SQUARE_MM)


@pytest.fixture(scope="module")
def held_by_one():
    """Two pairs of cameras, and one frame set that both see: in it the board moved between the pictures."""
    rig = ring(4, seed=3, arc=2.5)
    link = turn([1, 0, 0], 0.2) @ np.diag([1.0, -1, -1]), np.array([-100.0, 60, 0])
    late = turn([0, 1, 0], np.radians(5)) @ link[0], link[1] + [30.0, 0, 0]
    poses = board_poses(80, seed=1, tilt=0.7)

    def sees(camera, number):
        return camera in (1, 2) if number == 80 else (camera < 2) == (number < 40)

    still, moved = (observe(rig, [*poses, pose], 0.15, seed=2, sees=sees) for pose in (link, late))
    views = [
        other if view.camera == 2 and view.frame_set == 80 else view
        for view, other in zip(still.views, moved.views, strict=True)
    ]
    return solve(replace(still, views=tuple(views)), BOARD, lens="pinhole")


def of_links(solution, shared):
    found = judge(camera_qualities(solution), shared, None, False, SQUARE_MM)
    return [(finding.level, finding.whose) for finding in found if finding.whose != "recording"]


def test_the_weakest_link_between_groups_of_cameras_is_judged(held_by_one):
    shared = held_by_one.shared
    assert shared[1, 2] == 1 and min(shared[0, 1], shared[2, 3]) > 20
    assert of_links(held_by_one, shared) == [("FAIL", "cameras 'cam_1' and 'cam_2'")]


@pytest.mark.parametrize(("views", "expected"), [(2, "WARN"), (7, "WARN"), (8, None)])
def test_a_link_of_a_few_views_is_warned_of(held_by_one, views, expected):
    shared = held_by_one.shared.copy()
    shared[1, 2] = shared[2, 1] = views
    levels = [level for level, _ in of_links(held_by_one, shared)]
    assert levels == ([] if expected is None else [expected])


def test_cameras_that_a_third_joins_need_no_views_of_their_own(held_by_one):
    shared = held_by_one.shared.copy()
    shared[0, 2] = shared[2, 0] = 20
    assert of_links(held_by_one, shared) == []

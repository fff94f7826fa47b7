"""Frames of one instant, epipolar lines through the lens, reprojected points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig
from tests.calibration.synthetic import ring
from training.labelling.points import NOTHING, Point
from training.labelling.views import View, Views, camera_of, epipolar_line
from training.projects.origins import Origin

SIZE_PX = (640, 480)
KEYPOINTS = ("nose", "tail")


RIG = ring(4)
FOLDERS = {f"day1_cam_{n}": ["img0003.png", "img0010.png"] for n in range(4)}

where = st.tuples(*[st.floats(-120, 120)] * 2, st.floats(-60, 60))


def distance_to(line: np.ndarray, point: np.ndarray) -> float:
    a, b = line[:-1], line[1:]
    along = np.clip(((point - a) * (b - a)).sum(1) / ((b - a) ** 2).sum(1), 0, 1)
    return float(np.linalg.norm(a + along[:, None] * (b - a) - point, axis=1).min())


@given(where, st.sampled_from([(0, 1), (0, 3), (2, 1), (1, 2)]))
@settings(max_examples=60, deadline=None)
def test_an_epipolar_line_goes_through_the_point_through_both_lenses(place, pair):
    source, target = RIG.cameras[pair[0]], RIG.cameras[pair[1]]
    line = epipolar_line(source, source.project(np.array(place)), target)
    assert distance_to(line, target.project(np.array(place))) < 0.05


def test_the_lens_bends_the_line():
    barrel = replace(RIG.cameras[1], distortion=np.array([-0.3, 0.09, 0.0, 0.0, 0.0]))
    line = epipolar_line(RIG.cameras[0], np.array([60.0, 60.0]), barrel)
    chord = line[[0, -1]]
    assert max(distance_to(chord, point) for point in line) > 3


@given(where)
@settings(max_examples=40, deadline=None)
def test_two_other_views_put_the_point_where_it_is(place):
    views = Views(FOLDERS, {}, RIG)
    seen = RIG.project(np.array(place))
    others = [
        (View(f"day1_cam_{n}", "img0003.png", f"cam_{n}"), [Point(tuple(seen[n])), NOTHING]) for n in (0, 2)
    ]
    found = views.geometry(View("day1_cam_1", "img0003.png", "cam_1"), others, KEYPOINTS)
    assert set(found) == {"nose"}
    assert len(found["nose"]["lines"]) == 2
    point = found["nose"]["point"]
    assert np.hypot(point["x"] - seen[1][0], point["y"] - seen[1][1]) < 0.02
    assert (point["views"], point["error_px"]) == (2, 0.0)


def test_reprojected_and_unreviewed_points_say_nothing():
    views = Views(FOLDERS, {}, RIG)
    seen = RIG.project(np.zeros(3))
    others = [
        (View("day1_cam_0", "img0003.png", "cam_0"), [Point(tuple(seen[0]), Origin.REPROJECTED), NOTHING]),
        (View("day1_cam_2", "img0003.png", "cam_2"), [Point(tuple(seen[2]), Origin.UNREVIEWED), NOTHING]),
        (View("day1_cam_3", "img0003.png", "cam_3"), [Point(tuple(seen[3])), NOTHING]),
    ]
    found = views.geometry(View("day1_cam_1", "img0003.png", "cam_1"), others, KEYPOINTS)
    assert [line["folder"] for line in found["nose"]["lines"]] == ["day1_cam_3"]
    assert found["nose"]["point"] is None
    assert not found["nose"]["disagree"]


def test_views_that_contradict_each_other_are_told():
    views = Views(FOLDERS, {}, RIG)
    seen = RIG.project(np.zeros(3))
    others = [
        (View(f"day1_cam_{n}", "img0003.png", f"cam_{n}"), [Point(tuple(seen[n] + shift)), NOTHING])
        for n, shift in ((0, (0, 90)), (3, (0, -90)))
    ]
    found = views.geometry(View("day1_cam_1", "img0003.png", "cam_1"), others, KEYPOINTS)
    assert found["nose"]["point"] is None
    assert found["nose"]["disagree"]


def test_frames_with_one_number_of_one_recording_are_together():
    folders = {**FOLDERS, "day2_cam_0": ["img0003.png"], "other": ["img0003.png"], "day1_cam_3": ["img3.png"]}
    views = Views(folders, {}, RIG)
    assert [(view.folder, view.image) for view in views.together("day1_cam_1", "img0003.png")] == [
        ("day1_cam_0", "img0003.png"), ("day1_cam_1", "img0003.png"), ("day1_cam_2", "img0003.png"),
        ("day1_cam_3", "img3.png"),
    ]  # fmt: skip
    assert [view.folder for view in views.together("other", "img0003.png")] == ["other"]
    assert [view.folder for view in views.together("day1_cam_0", "img0010.png")] == [
        "day1_cam_0", "day1_cam_1", "day1_cam_2",
    ]  # fmt: skip


def test_without_a_calibration_the_project_says_what_belongs_together():
    views = Views(FOLDERS, {"day1_cam_0": "day1", "day1_cam_2": "day1"}, None)
    assert [view.folder for view in views.together("day1_cam_0", "img0010.png")] == [
        "day1_cam_0",
        "day1_cam_2",
    ]


@pytest.mark.parametrize(
    ("folder", "recording", "camera"),
    [
        ("top", None, "top"), ("day_top", "day", "top"),
        ("top-left_3", None, "top-left"), ("mouse_top", None, "top"),
        ("laptop", None, None), ("day_top_left", "day", "top_left"), ("cam_12", None, None),
    ],
)  # fmt: skip
def test_the_camera_that_a_folder_is_named_after(folder, recording, camera):
    assert camera_of(folder, recording, ("top", "top_left", "top-left", "cam_1")) == camera


def test_a_calibration_of_other_cameras_is_refused():
    rig = CalibratedRig(
        tuple(camera.looking_from(camera.rotation, camera.translation) for camera in RIG.cameras)
    )
    sizes = dict.fromkeys(FOLDERS, SIZE_PX)
    Views(FOLDERS, {}, rig).require_rig(Path("c.toml"), sizes)
    with pytest.raises(RigposeError, match="two folders of one recording"):
        Views({"left": ["img1.png"], "right": ["img1.png"]}, {}, rig).require_rig(
            Path("c.toml"), {"left": SIZE_PX}
        )
    with pytest.raises(RigposeError, match="64x48"):
        Views(FOLDERS, {}, rig).require_rig(Path("c.toml"), {**sizes, "day1_cam_2": (64, 48)})

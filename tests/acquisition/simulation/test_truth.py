"""The truth agrees with the pictures, and its log survives being cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import acquisition.simulation.studio as studio_module
from acquisition.errors import RigposeError
from acquisition.simulation import render
from acquisition.simulation.animal import KEYPOINT_NAMES, PART_NAMES
from acquisition.simulation.boards import CharucoSettings
from acquisition.simulation.scene import Scene, SceneSettings, write_scene
from acquisition.simulation.studio import Studio
from acquisition.simulation.timeline import Cause
from acquisition.simulation.truth import Truth, TruthLog
from tests.acquisition.simulation.drawing import centroid_of_black


def _truth(**settings: object) -> Truth:
    return Truth(Scene(SceneSettings(**{"seed": 3, **settings}), Path("unused")))


@pytest.mark.parametrize("part", ["left_ear", "right_ear"])
def test_ears_are_drawn_where_the_truth_says(part: str) -> None:
    truth = _truth()
    subject, keypoint = truth.scene.subject, KEYPOINT_NAMES.index(part)
    errors = []
    for camera in ("cam_0", "cam_2"):
        for index in range(0, 600, 60):
            posed = subject.pose(truth.scene.sample_times_s(index, camera, render.SAMPLES[:, 2]))
            at = PART_NAMES.index(part)
            drawn = centroid_of_black(truth.scene.view(camera), posed.centres[:, at], posed.frames[:, at])
            errors.append(drawn - truth.points_2d(camera, index)[keypoint])
    assert np.abs(np.mean(errors, axis=0)).max() < 0.03
    assert np.abs(errors).max() < 0.15


def test_visible_points_lie_on_the_animal_and_its_ends_on_its_outline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(studio_module, "_FUR_ALBEDO", 0.2)  # black, to be told from its shadow
    truth = _truth()
    for camera in ("cam_0", "cam_3"):
        studio = Studio(truth.scene, camera)
        for index in range(0, 600, 100):
            ((left, top, patch),) = studio.patches([index])
            ground = studio.background[top : top + patch.shape[0], left : left + patch.shape[1]]
            body = patch < 0.62 * ground  # fur is darker than any shadow
            points = truth.points_2d(camera, index) - (left, top)
            rows, columns = np.nonzero(body)
            reach = [np.hypot(columns - x, rows - y).min() for x, y in points]
            for name, distance, seen in zip(KEYPOINT_NAMES, reach, truth.visible(camera, index), strict=True):
                if seen:
                    assert distance < 2.0, (camera, index, name)


def test_the_side_that_is_turned_away_is_hidden() -> None:
    truth = _truth(seed=4)
    names = list(KEYPOINT_NAMES)
    seen = {"near": [], "far": []}
    for camera in ("cam_1", "cam_2"):
        eye = truth.scene.view(camera).position_mm
        for index in range(0, 600, 6):
            points = truth.points_3d(index, camera)
            visible = truth.visible(camera, index)
            across = points[names.index("left_hip")] - points[names.index("right_hip")]
            sight = eye - points[names.index("mid_back")]
            side = across[:2] @ sight[:2] / np.linalg.norm(across[:2]) / np.linalg.norm(sight[:2])
            if abs(side) > 0.85:
                near, far = ("left_hip", "right_hip") if side > 0 else ("right_hip", "left_hip")
                seen["near"].append(visible[names.index(near)])
                seen["far"].append(visible[names.index(far)])
    assert len(seen["near"]) > 40
    assert np.mean(seen["near"]) > 0.98
    assert np.mean(seen["far"]) < 0.3


def test_every_keypoint_is_seen_often_enough_to_learn_and_sometimes_hidden() -> None:
    truth = _truth()
    visible = np.array(
        [[truth.visible(view.name, index) for view in truth.scene.views] for index in range(0, 600, 12)]
    )
    assert visible.mean(axis=(0, 1)).min() > 0.4
    assert visible.mean() < 0.98
    # Two views of a point make it a point in space: nearly always.
    assert (visible.sum(axis=1) >= 2).mean() > 0.9


def test_points_follow_the_cameras_own_exposures() -> None:
    truth = _truth(exposures_us=(1000.0, 9000.0))
    own = truth.points_3d(100, "cam_1") - truth.points_3d(100, "cam_0")
    speed = (truth.points_3d(101, "cam_0") - truth.points_3d(100, "cam_0")) * 30
    assert own == pytest.approx(speed * 0.004, abs=0.12)
    assert truth.points_3d(700) == pytest.approx(truth.points_3d(100))  # the loop is 600 long
    cameras = truth.cameras
    assert list(cameras) == ["cam_0", "cam_1", "cam_2", "cam_3"]
    lens = cameras["cam_1"]
    point = lens["rotation"] @ truth.points_3d(100, "cam_1")[0] + lens["translation_mm"]
    pinhole = lens["matrix"] @ (point / point[2])
    assert np.linalg.norm(pinhole[:2] - truth.points_2d("cam_1", 100)[0]) < 60  # but for the distortion


def test_an_animal_is_no_board() -> None:
    with pytest.raises(RigposeError, match="looks at a board, found an animal"):
        _truth().board_points_2d("cam_0", 0)
    with pytest.raises(RigposeError, match="looks at an animal, found a board"):
        _truth(board=CharucoSettings()).points_3d(0)


def test_the_log_is_read_back_and_a_torn_record_is_left_out(tmp_path: Path) -> None:
    world = write_scene(tmp_path, kind="animal", seed=1, cameras=2).parent / "world"
    assert len(Truth.load(world).pulses_ns) == 0
    (world / "trigger.json").write_text('{"t0_ns": 5000, "period_ns": 100, "last": 6, "holder": 1}')
    log = TruthLog(world, "cam_1", 5000)
    log.add(0, 5010, Cause.DELIVERED)
    log.add(2, 5210, Cause.IGNORED)
    log.add(1, 5110, Cause.LOST)
    log.add(3, 5310, Cause.DELIVERED)
    log.close()
    path = next(world.glob("truth-*-cam_1.bin"))
    path.write_bytes(path.read_bytes()[:-1])
    truth = Truth.load(world)
    assert truth.pulses_ns.tolist() == [5000, 5100, 5200, 5300, 5400, 5500, 5600]
    assert truth.causes["cam_1"].tolist() == [Cause.DELIVERED, Cause.LOST, Cause.IGNORED, 0, 0, 0, 0]
    assert truth.middles_ns["cam_1"].tolist() == [5010, 5110, 5210, -1, -1, -1, -1]
    assert truth.causes["cam_0"].tolist() == [Cause.NONE] * 7


def test_a_folder_that_is_no_world_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RigposeError, match=r"scene\.json"):
        Truth.load(tmp_path)

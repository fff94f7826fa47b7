"""The judge must see an error that is there and none that is not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.frame import Absence
from acquisition.simulation.scene import write_scene
from acquisition.simulation.timeline import Cause
from acquisition.simulation.truth import Truth
from calibration.camera_model import CalibratedRig, CameraModel
from rigpose.demonstration import judge


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    write_scene(tmp_path, kind="animal", seed=5, frame_sets=30, cameras=3)
    return Truth.load(tmp_path / "world")


def calibrated(truth: Truth, rotation: np.ndarray, translation: np.ndarray) -> CalibratedRig:
    """The true rig, its world moved: X_theirs = rotation X_ours + translation."""
    cameras = []
    for name, true in truth.cameras.items():
        turned = true["rotation"] @ rotation
        shifted = true["rotation"] @ translation + true["translation_mm"]
        cameras.append(
            CameraModel(
                name,
                true["size_px"],
                true["matrix"],
                true["distortion"],
                cv2.Rodrigues(turned)[0][:, 0],
                shifted,
            )
        )
    return CalibratedRig(tuple(cameras))


def test_a_gross_error_is_counted_by_itself_and_a_bias_is_seen() -> None:
    random = np.random.default_rng(3)
    errors = random.normal((0.2, -0.1), 1.0, (4000, 2))
    errors[7] = (300.0, -100.0)
    figures = judge.summary_2d(errors)
    assert figures["bias_x_px"] == pytest.approx(0.2, abs=0.06)
    assert figures["bias_y_px"] == pytest.approx(-0.1, abs=0.06)
    assert figures["gross_share"] == pytest.approx(1 / 4000)
    assert figures["abs_bias_y_px"] == -figures["bias_y_px"]


def test_the_worlds_are_joined_by_the_cameras_alone(truth: Truth) -> None:
    rotation = cv2.Rodrigues(np.array([0.3, -1.1, 0.5]))[0]
    translation = np.array([120.0, -40.0, 900.0])
    world = judge.world_of_truth(calibrated(truth, rotation, translation), truth)
    ours = np.array([truth.points_3d(7)])
    moved = (ours - translation) @ rotation  # what a perfect rig would report in its own world
    assert judge.errors_3d([7], judge.in_truth_world(moved, world), truth).max() < 1e-6


def test_a_pose_of_the_next_set_is_an_error(truth: Truth) -> None:
    points = np.array([truth.points_3d(8), truth.points_3d(9)])
    assert judge.errors_3d([8, 9], points, truth).max() < 1e-9
    assert np.median(judge.errors_3d([7, 8], points, truth)) > 0.1


def test_points_that_were_not_given_lower_the_share_only(truth: Truth) -> None:
    errors = np.array([[1.0, 2.0, np.nan, 3.0]])
    seen = np.array([[True, True, True, False]])
    figures = judge.summary_3d(errors, seen)
    assert figures["median_mm"] == 2.0
    assert figures["points"] == 3
    assert figures["given_of_seen_share"] == pytest.approx(2 / 3)


def test_no_point_at_all_is_a_figure_that_holds_no_bound() -> None:
    figures = judge.summary_3d(np.full((3, 2), np.nan), np.ones((3, 2), bool))
    assert np.isnan([figures[name] for name in ("median_mm", "mean_mm", "p95_mm")]).all()
    assert (figures["points"], figures["given_of_seen_share"]) == (0, 0)


def test_losses_missed_invented_and_of_a_wrong_cause_are_told_apart(truth: Truth) -> None:
    fates = {
        "cam_0": [Cause.DELIVERED, Cause.LOST, Cause.DELIVERED, Cause.IGNORED],
        "cam_1": [Cause.DELIVERED] * 4,
        "cam_2": [Cause.LOST, Cause.DELIVERED, Cause.DELIVERED, Cause.LOST],
    }
    truth.causes = {name: np.array(causes, np.uint8) for name, causes in fates.items()}
    lost, ignored = Absence.LOST.value, Absence.IGNORED.value
    right = [(1, "cam_0", lost), (3, "cam_0", ignored), (0, "cam_2", lost), (3, "cam_2", lost)]
    assert _verdict(right, truth, 3) == (4, 0, 0, 0)
    assert _verdict(right[:3], truth, 3) == (4, 1, 0, 0)
    assert _verdict([*right, (2, "cam_1", lost)], truth, 3) == (4, 0, 1, 0)
    assert _verdict([(1, "cam_0", ignored), *right[1:]], truth, 3) == (4, 0, 0, 1)
    assert _verdict([(2, "cam_0", lost), *right[1:]], truth, 3) == (4, 1, 1, 0)  # shifted by one set
    assert _verdict(right, truth, 1) == (2, 0, 0, 0)  # later sets are not judged


def test_what_the_machine_lost_by_itself_is_counted_apart(truth: Truth) -> None:
    truth.causes = {"cam_0": np.array([Cause.DELIVERED, Cause.LOST, Cause.DELIVERED], np.uint8)}
    full, late = (0, "cam_0", Absence.RING_FULL.value), (1, "cam_0", Absence.LATE.value)
    assert _verdict([full, late], truth, 2) == (1, 0, 0, 0)
    assert judge.losses([full, late], truth, 2)["own"] == 2
    assert judge.losses([full], truth, 2) == {
        "injected": 1, "by_cause": {"lost": 1}, "missed": 1, "invented": 0, "own": 1, "wrong_cause": 0,
    }  # fmt: skip


def test_the_order_of_causes_within_one_gap_cannot_be_known(truth: Truth) -> None:
    lost, ignored = Absence.LOST.value, Absence.IGNORED.value
    fates = [Cause.DELIVERED, Cause.LOST, Cause.IGNORED, Cause.DELIVERED, Cause.LOST]
    truth.causes = {"cam_0": np.array(fates, np.uint8)}
    swapped = [(1, "cam_0", ignored), (2, "cam_0", lost), (4, "cam_0", lost)]
    assert _verdict(swapped, truth, 4) == (3, 0, 0, 0)
    across = [(1, "cam_0", lost), (2, "cam_0", lost), (4, "cam_0", ignored)]
    assert _verdict(across, truth, 4) == (3, 0, 0, 2)


def _verdict(reported: list[tuple[int, str, str]], truth: Truth, last: int) -> tuple[int, ...]:
    figures = judge.losses(reported, truth, last)
    return tuple(figures[name] for name in ("injected", "missed", "invented", "wrong_cause"))

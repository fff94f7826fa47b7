"""Boards: OpenCV finds their corners where the truth says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.settings import parse_settings
from acquisition.simulation.boards import (
    BoardSettings,
    CharucoSettings,
    CheckerboardSettings,
    WavedBoard,
    corners_mm,
    outline_mm,
    print_board,
)
from acquisition.simulation.film import Renderer
from acquisition.simulation.scene import Scene, SceneSettings
from acquisition.simulation.truth import Truth
from acquisition.simulation.viewpoints import place_cameras


def _errors(board: BoardSettings, detect, step: int, either_end: bool = False) -> np.ndarray:
    """Found minus true, px, over still frames of two cameras.

    `either_end`: the detector may count the corners from the other end.
    """
    scene = Scene(SceneSettings(seed=5, board=board, cameras=2, frame_sets=600), Path("unused"))
    renderer, truth = Renderer(scene), Truth(scene)
    errors = []
    for camera in range(2):
        for index in range(12, 600, step):  # 15 frames a pose, of which the second half is at rest
            name = scene.views[camera].name
            pixels = truth.board_points_2d(name, index)
            found = detect(renderer.image(camera, index))
            if found is None:
                continue
            ids, corners = found
            near = np.all((pixels > 8) & (pixels < (631, 471)), axis=1)[ids]
            assert truth.board_faces(name, index)
            if either_end and np.linalg.norm(corners[0] - pixels[0]) > 10:
                corners = corners[::-1]
            errors.append((corners - pixels[ids])[near])
    return np.concatenate(errors)


def test_charuco_corners_are_where_the_truth_says() -> None:
    board = CharucoSettings()
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    theirs = cv2.aruco.CharucoBoard(board.squares, board.square_mm, board.marker_mm, dictionary)
    assert corners_mm(board) == pytest.approx(theirs.getChessboardCorners())
    detector = cv2.aruco.CharucoDetector(theirs)

    def detect(image):
        corners, ids, _, _ = detector.detectBoard(image)
        return None if ids is None else (ids.ravel(), corners.reshape(-1, 2))

    errors = _errors(board, detect, 120)
    assert len(errors) > 100
    assert np.linalg.norm(np.median(np.abs(errors), axis=0)) < 0.1
    assert np.abs(errors.mean(axis=0)).max() < 0.03


@pytest.mark.long
def test_checkerboard_corners_are_where_the_truth_says() -> None:
    board = CheckerboardSettings()
    count = board.inner_corners[0] * board.inner_corners[1]

    def detect(image):
        found, corners = cv2.findChessboardCornersSB(image, board.inner_corners)
        if not found:
            return None
        return np.arange(count), corners.reshape(-1, 2)

    errors = _errors(board, detect, 60, either_end=True)
    assert len(errors) > 3 * count
    assert np.linalg.norm(errors, axis=1).mean() < 0.1
    assert np.abs(errors.mean(axis=0)).max() < 0.03


@pytest.mark.parametrize("board", [CharucoSettings(square_mm=25.3, marker_mm=17.9), CheckerboardSettings()])
def test_squares_are_whole_texels(board: BoardSettings) -> None:
    face = print_board(board)
    left, top, right, bottom = outline_mm(board)
    scale = face.shape[1] / (right - left)
    assert face.shape[0] / (bottom - top) == pytest.approx(scale)
    texels = (corners_mm(board)[:, :2] - (left, top)) * scale
    assert texels == pytest.approx(np.rint(texels), abs=1e-6)
    for x, y in np.rint(texels).astype(int):
        # Around an inner corner two opposite squares are dark and two light.
        a, b, c, d = face[y - 1, x - 1], face[y - 1, x], face[y, x - 1], face[y, x]
        assert a == d
        assert b == c
        assert abs(a - b) > 0.5


@pytest.mark.parametrize("seed", range(3))
def test_it_is_shown_to_all_and_returns_to_its_start(seed: int) -> None:
    views = place_cameras(4, (640, 480), 1)
    board = WavedBoard(CharucoSettings(), views, seed, 20.0)
    around = np.array([-1e-3, 0.0, 1e-3])
    assert board.pose(around + 20.0)[1] == pytest.approx(board.pose(around)[1], abs=1e-6)
    assert np.abs(np.diff(board.pose(around)[1], axis=0)).max() < 0.1
    times = np.arange(0, 20, 0.05)
    rotations, places = board.pose(times)
    assert rotations @ rotations.transpose(0, 2, 1) == pytest.approx(
        np.tile(np.eye(3), (400, 1, 1)), abs=1e-9
    )
    resting = np.abs(np.diff(places, axis=0)).max(axis=1) < 1e-9
    assert 0.3 < resting.mean() < 0.6
    still = times[:-1][resting]
    seen = np.zeros((len(views), len(still)), bool)
    rotations, places = board.pose(still)
    tilt = np.degrees(np.arccos(np.clip(-rotations[:, 2, 2], -1, 1)))
    assert tilt.max() < 45.1
    assert tilt.max() > 30
    corners = board.corners_mm @ rotations.transpose(0, 2, 1) + places[:, None]
    assert corners[..., 2].min() > 0
    for row, view in enumerate(views):
        pixels = view.project(corners)
        inside = np.all((pixels > 4) & (pixels < (635, 475)), axis=-1).sum(axis=1)
        facing = (rotations[:, :, 2] * (places - view.position_mm)).sum(axis=1) > 0
        seen[row] = (inside >= 6) & facing
    assert seen.mean(axis=1).min() > 0.4  # every camera sees it often
    assert (seen.sum(axis=0) >= 2).mean() > 0.8  # and mostly several do at once


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"kind": "charuco", "marker_mm": 30.0}, "marker_mm"),
        ({"kind": "charuco", "dictionary": "DICT_9X9"}, "dictionary"),
        ({"kind": "charuco", "squares": [2, 5]}, "squares"),
        ({"kind": "checkerboard", "inner_corners": [2, 5]}, "inner_corners"),
    ],
)
def test_impossible_boards_are_refused(content: dict[str, object], expected: str) -> None:
    model = CharucoSettings if content["kind"] == "charuco" else CheckerboardSettings
    with pytest.raises(RigposeError, match=expected):
        parse_settings(model, content, "board.yaml")

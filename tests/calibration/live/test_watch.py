"""The watch on drawn pictures: what counts, what does not, and which print it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from calibration.boards import BoardSettings, charuco_board
from calibration.live.watch import BoardWatch, Instant

BOARD = BoardSettings(
    kind="charuco", squares=(5, 4), square_mm=30, marker_mm=22, dictionary="DICT_4X4_50"
)  # fmt: skip
PRINT = charuco_board(BOARD, False).generateImage((200, 160))
OLD_PRINT = charuco_board(BOARD, True).generateImage((200, 160))
EXPOSURE_S, PERIOD_NS = 0.005, 20_000_000


def picture(x: float, y: float, scale: float = 0.8, face: np.ndarray = PRINT) -> np.ndarray:
    """The board with its corner at (x, y) px of 320 x 240."""
    place = np.array([[scale, 0, x], [0, scale, y]])
    paper = cv2.copyMakeBorder(face, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=255)
    return cv2.warpAffine(paper, place, (320, 240), flags=cv2.INTER_AREA, borderValue=90)


def instants(before: list[np.ndarray | None], now: list[np.ndarray | None], index: int = 1):
    return Instant(index - 1, 0, 0, tuple(before)), Instant(index, PERIOD_NS, 0, tuple(now))


def test_a_board_held_still_counts_once_and_elsewhere_again() -> None:
    watch = BoardWatch(BOARD, [EXPOSURE_S])
    for number, x in enumerate((20, 20, 20.3, 120, 120)):
        still = [picture(x, 30)]
        look = watch.look(*instants(still, still, number + 1))
        camera = look.cameras[0]
        assert camera.state == ("kept" if look.kept else "seen")
        assert look.kept == (number in (0, 3))
        assert len(camera.px) == 12 and camera.tilt_deg < 8
    assert (watch.coverage.views[0], watch.coverage.kept, watch.looks) == (2, 2, 5)


def test_the_same_look_in_colour() -> None:
    watch = BoardWatch(BOARD, [EXPOSURE_S])
    colour = [np.repeat(picture(20, 30)[:, :, None], 3, axis=2)]
    look = watch.look(*instants(colour, colour))
    assert look.kept and look.cameras[0].image.ndim == 2


@pytest.mark.parametrize(
    ("px", "exposure_s", "kept"),
    [
        (1.0, 0.005, True),  # 50 px/s: a quarter of a pixel while exposed
        (4.0, 0.005, False),
        (4.0, 0.001, True),
        (0.5, 0.0, True),
        (2.0, 0.0, False),  # an exposure that is not told may last half of the period
        (150.0, 0.005, False),  # came from elsewhere
    ],
)
def test_what_moves_too_far_during_the_exposure_is_shown_and_not_counted(px, exposure_s, kept) -> None:
    watch = BoardWatch(BOARD, [exposure_s])
    look = watch.look(*instants([picture(20 + px, 30)], [picture(20, 30)]))
    assert look.kept == kept and len(look.cameras[0].px) == 12
    assert look.cameras[0].state == ("kept" if kept else "moving")


def test_each_camera_for_itself() -> None:
    watch = BoardWatch(BOARD, [EXPOSURE_S] * 4)
    before = [picture(20, 30), picture(40, 60), None, np.full((240, 320), 90, np.uint8)]
    now = [picture(20, 30), picture(90, 60), picture(20, 30), np.full((240, 320), 90, np.uint8)]
    look = watch.look(*instants(before, now))
    assert [camera.state for camera in look.cameras] == ["kept", "moving", "moving", ""]
    assert watch.coverage.views.tolist() == [1, 0, 0, 0] and not watch.coverage.shared.any()
    missing = watch.look(*instants([None] * 4, [None] * 4, 2))
    assert missing.cameras == (None,) * 4 and not missing.kept


@pytest.mark.parametrize("face", [OLD_PRINT, 255 - PRINT, 255 - OLD_PRINT])
def test_the_print_is_recognised(face: np.ndarray) -> None:
    watch = BoardWatch(BOARD, [EXPOSURE_S])
    paper = 255 if face[0, 0] == 0 else 0
    canvas = np.full((240, 320), paper, np.uint8)
    canvas[40:200, 60:260] = face
    look = watch.look(*instants([canvas], [canvas]))
    assert look.kept and len(look.cameras[0].px) == 12


def test_another_board_is_named() -> None:
    other = BoardSettings(
        kind="charuco", squares=(5, 4), square_mm=30, marker_mm=22, dictionary="DICT_6X6_250"
    )  # fmt: skip
    watch = BoardWatch(other, [EXPOSURE_S])
    still = [picture(20, 30)]
    assert not watch.look(*instants(still, still)).kept and watch.hint == ""
    watch.looks = 11  # it takes long: it is asked after a dozen looks at nothing
    assert not watch.look(*instants(still, still)).kept
    assert "of DICT_4X4_1000" in watch.hint

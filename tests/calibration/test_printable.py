"""The printed board is the board that is looked for, in its true size."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.boards import BoardSettings
from calibration.detection import Detector
from calibration.printable import POINTS_PER_MM, Drawing, board_pdf, draw_board

CHARUCO = BoardSettings(
    kind="charuco", squares=(8, 11), square_mm=24.0, marker_mm=18.75, dictionary="DICT_4X4_1000"
)
ODD = BoardSettings(kind="charuco", squares=(5, 7), square_mm=30.0, marker_mm=20.0, dictionary="DICT_6X6_250")
CHECKERBOARD = BoardSettings(kind="checkerboard", inner_corners=(9, 6), square_mm=20.0)
PX_PER_MM = 4


def painted(drawing: Drawing, rim_mm: float = 15.0) -> np.ndarray:
    width, height = (round((side + 2 * rim_mm) * PX_PER_MM) for side in drawing.size_mm)
    image = np.full((height, width), 255, np.uint8)
    for x, y, w, h in drawing.black:
        left, top, right, bottom = (round((value + rim_mm) * PX_PER_MM) for value in (x, y, x + w, y + h))
        image[top:bottom, left:right] = 0
    return image


@pytest.mark.parametrize("board", [CHARUCO, ODD, CHECKERBOARD], ids=["even", "odd", "checkerboard"])
def test_every_corner_is_found_where_it_was_drawn(board: BoardSettings) -> None:
    found = Detector(board).find(painted(draw_board(board)))
    assert found is not None
    assert len(found.ids) == len(board.points_mm)
    expected = (board.points_mm[found.ids, :2] + board.square_mm + 15.0) * PX_PER_MM - 0.5
    if board.kind == "checkerboard":  # which end is the first is the image's to say
        expected = expected if np.abs(found.px - expected).max() < 9 else expected[::-1]
    np.testing.assert_allclose(found.px, expected, atol=0.3)


def test_the_page_holds_the_board_in_true_size() -> None:
    content, paper = board_pdf(CHARUCO)
    assert paper == "A3"  # 264 mm of squares with a rim do not fit on A4 with the ruler
    text = content.decode("ascii")
    scale = float(re.search(r"^([\d.]+) 0 0 -", text, re.M)[1])  # type: ignore[index]
    assert scale == pytest.approx(POINTS_PER_MM)
    sides = [tuple(map(float, line.split()[2:4])) for line in text.splitlines() if line.endswith(" re")]
    assert sides.count((24.0, 24.0)) == 44
    assert "100 mm long" in text


@pytest.mark.parametrize("board", [CHARUCO, CHECKERBOARD], ids=["charuco", "checkerboard"])
def test_a_pdf_reader_draws_it(board: BoardSettings, tmp_path: Path) -> None:
    if shutil.which("pdftoppm") is None:
        pytest.skip("no pdftoppm: apt-get install poppler-utils")
    (tmp_path / "board.pdf").write_bytes(board_pdf(board)[0])
    done = subprocess.run(
        ["pdftoppm", "-r", "101.6", "-gray", "-singlefile", tmp_path / "board.pdf", tmp_path / "board"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
    image = cv2.imread(str(tmp_path / "board.pgm"), cv2.IMREAD_GRAYSCALE)
    found = Detector(board).find(image)
    assert found is not None and len(found.ids) == len(board.points_mm)
    mm = found.px / PX_PER_MM  # 101.6 dpi: 4 px a mm
    columns = board.grid[0]
    across = np.linalg.norm(mm[columns - 1] - mm[0])
    assert across == pytest.approx((columns - 1) * board.square_mm, abs=0.1)


def test_paper_that_is_too_small_is_refused() -> None:
    with pytest.raises(RigposeError, match=r"A4: expected a page of .* mm or larger"):
        board_pdf(CHARUCO, "A4")
    with pytest.raises(RigposeError, match="one of A4"):
        board_pdf(CHARUCO, "letter")


def test_a_board_larger_than_any_paper_has_a_page_of_its_own() -> None:
    huge = BoardSettings(kind="checkerboard", inner_corners=(15, 10), square_mm=100.0)
    assert board_pdf(huge)[1].endswith("mm")

"""A board to print: a PDF in true size, and the drawing it is made of.

A PDF of rectangles needs no library: content in millimetres under one scaling matrix (PDF 32000-1, 8.3), and
one of the fonts every reader has. A ruler of 100 mm stands below the board, since printers love to fit to the
page.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from acquisition.errors import RigposeError
from calibration.boards import BoardSettings, charuco_board, dictionaries

POINTS_PER_MM = 72 / 25.4
# ISO 216, portrait.
PAPERS_MM = {"A4": (210, 297), "A3": (297, 420), "A2": (420, 594), "A1": (594, 841), "A0": (841, 1189)}
MARGIN_MM = 8.0
NOTE_MM = 16.0  # below the board, for the ruler and the line of text
RULER_MM = 100.0
# A white rim around the squares: detectors want to see where the board ends.
RIM_SQUARES = 0.5

Rectangle = tuple[float, float, float, float]
"""Left, top, width, height in mm, from the board's top left corner, y down."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A board as black rectangles on white.

    Attributes
    ----------
    size_mm:
        Width and height of the squares together.
    black:
        What is to be printed black.
    """

    size_mm: tuple[float, float]
    black: tuple[Rectangle, ...]


def draw_board(board: BoardSettings) -> Drawing:
    """The board in true size; a ChArUco board in the pattern of OpenCV 4.6 and later."""
    columns, rows = (n + 1 for n in board.grid)
    size = board.square_mm
    white: set[tuple[int, int]] = set()
    black: list[Rectangle] = []
    if board.kind == "charuco":
        assert board.marker_mm is not None and board.dictionary is not None
        drawn = charuco_board(board, legacy=False)
        dictionary = cv2.aruco.getPredefinedDictionary(dictionaries()[board.dictionary])
        for marker, corners in zip(np.ravel(drawn.getIds()), drawn.getObjPoints(), strict=True):
            left, top = (float(value) for value in np.asarray(corners)[0, :2])
            white.add((int(left // size), int(top // size)))
            black += _marker(dictionary, int(marker), board.marker_mm, left, top)
    else:
        white = {(c, r) for c in range(columns) for r in range(rows) if (c + r) % 2}
    for row in range(rows):
        for column in range(columns):
            if (column, row) not in white:
                black.append((column * size, row * size, size, size))
    return Drawing((columns * size, rows * size), tuple(black))


def board_pdf(board: BoardSettings, paper: str | None = None) -> tuple[bytes, str]:
    """A page with the board in its middle, and the name of its paper.

    Parameters
    ----------
    paper:
        One of `PAPERS_MM`, either way round; None: the smallest it fits on, or a page of its own size.

    Raises
    ------
    RigposeError
        If the board does not fit on `paper`.
    """
    drawing = draw_board(board)
    rim = RIM_SQUARES * board.square_mm
    need = (drawing.size_mm[0] + 2 * (rim + MARGIN_MM), drawing.size_mm[1] + 2 * (rim + MARGIN_MM) + NOTE_MM)
    name, (width, height) = _page(need, paper)
    left, top = (width - drawing.size_mm[0]) / 2, (height - NOTE_MM - drawing.size_mm[1]) / 2
    scale = POINTS_PER_MM
    content = [f"{scale:.8f} 0 0 {-scale:.8f} 0 {height * scale:.4f} cm", "0 g"]  # mm, y down
    content += [f"{left + x:.4f} {top + y:.4f} {w:.4f} {h:.4f} re" for x, y, w, h in drawing.black]
    content.append("f")
    base = height - MARGIN_MM - 6.0
    ruler = min(RULER_MM, 10.0 * int((width - 2 * MARGIN_MM) / 10))
    content.append(f"{MARGIN_MM:.3f} {base:.3f} {ruler:.3f} 0.3 re f")
    for end in (MARGIN_MM, MARGIN_MM + ruler - 0.3):
        content.append(f"{end:.3f} {base - 2:.3f} 0.3 4 re f")
    words = f"rigpose: {board}, squares {board.square_mm:g} mm"
    words += f", markers {board.marker_mm:g} mm" if board.marker_mm else ""
    words += f". Print at 100 %: the line above is {ruler:g} mm long."
    content.append(f"BT /F 3 Tf 1 0 0 -1 {MARGIN_MM:.3f} {base + 6:.3f} Tm ({_escaped(words)}) Tj ET")
    return _pdf("\n".join(content), width * scale, height * scale), name


def _marker(
    dictionary: cv2.aruco.Dictionary, marker: int, size_mm: float, left: float, top: float
) -> list[Rectangle]:
    """A marker's black cells, runs of them in a row as one rectangle."""
    cells = dictionary.markerSize + 2  # a black frame of one cell
    bits = cv2.aruco.generateImageMarker(dictionary, marker, cells)
    cell = size_mm / cells
    found: list[Rectangle] = []
    for row in range(cells):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], bits[row] == 0, [False]]).astype(np.int8)))
        for first, last in edges.reshape(-1, 2):
            found.append((left + first * cell, top + row * cell, float(last - first) * cell, cell))
    return found


def _page(need: tuple[float, float], paper: str | None) -> tuple[str, tuple[float, float]]:
    if paper is not None and paper not in PAPERS_MM:
        raise RigposeError(
            "--paper", expected=f"one of {', '.join(PAPERS_MM)}", found=paper, remedy="Choose another"
        )
    for name in (paper,) if paper is not None else PAPERS_MM:
        width, height = PAPERS_MM[name]
        for page in ((width, height), (height, width)):
            if need[0] <= page[0] and need[1] <= page[1]:
                return name, (float(page[0]), float(page[1]))
    if paper is not None:
        raise RigposeError(
            f"--paper {paper}", expected=f"a page of {need[0]:.0f} x {need[1]:.0f} mm or larger",
            found="a smaller one", remedy="Take larger paper, fewer squares, or smaller ones",
        )  # fmt: skip
    return f"{need[0]:.0f} x {need[1]:.0f} mm", need


def _escaped(words: str) -> str:
    return words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _pdf(content: str, width_pt: float, height_pt: float) -> bytes:
    """A file of one page (PDF 32000-1, 7.5)."""
    stream = content.encode("ascii")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width_pt:.4f} {height_pt:.4f}] /Contents 4 0 R "
        "/Resources << /Font << /F 5 0 R >> >> >>".encode("ascii"),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    made, places = bytearray(b"%PDF-1.4\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    made += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(made)

"""Finding a board's corners in an image.

Every corner is refined in a window that follows the distance to its nearest neighbour: a window
that reaches into the next square pulls the corner towards it (on 30 px squares half a pixel), and so
does one that reaches a ChArUco board's markers, whose corners lie on the diagonals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from calibration.boards import BoardSettings, charuco_board, dictionaries

WINDOW_SHARE = 0.3  # half-window, at most, of the refinement over the distance to the nearest corner
WINDOW_PX = (2, 15)
LEAST_CORNERS = 6  # fewer say little about pose and lens, and false markers give few
LARGEST_MOVE = 0.25  # of that distance: a corner that the refinement moves further was none
OPENCV_IS_RIGHT_PX = 0.7  # ChArUco corners come refined in a coarser window: a larger move is an error


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a person does not know about the print, and the images tell.

    Attributes
    ----------
    legacy:
        ChArUco: printed by an OpenCV before 4.6 (differs for an even number of squares down).
    inverted:
        ChArUco: black and white exchanged.
    """

    legacy: bool = False
    inverted: bool = False

    def __str__(self) -> str:
        return f"{'old' if self.legacy else 'new'} pattern{', inverted print' if self.inverted else ''}"


@dataclass(frozen=True, slots=True, eq=False)
class Corners:
    """Corners found in one image: ids int64 (n,), px float64 (n, 2), sharpness 1/px."""

    ids: npt.NDArray[np.int64]
    px: npt.NDArray[np.float64]
    sharpness: float


class Detector:
    """Finds one board. Safe to use from several threads."""

    def __init__(self, board: BoardSettings, pattern: Pattern | None = None) -> None:
        self._board = board
        self._pattern = pattern or Pattern()

    def find(self, image: Image, *, thorough: bool = False) -> Corners | None:
        """The board in a grey image (H, W) uint8; None if it is not there.

        `thorough` spends up to a second on an image in which a quick look finds nothing.
        """
        if self._board.kind == "charuco":
            found = _charuco(image, self._board, self._pattern)
        else:
            found = _checkerboard(image, self._board, thorough)
        if found is None or len(found[0]) < LEAST_CORNERS:
            return None
        ids, rough = found
        rows, columns = np.divmod(ids, self._board.grid[0])
        if len(set(rows)) < 2 or len(set(columns)) < 2:
            return None  # on one line: no plane
        spacing = _spacing(rough, rows, columns)
        px, good = _refine(image, rough, spacing, self._window_share())
        if self._board.kind == "charuco":
            strayed = np.linalg.norm(px - rough, axis=1) > OPENCV_IS_RIGHT_PX
            px, good = np.where(strayed[:, None], rough, px), np.ones(len(ids), dtype=bool)
        if good.sum() < LEAST_CORNERS:
            return None
        return Corners(ids[good], px[good], _sharpness(image, px[good], spacing[good]))

    def _window_share(self) -> float:
        if self._board.marker_mm is None:
            return WINDOW_SHARE
        margin = (1 - self._board.marker_mm / self._board.square_mm) / 2
        return min(WINDOW_SHARE, margin)


def patterns(board: BoardSettings) -> list[Pattern]:
    """The ways in which this board may have been printed."""
    if board.kind != "charuco":
        return [Pattern()]
    assert board.squares is not None
    legacy = (False, True) if board.squares[1] % 2 == 0 else (False,)  # of odd rows both are one
    return [Pattern(old, inverted) for inverted in (False, True) for old in legacy]


def recognise(board: BoardSettings, images: Sequence[Image], whose: object) -> Pattern:
    """The pattern that most corners of some images agree with.

    Raises
    ------
    RigposeError
        If no image shows the board; says what was seen instead.
    """
    options = patterns(board)
    counts = []
    for pattern in options:
        detector = Detector(board, pattern)
        found = [detector.find(image, thorough=True) for image in images]
        counts.append(sum(len(corners.ids) for corners in found if corners is not None))
    best = int(np.argmax(counts))
    if counts[best] == 0:
        raise RigposeError(
            whose, expected=str(board), found=_seen_instead(board, images),
            remedy="Mend the board file: count squares (ChArUco) or inner corners (checkerboard)",
        )  # fmt: skip
    return options[best]


def _charuco(
    image: Image, board: BoardSettings, pattern: Pattern
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None:
    detector = cv2.aruco.CharucoDetector(charuco_board(board, pattern.legacy))
    corners, ids, _, _ = detector.detectBoard(cv2.bitwise_not(image) if pattern.inverted else image)
    if ids is None or len(ids) == 0:
        return None
    number = ids.ravel().astype(np.int64)
    order = np.argsort(number)
    return number[order], corners.reshape(-1, 2).astype(np.float64)[order]


def _checkerboard(
    image: Image, board: BoardSettings, thorough: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None:
    flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE
    found, corners = cv2.findChessboardCorners(
        image, board.grid, flags=flags | (0 if thorough else cv2.CALIB_CB_FAST_CHECK)
    )
    if not found and thorough:
        found, corners = cv2.findChessboardCornersSB(image, board.grid, flags=cv2.CALIB_CB_EXHAUSTIVE)
    if not found:
        return None
    columns, rows = board.grid
    grid = corners.reshape(rows, columns, 2).astype(np.float64)
    return np.arange(rows * columns), _oriented(image, grid).reshape(-1, 2)


def _oriented(image: Image, grid: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The grid (rows, columns, 2) numbered from a dark square, right-handed: the same in every camera."""
    across, down = grid[:, 1:] - grid[:, :-1], grid[1:] - grid[:-1]
    turn = np.mean(across[:-1, :, 0] * down[:, :-1, 1] - across[:-1, :, 1] * down[:, :-1, 0])
    if turn < 0:
        grid = grid[:, ::-1]
    middles = (grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]) / 4
    sampled = cv2.remap(
        image, middles[..., 0].astype(np.float32), middles[..., 1].astype(np.float32), cv2.INTER_LINEAR
    ).astype(np.float64)
    parity = np.add.outer(np.arange(sampled.shape[0]), np.arange(sampled.shape[1])) % 2
    if sampled.size > 1 and sampled[parity == 0].mean() > sampled[parity == 1].mean():
        # a square board turns by a quarter; else by a half (no help where that keeps the colours)
        grid = np.rot90(grid) if grid.shape[0] == grid.shape[1] else grid[::-1, ::-1]
    return grid


def _spacing(
    px: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Distance of each corner to its nearest neighbour along a row or column, px."""
    steps = np.abs(rows[:, None] - rows) + np.abs(columns[:, None] - columns)
    distance = np.linalg.norm(px[:, None] - px, axis=-1) / np.maximum(steps, 1)
    distance[(steps == 0) | ((rows[:, None] != rows) & (columns[:, None] != columns))] = np.inf
    nearest: npt.NDArray[np.float64] = distance.min(axis=1)
    return np.where(np.isfinite(nearest), nearest, np.min(nearest))


def _refine(
    image: Image, rough: npt.NDArray[np.float64], spacing: npt.NDArray[np.float64], share: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Corners to a hundredth of a pixel, and which of them stayed where they were thought to be."""
    half = np.clip(np.round(share * spacing), *WINDOW_PX).astype(int)
    px = rough.copy()
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-4)
    for size in np.unique(half):
        chosen = half == size
        start = np.ascontiguousarray(rough[chosen, None], dtype=np.float32)
        window = (int(size), int(size))
        px[chosen] = cv2.cornerSubPix(image, start, window, (-1, -1), criteria)[:, 0]
    moved = np.linalg.norm(px - rough, axis=1)
    return px, moved <= np.maximum(LARGEST_MOVE * spacing, 1.0)


def _sharpness(image: Image, px: npt.NDArray[np.float64], spacing: npt.NDArray[np.float64]) -> float:
    """Median over corners of steepest slope over contrast: 1 / width of the edge in px."""
    half = int(np.clip(round(WINDOW_SHARE * float(np.median(spacing))), *WINDOW_PX))
    values = []
    for x, y in np.round(px).astype(int):
        patch = image[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1].astype(np.float32)
        if min(patch.shape) < 3:
            continue
        contrast = float(np.subtract(*np.percentile(patch, (95, 5))))
        slope = np.hypot(patch[1:-1, 2:] - patch[1:-1, :-2], patch[2:, 1:-1] - patch[:-2, 1:-1]) / 2
        values.append(float(np.percentile(slope, 90)) / max(contrast, 1.0))
    return float(np.median(values)) if values else 0.0


def _seen_instead(board: BoardSettings, images: Sequence[Image]) -> str:
    """What the images show in place of the board, for a person."""
    some = images[:: max(1, len(images) // 3)][:3]
    markers: dict[str, set[int]] = {}
    for name, number in dictionaries().items():
        if not name.endswith(("_1000", "_ORIGINAL", "_36H11")):
            continue  # the smaller ones of a family are beginnings of the largest
        detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(number))
        for image in some:
            for view in (image, cv2.bitwise_not(image)):
                ids = detector.detectMarkers(view)[1]
                markers.setdefault(name, set()).update([] if ids is None else ids.ravel().tolist())
    name = max(markers, key=lambda key: len(markers[key]))
    if len(markers[name]) >= 4:  # one or two are found in any picture
        first, last = min(markers[name]), max(markers[name])
        return f"markers {first} to {last} of {name}, not lying as on that board"
    sizes = [(columns, rows) for rows in range(3, 13) for columns in range(rows, 15)]
    sizes.sort(key=lambda size: (-size[0] * size[1], size))  # a large board holds the small ones
    for image in some:
        for size in sizes:
            if size in (board.grid, board.grid[::-1]) and board.kind == "checkerboard":
                continue
            if cv2.findChessboardCorners(image, size, flags=cv2.CALIB_CB_FAST_CHECK)[0]:
                return f"a checkerboard of {size[0]} x {size[1]} inner corners"
    return f"no board in {len(images)} images"

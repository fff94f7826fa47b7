"""Calibration boards: their print, their corners, and how they are waved through the arena.

Board coordinates are OpenCV's: origin at the outer corner of the top-left square, x right, y down,
z = 0 on the print and growing away from who looks at its face; millimetres.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from acquisition.settings import Settings
from acquisition.simulation.lens import Floats

_TEXELS_PER_MM = 4
_PAPER, _INK = 0.86, 0.07


class CharucoSettings(Settings):
    """A ChArUco board as in board.yaml."""

    kind: Literal["charuco"] = Field(
        "charuco", description="chessboard with ArUco markers in its light squares"
    )
    squares: tuple[int, int] = Field((7, 5), description="squares along x and y")
    square_mm: float = Field(32.0, gt=0, description="side of a square")
    marker_mm: float = Field(24.0, gt=0, description="side of a marker")
    dictionary: str = Field(
        "DICT_4X4_50", pattern=r"^DICT_\w+$", description="OpenCV's name of the dictionary"
    )

    @model_validator(mode="after")
    def _fits(self) -> CharucoSettings:
        if self.marker_mm >= self.square_mm:
            raise ValueError(
                f"marker_mm {self.marker_mm:g} must be smaller than square_mm {self.square_mm:g}"
            )
        if min(self.squares) < 3:
            raise ValueError(f"squares {self.squares} must be at least 3 each way")
        if not hasattr(cv2.aruco, self.dictionary):
            raise ValueError(f"dictionary '{self.dictionary}' is not one of OpenCV's")
        return self


class CheckerboardSettings(Settings):
    """A checkerboard as in board.yaml."""

    kind: Literal["checkerboard"] = Field("checkerboard", description="plain chessboard")
    inner_corners: tuple[int, int] = Field((8, 5), description="inner corners along x and y")
    square_mm: float = Field(24.0, gt=0, description="side of a square")

    @model_validator(mode="after")
    def _fits(self) -> CheckerboardSettings:
        if min(self.inner_corners) < 3:
            raise ValueError(f"inner_corners {self.inner_corners} must be at least 3 each way")
        return self


BoardSettings = CharucoSettings | CheckerboardSettings


def square_counts(board: BoardSettings) -> tuple[int, int]:
    """Squares along x and y."""
    if isinstance(board, CharucoSettings):
        return board.squares
    return board.inner_corners[0] + 1, board.inner_corners[1] + 1


def corners_mm(board: BoardSettings) -> Floats:
    """Inner corners in board coordinates, float64 (N, 3) mm, row by row: index = ChArUco id."""
    columns, rows = square_counts(board)
    x, y = np.meshgrid(np.arange(1, columns), np.arange(1, rows))
    flat = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=-1)
    return np.asarray(flat * board.square_mm, dtype=np.float64)


def outline_mm(board: BoardSettings) -> tuple[float, float, float, float]:
    """x and y of the paper's edges with its white margin: left, top, right, bottom, mm."""
    columns, rows = square_counts(board)
    margin = 0.6 * board.square_mm
    return -margin, -margin, columns * board.square_mm + margin, rows * board.square_mm + margin


def print_board(board: BoardSettings) -> npt.NDArray[np.float32]:
    """Reflectance of the printed face, (rows, columns) float32, four texels a millimetre.

    Texel (i, j) covers x from left + j/4 to left + (j+1)/4 mm, edges fall on texel borders.
    """
    columns, rows = square_counts(board)
    square = round(board.square_mm * _TEXELS_PER_MM)
    if isinstance(board, CharucoSettings):
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
        face = np.full((rows * square, columns * square), 255, np.uint8)
        side = round(board.marker_mm * _TEXELS_PER_MM)
        inset = (square - side) // 2
        marker = 0
        for row in range(rows):
            for column in range(columns):
                y, x = row * square, column * square
                if (row + column) % 2 == 0:
                    face[y : y + square, x : x + square] = 0
                    continue
                picture = cv2.aruco.generateImageMarker(dictionary, marker, side)
                face[y + inset : y + inset + side, x + inset : x + inset + side] = picture
                marker += 1
    else:
        parity = (np.arange(rows)[:, None] + np.arange(columns)) % 2
        face = np.kron(parity * 255, np.ones((square, square))).astype(np.uint8)
    left, top, right, bottom = outline_mm(board)
    margin = round(-left * _TEXELS_PER_MM)
    face = cv2.copyMakeBorder(face, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=(255.0,))
    return np.asarray(_INK + (_PAPER - _INK) * face / 255, dtype=np.float32)


class WavedBoard:
    """A board moved from pose to pose through the arena, at rest for half of the time.

    Parameters
    ----------
    board:
        Its dimensions.
    seed:
        Seed of the poses.
    loop_s:
        After this time it is back at its first pose.
    hold_s:
        Time from one pose to the next; it moves in the first half of it and rests in the second.
    """

    def __init__(self, board: BoardSettings, seed: int, loop_s: float, hold_s: float = 0.5) -> None:
        self.settings = board
        self.loop_s = loop_s
        self.corners_mm = corners_mm(board)
        count = max(2, round(loop_s / hold_s))
        self._hold_s = loop_s / count
        random = np.random.default_rng([seed, 21])
        left, top, right, bottom = outline_mm(board)
        self._middle = np.array([(left + right) / 2, (top + bottom) / 2, 0.0])
        half_diagonal = math.hypot(right - left, bottom - top) / 2
        # Poses fill the volume evenly: a random permutation of strata in each coordinate.
        strata = np.stack([random.permutation(count) for _ in range(5)]) + random.uniform(0, 1, (5, count))
        u = strata / count
        tilts = np.radians(45.0) * np.sqrt(u[0])
        directions, spins = 2 * np.pi * u[1], 2 * np.pi * random.uniform(0, 1, count)
        low = 40.0 + half_diagonal * np.sin(tilts)
        self._rotations = [_pose_rotation(*angles) for angles in zip(tilts, directions, spins, strict=True)]
        self._places = np.stack([300 * (u[2] - 0.5), 300 * (u[3] - 0.5), low + (210.0 - low) * u[4]], axis=-1)

    def pose(self, seconds: Floats) -> tuple[Floats, Floats]:
        """Board to world at times (T,): rotations (T, 3, 3) and the origin's place (T, 3) mm."""
        seconds = np.mod(np.asarray(seconds, dtype=np.float64), self.loop_s)
        rotations, places = [], []
        count = len(self._places)
        for moment in seconds / self._hold_s:
            here = min(int(moment), count - 1)
            there = (here + 1) % count
            share = min(1.0, max(0.0, 2.0 * (moment - here)))
            ease = share * share * share * (10 + share * (6 * share - 15))
            turn, _ = cv2.Rodrigues(self._rotations[here].T @ self._rotations[there])
            part, _ = cv2.Rodrigues(turn * ease)
            rotation = self._rotations[here] @ part
            place = self._places[here] + ease * (self._places[there] - self._places[here])
            rotations.append(rotation)
            places.append(place - rotation @ self._middle)
        return np.array(rotations), np.array(places)


def _pose_rotation(tilt: float, direction: float, spin: float) -> Floats:
    """Board to world: face up (the board's z points down), spun, then tilted towards a direction."""
    flip = np.diag([1.0, -1.0, -1.0])
    spun, _ = cv2.Rodrigues(np.array([0.0, 0.0, spin]))
    tilted, _ = cv2.Rodrigues(tilt * np.array([math.cos(direction), math.sin(direction), 0.0]))
    return np.asarray(tilted @ spun @ flip, dtype=np.float64)

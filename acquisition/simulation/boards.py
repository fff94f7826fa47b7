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
from acquisition.simulation.viewpoints import Viewpoint

_TEXELS_PER_MM = 3.0
_MARGIN_SQUARES = 0.6
_PAPER, _INK = 0.86, 0.07


class CharucoSettings(Settings):
    """A ChArUco board as in board.yaml."""

    kind: Literal["charuco"] = Field(
        "charuco", description="chessboard with ArUco markers in its light squares"
    )
    squares: tuple[int, int] = Field((7, 5), description="squares along x and y")
    square_mm: float = Field(28.0, gt=0, description="side of a square")
    marker_mm: float = Field(21.0, gt=0, description="side of a marker")
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
    square_mm: float = Field(22.0, gt=0, description="side of a square")

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
    margin = _MARGIN_SQUARES * board.square_mm
    return -margin, -margin, columns * board.square_mm + margin, rows * board.square_mm + margin


def print_board(board: BoardSettings) -> npt.NDArray[np.float32]:
    """Reflectance of the printed face with its margin, (rows, columns) float32.

    A square has a whole number of texels, so that its edges fall on borders of texels.
    """
    columns, rows = square_counts(board)
    square = 5 * max(4, round(board.square_mm * _TEXELS_PER_MM / 5))  # the margin is whole as well
    if isinstance(board, CharucoSettings):
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
        face = np.full((rows * square, columns * square), 255, np.uint8)
        inset = max(1, round(square * (1 - board.marker_mm / board.square_mm) / 2))
        side = square - 2 * inset
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
    margin = round(_MARGIN_SQUARES * square)
    framed = np.pad(face, margin, constant_values=255)
    return np.asarray(_INK + (_PAPER - _INK) * framed / 255.0, dtype=np.float32)


class WavedBoard:
    """A board shown to the cameras in turn, from pose to pose, at rest for half of the time.

    Each pose is made for one camera: the board's middle appears at a place of its image (the places
    fill it evenly), tilted at random and a little towards it; the other cameras see what they see.

    Parameters
    ----------
    board:
        Its dimensions.
    views:
        The cameras it is shown to.
    seed:
        Seed of the poses.
    loop_s:
        After this time it is back at its first pose.
    hold_s:
        Time from one pose to the next; it moves in the first half of it and rests in the second.
    """

    def __init__(
        self,
        board: BoardSettings,
        views: tuple[Viewpoint, ...],
        seed: int,
        loop_s: float,
        hold_s: float = 0.5,
    ) -> None:
        self.settings = board
        self.loop_s = loop_s
        self.corners_mm = corners_mm(board)
        left, top, right, bottom = outline_mm(board)
        self._middle = np.array([(left + right) / 2, (top + bottom) / 2, 0.0])
        self._half = np.array([(right - left) / 2, (bottom - top) / 2])
        count = max(2, round(loop_s / hold_s))
        self._hold_s = loop_s / count
        random = np.random.default_rng([seed, 21])
        shown = [self._show(random, views[index % len(views)], index // len(views)) for index in range(count)]
        # Walked from neighbour to neighbour, so that the moves are short.
        order = [shown.pop(0)]
        while shown:
            nearest = min(range(len(shown)), key=lambda at: np.linalg.norm(shown[at][1] - order[-1][1]))
            order.append(shown.pop(nearest))
        self._rotations = [rotation for rotation, _ in order]
        self._places = np.array([place for _, place in order])

    def _show(self, random: np.random.Generator, view: Viewpoint, turn: int) -> tuple[Floats, Floats]:
        """A rotation and a place of the board's middle for one camera."""
        # Additive recurrence with the plastic number: any few consecutive places spread over the image.
        share = np.mod(0.5 + (turn + random.uniform(0, 0.25)) * np.array([0.7548776662, 0.5698402910]), 1.0)
        pixel = (0.1 + 0.8 * share) * view.size_px
        ray = np.append(view.lens.rays(pixel), 1.0) @ view.rotation
        outward = view.position_mm[:2] / np.linalg.norm(view.position_mm[:2])
        for _ in range(100):
            tilt, direction = math.radians(45) * math.sqrt(random.uniform()), random.uniform(0, 2 * math.pi)
            lean = tilt * np.array([math.cos(direction), math.sin(direction)]) + 0.3 * outward
            tilt = min(math.radians(45), float(np.linalg.norm(lean)))
            rotation = _pose_rotation(tilt, math.atan2(lean[1], lean[0]), random.uniform(0, 2 * math.pi))
            # How far its lowest corner hangs below its middle.
            hang = float(np.abs(rotation[2, :2]) @ self._half)
            height = hang + random.uniform(15.0, 110.0)
            place = view.position_mm + ray * (height - view.position_mm[2]) / ray[2]
            if np.abs(place[:2]).max() < 170.0:
                return rotation, place
        return rotation, np.array([*np.clip(place[:2], -170.0, 170.0), height])

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
    """Board to world: face up (the board's z points down), spun, then its face tilted towards a direction."""
    flip = np.diag([1.0, -1.0, -1.0])
    spun, _ = cv2.Rodrigues(np.array([0.0, 0.0, spin]))
    tilted, _ = cv2.Rodrigues(tilt * np.array([-math.sin(direction), math.cos(direction), 0.0]))
    return np.asarray(tilted @ spun @ flip, dtype=np.float64)

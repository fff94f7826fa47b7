"""Boards: the settings of board.yaml, and where its corners are."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from acquisition.settings import Settings

Permutation = npt.NDArray[np.int64]


class BoardSettings(Settings):
    """A calibration board, as measured on the print."""

    kind: Literal["charuco", "checkerboard"] = Field(description="charuco or checkerboard")
    square_mm: float = Field(gt=0, description="side of a square, measured with a ruler over many squares")
    squares: tuple[int, int] | None = Field(None, description="charuco: squares across and down")
    marker_mm: float | None = Field(None, gt=0, description="charuco: side of a marker")
    dictionary: str | None = Field(None, description="charuco: ArUco dictionary, for instance DICT_4X4_50")
    inner_corners: tuple[int, int] | None = Field(
        None, description="checkerboard: corners between four squares, across and down"
    )

    @model_validator(mode="after")
    def _kind_has_its_keys(self) -> BoardSettings:
        mine = {
            "charuco": {"squares", "marker_mm", "dictionary"},
            "checkerboard": {"inner_corners"},
        }
        for kind, keys in mine.items():
            for key in sorted(keys):
                if (getattr(self, key) is not None) != (kind == self.kind):
                    need = "needs" if kind == self.kind else "has no"
                    raise ValueError(f"a {self.kind} {need} '{key}'")
        if self.kind == "charuco":
            assert self.marker_mm is not None and self.dictionary is not None
            if self.marker_mm >= self.square_mm:
                raise ValueError("marker_mm must be smaller than square_mm")
            if self.dictionary not in dictionaries():
                raise ValueError(f"dictionary must be one of {', '.join(dictionaries())}")
            assert self.squares is not None
            markers, there = self.squares[0] * self.squares[1] // 2, dictionary_size(self.dictionary)
            if markers > there:
                raise ValueError(
                    f"{markers} markers are needed, {self.dictionary} has {there}: take a larger one"
                )
        if min(self.grid) < 2:
            raise ValueError("a board needs at least 2 x 2 inner corners")
        return self

    @property
    def grid(self) -> tuple[int, int]:
        """Inner corners (columns, rows). Corner `row * columns + column` has that identity."""
        if self.squares is not None:
            return self.squares[0] - 1, self.squares[1] - 1
        assert self.inner_corners is not None
        return self.inner_corners

    @property
    def points_mm(self) -> npt.NDArray[np.float64]:
        """Inner corners (N, 3) on the board: x along the columns, y down the rows, z into it, z = 0."""
        columns, rows = self.grid
        y, x = np.mgrid[0:rows, 0:columns]
        return np.stack([x.ravel(), y.ravel(), np.zeros(rows * columns)], axis=1) * self.square_mm

    @property
    def symmetries(self) -> tuple[Permutation, ...]:
        """Renumberings of the corners after which the board looks as before, the unchanged one first.

        A view that numbers its corners by one of them cannot be told from the right one by itself:
        only from the other cameras. ChArUco boards, and checkerboards with an even by an odd number
        of inner corners, have none but the first (the colours of the squares tell).
        """
        columns, rows = self.grid
        number = np.arange(rows * columns).reshape(rows, columns)
        found = [number.ravel()]
        if self.kind == "checkerboard" and (columns - rows) % 2 == 0:
            found.append(np.rot90(number, 2).ravel())
            if columns == rows and columns % 2 == 0:
                found += [np.rot90(number, 1).ravel(), np.rot90(number, 3).ravel()]
        return tuple(found)

    def __str__(self) -> str:
        columns, rows = self.grid
        if self.kind == "checkerboard":
            return f"a checkerboard of {columns} x {rows} inner corners"
        return f"a ChArUco board of {columns + 1} x {rows + 1} squares, {self.dictionary}"


def dictionaries() -> dict[str, int]:
    """ArUco dictionaries OpenCV knows, by name."""
    return {
        name: getattr(cv2.aruco, name)
        for name in sorted(dir(cv2.aruco))
        if name.startswith("DICT_") and isinstance(getattr(cv2.aruco, name), int)
    }


def dictionary_size(name: str) -> int:
    """How many markers a dictionary has."""
    return len(cv2.aruco.getPredefinedDictionary(dictionaries()[name]).bytesList)


def charuco_board(settings: BoardSettings, legacy: bool) -> cv2.aruco.CharucoBoard:
    """OpenCV's board; `legacy` is the pattern from before OpenCV 4.6."""
    assert settings.squares is not None and settings.dictionary is not None
    assert settings.marker_mm is not None
    dictionary = cv2.aruco.getPredefinedDictionary(dictionaries()[settings.dictionary])
    board = cv2.aruco.CharucoBoard(settings.squares, settings.square_mm, settings.marker_mm, dictionary)
    board.setLegacyPattern(legacy)
    return board

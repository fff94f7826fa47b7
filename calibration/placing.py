"""A solved rig brought into the world that was asked for, and its covariance with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acquisition.errors import RigposeError
from calibration.anchor import Anchored, Places, anchor, places_of
from calibration.boards import BoardSettings
from calibration.bundle import DELAY, Array
from calibration.camera_model import CalibratedRig
from calibration.ground import Grounded, on_ground
from calibration.known_length import scale_by
from calibration.parameter_covariance import carried, stepped
from calibration.rotation import rotation_matrix
from calibration.solve import Solution, covariance_with_board
from calibration.world import on_board


@dataclass(frozen=True, slots=True)
class World:
    """What the world's frame and scale are taken from; with nothing said, the first camera and the board.

    Attributes
    ----------
    frame_set:
        The board as it lay in this frame set is the world: origin at its first corner, z up out of the board.
    ground:
        Points on the ground (`calibration.ground`), whose plane is z = 0.
    anchor:
        An older calibration of the rig, whose frame is kept; the scale is the new board's.
    length:
        A known length (`calibration.known_length`) that sets the scale.
    check_length:
        Another, that only tests it.
    """

    frame_set: int | None = None
    ground: Path | None = None
    anchor: Path | None = None
    length: Path | None = None
    check_length: Path | None = None

    def __post_init__(self) -> None:
        if self.frame_set is not None and self.ground is not None:
            raise RigposeError(
                "--ground", expected="one frame for the world", found="the board of a frame set besides",
                remedy="Leave out one of them",
            )  # fmt: skip
        if self.anchor is not None and (
            self.ground is not None or self.frame_set is not None or self.length is not None
        ):
            raise RigposeError(
                "--anchor", expected="the old calibration's frame alone, and the board's scale",
                found="a frame set, a ground or a length besides", remedy="Leave out one of them",
            )  # fmt: skip


AS_SOLVED = World()


def board_row(
    solution: Solution, frame_set: int, whose: object, names: Mapping[int, str] | None = None
) -> int:
    """Which of the solution's board poses a frame set shows; raises `RigposeError` if it shows none.

    `names`: what frame sets are called besides (`inputs.BoardInput.names`).
    """
    row = np.flatnonzero(solution.instants == frame_set)
    if not len(row):
        seen = solution.observations.frame_sets
        nearest = sorted(seen, key=lambda number: (abs(number - frame_set), number))[:5]
        listed = ", ".join(
            f"{number} ({names[number]})" if names else f"{number}" for number in sorted(nearest)
        )
        raise RigposeError(
            whose, expected=f"the board in frame set {frame_set}", found="no camera that sees it there",
            remedy=f"Give one that was searched, for instance {listed}",
        )  # fmt: skip
    return int(row[0])


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A rig in the world that was asked for.

    Attributes
    ----------
    scale, grounded, anchored:
        The factor by which a known length changed the board's scale; how the rig stands on the ground; how it
        lies on the old calibration. None where it was not asked for.
    """

    rig: CalibratedRig
    scale: float | None
    grounded: Grounded | None
    anchored: Anchored | None


def board_places(solution: Solution, board: BoardSettings) -> Places:
    """Where the board's corners were, in the solution's world."""
    poses = solution.adjusted.bundle
    corners = board.points_mm @ poses.board_rotations.swapaxes(-1, -2) + poses.board_translations[:, None]
    return places_of(solution.rig, corners.reshape(-1, 3))


def place(
    rig: CalibratedRig, world: World, old: CalibratedRig | None, places: Places,
    board: tuple[Array, Array] | None = None,
) -> Placed:  # fmt: skip
    """Bring a solved rig into `world`.

    `old` is the rig of its anchor, `places` are where the board was (`board_places`), `board` is the pose of
    its frame set's board.
    """
    rig = rig if board is None else on_board(rig, *board)
    rig, scale = (rig, None) if world.length is None else scale_by(rig, world.length)
    grounded = None if world.ground is None else on_ground(rig, world.ground)
    rig = rig if grounded is None else grounded.rig
    anchored = None if old is None else anchor(rig, old, places, world.anchor)
    return Placed(rig if anchored is None else anchored.rig, scale, grounded, anchored)


def placed_covariance(
    solution: Solution, board: BoardSettings, world: World, old: CalibratedRig | None, row: int | None
) -> Array:
    """Covariance (C, 18, C, 18) of the solved rig as `world` places it.

    `old` is the rig of its anchor, `row` its frame set's board pose in the solution (`board_row`).
    """
    cameras = len(solution.rig.cameras)
    size = cameras * DELAY
    if world == World(check_length=world.check_length):
        return solution.adjusted.covariance[:, :DELAY, :, :DELAY]

    places = board_places(solution, board)

    def placed(steps: Array) -> CalibratedRig:
        rig = stepped(solution.rig, steps[:size].reshape(cameras, DELAY))
        if row is None:
            return place(rig, world, old, places).rig
        rotation, translation = solution.board_pose(row)
        rotation = rotation_matrix(steps[size : size + 3]) @ rotation
        return place(rig, world, old, places, (rotation, translation + steps[size + 3 :])).rig

    if row is not None:
        return carried(placed, covariance_with_board(solution, board, row))
    return carried(placed, solution.adjusted.covariance[:, :DELAY, :, :DELAY].reshape(size, size))

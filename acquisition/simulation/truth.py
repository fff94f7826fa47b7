"""What really happened, beside the frames: pulses, losses, and where the animal or the board was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.simulation.animal import (
    KEYPOINT_NAMES,
    SKELETON,
    SYMMETRIC_PAIRS,
    Animal,
    Posed,
    keypoint_parts,
)
from acquisition.simulation.boards import WavedBoard
from acquisition.simulation.lens import Floats
from acquisition.simulation.scene import Scene
from acquisition.simulation.timeline import Cause
from acquisition.simulation.trigger import read_train

_RECORD = np.dtype([("pulse", "<i8"), ("t_middle_ns", "<i8"), ("cause", "<i8")])

# One pose costs as much as dozens at once, so they are worked out in blocks, the last of which are kept.
_BLOCK, _BLOCKS_KEPT = 128, 64


class TruthLog:
    """Appends the fate of each pulse of one camera in one run; a record is written whole or not at all."""

    def __init__(self, world: Path, camera: str, t0_ns: int) -> None:
        world.mkdir(parents=True, exist_ok=True)
        self._file = os.open(_log_path(world, camera, t0_ns), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add(self, pulse: int, t_middle_ns: int, cause: Cause) -> None:
        """One pulse: its number, the true middle of its exposure, what became of it."""
        os.write(self._file, np.array([(pulse, t_middle_ns, int(cause))], _RECORD).tobytes())

    def close(self) -> None:
        """No more records."""
        os.close(self._file)


class Truth:
    """The truth of a simulated rig. Indices are pulse numbers; the motion repeats after the loop.

    Attributes
    ----------
    scene:
        The scene it belongs to.
    t0_ns, period_ns:
        Of the pulse train; 0 without one.
    pulses_ns:
        int64 (N,): rig clock at each pulse.
    causes:
        Camera name to uint8 (N,), values of `timeline.Cause`.
    middles_ns:
        Camera name to int64 (N,): true middle of the exposure, -1 where the pulse was not logged.
    """

    keypoint_names: tuple[str, ...] = KEYPOINT_NAMES
    skeleton: tuple[tuple[str, str], ...] = SKELETON
    symmetric_pairs: tuple[tuple[str, str], ...] = SYMMETRIC_PAIRS

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.t0_ns = self.period_ns = 0
        self.pulses_ns: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.causes = {view.name: np.zeros(0, np.uint8) for view in scene.views}
        self._blocks: dict[tuple[int, str | None], Posed] = {}
        self.middles_ns = {view.name: np.zeros(0, np.int64) for view in scene.views}

    @classmethod
    def load(cls, world: Path, t0_ns: int | None = None) -> Truth:
        """The truth of the run that began at `t0_ns`, by default the last one; raises `RigposeError`.

        Without any run the pulses are empty and everything else is there.
        """
        world = Path(world)
        truth = cls(Scene.of_world(world))
        train = read_train(world)
        if train is None:
            return truth
        truth.t0_ns = train.t0_ns if t0_ns is None else t0_ns
        truth.period_ns = train.period_ns
        records = {
            view.name: _read_log(_log_path(world, view.name, truth.t0_ns)) for view in truth.scene.views
        }
        # Pulses go as far as announced, or as far as any camera has logged.
        count = max((int(log["pulse"].max()) + 1 for log in records.values() if len(log)), default=0)
        if train.last is not None and truth.t0_ns == train.t0_ns:
            count = max(count, train.last + 1)
        truth.pulses_ns = truth.t0_ns + np.arange(count, dtype=np.int64) * truth.period_ns
        for name, log in records.items():
            causes, middles = np.zeros(count, np.uint8), np.full(count, -1, np.int64)
            causes[log["pulse"]], middles[log["pulse"]] = log["cause"], log["t_middle_ns"]
            truth.causes[name], truth.middles_ns[name] = causes, middles
        return truth

    @property
    def cameras(self) -> dict[str, dict[str, Any]]:
        """The true lenses and places.

        Per camera: size_px (2,), matrix (3, 3), distortion (5,), rotation (3, 3) world to camera,
        translation_mm (3,).
        """
        return {
            view.name: {
                "size_px": view.size_px,
                "matrix": view.lens.matrix,
                "distortion": view.lens.distortion,
                "rotation": view.rotation,
                "translation_mm": view.translation_mm,
            }
            for view in self.scene.views
        }

    def points_3d(self, index: int, camera: str | None = None) -> Floats:
        """Keypoints at a set's middle (the median of the cameras', or one camera's own): (K, 3) mm, world."""
        return np.asarray(self._posed(index, camera)[2], dtype=np.float64)

    def points_2d(self, camera: str, index: int) -> Floats:
        """Keypoints in a camera's image, at the middle of its own exposure: (K, 2) px."""
        return self.scene.view(camera).project(self.points_3d(index, camera))

    def visible(self, camera: str, index: int) -> npt.NDArray[np.bool_]:
        """Which keypoints the camera sees: in the image, and no other part of the body before them; (K,)."""
        view = self.scene.view(camera)
        centres, frames, points = self._posed(index, camera)
        position = view.position_mm
        to_unit = np.linalg.inv(frames)
        origin = np.einsum("pij,pj->pi", to_unit, position - centres)
        direction = np.einsum("pij,kj->kpi", to_unit, points - position)
        a, b = (direction**2).sum(axis=-1), (direction * origin).sum(axis=-1)
        inside = b**2 - a * ((origin**2).sum(axis=-1) - 1.0)
        share = np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)
        first = share.argmin(axis=1)
        seen_on, tolerance_mm = keypoint_parts()
        rows = np.arange(len(points))
        distance = np.abs(share[rows, first] - 1.0) * np.linalg.norm(points - position, axis=1)
        free = share[rows, first] > 1.0
        pixels = view.project(points)
        within = np.all((pixels > -0.5) & (pixels < np.array(view.size_px) - 0.5), axis=1)
        return np.asarray(within & (free | (seen_on[rows, first] & (distance <= tolerance_mm))))

    def board_pose(self, index: int, camera: str | None = None) -> tuple[Floats, Floats]:
        """Board to world: rotation (3, 3) and translation (3,) mm."""
        rotations, places = self._board.pose(np.array([self.scene.middle_s(index, camera)]))
        return rotations[0], places[0]

    def board_points_3d(self, index: int, camera: str | None = None) -> Floats:
        """Inner corners of the board, row by row (ChArUco ids): (N, 3) mm, world."""
        rotation, place = self.board_pose(index, camera)
        return np.asarray(self._board.corners_mm @ rotation.T + place, dtype=np.float64)

    def board_points_2d(self, camera: str, index: int) -> Floats:
        """Inner corners in a camera's image, also where they lie outside of it: (N, 2) px."""
        return self.scene.view(camera).project(self.board_points_3d(index, camera))

    def board_faces(self, camera: str, index: int) -> bool:
        """Whether the camera sees the board's printed side."""
        rotation, place = self.board_pose(index, camera)
        return bool(rotation[:, 2] @ (place - self.scene.view(camera).position_mm) > 0)

    def _posed(self, index: int, camera: str | None) -> tuple[Floats, Floats, Floats]:
        """Centres and frames of the parts, and the keypoints, at one index."""
        block, at = divmod(index % self.scene.settings.frame_sets, _BLOCK)
        if (block, camera) not in self._blocks:
            if len(self._blocks) >= _BLOCKS_KEPT:
                self._blocks.clear()
            indices = range(block * _BLOCK, min((block + 1) * _BLOCK, self.scene.settings.frame_sets))
            times = np.array([self.scene.middle_s(each, camera) for each in indices])
            self._blocks[block, camera] = self._animal.pose(times)
        posed = self._blocks[block, camera]
        return posed.centres[at], posed.frames[at], posed.keypoints[at]

    @property
    def _animal(self) -> Animal:
        subject = self.scene.subject
        if isinstance(subject, Animal):
            return subject
        raise self._other("an animal", "a board")

    @property
    def _board(self) -> WavedBoard:
        subject = self.scene.subject
        if isinstance(subject, WavedBoard):
            return subject
        raise self._other("a board", "an animal")

    def _other(self, expected: str, found: str) -> RigposeError:
        return RigposeError(
            self.scene.world, expected=f"a simulated rig that looks at {expected}", found=found,
            remedy="Give the other recording",
        )  # fmt: skip


def _log_path(world: Path, camera: str, t0_ns: int) -> Path:
    return world / f"truth-{t0_ns}-{camera}.bin"


def _read_log(path: Path) -> npt.NDArray[Any]:
    try:
        content = path.read_bytes()
    except OSError:
        return np.zeros(0, _RECORD)
    whole = len(content) // _RECORD.itemsize * _RECORD.itemsize
    return np.frombuffer(content[:whole], _RECORD)

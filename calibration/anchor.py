"""Keeping a world from day to day: a new calibration moved onto an old one, by the cameras that stayed.

Points throughout the working volume are projected by the new rig and triangulated by the old one; a camera
that was bumped contradicts the others there and is left out (`calibration.triangulation`). The rigid motion
from the points to what the old rig makes of them carries the new world onto the old; it is found again from
the cameras alone that stayed. What a camera's image has shifted by says whether it moved: in px, since a lens
estimated anew trades its centre against the camera's rotation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig
from calibration.rotation import rotation_vector
from calibration.triangulation import TriangulationSettings, triangulate_exactly
from calibration.world import align

Array = npt.NDArray[np.float64]

GRID = 5  # points across the volume
REACH = 0.25  # half the volume's width, as a share of the cameras' mean distance
STAYED_PX = 1.5
# What two good calibrations of one rig differ by; a view beyond four times this contradicts the others.
NOISE = TriangulationSettings(noise_px=0.75)


@dataclass(frozen=True, slots=True)
class CameraChange:
    """One camera since the old calibration.

    Attributes
    ----------
    shift_px:
        Median over the working volume of how far a point's image has moved.
    moved_mm, turned_deg:
        Of the camera itself, both worlds laid onto each other.
    stayed:
        Whether the shift is what two calibrations of one camera differ by.
    """

    name: str
    shift_px: float
    moved_mm: float
    turned_deg: float
    stayed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Anchored:
    """A rig in an older one's world.

    Attributes
    ----------
    rms_mm:
        How well the working volume fits, by the cameras that stayed.
    """

    rig: CalibratedRig
    cameras: tuple[CameraChange, ...]
    rms_mm: float


def anchor(rig: CalibratedRig, old: CalibratedRig, whose: object = "--anchor") -> Anchored:
    """Move `rig` into the world of `old`, and say which cameras moved in between.

    Raises
    ------
    RigposeError
        If the rigs share fewer than two cameras, or no two of those stand to each other as they did.
    """
    names = common_cameras(rig.names, old, whose)
    found = _laid_on(rig, old, names, whose)
    stayed = tuple(change.name for change in found.cameras if change.stayed)
    return _laid_on(rig, old, stayed, whose) if 2 <= len(stayed) < len(names) else found


def common_cameras(cameras: Sequence[str], old: CalibratedRig, whose: object = "--anchor") -> tuple[str, ...]:
    """Those of `cameras` that the old rig has too; raises `RigposeError` if they are fewer than two."""
    names = tuple(name for name in cameras if name in old.names)
    if len(names) < 2:
        raise RigposeError(
            whose, expected=f"a calibration of two or more of {', '.join(cameras)}",
            found=f"one of {', '.join(old.names)}", remedy="Give an earlier calibration of this rig",
        )  # fmt: skip
    return names


def _laid_on(rig: CalibratedRig, old: CalibratedRig, names: Sequence[str], whose: object) -> Anchored:
    """`rig` in the world of `old`, by the cameras `names`; all that both have are looked at."""
    points = working_volume(rig)
    px = rig.subset(names).project(points)
    seen = np.concatenate([px, np.ones((*px.shape[:2], 1))], axis=-1)
    there = triangulate_exactly(old.subset(names), seen[None], NOISE)[0, :, :3]
    known = np.isfinite(there).all(axis=1)
    if known.mean() < 0.5:
        raise RigposeError(
            whose, expected="at least two cameras that stand to each other as they did",
            found="none: the rig was rebuilt, or its cameras were exchanged",
            remedy="Calibrate without --anchor, and begin a new world",
        )  # fmt: skip
    aligned = align(rig, points[known], there[known])
    world = points @ aligned.rotation.T + aligned.translation_mm
    changes = tuple(_change(aligned.rig, old, name, world) for name in rig.names if name in old.names)
    return Anchored(aligned.rig, changes, aligned.rms_mm)


def working_volume(rig: CalibratedRig) -> Array:
    """Points (N, 3) mm about the place that the cameras look at."""
    centres = np.stack([camera.centre_mm for camera in rig.cameras])
    forward = np.stack([camera.rotation_matrix[2] for camera in rig.cameras])
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]  # distance from each optical axis
    middle = np.linalg.lstsq(
        across.reshape(-1, 3), np.einsum("cij,cj->ci", across, centres).ravel(), rcond=None
    )[0]
    reach = REACH * float(np.linalg.norm(centres - middle, axis=1).mean())
    steps = np.linspace(-reach, reach, GRID)
    grid: Array = middle + np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    in_front = np.all([camera.to_camera(grid)[:, 2] > 0 for camera in rig.cameras], axis=0)
    return grid[in_front]


def _change(rig: CalibratedRig, old: CalibratedRig, name: str, points: Array) -> CameraChange:
    now, before = rig.camera(name), old.camera(name)
    shift_px = float(np.nanmedian(np.linalg.norm(before.project(points) - now.project(points), axis=-1)))
    turn = rotation_vector(now.rotation_matrix @ before.rotation_matrix.T)
    return CameraChange(
        name, shift_px, float(np.linalg.norm(now.centre_mm - before.centre_mm)),
        float(np.degrees(np.linalg.norm(turn))), shift_px <= STAYED_PX,
    )  # fmt: skip

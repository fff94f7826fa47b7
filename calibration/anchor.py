"""Keeping a world from day to day: a new calibration moved onto an old one, by the cameras that stayed.

Places where the board was are projected by the new rig and triangulated by the old one; a camera that was
bumped contradicts the others there and is left out (`calibration.triangulation`). The rigid motion
from the points to what the old rig makes of them carries the new world onto the old; it is found again from
the cameras alone that stayed. What a camera's image has shifted by says whether it moved: in px, since a lens
estimated anew trades its centre against the camera's rotation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.rotation import rotation_vector
from calibration.triangulation import TriangulationSettings, triangulate_exactly
from calibration.world import Alignment, align, scaled

Array = npt.NDArray[np.float64]

MOST_PLACES = 500
FOLD = 1e-6  # of the normalised image: a ray that comes back by more was bent beyond the lens's fold
STAYED_PX = 1.5
OTHER_SCALE, EXPLAINED = 0.003, 0.5  # a board's size as a share; what may be left of the places' distances
# What two good calibrations of one rig differ by; a view beyond four times this contradicts the others.
NOISE = TriangulationSettings(noise_px=0.75)


@dataclass(frozen=True, slots=True)
class CameraChange:
    """One camera since the old calibration.

    Attributes
    ----------
    shift_px:
        Median over the places in its image of how far such a place has moved there.
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
        How well the places fit, by the cameras that stayed.
    scale:
        Old lengths over new ones, where they differ and that explains most of `rms_mm`; else None. The rig
        keeps its own; that of three cameras and more is first brought to the old one's to see which moved.
    """

    rig: CalibratedRig
    cameras: tuple[CameraChange, ...]
    rms_mm: float
    scale: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where two worlds are compared.

    Attributes
    ----------
    points_mm:
        float64 (N, 3) in the new rig's world.
    seen:
        bool (C, N): which of its cameras have them in their images.
    """

    points_mm: Array
    seen: npt.NDArray[np.bool_]


def places_of(rig: CalibratedRig, points_mm: Array) -> Places:
    """Those of `points_mm` (N, 3) that two cameras or more have in their images, evenly 500 of more."""
    seen = np.stack([_in_image(camera, points_mm) for camera in rig.cameras])
    common = np.flatnonzero(seen.sum(axis=0) >= 2)
    if len(common) > MOST_PLACES:
        common = common[np.linspace(0, len(common) - 1, MOST_PLACES).astype(np.int64)]
    return Places(points_mm[common], seen[:, common])


def _in_image(camera: CameraModel, points_mm: Array) -> npt.NDArray[np.bool_]:
    local, px = camera.to_camera(points_mm), camera.project(points_mm)
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = np.all((px >= 0) & (px <= np.array(camera.size_px) - 1.0), axis=-1)
        back = np.abs(camera.undistort(px) - local[:, :2] / local[:, 2:]).max(axis=-1) <= FOLD
    found: npt.NDArray[np.bool_] = inside & back
    return found


def anchor(rig: CalibratedRig, old: CalibratedRig, places: Places, whose: object = "--anchor") -> Anchored:
    """Move `rig` into the world of `old`, and say which cameras moved in between.

    Parameters
    ----------
    places:
        Where the board was (`places_of`): about the cameras' lines of sight alone nothing is known, since
        those of cameras side by side meet nowhere near.

    Raises
    ------
    RigposeError
        If the rigs share fewer than two cameras, no two of those are seen to stand to each other as they did,
        or they share too few places.
    """
    names = common_cameras(rig.names, old, whose)
    found = _best(rig, old, places, names, whose)
    stayed = _stayed(found)
    return _laid_on(rig, old, places, stayed, whose) if 2 <= len(stayed) < len(names) else found


def _best(
    rig: CalibratedRig, old: CalibratedRig, places: Places, names: Sequence[str], whose: object
) -> Anchored:
    """Laid on by all of `names`; or, if more than one seems to have moved, by the two that find the fewest.

    In a row of cameras a bumped one has a part in most places, and spoils what all of them say together.
    """
    found: list[Anchored] = []
    fault: RigposeError | None = None
    try:
        found.append(_laid_on(rig, old, places, names, whose))
        if len(names) == 2 or len(_stayed(found[0])) >= max(2, len(names) - 1):
            return found[0]
    except RigposeError as error:
        fault = error
    for pair in combinations(names, 2):
        try:
            by_two = _laid_on(rig, old, places, pair, whose)
        except RigposeError:  # these two have moved, or share too few places
            continue
        if set(pair) <= set(_stayed(by_two)):
            found.append(by_two)
    if not found and fault is not None:
        raise fault
    return max(found, key=lambda each: len(_stayed(each)))


def _stayed(found: Anchored) -> tuple[str, ...]:
    return tuple(change.name for change in found.cameras if change.stayed)


def common_cameras(cameras: Sequence[str], old: CalibratedRig, whose: object = "--anchor") -> tuple[str, ...]:
    """Those of `cameras` that the old rig has too; raises `RigposeError` if they are fewer than two."""
    names = tuple(name for name in cameras if name in old.names)
    if len(names) < 2:
        raise RigposeError(
            whose, expected=f"a calibration of two or more of {', '.join(cameras)}",
            found=f"one of {', '.join(old.names)}", remedy="Give an earlier calibration of this rig",
        )  # fmt: skip
    return names


def _laid_on(
    rig: CalibratedRig, old: CalibratedRig, places: Places, names: Sequence[str], whose: object
) -> Anchored:
    """`rig` in the world of `old`, by the cameras `names`; all that both have are looked at."""
    seen = places.seen[[rig.names.index(name) for name in names]]
    shared = seen.sum(axis=0) >= 2
    if shared.sum() < 3:
        raise RigposeError(
            whose, expected=f"places where two of the cameras {', '.join(names)} saw the board",
            found="none" if not shared.any() else f"{shared.sum()}",
            remedy="Record again and hold the board where two of them see it, or begin a new world",
        )  # fmt: skip
    px = np.where(seen[..., None], rig.subset(names).project(places.points_mm), np.nan)
    views = np.concatenate([px, np.ones((*px.shape[:2], 1))], axis=-1)
    there = triangulate_exactly(old.subset(names), views[None], NOISE)[0, :, :3]
    known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(there).all(axis=1))
    if known.sum() < 3 or not known[shared].mean() >= 0.5:
        raise RigposeError(
            whose, expected="at least two cameras that stand to each other as they did",
            found="none: the rig was rebuilt, cameras were exchanged, or the one that links the others moved",
            remedy="Calibrate without --anchor, and begin a new world",
        )  # fmt: skip
    aligned = align(rig, places.points_mm[known], there[known])
    scale = _scale(places.points_mm[known], there[known], aligned)
    like, points = aligned, places.points_mm
    if scale is not None and len(names) > 2:  # of two, one that moved along their line is as good a reason
        points = points * scale
        like = align(scaled(rig, scale), points[known], there[known])
    world = points @ like.rotation.T + like.translation_mm
    changes = tuple(
        _change(camera, old.camera(camera.name), world[mine])
        for camera, mine in zip(like.rig.cameras, places.seen, strict=True)
        if camera.name in old.names
    )
    return Anchored(aligned.rig, changes, aligned.rms_mm, scale)


def _scale(new: Array, old: Array, aligned: Alignment) -> float | None:
    """The factor (Umeyama 1991) from new lengths to old ones, if it is none of noise; else None."""
    a, b = (new - new.mean(axis=0)) @ aligned.rotation.T, old - old.mean(axis=0)
    factor = float((a * b).sum() / (a * a).sum())
    left_mm = float(np.sqrt(np.mean(np.sum((factor * a - b) ** 2, axis=-1))))
    return factor if abs(factor - 1) > OTHER_SCALE and left_mm < EXPLAINED * aligned.rms_mm else None


def _change(now: CameraModel, before: CameraModel, points: Array) -> CameraChange:
    shift = np.linalg.norm(before.project(points) - now.project(points), axis=-1)
    # what lay behind it is a whole image away
    shift = np.where(np.isfinite(shift), shift, float(np.hypot(*now.size_px)))
    shift_px = float(np.median(shift)) if len(shift) else float(np.hypot(*now.size_px))
    turn = rotation_vector(now.rotation_matrix @ before.rotation_matrix.T)
    return CameraChange(
        now.name, shift_px, float(np.linalg.norm(now.centre_mm - before.centre_mm)),
        float(np.degrees(np.linalg.norm(turn))), shift_px <= STAYED_PX,
    )  # fmt: skip

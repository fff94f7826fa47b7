"""The ground as world: a plane through points that somebody marked, z up on the cameras' side.

# ground.yaml
points:                     # on the ground: px in each camera that sees one; three or more, not on a line
  - {top: [312.5, 200.1], side: [100.0, 220.5]}     # the origin
  - {top: [412.0, 201.7], side: [180.3, 230.9]}     # x goes towards it
  - {top: [320.2, 310.0], side: [95.4, 260.1]}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from acquisition.errors import RigposeError
from acquisition.settings import Settings, read_settings
from calibration.camera_model import CalibratedRig
from calibration.triangulation import triangulate_exactly
from calibration.world import moved

FLATTEST = 0.05  # second over first extent of the points: below it they are as good as on a line


class GroundPoints(Settings):
    """Points on the ground, and where the cameras see them."""

    points: list[dict[str, tuple[float, float]]] = Field(min_length=3, description="px by camera, each point")


@dataclass(frozen=True, slots=True, eq=False)
class Grounded:
    """A rig that stands on the ground.

    Attributes
    ----------
    rig:
        Origin at the first point, x towards the second along the ground, z up.
    rms_mm:
        Distance of the points from their plane; of three it is nothing.
    extent_mm:
        The largest distance between two of them.
    marks:
        How many they are.
    """

    rig: CalibratedRig
    rms_mm: float
    extent_mm: float
    marks: int


def read_ground(path: Path, cameras: Sequence[str]) -> GroundPoints:
    """The file, for a rig of these cameras; raises `RigposeError` if it is none or names another camera."""
    given = read_settings(GroundPoints, path)
    for number, point in enumerate(given.points, 1):
        if strangers := sorted(set(point) - set(cameras)):
            raise RigposeError(
                path, expected=f"cameras of {', '.join(cameras)}", found=strangers[0], remedy="Mend the name"
            )
        if len(point) < 2:
            raise RigposeError(
                path, expected="every point in two cameras or more", found=f"point {number} in {len(point)}",
                remedy="Mark it in another camera's picture as well, or leave it out",
            )  # fmt: skip
    return given


def on_ground(rig: CalibratedRig, path: Path) -> Grounded:
    """The rig in the world of the ground.

    Raises
    ------
    RigposeError
        As `read_ground`; if views of a point contradict each other, or the points lie on a line.
    """
    given = read_ground(path, rig.names)
    seen = np.full((1, len(rig.names), len(given.points), 3), np.nan)
    for number, point in enumerate(given.points):
        for name, px in point.items():
            seen[0, rig.names.index(name), number] = (*px, 1.0)
    found = triangulate_exactly(rig, seen)[0]
    points = found[:, :3]
    if not np.isfinite(points).all():
        wrong = int(np.flatnonzero(~np.isfinite(points).all(1))[0])
        raise RigposeError(
            path, expected="points that the cameras agree about",
            found=f"point {wrong + 1}, whose views are {found[wrong, 10]:.1f} px from each other",
            remedy="Mark it again, in pictures of the same instant",
        )  # fmt: skip
    _, extent, axes = np.linalg.svd(points - points.mean(axis=0))
    if extent[1] < FLATTEST * extent[0]:
        raise RigposeError(
            path, expected="points that span a plane", found="points on a line", remedy="Mark one beside it"
        )
    centres = np.stack([camera.centre_mm for camera in rig.cameras])
    up = axes[2] * (1 if (centres.mean(axis=0) - points.mean(axis=0)) @ axes[2] > 0 else -1)
    along = points[1] - points[0]
    along = along - (along @ up) * up
    if np.linalg.norm(along) < FLATTEST * extent[0]:
        raise RigposeError(
            path, expected="a second point away from the first", found="the same place twice",
            remedy="Put a point further away second",
        )  # fmt: skip
    x = along / np.linalg.norm(along)
    rotation = np.stack([x, np.cross(up, x), up])
    off = (points - points.mean(axis=0)) @ up
    origin = points[0] - off[0] * up
    widest = float(np.linalg.norm(points[:, None] - points, axis=-1).max())
    stood = moved(rig, rotation, -rotation @ origin)
    return Grounded(stood, float(np.sqrt(np.mean(off**2))), widest, len(points))

"""A length that somebody measured, seen by the cameras: the only test of scale that a bad print cannot pass.

# length.yaml
length_mm: 250.0
ends:                       # px in each camera that sees both: first end, second end
  top: [[312.5, 200.1], [400.2, 210.0]]
  side: [[100.0, 220.5], [180.3, 230.9]]
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
from calibration.world import scaled

Point = tuple[float, float]


class KnownLength(Settings):
    """A distance between two points, and where the cameras see them."""

    length_mm: float = Field(gt=0, description="measured with something else than the board")
    ends: dict[str, tuple[Point, Point]] = Field(
        min_length=2, description="by camera: px of the first end, px of the second"
    )


@dataclass(frozen=True, slots=True)
class MeasuredLength:
    """What the rig makes of a known length.

    Attributes
    ----------
    error:
        (measured - true) / true.
    reprojection_px:
        The worse of the two ends.
    """

    length_mm: float
    measured_mm: float
    error: float
    reprojection_px: float


def read_length(path: Path, cameras: Sequence[str]) -> KnownLength:
    """The file, for a rig of these cameras; raises `RigposeError` if it is none or names another camera."""
    given = read_settings(KnownLength, path)
    if strangers := sorted(set(given.ends) - set(cameras)):
        raise RigposeError(
            path, expected=f"cameras of {', '.join(cameras)}", found=strangers[0], remedy="Mend the name"
        )
    for name, (one, other) in given.ends.items():
        if tuple(one) == tuple(other):
            raise RigposeError(
                path, expected="two ends", found=f"one point twice in {name}", remedy="Mark them again"
            )
    return given


def measure_length(rig: CalibratedRig, path: Path) -> MeasuredLength:
    """Triangulate both ends and compare.

    Raises
    ------
    RigposeError
        As `read_length`; if the views contradict each other.
    """
    given = read_length(path, rig.names)
    seen = np.full((1, len(rig.names), 2, 3), np.nan)
    for number, name in enumerate(rig.names):
        if name in given.ends:
            seen[0, number, :, :2] = given.ends[name]
            seen[0, number, :, 2] = 1.0
    ends = triangulate_exactly(rig, seen)[0]
    if not np.isfinite(ends[:, :3]).all():
        raise RigposeError(
            path, expected="ends that the cameras agree about",
            found=f"views {np.nanmax(ends[:, 10]):.1f} px from each other" if np.isfinite(ends[:, 10]).any()
            else "fewer than two views of an end",
            remedy="Mark the ends again, in pictures of the same instant",
        )  # fmt: skip
    measured = float(np.linalg.norm(ends[0, :3] - ends[1, :3]))
    return MeasuredLength(given.length_mm, measured, measured / given.length_mm - 1, float(ends[:, 10].max()))


def scale_by(rig: CalibratedRig, path: Path) -> tuple[CalibratedRig, float]:
    """The rig enlarged so that a known length comes out right, and the factor."""
    measured = measure_length(rig, path)
    factor = measured.length_mm / measured.measured_mm
    return scaled(rig, factor), factor

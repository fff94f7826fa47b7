"""The unit of length of other programs' calibrations; ours is the millimetre everywhere.

Anipose's TOML has no word for it: Anipose means the unit that its board was given in, Pose2Sim metres.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig
from calibration.world import scaled

Unit = Literal["mm", "cm", "m"]
IN_MM: dict[str, float] = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
NEAR_MM = 20.0  # no two cameras have room nearer to each other; a rig in metres is smaller


def in_mm(rig: CalibratedRig, path: Path, stated: Any = None, given: Unit | None = None) -> CalibratedRig:
    """The rig as it was read from `path`, in mm.

    Parameters
    ----------
    stated:
        The unit that the file names, None where it names none.
    given:
        The unit that a person says.

    Raises
    ------
    RigposeError
        If the file names a unit that is not known or another than the given one; if neither is there, and
        the cameras stand so near to each other that it must be metres.
    """
    if stated is not None and (not isinstance(stated, str) or stated not in IN_MM):
        raise RigposeError(
            path, expected=f"units of {', '.join(IN_MM)}", found=f"{stated!r}",
            remedy="Write what its translations are in under [metadata], for instance units = \"m\"",
        )  # fmt: skip
    if given is not None and stated is not None and stated != given:
        raise RigposeError(
            f"--unit {given}", expected=f"the unit that {path} names", found=f"{stated} there",
            remedy="Leave it out, or mend the file",
        )  # fmt: skip
    unit = given or stated
    if unit is None:
        apart = _widest(rig)
        if 0 < apart < NEAR_MM:
            raise RigposeError(
                path, expected="lengths in mm",
                found=f"cameras {apart:.3g} mm from each other at most, and no unit: as if in metres",
                remedy=f"Convert it: rigpose convert-calibration {path} --unit m -o calibration.toml "
                "(or --unit mm, if they stand so)",
            )  # fmt: skip
        return rig
    return rig if unit == "mm" else scaled(rig, IN_MM[unit])


def _widest(rig: CalibratedRig) -> float:
    """The largest distance between two cameras."""
    centres = np.stack([camera.centre_mm for camera in rig.cameras])
    return float(np.linalg.norm(centres[:, None] - centres, axis=-1).max())

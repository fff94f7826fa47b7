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
NEAR_MM = 20.0  # no two cameras have room nearer to each other; a rig in metres is smaller, one in cm may be
# what files call them, in lower case
WORDS: dict[str, Unit] = {
    "mm": "mm", "millimeter": "mm", "millimeters": "mm", "millimetre": "mm", "millimetres": "mm",
    "cm": "cm", "centimeter": "cm", "centimeters": "cm", "centimetre": "cm", "centimetres": "cm",
    "m": "m", "meter": "m", "meters": "m", "metre": "m", "metres": "m",
}  # fmt: skip


def in_mm(rig: CalibratedRig, path: Path, stated: Any = None, given: Unit | None = None) -> CalibratedRig:
    """The rig as it was read from `path`, in mm.

    Parameters
    ----------
    stated:
        The unit that the file names, as a sign or a word in any case; None where it names none.
    given:
        The unit that a person says.

    Raises
    ------
    RigposeError
        If the file names a unit that is not known or another than the given one; if neither is there, and
        the cameras stand so near to each other that it cannot be mm.
    """
    named = WORDS.get(stated.strip().lower()) if isinstance(stated, str) else None
    if stated is not None and named is None:
        raise RigposeError(
            path, expected=f"units of {', '.join(IN_MM)}", found=f"{stated!r}",
            remedy="Write what its translations are in under [metadata], for instance units = \"mm\"",
        )  # fmt: skip
    if given is not None and named is not None and named != given:
        raise RigposeError(
            f"--unit {given}", expected=f"the unit that {path} names", found=f"{stated} there",
            remedy="Leave it out, or mend the file",
        )  # fmt: skip
    unit = given or named
    if unit is None:
        apart = _widest(rig)
        if 0 < apart < NEAR_MM:
            raise RigposeError(
                path, expected="lengths in mm",
                found=f"cameras {apart:.3g} mm from each other at most, and no unit: as if in m or cm",
                remedy=f"Convert it: rigpose convert-calibration {path} -o calibration.toml with "
                "--unit m or cm, whichever its board was given in (mm, if they stand so)",
            )  # fmt: skip
        return rig
    return rig if unit == "mm" else scaled(rig, IN_MM[unit])


def _widest(rig: CalibratedRig) -> float:
    """The largest distance between two cameras."""
    centres = np.stack([camera.centre_mm for camera in rig.cameras])
    return float(np.linalg.norm(centres[:, None] - centres, axis=-1).max())

"""Views under each other's names, found by where the cameras see one light.

The trigger's LED looks the same in every camera, so its code cannot tell two exchanged cameras; its place
can: through the calibration all views of one light meet in a point, unless somebody's view is another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from acquisition.findings import Finding
from calibration.camera_model import CalibratedRig
from calibration.triangulation import TriangulationSettings, triangulate_exactly

MEETS_PX = 5.0
"""Largest RMS reprojection error of a light a few pixels wide, in views under their own names."""

_ALL_VIEWS = TriangulationSettings(gate_sigmas=1e6)


def judge_views(rig: CalibratedRig, places_px: Mapping[str, tuple[float, float]]) -> list[Finding]:
    """Whether the places of one light in several cameras fit the calibration under the cameras' names.

    Parameters
    ----------
    rig:
        The calibration.
    places_px:
        Where each camera sees the light, x, y px; cameras that the calibration does not know are left out.

    Returns
    -------
    list
        Nothing where they meet, or fewer than two cameras see it; else what is wrong: a FAIL that names
        the pairs whose exchange would make them meet, or a WARN where none would.
    """
    names = [name for name in rig.names if name in places_px]
    if len(names) < 2:
        return []
    seen = rig.subset(names)
    places = np.array([places_px[name] for name in names], dtype=np.float64)
    error_px = _error_px(seen, places)
    if error_px <= MEETS_PX:
        return []
    pairs = []
    for a, b in combinations(range(len(names)), 2):
        exchanged = places.copy()
        exchanged[[a, b]] = places[[b, a]]
        if _error_px(seen, exchanged) <= MEETS_PX:
            pairs.append(f"'{names[a]}' and '{names[b]}'")
    found = f"the LED's places disagree with the calibration by {error_px:.0f} px"
    if pairs:
        return [
            Finding(
                "FAIL", f"cameras {' or '.join(pairs)}", f"exchanged: {found}, unless they change names",
                "Mend the addresses in the rig file, and write the serial numbers there",
            )
        ]  # fmt: skip
    return [
        Finding(
            "WARN", "calibration", found,
            "A camera was moved since, or more than two were exchanged: calibrate again, with --anchor",
        )
    ]  # fmt: skip


def _error_px(rig: CalibratedRig, places_px: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """RMS reprojection error of the one point that fits all views best; infinite where there is none."""
    keypoints = np.concatenate([places_px, np.ones((len(places_px), 1))], axis=1)
    error = float(triangulate_exactly(rig, keypoints[None, :, None], _ALL_VIEWS)[0, 0, -1])
    return error if np.isfinite(error) else np.inf

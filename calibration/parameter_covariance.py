"""How well a calibration's parameters are known, all cameras together, in the frame it is written in.

A world laid through marks or onto an older calibration depends on the cameras that see them: turned into that
world the covariance is carried through everything that places the rig there, by differences. What defines the
world (marks, the older calibration) counts as exact. The first camera, exact in its own frame, is no longer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from calibration.bundle import DELAY, LENS, Array
from calibration.camera_model import CalibratedRig
from calibration.formats.anipose import load_details
from calibration.lens import PARAMETERS
from calibration.rotation import rotation_matrix, rotation_vector
from calibration.single_camera import camera_of_lens

POSE = ("rx_rad", "ry_rad", "rz_rad", "tx_mm", "ty_mm", "tz_mm")
NAMES = (*PARAMETERS, *POSE)
STEP = 0.1  # of a parameter's standard deviation: far above rounding, far below what bends
NEGATIVE = -1e-6  # of a correlation matrix: an eigenvalue below is no rounding


def stepped(rig: CalibratedRig, steps: Array) -> CalibratedRig:
    """The rig with its parameters moved by (C, 18): lens, rotation (left, rad), translation (mm)."""
    cameras = []
    for camera, step in zip(rig.cameras, steps, strict=True):
        lens = camera.lens
        lens[:LENS] += step[:LENS]
        rotation = rotation_matrix(step[LENS : LENS + 3]) @ camera.rotation_matrix
        cameras.append(
            camera_of_lens(
                lens, camera.name, camera.size_px, rotation_vector(rotation),
                camera.translation + step[LENS + 3 :],
            )
        )  # fmt: skip
    return CalibratedRig(tuple(cameras))


def steps_between(rig: CalibratedRig, other: CalibratedRig) -> Array:
    """(C, 18): what `stepped` takes from `rig` to `other`."""
    turns = rotation_vector(other.rotations @ rig.rotations.swapaxes(-1, -2))
    return np.concatenate(
        [(other.lenses - rig.lenses)[:, :LENS], turns, other.translations - rig.translations], axis=1
    )


def carried(place: Callable[[Array], CalibratedRig], covariance: Array) -> Array:
    """The covariance (C, 18, C, 18) of a rig that is a function of parameters with this covariance (n, n).

    `place` takes steps (n,) of those parameters to the rig.
    """
    at = place(np.zeros(len(covariance)))
    jacobian = np.zeros((len(at.cameras) * DELAY, len(covariance)))
    sd = np.sqrt(np.maximum(np.diag(covariance), 0))
    for column in np.flatnonzero(sd):
        step = np.zeros(len(covariance))
        step[column] = STEP * sd[column]
        ahead, behind = (steps_between(at, place(sign * step)) for sign in (1.0, -1.0))
        jacobian[:, column] = (ahead - behind).ravel() / (2 * step[column])
    shape = (len(at.cameras), DELAY)
    found: Array = (jacobian @ covariance @ jacobian.T).reshape(*shape, *shape)
    return found


def covariance_details(cameras: Sequence[str], covariance: Array) -> dict[str, Any]:
    """What calibration.json holds of a covariance (C, 18, C, 18): the rows that vary, the lower triangle."""
    size = len(cameras) * DELAY
    matrix = covariance.reshape(size, size)
    rows = np.flatnonzero(np.diag(matrix) > 0)
    labels = [f"{camera}/{name}" for camera in cameras for name in NAMES]
    lower = matrix[np.ix_(rows, rows)][np.tril_indices(len(rows))]
    return {"rows": [labels[row] for row in rows], "lower_triangle": lower.tolist()}


def load_covariance(calibration: Path, cameras: Sequence[str]) -> Array | None:
    """The covariance (C, 18, C, 18) of these cameras of a calibration; None where it does not hold any.

    Raises
    ------
    RigposeError
        If what it holds is none.
    """
    given = (load_details(calibration) or {}).get("covariance")
    if given is None:
        return None
    try:
        return _matrix(given, cameras)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RigposeError(
            calibration, expected="the covariance of its parameters in the JSON beside it",
            found=f"a damaged one ({error})", remedy="Calibrate again",
        ) from None  # fmt: skip


def _matrix(given: Mapping[str, Any], cameras: Sequence[str]) -> Array:
    rows = [str(row).rpartition("/")[::2] for row in given["rows"]]
    lower = np.asarray(given["lower_triangle"], dtype=np.float64)
    if lower.shape != (len(rows) * (len(rows) + 1) // 2,) or not np.isfinite(lower).all():
        raise ValueError(f"{lower.size} numbers for {len(rows)} parameters")
    if len(set(rows)) != len(rows) or any(name not in NAMES for _, name in rows):
        raise ValueError("a parameter twice or unknown")
    matrix = np.zeros((len(rows), len(rows)))
    matrix[np.tril_indices(len(rows))] = lower
    matrix = matrix + np.tril(matrix, -1).T
    sd = np.sqrt(np.diag(matrix).clip(min=0))
    if not (sd > 0).all() or np.linalg.eigvalsh(matrix / sd[:, None] / sd).min(initial=0) < NEGATIVE:
        raise ValueError("a variance below 0")
    place = {
        (camera, name): c * DELAY + n for c, camera in enumerate(cameras) for n, name in enumerate(NAMES)
    }
    kept = [k for k, row in enumerate(rows) if row in place]
    target = [place[rows[k]] for k in kept]
    full = np.zeros((len(cameras) * DELAY, len(cameras) * DELAY))
    full[np.ix_(target, target)] = matrix[np.ix_(kept, kept)]
    return full.reshape(len(cameras), DELAY, len(cameras), DELAY)

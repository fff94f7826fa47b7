"""aniposelib's own smoothed triangulation of a whole recording (`triangulate_optim`), in our columns.

Karashchuk et al. 2021, "Anipose: a toolkit for robust markerless 3D pose estimation": one least-squares
problem over all frames, of reprojection errors, smoothness over time and limb lengths that stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig
from calibration.poses import POSE3D_COLUMNS
from calibration.triangulation import TriangulationSettings

LONGEST_GAP = 100  # frame sets: over longer ones nothing is smooth, and each costs memory
LEAST_POINTS = 20  # with fewer triangulate_optim leaves its start as it is


def optimised(
    calibration: Path,
    rig: CalibratedRig,
    index: npt.NDArray[np.int64],
    keypoints: npt.ArrayLike,
    settings: TriangulationSettings,
    limbs: Sequence[tuple[int, int]] = (),
) -> npt.NDArray[np.float32]:
    """Frame sets (T, C, K, 3), as `triangulate_many` takes them, to float32 (T, K, 11).

    aniposelib fills gaps in by its smoothness; where fewer than two cameras saw a point there is none here.
    It states no covariance: those columns are NaN.

    Parameters
    ----------
    calibration:
        The TOML file.
    rig:
        Its cameras that took part, in the keypoints' order.
    index:
        (T,) ascending: the numbers of the frame sets. It is smooth over those that are missing, too, up to
        a hundred at a time.
    limbs:
        Pairs of keypoints whose distance stays the same.

    Raises
    ------
    RigposeError
        If aniposelib is not installed, or there are too few points for it.
    """
    group: Any = _camera_group().load(str(calibration)).subset_cameras_names(list(rig.names))
    group.set_translations(rig.translations)  # the file may be in metres
    place = np.concatenate([[0], np.cumsum(np.minimum(np.diff(index), LONGEST_GAP))])
    given = np.full((int(place[-1]) + 1, *np.shape(keypoints)[1:]), np.nan)
    given[place] = keypoints
    usable = np.isfinite(given).all(-1) & (given[..., 2] >= settings.min_confidence)
    pixels = np.where(usable[..., None], given[..., :2], np.nan).transpose(1, 0, 2, 3)
    views = usable.sum(1)
    if (views >= 2).sum() < LEAST_POINTS:
        raise RigposeError(
            "--optim", expected=f"{LEAST_POINTS} points or more that two cameras see",
            found=f"{(views >= 2).sum()}", remedy="Leave it out, or give poses of a longer recording",
        )  # fmt: skip
    scores = np.where(usable, given[..., 2], 0.0).transpose(1, 0, 2)
    found = group.triangulate_optim(pixels, constraints=[list(limb) for limb in limbs], scores=scores)
    points: npt.NDArray[np.float32] = np.full((*views.shape, len(POSE3D_COLUMNS)), np.nan, np.float32)
    seen = views >= 2
    points[seen, :3] = found[seen]
    off = np.linalg.norm(rig.project(found.reshape(-1, 3)).reshape(pixels.shape) - pixels, axis=-1)
    squares = np.where(usable.transpose(1, 0, 2), off**2, 0.0).sum(0)
    points[..., 9] = views
    points[seen, 10] = np.sqrt(squares[seen] / views[seen])
    there: npt.NDArray[np.float32] = points[place]
    return there


def _camera_group() -> Any:
    try:
        from aniposelib.cameras import CameraGroup
    except ImportError as error:
        raise RigposeError(
            "--optim", expected="the package aniposelib", found=str(error),
            remedy="Install it in an environment of its own, since it brings a second OpenCV: "
            "pip install 'rigpose[anipose]'; or smooth with rigpose filter --kind kalman",
        ) from None  # fmt: skip
    return CameraGroup

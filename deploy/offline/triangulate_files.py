"""From pose files of several cameras to one file of 3D points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from calibration.anipose_optim import optimised
from calibration.camera_model import CalibratedRig
from calibration.covariance_check import KeypointCheck, check_covariance, fitted_noise
from calibration.formats.anipose import calibration_hash, load_calibration
from calibration.parameter_covariance import load_covariance
from calibration.triangulation import TriangulationSettings, triangulate_many
from calibration.triangulation_covariance import with_calibration
from deploy.offline.joined_poses import JoinedPoses, join
from deploy.offline.same_devices import require_devices_of
from deploy.offline.skeleton import load_skeleton
from deploy.poses_io.anipose_csv import save_anipose_csv
from deploy.poses_io.deeplabcut_3d import is_deeplabcut_3d, save_deeplabcut_3d

CHUNK = 2000  # frame sets at a time, for the bar


def triangulate_files(
    calibration: Path,
    poses: Sequence[Path],
    output: Path,
    settings: TriangulationSettings,
    *,
    fit_noise: bool = False,
    calibration_uncertainty: bool = False,
    optim: bool = False,
    skeleton: Path | None = None,
    assume_aligned: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Triangulate pose files into a CSV that Anipose's tools read, covariances included.

    An output named `..._DLC_3D.csv` or `.h5` is written as DeepLabCut writes its own: points only, in mm.

    `fit_noise`: each keypoint's noise from how the cameras agree about it (`calibration.covariance_check`).
    `calibration_uncertainty`: covariances hold it as well (`calibration.triangulation_covariance`).
    `optim`: aniposelib's smoothed solution in place of ours (`calibration.anipose_optim`), without
    covariances; of the `skeleton` (`load_skeleton`) the bones then keep their lengths.
    `assume_aligned`: as in `join`.
    Returns what was joined and found, JSON-able.

    Raises
    ------
    RigposeError
        If poses cannot be joined (`join`) or are of other devices than the calibration, the output is there
        or would write over an input, the calibration does not hold the uncertainty that is asked for, or an
        option does not go with `optim`.
    """
    _check_options(fit_noise, calibration_uncertainty, optim, skeleton)
    output = Path(output)
    if output.suffix.lower() != ".csv" and not is_deeplabcut_3d(output):
        raise RigposeError(
            output, expected="a name that ends in .csv, or in _DLC_3D.h5 for DeepLabCut",
            found=f"'{output.name}'", remedy="Say for instance -o poses3d.csv",
        )  # fmt: skip
    if output.resolve() in {Path(path).resolve() for path in (*poses, calibration)}:
        raise RigposeError(
            output,
            expected="an output that is no input",
            found="one of the inputs",
            remedy="Choose another -o",
        )
    if output.exists() and not overwrite:
        raise RigposeError(
            output, expected="an output that does not exist yet", found="a file",
            remedy="Give --overwrite to replace it, or another -o",
        )  # fmt: skip
    rig = load_calibration(calibration)
    joined = join(rig, poses, assume_aligned=assume_aligned)
    require_devices_of(calibration, joined.files)
    part = rig.subset(joined.cameras)
    checks: tuple[KeypointCheck, ...] = ()
    if optim:
        bones = () if skeleton is None else load_skeleton(skeleton, joined.keypoints)
        limbs = [(joined.keypoints.index(one), joined.keypoints.index(other)) for one, other in bones]
        points = optimised(calibration, part, joined.index, joined.values, settings, limbs)
    else:
        spread = _spread_of(calibration, joined.cameras, output) if calibration_uncertainty else None
        checks, settings = _checked(part, joined, settings, fit_noise)
        points = _triangulated(part, joined.values, settings, spread)
    used = joined.values[..., 2] >= settings.min_confidence
    counted = np.maximum(used.sum(1), 1)
    scores = np.where(used, joined.values[..., 2], 0).sum(1) / counted
    scores[~used.any(1)] = np.nan
    if is_deeplabcut_3d(output):
        save_deeplabcut_3d(output, joined.keypoints, points, joined.index)
    else:
        save_anipose_csv(output, joined.keypoints, points, joined.index, scores)
    solved = np.isfinite(points[..., 0])
    errors = points[..., 10][solved]
    return {
        "output": str(output),
        "calibration_sha256": calibration_hash(calibration),
        "files": {camera: str(path) for camera, path in joined.files.items()},
        "cameras": list(joined.cameras),
        "keypoints": list(joined.keypoints),
        "frame_sets": len(joined.index),
        "noise_px": dict(
            zip(
                joined.keypoints,
                np.broadcast_to(settings.noise_px, len(joined.keypoints)).tolist(),
                strict=True,
            )
        ),
        "covariance": {
            "stated": not optim,
            "calibration_uncertainty_included": calibration_uncertainty,
            "checked": [asdict(check) for check in checks],
        },
        "points": int(solved.sum()),
        "possible": int(solved.size),
        "views_mean": float(points[..., 9][solved].mean()) if solved.any() else 0.0,
        "reprojection_median_px": float(np.median(errors)) if solved.any() else None,
        "reprojection_p95_px": float(np.percentile(errors, 95)) if solved.any() else None,
    }


def _check_options(
    fit_noise: bool, calibration_uncertainty: bool, optim: bool, skeleton: Path | None
) -> None:
    """Refuse, with `RigposeError`, options that do not go together."""
    if skeleton is not None and not optim:
        raise RigposeError(
            "--skeleton", expected="--optim beside it", found="no --optim",
            remedy="Add it, or let rigpose filter --kind kalman --skeleton hold the bones",
        )  # fmt: skip
    odd = "--fit-noise" if fit_noise else "--calibration-uncertainty" if calibration_uncertainty else None
    if optim and odd is not None:
        raise RigposeError(
            odd, expected="covariances to be stated", found="--optim, which states none",
            remedy="Leave one of the two out",
        )  # fmt: skip


def _checked(
    rig: CalibratedRig, joined: JoinedPoses, settings: TriangulationSettings, fit_noise: bool
) -> tuple[tuple[KeypointCheck, ...], TriangulationSettings]:
    """How far covariances can be believed, and the settings with the noise that was fitted, if any."""
    if not fit_noise:
        return check_covariance(rig, joined.values, joined.keypoints, settings), settings
    checks = check_covariance(rig, joined.values[::2], joined.keypoints, settings)
    if not checks:
        raise RigposeError(
            "--fit-noise", expected="poses of three cameras or more, which can contradict each other",
            found=f"{len(joined.cameras)}", remedy="Leave it out, or say --noise-px",
        )  # fmt: skip
    settings = fitted_noise(checks, settings)
    # What is fitted on every second frame set is judged on the others.
    return check_covariance(rig, joined.values[1::2], joined.keypoints, settings), settings


def _triangulated(
    rig: CalibratedRig, values: npt.NDArray[np.float32], settings: TriangulationSettings,
    spread: npt.NDArray[np.float64] | None,
) -> npt.NDArray[np.float32]:  # fmt: skip
    chunks = []
    with Progress("triangulate", len(values)) as bar:
        for start in range(0, len(values), CHUNK):
            given = values[start : start + CHUNK]
            found = triangulate_many(rig, given, settings)
            if spread is not None:
                found = with_calibration(rig, given, found, spread, settings).astype(np.float32)
            chunks.append(found)
            bar.advance(len(found))
    return np.concatenate(chunks)


def _spread_of(calibration: Path, cameras: tuple[str, ...], output: Path) -> npt.NDArray[np.float64]:
    """The covariance of these cameras' parameters; raises `RigposeError`."""
    if is_deeplabcut_3d(output):
        raise RigposeError(
            "--calibration-uncertainty", expected="an output that holds covariances, Anipose's .csv",
            found=f"'{output.name}'", remedy="Leave it out, or say for instance -o poses3d.csv",
        )  # fmt: skip
    found = load_covariance(calibration, cameras)
    if found is None:
        raise RigposeError(
            "--calibration-uncertainty", expected="a calibration that says how well it is known",
            found=f"no covariance beside {calibration}",
            remedy="Calibrate again with rigpose calibrate, or leave it out",
        )  # fmt: skip
    return found

"""From a calibration and the poses of a session to the calibration as the cameras stand now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from calibration.bundle import LENS, Array
from calibration.formats.anipose import (
    calibration_hash,
    check_toml_name,
    details_path,
    load_calibration,
    load_details,
    save_toml,
)
from calibration.parameter_covariance import covariance_details, load_covariance
from calibration.refinement import Refined, refine
from deploy.offline.joined_poses import join
from deploy.offline.same_devices import require_devices_of

# Of the JSON beside the old calibration: saving writes two anew, and its report judged other places.
NOT_OF_THE_NEW = {"schema", "sha256", "report"}


def refine_files(
    calibration: Path, poses: Sequence[Path], output: Path, *, hold: Sequence[str] = (),
    min_confidence: float, assume_aligned: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Refine a calibration with pose files (`calibration.refinement`) and write what came out.

    Nothing is written unless keypoints that were not fitted are clearly better off; `written` says so. The
    new calibration.json holds what the old one did, the new covariance, and under `refined` where it is from.

    Raises
    ------
    RigposeError
        As `join`, `require_devices_of` and `refine`; if a name is none of the rig's, or the output is no TOML
        or an input.
    """
    output = Path(output)
    check_toml_name(output)
    inputs = {Path(path).resolve() for path in (*poses, calibration, details_path(calibration))}
    if {output.resolve(), details_path(output).resolve()} & inputs:
        raise RigposeError(
            output, expected="an output that is no input", found="one of the inputs",
            remedy="Choose another -o: what a calibration was refined from is worth keeping",
        )  # fmt: skip
    rig = load_calibration(calibration)
    for name in hold:
        rig.camera(name)
    known = load_covariance(calibration, rig.names)
    joined = join(rig, poses, assume_aligned=assume_aligned)
    require_devices_of(calibration, joined.files)
    keypoints = joined.values
    if joined.cameras != rig.names:  # a camera without poses stands there as NaN
        shape = (len(joined.index), len(rig.names), *keypoints.shape[2:])
        keypoints = np.full(shape, np.nan, np.float32)
        keypoints[:, [rig.names.index(name) for name in joined.cameras]] = joined.values
    refined = refine(rig, keypoints, hold=hold, min_confidence=min_confidence, known=known)
    figures = {
        "calibration": str(calibration),
        "calibration_sha256": calibration_hash(calibration),
        "files": {camera: str(path) for camera, path in joined.files.items()},
        "keypoints": list(joined.keypoints),
        "min_confidence": min_confidence,
        "held": list(hold),
        "frame_sets": refined.frame_sets,
        "points": refined.points,
        "held_out_px": {"before": refined.held_out_px[0], "after": refined.held_out_px[1]},
        "held_out_folds_px": [list(fold) for fold in refined.folds_px],
        "inflation": refined.inflation,
        "calibration_uncertainty_included": known is not None,
        "cameras": {camera.name: asdict(camera) for camera in refined.cameras},
        "moved": list(refined.moved),
        "written": None,
    }
    if refined.covariance is None:
        return figures
    save_toml(refined.rig, output, _details(calibration, figures, refined, refined.covariance, known))
    return {**figures, "written": str(output), "sha256": calibration_hash(output)}


def _details(
    calibration: Path, figures: dict[str, Any], refined: Refined, covariance: Array, known: Array | None
) -> dict[str, Any]:
    """What calibration.json holds: as before, but how well places are known, and no old verdict."""
    before = load_details(calibration) or {}
    cameras = {}
    for c, (camera, move) in enumerate(zip(refined.rig.cameras, refined.cameras, strict=True)):
        cameras[camera.name] = {
            "size_px": list(camera.size_px),
            **before.get("cameras", {}).get(camera.name, {}),
        }
        if move.freed:
            sd = np.sqrt(np.maximum(np.diag(covariance[c, LENS:, c, LENS:]), 0)).tolist()
            cameras[camera.name] |= {"rotation_sd_rad": sd[:3], "translation_sd_mm": sd[3:]}
    kept = {key: value for key, value in before.items() if key not in NOT_OF_THE_NEW}
    told = {key: value for key, value in figures.items() if key != "written"}
    details = {**kept, "cameras": cameras, "refined": [*before.get("refined", []), told]}
    if known is not None:
        details["covariance"] = covariance_details(refined.rig.names, covariance)
    return details

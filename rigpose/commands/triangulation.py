"""`rigpose triangulate`: from 2D poses of several cameras to 3D."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from acquisition.errors import RigposeError
from rigpose.commands.options import Measured, Output
from rigpose.commands.poses import Overwrite


def triangulate(
    calibration: Path,
    /,
    *poses: Path,
    output: Output,
    noise_px: float = 2.0,
    fit_noise: bool = False,
    calibration_uncertainty: bool = False,
    optim: bool = False,
    skeleton: Path | None = None,
    assume_aligned: bool = False,
    overwrite: Overwrite = False,
    min_confidence: Annotated[float, Parameter(help="Keypoints below it are not used.")] = 0.3,
) -> Measured:
    """Triangulate 2D poses of several cameras into 3D.

    Which file belongs to which camera is found from its name and printed. Rows are joined by frame
    set; nothing is cut to the shortest. Files that know no frame sets must have as many rows each.

    Parameters
    ----------
    calibration:
        The TOML file that `rigpose calibrate` wrote.
    poses:
        One file per camera, written by rigpose analyze, DeepLabCut or Lightning Pose (.poses.npz, .h5 or
        .csv) or SLEAP (.analysis.h5 or .slp), or one .poses table of a live session, which holds all cameras.
    output:
        A .csv file: per frame set and keypoint position mm, covariance mm^2, views, error px (Anipose's
        columns). Named ..._DLC_3D.h5 or ..._DLC_3D.csv it is DeepLabCut's: positions only.
    noise_px:
        Error of the keypoints per axis at confidence 1.
    fit_noise:
        Take each keypoint's noise from how well every camera's view of it agrees with the others' (three
        cameras or more), so that the covariances are true.
    calibration_uncertainty:
        Covariances hold how well the calibration is known, as well as the keypoints' noise. The calibration
        must say so (rigpose calibrate writes it beside the TOML).
    optim:
        aniposelib's own solution, smooth over time, in place of ours; no covariances. Wants the extra
        anipose, in an environment of its own.
    skeleton:
        --optim: the bones listed there keep their lengths (a bundle, a run, a project, a config.yaml).
    assume_aligned:
        Of files without frame sets: row n is the same instant in all, though rows differ in number or names.

    Examples
    --------
    rigpose triangulate calibration.toml top.csv side.csv front.csv -o poses3d.csv
    rigpose triangulate calibration.toml top.csv side.csv -o poses3d.csv --calibration-uncertainty
    """
    from rich.console import Console

    from acquisition.progress import is_quiet
    from calibration.triangulation import TriangulationSettings
    from deploy.offline.triangulate_files import triangulate_files

    for option, value in (("--noise-px", noise_px), ("--min-confidence", min_confidence)):
        if value <= 0:
            raise RigposeError(
                option, expected="a number above 0", found=f"{value:g}", remedy="Leave it out for the default"
            )
    settings = TriangulationSettings(noise_px=noise_px, min_confidence=min_confidence)
    figures = triangulate_files(
        calibration, poses, output, settings, fit_noise=fit_noise,
        calibration_uncertainty=calibration_uncertainty, optim=optim, skeleton=skeleton,
        assume_aligned=assume_aligned, overwrite=overwrite,
    )  # fmt: skip
    console = Console(quiet=is_quiet(), highlight=False)
    for camera, file in figures["files"].items():
        console.print(f"{camera}: {file}", markup=False)
    median_px = figures["reprojection_median_px"]
    console.print(
        f"{figures['points']} of {figures['possible']} points in {figures['frame_sets']} frame sets, "
        + ("" if median_px is None else f"reprojection {median_px:.2f} px (median); ")
        + figures["output"],
        markup=False,
    )
    for line in _covariance_lines(**figures["covariance"]):
        console.print(line, markup=False)
    return figures


def _covariance_lines(
    checked: list[dict[str, Any]], calibration_uncertainty_included: bool, stated: bool
) -> list[str]:
    """What the covariances are worth, for a person."""
    if not stated:
        return ["no covariances: aniposelib states none"]
    words = "covariances hold noise of the keypoints only, not the calibration's uncertainty"
    if calibration_uncertainty_included:
        words = "covariances hold noise of the keypoints and the calibration's uncertainty"
    covered = [check["coverage"] for check in checked if check["coverage"] is not None]
    if not covered:
        return [f"{words}; unchecked (that needs three cameras)"]
    worst = min((check for check in checked if check["coverage"] is not None), key=lambda c: c["coverage"])
    return [
        f"{words}; a camera left out lies within the 95 % ellipse that the others' noise gives in "
        f"{sum(covered) / len(covered):.0%} (least {worst['keypoint']}, {worst['coverage']:.0%}: its "
        f"standard deviations are {worst['inflation']:.1f} times as large as stated)"
    ]

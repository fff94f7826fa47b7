"""`rigpose filter` and what else is done to files of poses: charts, bones, SLEAP's and NWB's files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rigpose.commands.options import Measured

OutputFolder = Annotated[
    Path | None,
    Parameter(name=["--output", "-o"], help="Folder to write into; by default beside each input."),
]
Overwrite = Annotated[bool, Parameter(negative="", help="Replace outputs that are there.")]
SkeletonOf = Annotated[
    Path, Parameter(help="Where the bones are listed: a bundle, a run, a project, a config.yaml.")
]
Cutoff = Annotated[float, Parameter(help="Least confidence of a point that counts.")]


def filter(
    *poses: Path, kind: Literal["median", "spline", "arima", "kalman"] = "median", cutoff: Cutoff = 0.1,
    window: int = 5, smoothing: float | None = None, order: str = "3,1", max_sd: float | None = None,
    output: OutputFolder = None, overwrite: Overwrite = False,
) -> Measured:  # fmt: skip
    """Filter poses, 2D or 3D: X.h5 gives X_filtered.h5, and what was measured stays.

    Points below the cutoff count as missing. Confidences stay as they were measured, so a bridged point is
    known by its low one. median: the middle of WINDOW frames, takes out single wrong ones; spline: a smooth
    curve through all; arima: DeepLabCut's, trails fast movements; kalman: a smoother of constant acceleration
    that finds noise and movement by itself, drops what it cannot believe, and knows how sure it is.

    Parameters
    ----------
    poses:
        Files of rigpose analyze or DeepLabCut (h5, csv, .poses.npz), or of rigpose triangulate (csv).
    kind:
        Which filter.
    window:
        median: frames, odd; at least half of them must be there. spline, arima: longest gap bridged.
    smoothing:
        spline: how smooth; by cross-validation if not given; 0 goes through every point, bridges gaps only.
    order:
        arima: of the autoregression and of the moving average.
    max_sd:
        kalman: gaps are bridged up to this standard deviation, px or mm; by default three times that of a
        measured point.

    Returns
    -------
    dict
        Per file under `files`: its output, points measured, bridged and left out, how far they were moved;
        of kalman also the noise it found by keypoint.

    Raises
    ------
    RigposeError
        A file that is missing, of another layout or filtered already; an output that exists, or that two
        inputs would write. Nothing is written then.

    Examples
    --------
    rigpose filter poses/m4s1DLC_x.h5 poses/m4s1DLC_x.csv
    rigpose filter day-1-3d.csv --kind kalman --max-sd 2
    """
    from deploy.filters.files import filter_files
    from deploy.filters.table import FilterSettings
    from rigpose.commands.options import numbers_of

    first, second = numbers_of(order, "--order", 2)
    settings = FilterSettings(cutoff, window, smoothing, (first, second), max_sd)
    measured = filter_files(poses, kind, settings, output=output, overwrite=overwrite)
    for file in measured["files"]:
        print(
            f"{file['output']}: {file['filtered']} points filtered, {file['bridged']} bridged, "
            f"{file['left_out']} left out"
        )
    return measured


def plot(
    *poses: Path, format: Literal["png", "svg", "pdf"] = "png", cutoff: Cutoff = 0.6,
    keypoints: str | None = None, output: OutputFolder = None,
) -> Measured:  # fmt: skip
    """Draw charts of poses: trajectories, coordinates over time, likelihood, steps; 2D or 3D.

    A folder plot-poses/FILE with trajectory, plot, plot-likelihood and hist, as DeepLabCut calls them. Points
    below the cutoff are drawn in the likelihoods only. Charts that are there are replaced.

    Parameters
    ----------
    poses:
        Files of rigpose analyze or DeepLabCut (h5, csv, .poses.npz), or of rigpose triangulate (csv).
    format:
        Of the charts.
    keypoints:
        Draw only these: snout,tail.

    Returns
    -------
    dict
        Per file under `files`: its charts, and per keypoint how many rows are sure and how far it steps.

    Raises
    ------
    RigposeError
        A file that is missing, of another layout or without rows; a keypoint that it does not have; two files
        that would have one folder. Nothing is written then.

    Examples
    --------
    rigpose plot poses/m4s1DLC_x_filtered.h5
    rigpose plot day-1-3d.csv --format pdf --keypoints snout,tail_base -o charts
    """
    from deploy.plots import plot_files

    names = [name.strip() for name in keypoints.split(",")] if keypoints else []
    measured = plot_files(poses, kind=format, cutoff=cutoff, keypoints=names, output=output)
    for file in measured["files"]:
        print(", ".join(file["charts"]))
    return measured


def skeleton(
    *poses: Path, skeleton: SkeletonOf, cutoff: Cutoff = 0.0, output: OutputFolder = None,
    overwrite: Overwrite = False,
) -> Measured:  # fmt: skip
    """Measure bones and joints over time: lengths, directions, angles; 2D or 3D.

    X_skeleton.csv and .h5 are laid out as DeepLabCut's: length, orientation (degrees, from the image's x axis
    towards its y axis) and the lower likelihood of the two ends. In 3D a bone has azimuth and elevation
    instead. X_angles.csv and .h5 hold the angle at every keypoint in which two bones meet.

    Parameters
    ----------
    poses:
        Files of rigpose analyze or DeepLabCut (h5, csv, .poses.npz), or of rigpose triangulate (csv).

    Returns
    -------
    dict
        Per file under `files`: what was written, and per bone and joint the median, 5th and 95th percentile.

    Raises
    ------
    RigposeError
        A file or skeleton that is missing or of another kind, no bone between keypoints of the file, an
        output that exists, or that two inputs would write. Nothing is written then.

    Examples
    --------
    rigpose skeleton poses/m4s1DLC_x.h5 --skeleton openfield-Pranav-2018-10-30
    rigpose skeleton day-1-3d.csv --skeleton mouse.bundle -o bones
    """
    from deploy.skeleton_files import skeleton_files

    measured = skeleton_files(poses, skeleton, cutoff=cutoff, output=output, overwrite=overwrite)
    for file in measured["files"]:
        print(f"{', '.join(file['files'])}: {file['rows']} rows, {len(file['measured'])} bones and joints")
    return measured

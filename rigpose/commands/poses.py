"""`rigpose filter`, `plot`, `label-video`, `skeleton`: what is done to files of poses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rigpose.commands.options import Measured, Output

OutputFolder = Annotated[
    Path | None,
    Parameter(name=["--output", "-o"], help="Folder to write into; by default beside each input."),
]
Overwrite = Annotated[bool, Parameter(negative="", help="Replace outputs that are there.")]
SkeletonOf = Annotated[
    Path, Parameter(help="Where the bones are listed: a bundle, a run, a project, a config.yaml.")
]
BonesOf = Annotated[
    Path | None,
    Parameter(name="--skeleton", help="Draw the bones listed there: a bundle, run, project, config.yaml."),
]
HeldBones = Annotated[
    Path | None,
    Parameter(
        name="--skeleton",
        help="kalman, in 3D: the bones listed there keep their lengths, as far as they are seen to.",
    ),
]
Cutoff = Annotated[float, Parameter(help="Least confidence of a point that counts.")]


def filter(
    *poses: Path, kind: Literal["median", "spline", "arima", "kalman"] = "median", cutoff: Cutoff = 0.1,
    window: int = 5, smoothing: float | None = None, order: str = "3,1", max_sd: float | None = None,
    skeleton: HeldBones = None, output: OutputFolder = None, overwrite: Overwrite = False,
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
    rigpose filter day-1-3d.csv --kind kalman --max-sd 2 --skeleton mouse.bundle
    """
    from deploy.offline.filters.files import filter_files
    from deploy.offline.filters.table import FilterSettings
    from rigpose.commands.options import numbers_of

    first, second = numbers_of(order, "--order", 2)
    settings = FilterSettings(cutoff, window, smoothing, (first, second), max_sd)
    measured = filter_files(poses, kind, settings, output=output, overwrite=overwrite, skeleton=skeleton)
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
    from deploy.offline.plots import plot_files

    names = [name.strip() for name in keypoints.split(",")] if keypoints else []
    measured = plot_files(poses, kind=format, cutoff=cutoff, keypoints=names, output=output)
    for file in measured["files"]:
        print(", ".join(file["charts"]))
    return measured


def label_video(
    *files: Path, output: Output, skeleton: BonesOf = None, cutoff: Cutoff = 0.6, trail: int = 0,
    dot: float | None = None, points: Path | None = None, calibration: Path | None = None,
    black: Annotated[bool, Parameter(negative="")] = False,
    numbers: Annotated[bool, Parameter(negative="")] = False, rate: float | None = None,
    unequal: Annotated[bool, Parameter(negative="")] = False, overwrite: Overwrite = False,
) -> Measured:  # fmt: skip
    """Draw poses into their videos: skeleton, trail, several views beside 3D axes.

    Files of poses are found for their videos by name (m4s1.mp4, m4s1DLC_x.h5). Several videos come beside
    each other, one picture a frame set; a frame that a camera lost is black there. Frame n of the poses is
    the n-th decoded frame; none is left out, and where the counts differ that is an error.

    Parameters
    ----------
    files:
        Videos, image folders or a recording's folder, and their files of poses (h5, csv, .poses.npz).
    output:
        The video to make: .mp4, .mkv or .mov.
    trail:
        Draw where the points were in so many frames before.
    dot:
        Radius of a point, px; by default by the picture's size.
    points:
        3D points of the same frame sets (rigpose triangulate), shown in a box beside the views.
    calibration:
        Draw the 3D points into the views as rings, as this calibration's cameras see them.
    black:
        Draw on black instead of the pictures.
    numbers:
        Write the number of the frame or frame set.
    rate:
        Pictures a second; by default the first video's.
    unequal:
        Draw what there is where a video has another number of frames than its poses.

    Returns
    -------
    dict
        `output`, `pictures`, size, and per view its frames, those without a pose, and where it broke off.

    Raises
    ------
    RigposeError
        Files that are missing or do not belong together, a number of frames that differs, an output that
        exists.

    Examples
    --------
    rigpose label-video m4s1.mp4 m4s1DLC_x_filtered.h5 -o m4s1-labelled.mp4 --skeleton openfield --trail 20
    rigpose label-video day-1 poses/day-1_*.npz --points day-1-3d.csv --calibration c.toml -o day-1.mp4
    """
    from deploy.offline.labelled_video import Look
    from deploy.offline.labelled_video import label_video as draw
    from rigpose.commands.outcome import CommandFailed

    look = Look(cutoff, trail, dot, black, numbers)
    measured = draw(
        files, output, look, skeleton=skeleton, points=points, calibration=calibration, rate_hz=rate,
        unequal=unequal, overwrite=overwrite,
    )  # fmt: skip
    size = f"{measured['width_px']} x {measured['height_px']} px"
    print(
        f"{measured['output']}: {measured['pictures']} pictures of {size}, {measured['rate_hz']:g} a second"
    )
    if wrong := [view["gap"] for view in measured["views"] if view["gap"]]:
        raise CommandFailed(f"{'; '.join(wrong)} (black from there on)", measured)
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
    from deploy.offline.skeleton_files import skeleton_files

    measured = skeleton_files(poses, skeleton, cutoff=cutoff, output=output, overwrite=overwrite)
    for file in measured["files"]:
        print(f"{', '.join(file['files'])}: {file['rows']} rows, {len(file['measured'])} bones and joints")
    return measured

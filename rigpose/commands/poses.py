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

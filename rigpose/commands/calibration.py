"""`rigpose board`, `rigpose calibrate`, `rigpose triangulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from acquisition.errors import RigposeError
from rigpose.commands.options import Measured, Output


def board(settings: Path, /, *, output: Output, paper: str | None = None) -> Measured:
    """Make a calibration board to print: a PDF in true size.

    Print it at 100 %, glue it onto something flat and stiff, measure its squares over their whole width,
    and write what you measured into the same file: a print at 97 % passes every other test.

    Parameters
    ----------
    settings:
        The board's settings, board.yaml.
    output:
        The PDF.
    paper:
        A4, A3, A2, A1 or A0; by default the smallest that it fits on.

    Examples
    --------
    rigpose board board.yaml -o board.pdf
    """
    from rich.console import Console

    from acquisition.progress import is_quiet
    from acquisition.settings import read_settings
    from calibration.boards import BoardSettings
    from calibration.printable import board_pdf, draw_board
    from deploy.whole_file import whole_file

    wanted = read_settings(BoardSettings, settings)
    content, page = board_pdf(wanted, paper)
    with whole_file(output) as temporary:
        temporary.write_bytes(content)
    size = draw_board(wanted).size_mm
    console = Console(quiet=is_quiet(), highlight=False)
    console.print(f"{wanted}, {size[0]:g} x {size[1]:g} mm, on {page}: {output}", markup=False)
    return {"board": str(wanted), "size_mm": list(size), "paper": page, "output": str(output)}


def calibrate(
    recording: Path,
    /,
    *,
    board: Path,
    output: Output,
    report: Path | None = None,
    world_frame_set: int | None = None,
    anchor: Path | None = None,
    length: Path | None = None,
    check_length: Path | None = None,
    max_spread_ms: float | None = None,
    k3: bool = False,
    accept: bool = False,
) -> Measured:
    """Calibrate a rig from board images: lenses, places, and a report.

    Writes an Anipose TOML, a JSON file beside it and a page `<output>.html` that says PASS, WARN or
    FAIL and what to record again.

    Parameters
    ----------
    recording:
        A recorded session, a folder of synchronised videos (with timestamps.csv if the cameras run
        freely), or stills: one folder per camera, or files named by camera and number.
    board:
        The board's settings, board.yaml.
    report:
        Where the page goes instead.
    world_frame_set:
        The board as it lay in this frame set becomes the world: origin at its first corner, z up out
        of it. Otherwise the world is the first camera's frame.
    anchor:
        An older calibration of this rig: its world is kept, by the cameras that stayed where they were, and
        the page says which one was bumped and by how much.
    length:
        A file with a known length, as the cameras see it; it sets the scale in place of the board.
    check_length:
        Another such file, which only tests the scale: length_mm, and under ends the px of both ends in each
        camera that sees them. Without it the scale is as good as the print and stays unverified.
    max_spread_ms:
        Free-running cameras: pictures further from their set's middle do not share its board pose
        (default: a quarter of the frame interval).
    k3:
        Estimate a third radial coefficient too, for wide lenses.
    accept:
        Write the calibration even if its verdict is FAIL.

    Examples
    --------
    rigpose calibrate recordings/boards --board board.yaml -o calibration.toml
    rigpose calibrate recordings/boards --board board.yaml -o tuesday.toml --anchor monday.toml
    """
    from rich.console import Console

    from acquisition.progress import is_quiet
    from calibration.calibrate import World, calibrate_to

    world = World(world_frame_set, anchor, length, check_length)
    figures = calibrate_to(
        recording, board, output, accept=accept, report=report, k3=k3, world=world,
        max_spread_ms=max_spread_ms,
    )  # fmt: skip
    console = Console(quiet=is_quiet(), highlight=False)
    console.print(
        f"{figures['verdict']}: {figures['rms_px']:.3f} px RMS over {figures['views']} views "
        f"in {figures['frame_sets']} frame sets"
    )
    held_out = figures["held_out"]
    if held_out is not None and held_out["distances"] is not None:
        distances = held_out["distances"]
        console.print(
            f"held out: board distances {distances['rms_mm']:.3f} mm RMS, "
            f"lengths {distances['scale_bias']:+.3%}"
        )
    for finding in figures["findings"]:
        console.print(
            f"{finding['level']} {finding['whose']}: {finding['found']}. {finding['remedy']}", markup=False
        )
    console.print(f"{figures['calibration']}, report {figures['report']}", markup=False)
    return figures


def triangulate(
    calibration: Path,
    /,
    *poses: Path,
    output: Output,
    noise_px: float = 2.0,
    min_confidence: Annotated[float, Parameter(help="Keypoints below it are not used.")] = 0.3,
) -> Measured:
    """Triangulate 2D poses of several cameras into 3D.

    Which file belongs to which camera is found from its name and printed. Rows are joined by frame
    set; nothing is cut to the shortest.

    Parameters
    ----------
    calibration:
        The TOML file that `rigpose calibrate` wrote.
    poses:
        One file per camera, written by rigpose analyze, DeepLabCut or Lightning Pose (.poses.npz, .h5 or
        .csv) or SLEAP (.analysis.h5 or .slp), or one .poses table of a live session, which holds all cameras.
    output:
        A .csv file: per frame set and keypoint position mm, covariance mm^2, views, error px.
    noise_px:
        Error of the keypoints per axis at confidence 1.

    Examples
    --------
    rigpose triangulate calibration.toml top.csv side.csv front.csv -o poses3d.csv
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
    figures = triangulate_files(calibration, poses, output, settings)
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
    return figures

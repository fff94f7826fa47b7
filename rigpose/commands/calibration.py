"""`rigpose board`, `calibrate`, `convert-calibration`, `refine-calibration`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

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
    ground: Path | None = None,
    anchor: Path | None = None,
    length: Path | None = None,
    check_length: Path | None = None,
    max_spread_ms: float | None = None,
    lenses: Path | None = None,
    lens: Literal["auto", "pinhole", "k3", "rational", "fisheye"] = "auto",
    accept: bool = False,
    live: bool = False,
) -> Measured:
    """Calibrate a rig from board images: lenses, places, and a report.

    Writes an Anipose TOML, a JSON file beside it and a page `<output>.html` that says PASS, WARN or
    FAIL and what to record again.

    Parameters
    ----------
    recording:
        A recorded session, a folder of synchronised videos (with timestamps.csv if the cameras run
        freely), or stills: one folder per camera, or files named by camera and number. With --live the rig
        file, rig.yaml.
    board:
        The board's settings, board.yaml.
    report:
        Where the page goes instead.
    world_frame_set:
        The board as it lay in this frame set becomes the world: origin at its first corner, z up out
        of it. Otherwise the world is the first camera's frame. Of stills it is the number in their names.
    ground:
        A file of points on the ground, as the cameras see them: their plane becomes z = 0, the first the
        origin, the second on the x axis.
    anchor:
        An older calibration of this rig: its frame is kept, by the cameras that stayed where they were, and
        the page says which one was bumped and by how much.
    length:
        A file with a known length, as the cameras see it; it sets the scale in place of the board.
    check_length:
        Another such file, which only tests the scale: length_mm, and under ends the px of both ends in each
        camera that sees them. Without it the scale is as good as the print and stays unverified.
    max_spread_ms:
        Free-running cameras: pictures further from their set's middle do not share its board pose
        (default: a quarter of the frame interval).
    lenses:
        An older calibration of these cameras whose lenses stay as they are; only places are found anew.
    lens:
        Model of the lenses: pinhole (k1 k2 p1 p2), k3 and rational with more coefficients, fisheye; auto
        takes for each camera the simplest that is not clearly worse on views that were held out.
    accept:
        Write the calibration even if its verdict is FAIL.
    live:
        Run the rig, show on a page what its cameras have seen of the board, and say where to hold it next.
        The output is then a new folder of the pictures worth keeping, to be calibrated with afterwards.

    Examples
    --------
    rigpose calibrate recordings/boards --board board.yaml -o calibration.toml
    rigpose calibrate recordings/boards --board board.yaml -o tuesday.toml --anchor monday.toml
    rigpose calibrate rig.yaml --live --board board.yaml -o boards
    """
    if live:
        from rigpose.commands.calibration_guide import guide_live

        others = (
            report, world_frame_set, ground, anchor, length, check_length, max_spread_ms, lenses,
            None if lens == "auto" else lens, accept or None,
        )  # fmt: skip
        return guide_live(recording, board, output, alone=all(other is None for other in others))

    from rich.console import Console

    from acquisition.progress import is_quiet
    from calibration.calibrate import calibrate_to
    from calibration.placing import World
    from calibration.report import ground_words

    world = World(world_frame_set, ground, anchor, length, check_length)
    figures = calibrate_to(
        recording, board, output, accept=accept, report=report, lens=None if lens == "auto" else lens,
        lenses=lenses, world=world, max_spread_ms=max_spread_ms,
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
    if figures["ground_marks"] is not None:
        console.print(f"{ground_words(figures)}.")
    if figures["not_compared"] is not None:
        console.print(
            f"Not compared with the calibration that was here: {figures['not_compared']}", markup=False
        )
    for finding in figures["findings"]:
        console.print(
            f"{finding['level']} {finding['whose']}: {finding['found']}. {finding['remedy']}", markup=False
        )
    console.print(f"{figures['calibration']}, report {figures['report']}", markup=False)
    return figures


def convert_calibration(
    source: Path, /, *, output: Output, square_mm: float | None = None,
    unit: Literal["mm", "cm", "m"] | None = None,
) -> Measured:  # fmt: skip
    """Bring a calibration from or to Anipose, OpenCV or DeepLabCut.

    Parameters
    ----------
    source:
        Anipose's or our .toml, OpenCV's .yaml, or the folder of a DeepLabCut 3D project (nothing that is
        pickled in it is run).
    output:
        A .toml (rigpose, Anipose) or a .yaml (OpenCV).
    square_mm:
        DeepLabCut only: side of its board's squares, which is its unit of length.
    unit:
        Of other files: what their lengths are in, if the file does not say and it is not mm. Pose2Sim: m.

    Examples
    --------
    rigpose convert-calibration rig-95-3d --square-mm 25 -o calibration.toml
    rigpose convert-calibration calibration.toml -o calibration.yaml
    """
    from rich.console import Console

    from acquisition.progress import is_quiet
    from calibration.formats.convert import convert

    figures = convert(source, output, square_mm=square_mm, unit=unit)
    listed = ", ".join(f"{name} ({camera['lens']})" for name, camera in figures["cameras"].items())
    Console(quiet=is_quiet(), highlight=False).print(f"{figures['output']}: {listed}", markup=False)
    return figures


def refine_calibration(
    calibration: Path,
    /,
    *poses: Path,
    output: Output,
    hold: str | None = None,
    min_confidence: Annotated[float, Parameter(help="Keypoints below it are not used.")] = 0.6,
    assume_aligned: Annotated[bool, Parameter(negative="")] = False,
) -> Measured:
    """Find which cameras were moved since the calibration, by the animal's keypoints, and mend it.

    Lenses stay, and so do the world and its scale, by the cameras that were not moved. Of two cameras the
    first stays, and their distance. Unless keypoints and stretches of the session that were not fitted agree
    clearly better afterwards, nothing is written and the exit code is 1. If all cameras were moved, calibrate
    again.

    Parameters
    ----------
    calibration:
        The TOML file that `rigpose calibrate` wrote.
    poses:
        The 2D poses of one session, files as rigpose triangulate takes them.
    output:
        The new calibration, a .toml; the old one is kept.
    hold:
        Cameras that certainly stayed: top,front.
    assume_aligned:
        Of files without frame sets: row n is the same instant in all, whatever their rows are called.

    Returns
    -------
    dict
        Per camera under `cameras`: whether it was moved, how far, and its error on what was not fitted before
        and after; `written`, None where no camera was clearly moved.

    Raises
    ------
    RigposeError
        Poses that triangulate would not take; a camera that shares too few keypoints with the others; poses
        that do not agree, wherever a camera is put. Nothing is written then.

    Examples
    --------
    rigpose refine-calibration calibration.toml top.csv side.csv front.csv -o refined.toml
    """
    from rich.console import Console

    from acquisition.progress import is_quiet
    from deploy.offline.refine_calibration import refine_files
    from rigpose.commands.outcome import CommandFailed

    if not 0 < min_confidence <= 1:
        raise RigposeError(
            "--min-confidence", expected="a number above 0, at most 1", found=f"{min_confidence:g}",
            remedy="Leave it out for the default",
        )  # fmt: skip
    held = [name.strip() for name in hold.split(",") if name.strip()] if hold else []
    figures = refine_files(
        calibration, poses, output, hold=held, min_confidence=min_confidence, assume_aligned=assume_aligned
    )
    console = Console(quiet=is_quiet(), highlight=False)
    for camera, file in figures["files"].items():
        console.print(f"{camera}: {file}", markup=False)
    before, after = (figures["held_out_px"][when] for when in ("before", "after"))
    if figures["written"] is None:
        raise CommandFailed(
            f"no camera was clearly moved: keypoints that were not fitted are {before:.2f} px off (median), "
            f"and {after:.2f} px with the camera elsewhere that seemed likeliest; nothing is written",
            figures,
        )
    for name, camera in figures["cameras"].items():
        place = (
            f"moved {camera['moved_mm']:.2f} +- {camera['moved_sd_mm']:.2f} mm, "
            f"turned {camera['turned_deg']:.3f} +- {camera['turned_sd_deg']:.3f} degrees "
            f"({camera['shift_px']:.1f} px)"
        )
        console.print(f"{name}: {place if camera['freed'] else 'stays'}", markup=False)
    console.print(
        f"keypoints that were not fitted: {before:.2f} px off (median) before, {after:.2f} px now; "
        f"{figures['points']} points of {figures['frame_sets']} frame sets; {figures['written']}",
        markup=False,
    )
    return figures

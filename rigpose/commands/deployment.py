"""`rigpose export`, `rigpose analyze`, `rigpose inspect`: from a run to poses, and where they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rigpose.commands.options import Measured, Output, Precision, Runtime


def export(run: Path, /, *, output: Output) -> Measured:
    """Make a model bundle of a run: convert, quantize, measure every artifact.

    Every artifact is compared with the trained network on real frames and measured on the held-out
    labels; one that deviates is not shipped, and int8 beyond tolerance is not chosen by itself.

    Parameters
    ----------
    run:
        The run's folder, as `rigpose train` wrote it.
    output:
        The bundle to make, for instance mouse.bundle; it must not exist.

    Returns
    -------
    dict
        `bundle`, its hash, and per artifact its parity, error in px and signed bias, and the verdict.

    Raises
    ------
    RigposeError
        A run that is not finished, labels that are gone, an output that exists, no artifact that passes.

    Examples
    --------
    rigpose export runs/mouse -o mouse.bundle
    """
    from training.exporting.export import export as export_run

    figures = export_run(run, output)
    _show_artifacts(figures)
    return figures


def analyze(
    bundle: Path,
    /,
    *videos: Path,
    output: Output,
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    threads: Annotated[int, Parameter(help="Threads of the inference.")] = 1,
) -> Measured:
    """Find the keypoints in videos, image folders and recordings.

    Writes DeepLabCut's own files (h5, CSV) and a column file with time stamps. A recording gives one
    set of files per camera, one row per frame set.

    Parameters
    ----------
    bundle:
        The model bundle.
    videos:
        Video files, folders of images, session folders.
    output:
        The folder to write into.

    Returns
    -------
    dict
        What ran and why, and per video its files, frames, frames a second, and what is missing.

    Raises
    ------
    RigposeError
        A missing input, two inputs that would write one output, a damaged bundle, no runtime.

    Examples
    --------
    rigpose analyze mouse.bundle videos/m4s1.mp4 recordings/mouse-7 -o poses
    """
    from acquisition.errors import RigposeError
    from deploy.offline.analyze import analyze as analyze_videos
    from rigpose.commands.outcome import CommandFailed

    if not videos:
        raise RigposeError(
            "rigpose analyze", expected="videos, image folders or recordings", found="none",
            remedy="Name them after the bundle",
        )  # fmt: skip
    figures = analyze_videos(bundle, videos, output, runtime=runtime, precision=precision, threads=threads)
    print(figures["runs"]["reason"])
    for video in figures["videos"]:
        print(f"{video['files'][0]}: {video['frames']} frames, {video['frames_per_s']} a second")
        if video["warning"]:
            print(video["warning"])
    wrong = [f"{video['gap']} (the frames before are written)" for video in figures["videos"] if video["gap"]]
    wrong += [failure["why"] for failure in figures["failed"]]
    if wrong:
        raise CommandFailed("; ".join(wrong), figures)
    return figures


def inspect(path: Path, /) -> Measured:
    """Say what a file or folder is, and the chain it came from.

    Parameters
    ----------
    path:
        A bundle, a run, a recording, a calibration, a file of poses, a project.

    Returns
    -------
    dict
        `kind`, `facts` and `chain`: each link with its hash.

    Raises
    ------
    RigposeError
        Nothing there, or nothing that rigpose knows.

    Examples
    --------
    rigpose inspect mouse.bundle
    """
    from rigpose.chain import describe

    said = describe(path)
    print(f"{path} is a {said['kind']}")
    for name, value in said["facts"].items():
        print(f"  {name}: {value}")
    for link in said["chain"]:
        print(f"  from {link}")
    return said


def _show_artifacts(figures: Measured) -> None:
    """The artifacts of an export: how far from the trained network, how far from the labels."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("artifact", "parity px", "held out px", "median", "bias x, y", "verdict"):
        table.add_column(heading, justify="left" if heading in ("artifact", "verdict") else "right")
    rows = [("trained network", None, figures["trained"], "")]
    rows += [(a["file"], a["parity"], a["held_out"], a["verdict"]) for a in figures["artifacts"]]
    for name, parity, error, verdict in rows:
        deviation = "" if parity is None else f"{parity['mean_px']:.3f}"
        measured = ("", "", "")
        if error is not None:
            bias = f"{error['bias_x_px']:+.2f}, {error['bias_y_px']:+.2f}"
            measured = (f"{error['mean_px']:.2f}", f"{error['median_px']:.2f}", bias)
        table.add_row(name, deviation, *measured, verdict)
    console = Console()
    console.print(table)
    for reason in figures["refused"]:
        console.print(f"not shipped: {reason}", highlight=False, soft_wrap=True)
    console.print(figures["bundle"], highlight=False, soft_wrap=True)

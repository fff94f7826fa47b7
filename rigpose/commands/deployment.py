"""`rigpose export`, `rigpose analyze`, `rigpose inspect`: from a run to poses, and where they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rigpose.commands.options import Measured, Output, Precision, Runtime


def export(run: Path, /, *, output: Output, project: Path | None = None) -> Measured:
    """Make a model bundle of a run: convert, quantize, measure every artifact.

    Every artifact is compared with the trained network on real frames and measured on the held-out
    labels; one that deviates is not shipped, and int8 beyond tolerance is not chosen by itself.

    Parameters
    ----------
    run:
        The run's folder, as `rigpose train` wrote it.
    output:
        The bundle to make, for instance mouse.bundle; it must not exist.
    project:
        Where the run's project lies now, if it was moved since the training.

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

    figures = export_run(run, output, project=project)
    _show_artifacts(figures)
    return figures


def analyze(
    bundle: Path,
    /,
    *videos: Path,
    output: Output,
    listed: Annotated[
        Path | None,
        Parameter(name="--list", help="A text file with one input a line, relative to its own folder."),
    ] = None,
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    threads: Annotated[
        int | None,
        Parameter(help="Threads of the inference, each video; by default half its cores, at most 4."),
    ] = None,
    rows: Annotated[
        Literal["sets", "frames"],
        Parameter(help="Of recordings: one row a frame set, NaN where lost, or one a frame."),
    ] = "sets",
    jobs: Annotated[int, Parameter(help="Videos at once on this machine, which share its cores.")] = 1,
    shard: Annotated[
        str | None, Parameter(help="K/N: one of N processes, on any hosts, that share the output folder.")
    ] = None,
    cluster: Annotated[
        str | None,
        Parameter(help="local: Dask workers here, as many as --jobs; or a scheduler, tcp://HOST:8786."),
    ] = None,
) -> Measured:
    """Find the keypoints in videos, image folders and recordings.

    Writes DeepLabCut's own files (h5, CSV), a column file with time stamps, and a meta file that says what
    made them. A recording gives one set of files per camera. `analyze_<bundle>.json` in the output folder
    says what became of every video. The same command again does only what is left, or what has changed.

    Parameters
    ----------
    bundle:
        The model bundle.
    videos:
        Video files, folders of images, session folders, folders of videos or sessions.
    output:
        The folder to write into.
    listed:
        More of them, in a text file; lines that begin with # are passed over.
    runtime, precision, threads:
        What runs the network: settled once for all videos of a batch.
    rows:
        Rows of a recording's files; the meta file says which they are.
    jobs, shard, cluster:
        How the videos are spread.

    Returns
    -------
    dict
        What ran and why, the status file, and per video its files, frames, frames a second, what is missing.

    Raises
    ------
    RigposeError
        A missing input, two inputs that would write one output, in this command or an earlier one, a damaged
        bundle, no runtime, a full disk.

    Examples
    --------
    rigpose analyze mouse.bundle videos/m4s1.mp4 recordings/mouse-7 -o poses
    rigpose analyze mouse.bundle videos -o poses --jobs 4
    rigpose analyze mouse.bundle --list videos.txt -o poses --shard $SLURM_ARRAY_TASK_ID/8
    """
    from acquisition.errors import RigposeError
    from deploy.offline.analyze import Spread
    from deploy.offline.analyze import analyze as analyze_videos
    from deploy.offline.jobs import read_list
    from rigpose.commands.outcome import CommandFailed

    inputs = [*videos, *(read_list(listed) if listed is not None else [])]
    if not inputs:
        raise RigposeError(
            "rigpose analyze", expected="videos, image folders or recordings", found="none",
            remedy="Name them after the bundle, or in a file: --list FILE",
        )  # fmt: skip
    figures = analyze_videos(
        bundle, inputs, output, runtime=runtime, precision=precision, threads=threads, rows=rows,
        spread=Spread(jobs, _shard_of(shard), cluster),
    )  # fmt: skip
    print(figures["runs"]["reason"])
    for video in figures["videos"]:
        speed = "as it was" if video["kept"] else f"{video['frames_per_s']} a second"
        print(f"{video['files'][0]}: {video['frames']} frames, {speed}")
        if video["warning"]:
            print(video["warning"])
    for line in figures["left_out"]:
        print(line)
    for name in figures["elsewhere"]:
        print(f"{name}: another process is working on it")
    wrong = [f"{video['gap']} (what is there is written)" for video in figures["videos"] if video["gap"]]
    wrong += [failure["why"] for failure in figures["failed"]]
    if wrong:
        raise CommandFailed("; ".join(wrong), figures)
    return figures


def _shard_of(text: str | None) -> tuple[int, int] | None:
    """K/N as two numbers; None stays None. Raises `RigposeError`."""
    from acquisition.errors import RigposeError

    if text is None:
        return None
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise RigposeError(
            "--shard", expected="K/N, for instance 3/8", found=f"'{text}'", remedy="Count from 1"
        )
    return int(parts[0]), int(parts[1])


def inspect(path: Path, /) -> Measured:
    """Say what a file or folder is, and the chain it came from.

    Of a recording every picture is looked for, which reads its videos through without decoding them.

    Parameters
    ----------
    path:
        Any file or folder that rigpose writes or reads.

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
    rigpose inspect poses/m4s1DLC_Resnet_mouse_rigpose_1a2b3c4d.csv
    """
    from rigpose.chain import describe

    said = describe(path)
    print(f"{path}: {said['kind']}")
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

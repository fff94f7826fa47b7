"""`rigpose frames`: which frames people should label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rigpose.commands.options import Measured, Seed

Count = Annotated[int | None, Parameter(help="Frames per video; by default numframes2pick of config.yaml.")]
NumberList = Annotated[
    str | None, Parameter(name="--list", help="Frame (frame-set) numbers: 10,20,30 or a file of them.")
]
Start = Annotated[float | None, Parameter(help="Fraction of a video to begin at; by default config.yaml's.")]
Stop = Annotated[float | None, Parameter(help="Fraction of a video to end at; by default config.yaml's.")]


def frames(
    project: Path, /, *videos: Path, mode: Literal["kmeans", "uniform", "motion", "list"] | None = None,
    count: Count = None, numbers: NumberList = None, start: Start = None, stop: Stop = None,
    crop: str | None = None, every: int = 1, colour: bool = False, seed: Seed = 0,
) -> Measured:  # fmt: skip
    """Choose frames of videos and recordings for labelling.

    Each becomes labeled-data/VIDEO/imgNUMBER.png. Frames that are there are kept and not chosen again, so
    the same command adds more. Of a recording every camera shows the same instants: the number is that of
    the frame set, and sets that lack a camera are left out.

    Parameters
    ----------
    project:
        The folder with config.yaml.
    videos:
        Video files and session folders; by default those that config.yaml names.
    mode:
        kmeans (the default): frames that look different; uniform: one drawn at random from each of COUNT
        equal stretches; motion: where something moves, spread over time; list: those of --list.
    crop:
        x1,x2,y1,y2 px to keep of each picture, or config for the crops of config.yaml. All by default.
    every:
        Look at every so many-th frame only.
    colour:
        kmeans looks at colours, not at grey.

    Returns
    -------
    dict
        Per source under `videos`: `frames`, `images`, and what looking through it cost; `left_out`: videos
        of config.yaml that are not there.

    Raises
    ------
    RigposeError
        A missing or damaged video, more frames than there are, two videos of one name, a frame set that
        lacks a camera. Of that video nothing is written.

    Examples
    --------
    rigpose frames openfield-Pranav-2018-10-30 videos/m4s1.mp4 --mode kmeans --count 20
    rigpose frames reach-Ada-2026-11-22 recordings/day-1 --mode list --list 10,20,30
    """
    from training.extraction import extract_frames, read_numbers

    listed = [] if numbers is None else read_numbers(numbers)
    chosen_mode = mode or ("list" if listed else "kmeans")
    measured = extract_frames(
        project, videos, mode=chosen_mode, count=count, numbers=listed, start=start, stop=stop, crop=crop,
        every=every, colour=colour, seed=seed,
    )  # fmt: skip
    for video in measured["videos"]:
        cost = f"{video['decoded']} decoded in {video['seconds']:.1f} s"
        print(
            f"{', '.join(video['folders'])}: {len(video['frames'])} of {video['available']} instants ({cost})"
        )
        for note in video["notes"]:
            print(f"  {note}")
    if measured["left_out"]:
        print(f"Not found, left out: {', '.join(measured['left_out'])}")
    print(f"Next: rigpose label {project}")
    return measured

"""`rigpose frames`, `rigpose refine find`, `refine merge`: which frames people should label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rigpose.commands.options import Measured, Precision, Runtime, Seed

Count = Annotated[int | None, Parameter(help="Frames per video; by default numframes2pick of config.yaml.")]
NumberList = Annotated[
    str | None, Parameter(name="--list", help="Frame (frame-set) numbers: 10,20,30 or a file of them.")
]
PoseFiles = Annotated[
    list[Path] | None,
    Parameter(
        consume_multiple=True,
        help="Pose files of the videos instead of a network: rigpose analyze's (.poses.npz) or DeepLabCut's.",
    ),
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
    from training.frames.extraction import extract_frames, read_numbers

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


def refine_find(
    project: Path, /, *videos: Path, bundle: Path | None = None, poses: PoseFiles = None,
    by: Literal["jump", "uncertain", "fitting", "reprojection", "list"] = "jump", epsilon: float = 20.0,
    cutoff: float | None = None, count: Count = None, numbers: NumberList = None,
    calibration: Path | None = None, start: Start = None, stop: Stop = None, seed: Seed = 0,
    runtime: Runtime = "auto", precision: Precision = "auto",
    threads: Annotated[int, Parameter(help="Threads of the inference.")] = 1,
) -> Measured:  # fmt: skip
    """Find frames in which a network is probably wrong, for a person to correct.

    They are written into labeled-data, of a recording all cameras' pictures of the instant, with the
    network's points unreviewed beside them. Unreviewed points never train: rigpose label shows them to be
    confirmed or moved, and rigpose refine merge takes the reviewed frames in.

    Parameters
    ----------
    project:
        The folder with config.yaml.
    videos:
        Video files and session folders; by default those that config.yaml names.
    bundle:
        The network to run on the videos.
    by:
        jump: a point moves more than --epsilon px between two frames; uncertain: a confidence is below
        --cutoff; fitting: a point is more than --epsilon px from the smooth path of its neighbours in time
        (constant acceleration, robust); reprojection: more than --epsilon px from where the calibrated
        cameras together see it; list: the frames of --list.
    epsilon:
        Px of the video.
    cutoff:
        Least confidence of points that jump, fit or triangulate; by default config.yaml's pcutoff.
    calibration:
        Calibration of the rig, for --by reprojection.

    Returns
    -------
    dict
        Per source under `videos`: `found`, `frames` taken (k-means over those found, if they are more
        than --count), `images`; `left_out`: videos of config.yaml that are not there.

    Raises
    ------
    RigposeError
        A video, network, pose file or calibration that cannot be used, or options that do not fit.

    Examples
    --------
    rigpose refine find openfield-Pranav-2018-10-30 videos/m3v1mp4.mp4 --bundle mouse.bundle --by fitting
    rigpose refine find reach-Ada-2026-11-22 day-1 --bundle m.bundle --by reprojection --calibration c.toml
    """
    from training.frames.extraction import read_numbers
    from training.refinement.find import find

    measured = find(
        project, videos, bundle=bundle, poses=poses or (), by=by, epsilon_px=epsilon, cutoff=cutoff,
        count=count, numbers=[] if numbers is None else read_numbers(numbers), calibration=calibration,
        start=start, stop=stop, seed=seed, runtime=runtime, precision=precision, threads=threads,
    )  # fmt: skip
    for video in measured["videos"]:
        without = f", {video['incomplete']} of them lack a camera" if video["incomplete"] else ""
        print(f"{video['source']}: {video['found']} of {video['instants']} found{without}, "
              f"{len(video['frames'])} taken")  # fmt: skip
        for note in video["notes"]:
            print(f"  {note}")
    if measured["left_out"]:
        print(f"Not found, left out: {', '.join(measured['left_out'])}")
    if any(video["images"] for video in measured["videos"]):
        print(f"Next: rigpose label {project}, then rigpose refine merge {project}")
    return measured


def refine_merge(project: Path, /) -> Measured:
    """Take in the frames of refine find that were reviewed, and raise the project's iteration.

    A frame is reviewed when no point of the machine's is left unreviewed on it and its labels are saved;
    where nothing is to be seen, say so on the page (Shift O). The others stay for a later merge, and
    their unreviewed points do not train.

    Parameters
    ----------
    project:
        The folder with config.yaml.

    Returns
    -------
    dict
        `iteration` now, and image names under `reviewed`, `unreviewed`, `unlabelled`, `removed`.

    Raises
    ------
    RigposeError
        Nothing was reviewed since the last merge; nothing is changed then.

    Examples
    --------
    rigpose refine merge openfield-Pranav-2018-10-30
    """
    from training.refinement.merge import STATES, merge

    measured = merge(project)
    print(f"Iteration {measured['iteration']}: {len(measured['reviewed'])} reviewed frames taken in")
    for state in STATES[1:]:
        if measured[state]:
            print(f"  {len(measured[state])} {state}, for instance {measured[state][0]}")
    print(f"Next: rigpose train {project} -o RUN")
    return measured

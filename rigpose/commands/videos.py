"""`rigpose video shorten|crop|downsample|check|pack`: copies of videos, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from rigpose.commands.options import Measured, Output

OutputVideo = Annotated[
    Path | None,
    Parameter(name=["--output", "-o"], help="The copy (.mp4, .mkv, .mov); by default beside the video."),
]
Overwrite = Annotated[bool, Parameter(negative="", help="Replace an output that is there.")]


def shorten(
    video: Path, /, *, start: str = "0", stop: str | None = None, output: OutputVideo = None,
    overwrite: Overwrite = False,
) -> Measured:  # fmt: skip
    """Copy a part of a video, to the frame; the times between frames stay as they were.

    Parameters
    ----------
    video:
        A video file.
    start:
        First moment to keep: seconds, HH:MM:SS, or a frame number like 120f.
    stop:
        First moment not to keep, written alike; by default the end.

    Returns
    -------
    dict
        `output`, `frames`, `first_frame` (its number in the video), size, and what is wrong with the video.

    Raises
    ------
    RigposeError
        No video, a part that is empty, an output that exists.

    Examples
    --------
    rigpose video shorten m4s1.mp4 --start 00:01:00 --stop 00:02:30
    rigpose video shorten m4s1.mp4 --start 120f --stop 620f -o part.mp4
    """
    from acquisition.videos.tools import shorten as copy

    return _said(copy(video, output, start=start, stop=stop, overwrite=overwrite))


def crop(video: Path, /, *, box: str, output: OutputVideo = None, overwrite: Overwrite = False) -> Measured:
    """Copy a part of every picture of a video; the times of the frames stay as they were.

    Parameters
    ----------
    video:
        A video file.
    box:
        x1,x2,y1,y2 px, as in DeepLabCut's config.yaml: kept are x1 <= x < x2 and y1 <= y < y2.

    Returns
    -------
    dict
        `output`, `frames`, size, and what is wrong with the video.

    Raises
    ------
    RigposeError
        No video, a box outside the picture, an output that exists.

    Examples
    --------
    rigpose video crop m4s1.mp4 --box 0,320,100,420
    """
    from acquisition.videos.tools import crop as copy
    from rigpose.commands.options import numbers_of

    x1, x2, y1, y2 = numbers_of(box, "--box", 4)
    return _said(copy(video, output, box=(x1, x2, y1, y2), overwrite=overwrite))


def downsample(
    video: Path, /, *, width: int | None = None, height: int | None = None, every: int = 1,
    turn: Literal["0", "90", "180", "270"] = "0", output: OutputVideo = None, overwrite: Overwrite = False,
) -> Measured:  # fmt: skip
    """Copy a video with smaller pictures, or with every so many-th frame only, or turned.

    Parameters
    ----------
    video:
        A video file.
    width:
        Of the copy, px. The height follows where it is not given.
    height:
        Of the copy, px. The width follows where it is not given.
    every:
        Keep every so many-th frame.
    turn:
        Degrees clockwise, after the pictures are made smaller.

    Returns
    -------
    dict
        `output`, `frames`, size, and what is wrong with the video.

    Raises
    ------
    RigposeError
        No video, nothing to do, a picture that would become larger, an output that exists.

    Examples
    --------
    rigpose video downsample m4s1.mp4 --width 320
    rigpose video downsample m4s1.mp4 --every 2 -o half.mp4
    """
    from acquisition.videos.tools import downsample as copy

    return _said(
        copy(video, output, width=width, height=height, every=every, turn=int(turn), overwrite=overwrite)
    )


def check(*videos: Path) -> Measured:
    """Check videos and recordings: broken frames, rate, times, frames that are missing.

    Every frame is decoded. Of a recording each camera's video is compared with its frame table.

    Parameters
    ----------
    videos:
        Video files and session folders.

    Returns
    -------
    dict
        `videos`: of each frames, rate, intervals, and broken, duplicate, backward and missing ones with their
        first numbers, and `faults`, a sentence each; `faulty`: how many have any. The exit code is 1 if any.

    Raises
    ------
    RigposeError
        A file that is missing or no video.

    Examples
    --------
    rigpose video check videos/m4s1.mp4 recordings/day-1
    """
    from acquisition.errors import RigposeError
    from acquisition.recordings.check import check_videos
    from rigpose.commands.outcome import CommandFailed

    if not videos:
        raise RigposeError(
            "rigpose video check", expected="videos or recordings", found="none", remedy="Name at least one"
        )
    measured = check_videos(list(videos))
    for video in measured["videos"]:
        fault = "; ".join(video["faults"]) or "nothing wrong"
        print(f"{video['video']}: {video.get('frames', 0)} frames, {fault}")
    if measured["faulty"]:
        raise CommandFailed(f"{measured['faulty']} of {len(measured['videos'])} videos have faults", measured)
    return measured


def pack(session: Path, /, *, output: Output, overwrite: Overwrite = False) -> Measured:
    """Copy a recording's videos at a constant rate, lost pictures black and listed.

    Picture n of every camera is the n-th frame set, so tools that seek by number or by time show one instant
    in all of them. packed.json lists the black pictures with their cause, and the time of every frame set.

    Parameters
    ----------
    session:
        The recording's folder.
    output:
        The folder to write into.

    Returns
    -------
    dict
        What packed.json holds: `pictures`, `rate_hz`, `t_exposure_ns`, and per camera the file and `black`.

    Raises
    ------
    RigposeError
        No recording, one without a frame, an output that exists.

    Examples
    --------
    rigpose video pack recordings/day-1 -o packed
    """
    from acquisition.recordings.pack import pack as write

    measured = write(session, output, overwrite=overwrite)
    for camera, video in measured["videos"].items():
        lost = measured["pictures"] - video["frames"]
        print(f"{camera}: {video['file']}, {measured['pictures']} pictures, {lost} of them black")
    return measured


def _said(measured: dict[str, Any]) -> Measured:
    from rigpose.commands.outcome import CommandFailed

    size = f"{measured['width_px']} x {measured['height_px']} px"
    print(f"{measured['output']}: {measured['frames']} frames of {size}")
    if measured["gap"]:
        raise CommandFailed(f"{measured['gap']} (the frames before are written)", measured)
    return measured

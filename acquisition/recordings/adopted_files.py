"""Which file is which camera's, of videos to be adopted and of the time stamps beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from acquisition.errors import RigposeError
from acquisition.recordings.stamp_file import StampFile, Unit, read_stamps

SHARED = "timestamps.csv"
"""Stamps of several videos, told apart by a camera column."""

_BESIDE = ("{}.csv", "{}_timestamps.csv", "{}-timestamps.csv", "{}.timestamps.csv", "{}_times.csv")


def cameras_of(videos: Iterable[Path], camera_regex: str) -> dict[str, Path]:
    """Which video is which camera's: the expression's group (or all of its match) in the file's name.

    An expression with a '/' is looked for in the whole path.

    Raises
    ------
    RigposeError
        An expression that cannot be read, a name in which it is found nowhere or with two results, two videos
        of one camera, a camera's name that no file could have.
    """
    try:
        form = re.compile(camera_regex)
    except re.error as error:
        raise RigposeError(
            "--camera-regex", expected="a regular expression", found=f"'{camera_regex}' ({error})",
            remedy="For instance 'cam([0-9]+)'",
        ) from None  # fmt: skip
    if form.groups > 1:
        raise RigposeError(
            "--camera-regex", expected="one group, the camera's name", found=f"{form.groups} groups",
            remedy="Make the others (?:...)",
        )  # fmt: skip
    cameras: dict[str, Path] = {}
    for video in videos:
        text = video.resolve().as_posix() if "/" in camera_regex else video.name
        names = sorted({match[form.groups] or "" for match in form.finditer(text)})
        if len(names) != 1:
            raise RigposeError(
                video, expected=f"one camera in its name, by '{camera_regex}'",
                found=" and ".join(f"'{name}'" for name in names) or "none",
                remedy="Mend --camera-regex, or name fewer videos",
            )  # fmt: skip
        name = names[0]
        if not re.fullmatch(r"[\w-]+", name):
            raise RigposeError(
                video, expected="a camera's name of letters, digits, '-' and '_'", found=f"'{name}'",
                remedy="Put the part that is the name into (...) in --camera-regex",
            )  # fmt: skip
        if name in cameras:
            raise RigposeError(
                video, expected=f"one video of camera '{name}'", found=f"{cameras[name]} as well",
                remedy="Adopt one recording at a time, or mend --camera-regex",
            )  # fmt: skip
        cameras[name] = video
    if not cameras:
        raise RigposeError("rigpose adopt", expected="videos", found="none", remedy="Name at least one")
    return cameras


def stamps_beside(cameras: Mapping[str, Path], unit: Unit | None, column: str | None) -> dict[str, StampFile]:
    """The stamps of each camera that has any: a CSV of its own, else its rows of a shared one.

    Raises
    ------
    RigposeError
        Two files that could be meant, one that cannot be read, or a shared one without a camera's rows.
    """
    found: dict[str, StampFile] = {}
    for name, video in cameras.items():
        files = [video.with_name(form.format(video.stem)) for form in _BESIDE]
        files = [file for file in files if file.is_file()]
        if len(files) > 1:
            raise RigposeError(
                video, expected="one CSV of time stamps beside it",
                found=" and ".join(file.name for file in files), remedy="Move the other one away",
            )  # fmt: skip
        if files:
            read = read_stamps(files[0], unit=unit, column=column)
            if len(read) != 1:
                raise RigposeError(
                    files[0], expected="the stamps of one camera", found=f"{len(read)} cameras",
                    remedy=f"Call it {SHARED}, or split it",
                )  # fmt: skip
            found[name] = next(iter(read.values()))
    shared = {video.with_name(SHARED) for video in cameras.values()}
    if not found and len(shared) == 1 and (file := shared.pop()).is_file():
        read = read_stamps(file, unit=unit, column=column)
        for name in cameras:
            numbers = re.findall(r"\d+", name)
            suits = [
                key for key in read if key == name or [key] == numbers or (not key and len(cameras) == 1)
            ]
            if len(suits) != 1 or any(read[suits[0]] is each for each in found.values()):
                raise RigposeError(
                    file, expected=f"one camera that is '{name}'",
                    found=", ".join(f"'{key}'" for key in read),
                    remedy="Mend --camera-regex so that it gives these names, or give --times number",
                )  # fmt: skip
            found[name] = read[suits[0]]
    return found

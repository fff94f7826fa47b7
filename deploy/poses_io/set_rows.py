"""Which frame, frame set and time the rows of a CSV or h5 are of: the column file beside it knows.

A recording is analysed with one row a frame set, of which this camera may have no frame or another one than
the row's number, or with one row a frame, of which some belong to no set (index -1). A CSV and an h5 have no
column for either.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from deploy.poses_io.columns import META_SUFFIX, SUFFIX, load_columns, save_columns
from deploy.poses_io.poses import Poses

_WITHOUT_COLUMNS = (".csv", ".h5")
_FILTERED = "_filtered"
# No more of the column file holds of the rows of another: where that came from is for its meta file to say.
_OF_ROWS = ("camera", "rows", "size_px")


def told_beside(path: Path, poses: Poses) -> Poses:
    """Poses read from `path` with what the column file beside it says of their rows.

    Left as they are where there is none, or one of a recording with other rows.

    Raises
    ------
    RigposeError
        If the column file is damaged.
    """
    columns = _beside(path, SUFFIX)
    if path.suffix not in _WITHOUT_COLUMNS or not columns.is_file():
        return poses
    beside = load_columns(columns)
    about = {key: beside.about.get(key) for key in _OF_ROWS} | poses.about
    if not of_recording(beside):  # of a video the rows' own names say it
        return replace(poses, about=about)
    if not np.array_equal(poses.frame, np.arange(len(beside.frame))):
        return poses
    return replace(
        poses, frame=beside.frame, index=beside.index, t_exposure_ns=beside.t_exposure_ns, about=about
    )


def tell_beside(path: Path, poses: Poses) -> None:
    """For the CSV or h5 at `path`, just written: a column file of the same name, if nothing tells its rows.

    Raises
    ------
    RigposeError
        If the disk is full.
    """
    if of_recording(poses) and not _beside(path, SUFFIX).is_file():
        save_columns(poses, path.with_suffix(SUFFIX))


def of_recording(poses: Poses) -> bool:
    """Whether they state the frames and frame sets of a recording; of a video the two are the same."""
    return poses.about.get("camera") is not None or not np.array_equal(poses.frame, poses.index)


def of_sets(poses: Poses) -> Poses:
    """The rows that belong to a frame set."""
    there = poses.index >= 0
    if there.all():
        return poses
    return replace(
        poses, values=poses.values[there], frame=poses.frame[there], index=poses.index[there],
        t_exposure_ns=poses.t_exposure_ns[there],
    )  # fmt: skip


def require_rows(path: Path, poses: Poses, *, sets: bool, frames: bool) -> None:
    """Refuse poses of a recording, read from `path`, where what is needed of their rows is not known.

    Parameters
    ----------
    sets, frames:
        Whether the frame set of each row is needed, and its frame.

    Raises
    ------
    RigposeError
        If the column file beside is of other rows, or there is none and the meta file says that the rows are
        frames (whose sets are not known) or frame sets (whose frames are not known).
    """
    if path.suffix not in _WITHOUT_COLUMNS or "camera" in poses.about:
        return
    columns = _beside(path, SUFFIX)
    if columns.is_file():
        beside = load_columns(columns)
        if of_recording(beside):
            raise RigposeError(
                path, expected=f"the {len(beside.index)} rows of {columns.name}, numbered from 0",
                found=f"{len(poses.index)}" + (f" from {poses.index[0]} on" if len(poses.index) else ""),
                remedy=f"Give {columns.name}, or analyse the recording again",
            )  # fmt: skip
        return
    rows = told_rows(path)
    if rows == "frames" and sets:
        raise RigposeError(
            path, expected="the frame set of every row", found="rows that are frames of a recording",
            remedy=f"Give {columns.name}, or analyse it again with --rows sets",
        )  # fmt: skip
    if rows == "frame sets" and frames:
        raise RigposeError(
            path, expected="the frame of every row", found="rows that are frame sets of a recording",
            remedy=f"Give {columns.name}, or analyse the recording again",
        )  # fmt: skip


def with_sets(path: Path, poses: Poses, *, frames: bool = False) -> Poses:
    """Those of the poses, read from `path`, that belong to a frame set.

    Raises
    ------
    RigposeError
        As `require_rows`: the sets are needed, and the frames where `frames` says so.
    """
    require_rows(path, poses, sets=True, frames=frames)
    return of_sets(poses)


def told_rows(path: Path) -> str | None:
    """What the meta file of an analysis says the rows of `path` are: "frames" or "frame sets" of a recording.

    None where there is no meta file, or one of a video.
    """
    try:
        about: Any = json.loads(_beside(path, META_SUFFIX).read_text(encoding="utf-8"))["about"]
        return None if about.get("camera") is None else str(about.get("rows"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _beside(path: Path, ending: str) -> Path:
    """The file of the same analysis, or of that name: filtered poses have the rows of the measured ones."""
    stem = path.with_suffix("").name
    measured = path.with_name(stem.removesuffix(_FILTERED) + ending)
    return measured if measured.is_file() else path.with_name(stem + ending)

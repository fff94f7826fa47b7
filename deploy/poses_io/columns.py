"""Our column file `<video><S>.poses.npz`: poses with their time stamps, exact, read in one line.

A plain NumPy archive without pickle, uncompressed, so that any reader of .npy gets at it:

| member        | dtype, shape       | what                                                        |
|---------------|--------------------|-------------------------------------------------------------|
| about         | str, ()            | JSON: format, format_version, keypoints, scorer, video, bundle ... |
| values        | float32, (T, K, 3) | x px, y px, confidence; NaN where there is no frame          |
| frame         | int64, (T,)        | number of the decoded frame in the video, -1 where none      |
| index         | int64, (T,)        | index of the frame set                                       |
| t_exposure_ns | int64, (T,)        | middle of the exposure, rig clock; -2^63 where not known     |
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np

from acquisition.errors import RigposeError
from deploy.poses_io.poses import Poses, not_poses
from deploy.whole_file import whole_file

SUFFIX = ".poses.npz"
META_SUFFIX = ".meta.json"
"""Of the file beside it that says what made the poses (`deploy.offline.work`)."""
FORMAT = "rigpose poses"
VERSION = 1


def save_columns(poses: Poses, path: Path | str) -> None:
    """Write `poses`; the file appears whole or not at all."""
    about = {**poses.about, "format": FORMAT, "format_version": VERSION, "keypoints": list(poses.keypoints)}
    with whole_file(Path(path)) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream, about=np.array(json.dumps(about)), values=poses.values, frame=poses.frame,
            index=poses.index, t_exposure_ns=poses.t_exposure_ns,
        )  # fmt: skip
        stream.flush()
        os.fsync(stream.fileno())


def load_columns(path: Path | str) -> Poses:
    """Read `path`.

    Raises
    ------
    RigposeError
        If it is missing, damaged, no such file, or of a later version.
    """
    path = Path(path)
    try:
        content = io.BytesIO(path.read_bytes())  # np.load would leave a damaged file open
        with np.load(content, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            keypoints = about.pop("keypoints")
            values, frame = file["values"], file["frame"]
            index, t_exposure_ns = file["index"], file["t_exposure_ns"]
    except FileNotFoundError:
        raise not_poses(path, "no such file") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise not_poses(path, f"one that does not read ({error})") from None
    if about.get("format") != FORMAT:
        raise not_poses(path, f"the format {about.get('format')!r}")
    if about.get("format_version", 0) > VERSION:
        raise RigposeError(
            path, expected=f"version {VERSION} of the column file or older",
            found=str(about["format_version"]), remedy="Update rigpose here",
        )  # fmt: skip
    names = tuple(str(name) for name in keypoints)
    try:
        return Poses(names, values, frame, index, t_exposure_ns, about)
    except ValueError as error:
        raise not_poses(path, str(error)) from None

"""Whether poses are of the devices that a calibration was made with, as far as their files say.

A region of a sensor that was moved gives images of the same size: size alone tells nothing, and two cameras
side by side agree about points that are far off.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.recordings.session import read_session
from calibration.camera_identity import require_same_devices
from deploy.poses_io.columns import META_SUFFIX, SUFFIX
from deploy.poses_io.pose_table import FOLDER
from deploy.poses_io.pose_table import SUFFIX as TABLE_SUFFIX

_FILTERED = "_filtered"


def require_devices_of(calibration: Path, files: Mapping[str, Path]) -> None:
    """Refuse poses (by camera the file they are in) of other devices than the calibrated ones.

    Column files say what they are of, CSV and h5 the files beside them; a table of `rigpose live` lies in
    its session. Files that say nothing (other programs', adopted videos') are taken.

    Raises
    ------
    RigposeError
        Naming the camera, and what is another.
    """
    infos = {camera: _device(path, camera) for camera, path in files.items()}
    require_same_devices(
        calibration, infos, remedy="Give the calibration of the rig as it was then, or calibrate it"
    )


def _device(path: Path, camera: str) -> dict[str, Any]:
    if path.name.endswith(TABLE_SUFFIX):
        found = _of_session(path, camera)
    elif path.name.endswith(SUFFIX):
        found = _of_columns(path).get("device")
    else:
        stem = path.with_suffix("").name.removesuffix(_FILTERED)
        columns = _of_columns(path.with_name(stem + SUFFIX))
        found = (columns or _of_meta(path.with_name(stem + META_SUFFIX))).get("device")
    return found if isinstance(found, dict) else {}


def _of_session(table: Path, camera: str) -> Any:
    folder = table.resolve().parent
    if folder.name != FOLDER:  # copied out of its session
        return None
    try:
        return read_session(folder.parent)["cameras"].get(camera)
    except (RigposeError, KeyError, AttributeError):
        return None


def _of_columns(path: Path) -> dict[str, Any]:
    """`about` of a column file alone, without its poses; nothing where there is none."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
        return {}  # whatever is wrong with it: reading its poses says so
    return about if isinstance(about, dict) else {}


def _of_meta(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))["about"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return about if isinstance(about, dict) else {}

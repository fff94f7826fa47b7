"""2D poses of several cameras, joined by frame set: which file is which camera's, which rows one instant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from calibration.camera_model import CalibratedRig, CameraModel
from deploy.offline.live_sets import recorded_rows
from deploy.poses_io.pose_table import SUFFIX as TABLE_SUFFIX
from deploy.poses_io.pose_table import read_pose_table
from deploy.poses_io.poses import Poses
from deploy.poses_io.readers import load_poses
from deploy.poses_io.set_rows import of_recording, with_sets


@dataclass(frozen=True, slots=True, eq=False)
class JoinedPoses:
    """2D poses of several cameras, joined by frame set.

    Attributes
    ----------
    cameras, keypoints:
        Names.
    index:
        int64 (T,): frame sets that any file has, ascending.
    values:
        float32 (T, C, K, 3): x px, y px, confidence; NaN where a file has no such frame set.
    files:
        Which file each camera's poses came from.
    """

    cameras: tuple[str, ...]
    keypoints: tuple[str, ...]
    index: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    files: dict[str, Path]


def join(rig: CalibratedRig, paths: Sequence[Path], *, assume_aligned: bool = False) -> JoinedPoses:
    """Read pose files and join their rows by frame set.

    Files that know no frame sets, of other programs for instance, are joined by row. Where one of them has
    fewer rows than another, frames were lost and nobody knows where, and where their rows are named by other
    frames, nobody knows which names are right: refused unless `assume_aligned`, for which row n is the same
    instant in all of them, called as in the longest.

    Raises
    ------
    RigposeError
        If a file cannot be read, belongs to no camera or to two, keypoints or sizes differ, there are fewer
        than two cameras, or no rows; or as said above.
    """
    paths = [Path(path) for path in paths]
    if len(paths) == 1 and paths[0].name.endswith(TABLE_SUFFIX):
        table = read_pose_table(paths[0])
        rig.subset(table.cameras)
        files = dict.fromkeys(table.cameras, paths[0])
        index, records = recorded_rows(paths[0], table)
        _require_rows(paths[0], len(index))
        return JoinedPoses(table.cameras, table.keypoints, index, records["pose2d"], files)
    files, found = {}, {}
    for path in paths:
        poses = with_sets(path, load_poses(path))
        camera = camera_of(path, poses, rig.names)
        if camera in files:
            raise RigposeError(
                path, expected="one file per camera",
                found=f"camera '{camera}' in {files[camera].name} as well",
                remedy="Give one of the two",
            )  # fmt: skip
        _require_size(path, poses, rig.camera(camera))
        files[camera], found[camera] = path, poses
    if len(files) < 2:
        raise RigposeError(
            "poses", expected="files of at least two cameras", found=f"{len(files)}",
            remedy=f"Give the files of more of {', '.join(rig.names)}",
        )  # fmt: skip
    if assume_aligned:
        found |= _aligned(found)
    else:
        _require_equal_rows(found)
    cameras = tuple(name for name in rig.names if name in files)
    keypoints = found[cameras[0]].keypoints
    index = np.unique(np.concatenate([found[camera].index for camera in cameras]))
    _require_rows("poses", len(index))
    values = np.full((len(index), len(cameras), len(keypoints), 3), np.nan, np.float32)
    for c, camera in enumerate(cameras):
        poses = found[camera]
        if set(poses.keypoints) != set(keypoints):
            raise RigposeError(
                files[camera], expected=f"the keypoints {', '.join(keypoints)}",
                found=", ".join(poses.keypoints),
                remedy="Analyse all cameras with one network",
            )  # fmt: skip
        if len(np.unique(poses.index)) != len(poses.index):
            raise RigposeError(
                files[camera], expected="every frame set once", found="some that stand there twice",
                remedy="Analyse the recording again",
            )  # fmt: skip
        order = [poses.keypoints.index(name) for name in keypoints]
        values[np.searchsorted(index, poses.index), c] = poses.values[:, order]
    return JoinedPoses(cameras, keypoints, index, values, {camera: files[camera] for camera in cameras})


def _require_rows(whose: object, rows: int) -> None:
    if not rows:
        raise RigposeError(
            whose, expected="at least one frame set", found="none",
            remedy="Give the poses of a recording in which frames were tracked",
        )  # fmt: skip


def _require_equal_rows(found: Mapping[str, Poses]) -> None:
    """Refuse files without frame sets whose rows cannot all be the same instants."""
    rows = {camera: poses.index for camera, poses in found.items() if not of_recording(poses)}
    remedy = (
        "Analyse the recording with rigpose (other videos: rigpose adopt them first), or say "
        "--assume-aligned if row n is the same instant in all"
    )
    if len({len(index) for index in rows.values()}) > 1:
        raise RigposeError(
            "poses", expected="as many rows in every file, since these know no frame sets",
            found=", ".join(f"{len(index)} of {camera}" for camera, index in rows.items()),
            remedy=f"{remedy} and only ends are missing",
        )  # fmt: skip
    names = np.array(list(rows.values()))
    apart = np.flatnonzero((names != names[:1]).any(axis=0))
    if len(apart):
        raise RigposeError(
            "poses", expected="rows named by the same frames in every file, since these know no frame sets",
            found=f"in row {apart[0]} (from 0) "
            + ", ".join(f"{index[apart[0]]} of {camera}" for camera, index in rows.items()),
            remedy=remedy,
        )  # fmt: skip


def _aligned(found: Mapping[str, Poses]) -> dict[str, Poses]:
    """The poses of those files that know no frame sets, their rows called as in the longest."""
    unknown = {camera: poses for camera, poses in found.items() if not of_recording(poses)}
    longest = max((poses.index for poses in unknown.values()), key=len, default=np.empty(0, np.int64))
    return {camera: replace(poses, index=longest[: len(poses.index)]) for camera, poses in unknown.items()}


def _require_size(path: Path, poses: Poses, camera: CameraModel) -> None:
    """Refuse poses of images of another size than the calibrated ones, where the file says which."""
    size = poses.about.get("size_px")
    if size is not None and tuple(size) != camera.size_px:
        raise RigposeError(
            path, expected=f"poses in images of {camera.size_px} px, as '{camera.name}' was calibrated",
            found=f"{tuple(size)} px", remedy="Analyse the videos as they were recorded, or calibrate again",
        )  # fmt: skip


def camera_of(path: Path, poses: Poses, names: Sequence[str]) -> str:
    """The camera a pose file belongs to: the one it names itself, else the one in its file name."""
    stated = poses.about.get("camera")
    if stated in names:
        return str(stated)
    spans = [(match.span(), name) for name in names for match in _in_name(name).finditer(path.name)]
    # 'side' in 'side_left' is not meant when 'side_left' is a camera too
    inner = {
        (span, name)
        for span, name in spans
        for other, longer in spans
        if longer != name and other[0] <= span[0] and span[1] <= other[1]
    }
    suits = sorted({name for span, name in spans if (span, name) not in inner})
    if len(suits) != 1:
        raise RigposeError(
            path, expected=f"the name of one camera of {', '.join(names)} in the file's name",
            found=" and ".join(suits) or "none", remedy="Rename the file",
        )  # fmt: skip
    return suits[0]


def _in_name(camera: str) -> re.Pattern[str]:
    """The camera's name as a word. DeepLabCut's suffix may follow it directly: top + DLC_Resnet50..."""
    after = r"(?!\d)" if camera[-1:].isdigit() else r"(?![a-z0-9]|[A-Z](?!LC))"
    before = r"(?<!\d)" if camera[:1].isdigit() else r"(?<![A-Za-z])"
    return re.compile(before + re.escape(camera) + after)

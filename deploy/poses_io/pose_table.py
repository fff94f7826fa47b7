"""Poses beside a recording: an append-only table, whole up to the last set after a kill.

The first line of `poses/<stream session>.poses` is JSON (padded to whole 512 bytes): what the columns are,
which network and calibration made them, what subscribers were told (`announcement`). Then one little-endian
record of fixed size a frame set. A tracker that is restarted begins another file. What stands here is always
as measured, whatever was filtered for the stream.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Absence
from calibration.poses import POSE3D_COLUMNS, Pose3D, PoseSet

FOLDER = "poses"
SUFFIX = ".poses"
_FORMAT = "rigpose pose table"
_HEADER_STEP = 512
_LONGEST_HEADER = 1 << 22
_STAMPS = (
    "index",
    "t_exposure_ns",
    "t_arrival_ns",
    "t_inference_start_ns",
    "t_inference_end_ns",
    "t_publish_ns",
)
_CAUSES = tuple(Absence)


class PoseTableWriter:
    """Appends poses to `<session>/poses/`.

    Parameters
    ----------
    session_dir:
        The recording's folder; it exists.
    stream_session:
        Id of the stream session: the table's name.
    cameras, keypoints:
        Names, in the order of the arrays.
    facts:
        JSON-able: hashes of network and calibration, and what else a reader should know.
    """

    def __init__(
        self, session_dir: Path, stream_session: str, cameras: tuple[str, ...], keypoints: tuple[str, ...],
        facts: dict[str, Any],
    ) -> None:  # fmt: skip
        folder = session_dir / FOLDER
        folder.mkdir(exist_ok=True)
        self.rows = 0
        self._record = np.zeros((), dtype=_dtype(len(cameras), len(keypoints)))
        about = {
            "format": _FORMAT, "version": 1, "cameras": cameras, "keypoints": keypoints,
            "record_bytes": self._record.dtype.itemsize, "record": self._record.dtype.descr,
            "pose3d_columns": POSE3D_COLUMNS, "absences": ["", *(cause.value for cause in _CAUSES)], **facts,
        }  # fmt: skip
        header = json.dumps(about).encode()
        self._start = -(-(len(header) + 1) // _HEADER_STEP) * _HEADER_STEP
        path = folder / f"{stream_session}{SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.write(self._file, header.ljust(self._start - 1) + b"\n")

    def append(
        self, poses: PoseSet, points: Pose3D | None, stamps: tuple[int, int, int, int],
        absences: tuple[Absence | None, ...],
    ) -> None:  # fmt: skip
        """Append one set; `stamps` are arrival, inference start and end, publish.

        Raises `OSError` where the disk is full; the table stays whole.
        """
        record = self._record
        for name, value in zip(_STAMPS, (poses.index, poses.t_exposure_ns, *stamps), strict=True):
            record[name] = value
        record["absence"] = [0 if cause is None else 1 + _CAUSES.index(cause) for cause in absences]
        record["pose2d"] = poses.keypoints
        record["pose3d"] = np.nan if points is None else points.points
        written = os.write(self._file, record.tobytes())
        if written != record.dtype.itemsize:  # a disk that just ran full: leave no torn record behind
            os.ftruncate(self._file, self._start + self.rows * record.dtype.itemsize)
            raise OSError(f"{written} of {record.dtype.itemsize} bytes written")
        self.rows += 1

    def close(self) -> None:
        """Flush to the disk. May be called twice."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1


@dataclass(frozen=True, slots=True)
class PoseTable:
    """The poses of one stream session, in the order of their sets.

    Attributes
    ----------
    cameras, keypoints:
        Names, in the order of the arrays.
    about:
        The first line of the file.
    records:
        Structured array, one row a frame set: int64 index, t_exposure_ns, t_arrival_ns,
        t_inference_start_ns, t_inference_end_ns, t_publish_ns; uint8 absence (cameras), 0 where the frame was
        there, else a place in `about["absences"]`; float32 pose2d (cameras, keypoints, 3) and pose3d
        (keypoints, 11). It is read from the file where it is looked at: hours need no memory.
    """

    cameras: tuple[str, ...]
    keypoints: tuple[str, ...]
    about: dict[str, Any]
    records: npt.NDArray[np.void]


def read_pose_tables(session_dir: Path) -> list[PoseTable]:
    """The pose tables of a recording, oldest first; a record cut off at the end is left out.

    Raises
    ------
    RigposeError
        If a file there is no pose table of this version.
    """
    tables = [read_pose_table(path) for path in sorted((Path(session_dir) / FOLDER).glob(f"*{SUFFIX}"))]
    return sorted(
        tables, key=lambda table: int(table.records["t_exposure_ns"][0]) if len(table.records) else 0
    )


def read_pose_table(path: Path) -> PoseTable:
    """One pose table; raises `RigposeError`."""
    try:
        with path.open("rb") as stream:
            line = stream.readline(_LONGEST_HEADER)
            size = os.fstat(stream.fileno()).st_size
        about = json.loads(line)
        cameras, keypoints = tuple(about["cameras"]), tuple(about["keypoints"])
        dtype = _dtype(len(cameras), len(keypoints))
        if not line.endswith(b"\n") or (about["format"], about["version"]) != (_FORMAT, 1):
            raise ValueError("another format")
        if about["record_bytes"] != dtype.itemsize:
            raise ValueError(f"records of {about['record_bytes']} bytes instead of {dtype.itemsize}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RigposeError(
            path, expected=f"a {_FORMAT}, version 1", found=str(error) or type(error).__name__,
            remedy="Restore the file from a copy",
        ) from None  # fmt: skip
    count = (size - len(line)) // dtype.itemsize
    records = np.memmap(path, dtype, "r", len(line), (count,)) if count else np.empty(0, dtype)
    return PoseTable(cameras, keypoints, about, records)


def _dtype(cameras: int, keypoints: int) -> np.dtype[np.void]:
    return np.dtype([
        *((name, "<i8") for name in _STAMPS),
        ("absence", "u1", (cameras,)),
        ("pose2d", "<f4", (cameras, keypoints, 3)),
        ("pose3d", "<f4", (keypoints, len(POSE3D_COLUMNS))),
    ])  # fmt: skip

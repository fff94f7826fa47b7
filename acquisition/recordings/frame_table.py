"""The frame table: what is known of every frame of one camera, appended frame by frame.

A header of 512 bytes (one line of JSON, padded with spaces) names the columns; then rows of
little-endian int64. Row n belongs to the n-th frame that the camera's video decodes to. A file that
was cut off is read up to its last whole row.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame_stamp import FrameStamp

COLUMNS = ("seq", "t_device_ns", "t_exposure_ns", "uncertainty_ns", "t_arrival_ns", "lost_before")
FRAME_DTYPE = np.dtype([(name, "<i8") for name in COLUMNS])
SUFFIX = ".frames"
_HEADER_BYTES = 512
_FORMAT = "rigpose frame table"


class FrameTableWriter:
    """Appends rows; each is with the kernel when `append` returns, so a killed process loses none.

    Parameters
    ----------
    path:
        New file; raises `FileExistsError` where there is one.
    camera:
        Name written into the header.
    origin_ns:
        Exposure, on the rig clock, that the video's times count from; None: not stated.
    """

    def __init__(self, path: Path, camera: str, origin_ns: int | None = None) -> None:
        self.rows = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        header = json.dumps(
            {
                "format": _FORMAT,
                "version": 1,
                "camera": camera,
                "columns": COLUMNS,
                "type": "<i8",
                "origin_ns": origin_ns,
            }
        )
        os.write(self._file, header.encode().ljust(_HEADER_BYTES - 1) + b"\n")

    def append(self, stamp: FrameStamp) -> None:
        """Write the row of one frame. Raises `OSError` where the disk is full."""
        row = np.array(
            [(stamp.seq, stamp.t_device_ns, stamp.t_exposure_ns, stamp.uncertainty_ns,
              stamp.t_arrival_ns, stamp.lost_before)],
            FRAME_DTYPE,
        ).tobytes()  # fmt: skip
        if os.write(self._file, row) != len(row):
            raise OSError(28, "No space left on device")
        self.rows += 1

    def sync(self) -> None:
        """Have the kernel put everything onto the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_frame_table(path: Path) -> npt.NDArray[np.void]:
    """Rows as a structured array (N,) of `FRAME_DTYPE`, up to where the file was cut off.

    A partial last row is left out, and so are the zeros that a loss of power may leave at the end.

    Raises
    ------
    RigposeError
        If the file is missing or is no frame table.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RigposeError(
            path, expected="a frame table", found=error.strerror or "no file",
            remedy="Give a folder that 'rigpose record' has written",
        ) from None  # fmt: skip
    try:
        header = json.loads(content[:_HEADER_BYTES])
        right = header["format"] == _FORMAT and header["version"] == 1 and tuple(header["columns"]) == COLUMNS
    except (ValueError, KeyError, TypeError):
        right = False
    if not right:
        raise RigposeError(
            path, expected=f"a {_FORMAT}, version 1", found="something else",
            remedy="Record anew, or restore the file from a copy",
        )  # fmt: skip
    rows = (len(content) - _HEADER_BYTES) // FRAME_DTYPE.itemsize
    table = np.frombuffer(content[_HEADER_BYTES : _HEADER_BYTES + rows * FRAME_DTYPE.itemsize], FRAME_DTYPE)
    written = np.flatnonzero(table["t_arrival_ns"])
    return table[: written[-1] + 1 if written.size else 0]


def begun(path: Path) -> bool:
    """Whether there is a table at `path` whose writer lived long enough to write its header."""
    return path.exists() and path.stat().st_size >= _HEADER_BYTES


def read_origin_ns(path: Path) -> int | None:
    """What the video's times count from, rig clock; None where the table does not say, or is none."""
    try:
        with path.open("rb") as stream:
            origin_ns = json.loads(stream.read(_HEADER_BYTES)).get("origin_ns")
    except (OSError, ValueError, AttributeError):
        return None
    return origin_ns if isinstance(origin_ns, int) else None


def stamp_of(camera: str, row: np.void) -> FrameStamp:
    """The row of a frame table as the value that rings and frame sets use."""
    seq, device, exposure, uncertainty, arrival, lost = (int(row[name]) for name in COLUMNS)
    return FrameStamp(camera, seq, device, exposure, uncertainty, arrival, lost)

"""Finishing a session that was cut off: by a kill, a loss of power, a disk that was full.

Whatever is rewritten is kept as it was in the session's folder `cut-off/`. A file is replaced in one step, by
one that is whole, on the disk and counted; so a recovery that is itself cut off is simply run again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.progress import Progress
from acquisition.recordings.events import EventsWriter, not_recording, read_events
from acquisition.recordings.frame_table import (
    FRAME_DTYPE,
    FrameTableWriter,
    begun,
    read_frame_table,
    read_origin_ns,
    stamp_of,
)
from acquisition.recordings.segments import ENDED, JOINED, Segment, segment_of, segments_of, whole_rows
from acquisition.recordings.session import Session, read_session
from acquisition.videos.remux import Packets, decodable, remux

_NO_ROWS: npt.NDArray[np.void] = np.empty(0, FRAME_DTYPE)
KEPT = "cut-off"
"""Folder, in the session, of the files as they were before they were finished."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of one segment.

    Attributes
    ----------
    camera, segment:
        Which.
    rows, pictures:
        Rows of its frame table, and pictures that decode, as found.
    frames:
        What it holds now: every frame with its row and its picture.
    lost_s:
        From the last frame it holds to the last row that was written, s.
    """

    camera: str
    segment: int
    rows: int
    pictures: int
    frames: int
    lost_s: float


def recover(folder: Path, *, join: bool = False) -> dict[str, Any]:
    """Finish a session; what is whole already stays as it is.

    Parameters
    ----------
    join:
        Also make one video and one frame table of every camera's segments.

    Returns
    -------
    dict
        `session`; `ended`, how it ended; `finished`, a `Recovered` mapping of each segment that was cut off;
        `frames` by camera; `joined`, segments by camera that are one now.

    Raises
    ------
    RigposeError
        No session, one that is being recorded, a disk without room for the new files.
    """
    folder = Path(folder).resolve()
    facts = read_session(folder)
    with not_recording(folder):
        try:
            return _recover(folder, facts, join)
        except OSError as error:
            raise RigposeError(
                folder, expected="room and permission to write", found=error.strerror or str(error),
                remedy="Free some space (nothing was changed that is not whole), then run it again",
            ) from error  # fmt: skip
        finally:
            for part in (*folder.glob(".finishing-*"), folder / ".reserve", folder / ".session.json.part"):
                part.unlink(missing_ok=True)


def _recover(folder: Path, facts: dict[str, Any], join: bool) -> dict[str, Any]:
    cameras, name = tuple(facts["rig"]["cameras"]), facts["name"]
    events = EventsWriter(folder)
    finished: list[Recovered] = []
    try:
        recorded = read_events(folder)
        last_ns = 0
        for camera in cameras:
            _drop_joined(folder, camera, name)
            segments = segments_of(folder, camera, name)
            whole = whole_rows(facts, recorded, segments)
            for segment in segments:
                table = read_frame_table(segment.table) if begun(segment.table) else _NO_ROWS
                if len(table):
                    last_ns = max(last_ns, int(table["t_arrival_ns"][-1]))
                if whole.get(segment.number) == len(table) and (segment.video.exists() or not len(table)):
                    continue
                found = _finish(segment, table)
                finished.append(found)
                events.append("segment recovered", **asdict(found))
                events.append(ENDED, camera=camera, segment=segment.number, rows=found.frames)
        joined = {}
        if join:
            for camera in cameras:
                count = _join(folder, camera, name, events)
                if count > 1:
                    joined[camera] = count
        events.sync()
    finally:
        events.close()
    frames = {
        camera: sum(
            len(read_frame_table(one.table)) for one in segments_of(folder, camera, name) if begun(one.table)
        )
        for camera in cameras
    }
    session = Session(folder, facts)
    ended = facts["ended"] or {"how": "cut off, and recovered", "t_ns": last_ns, "cameras": {}}
    if finished or joined or facts["ended"] is None:
        ended["cameras"] = {
            c: {**ended.get("cameras", {}).get(c, {}), "recorded": frames[c]} for c in cameras
        }
        ended["recovered"] = [*ended.get("recovered", []), *map(asdict, finished)]
        facts["ended"] = ended
        session.write()
    return {
        "session": str(folder), "ended": ended["how"], "finished": [asdict(one) for one in finished],
        "frames": frames, "joined": joined,
    }  # fmt: skip


def _finish(segment: Segment, table: npt.NDArray[np.void]) -> Recovered:
    """Bring one segment's two files to the frames that have both a row and a picture."""
    packets = Packets.of(segment.video)
    origin_ns = read_origin_ns(segment.table) if begun(segment.table) else None
    pictures = decodable(segment.video) if packets.times_ms else 0
    frames = _matching(table, packets.times_ms[:pictures], origin_ns)
    video, rows = (path.with_name(f".finishing-{path.name}") for path in (segment.video, segment.table))
    for part in (video, rows):
        part.unlink(missing_ok=True)
    if frames:
        remux([(segment.video, frames)], video)
        if decodable(video) != frames:
            raise RigposeError(
                segment.video, expected=f"{frames} frames in its copy", found=f"{decodable(video)}",
                remedy="Nothing was changed; please report this file",
            )  # fmt: skip
    _write_table(rows, segment.camera, origin_ns, table[:frames])
    _keep(segment.video, segment.table)
    if frames:
        _put(video, segment.video)
    else:
        segment.video.unlink(missing_ok=True)
    _put(rows, segment.table)
    lost_s = 0.0
    if len(table) > frames:
        since_ns = int(table["t_exposure_ns"][frames - 1 if frames else 0])
        lost_s = (int(table["t_exposure_ns"][-1]) - since_ns) * 1e-9
    return Recovered(segment.camera, segment.number, len(table), pictures, frames, round(lost_s, 3))


def _matching(table: npt.NDArray[np.void], times_ms: list[int], origin_ns: int | None) -> int:
    """How many frames from the first on have both a row and the picture that the row speaks of.

    A picture shows which row is its own by its time, which the encoder derived from the row. Where a loss
    of power tore a hole into the video, the pictures after it are not those of the rows.
    """
    count = min(len(table), len(times_ms))
    if not count:
        return 0
    exposures_ns = table["t_exposure_ns"][:count].astype(np.int64)
    if origin_ns is None:
        origin_ns = int(exposures_ns[0]) - times_ms[0] * 1_000_000
    last_ms = -1
    for row, time_ms in enumerate(times_ms[:count]):
        last_ms = max(round((int(exposures_ns[row]) - origin_ns) / 1e6), last_ms + 1)
        if abs(time_ms - last_ms) > 1:
            return row
    return count


def _join(folder: Path, camera: str, name: str, events: EventsWriter) -> int:
    """One video and one table of all segments; how many there were."""
    segments = [one for one in segments_of(folder, camera, name) if begun(one.table) and one.video.exists()]
    tables = [read_frame_table(one.table) for one in segments]
    if len(segments) < 2:
        return len(segments)
    first = segment_of(folder, camera, 0, name)
    table = np.concatenate(tables)
    video, rows = (path.with_name(f".finishing-{path.name}") for path in (first.video, first.table))
    with Progress(f"join {camera}"):
        remux([(one.video, len(rows_of)) for one, rows_of in zip(segments, tables, strict=True)], video)
        found = decodable(video)
    if found != len(table):
        raise RigposeError(
            folder, expected=f"{len(table)} frames of {camera} in one video", found=f"{found}",
            remedy="The segments were recorded in different ways: use them one by one",
        )  # fmt: skip
    _write_table(rows, camera, read_origin_ns(segments[0].table), table)
    _keep(*(path for one in segments for path in (one.video, one.table)))
    spans = [
        [one.number, *map(int, rows_of["t_exposure_ns"][[0, -1]])]
        for one, rows_of in zip(segments, tables, strict=True) if len(rows_of)
    ]  # fmt: skip
    events.append(JOINED, camera=camera, spans=spans)
    # A video with more pictures than rows is read as its table says: the table's new name decides.
    _put(video, first.video)
    events.append(ENDED, camera=camera, segment=0, rows=len(table))
    _put(rows, first.table)
    _drop_joined(folder, camera, name)
    return len(segments)


def _drop_joined(folder: Path, camera: str, name: str) -> None:
    """Take away segments that the first one holds already."""
    segments = segments_of(folder, camera, name)
    if not segments or segments[0].number or not begun(segments[0].table):
        return
    arrivals = read_frame_table(segments[0].table)["t_arrival_ns"]
    for one in segments[1:]:
        rows = read_frame_table(one.table) if begun(one.table) else _NO_ROWS
        if len(rows) and np.isin(rows["t_arrival_ns"], arrivals).all():
            one.video.unlink(missing_ok=True)
            one.table.unlink()


def _write_table(path: Path, camera: str, origin_ns: int | None, table: npt.NDArray[np.void]) -> None:
    writer = FrameTableWriter(path, camera, origin_ns)
    for row in table:
        writer.append(stamp_of(camera, row))
    writer.sync()
    writer.close()


def _keep(*paths: Path) -> None:
    """A second name, in `cut-off`, for what is about to be replaced; an older one there stays."""
    for path in paths:
        kept = path.parent / KEPT / path.name
        if not path.exists() or kept.exists():
            continue
        kept.parent.mkdir(exist_ok=True)
        try:
            os.link(path, kept)
        except OSError:  # a file system without second names
            part = kept.with_name(f".{kept.name}.part")
            shutil.copy2(path, part)
            part.replace(kept)


def _put(new: Path, path: Path) -> None:
    with new.open("rb") as stream:
        os.fsync(stream.fileno())
    new.replace(path)
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

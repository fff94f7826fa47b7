"""Reading a session back: tables, images and frame sets, also of one that was cut off."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Absence, Image
from acquisition.frame_stamp import FrameStamp
from acquisition.recordings.events import read_events
from acquisition.recordings.frame_table import COLUMNS, FRAME_DTYPE, SUFFIX, read_frame_table, stamp_of
from acquisition.recordings.session import CLEAN_ENDS, read_session
from acquisition.rig import RigSettings, SyncSettings
from acquisition.settings import parse_settings
from acquisition.synchronisation.synchronise import StampSet, Synchroniser
from acquisition.videos.indexed_video import IndexedVideo


class Recording:
    """One recorded session.

    Attributes
    ----------
    folder:
        The session's folder.
    session:
        What session.json holds; `session["ended"]` is None where the recording was cut off.
    cameras:
        Names in rig order.
    rig:
        The rig's settings as recorded.
    gaps:
        What is missing at the ends of a session that was cut off, one sentence a camera.
    """

    def __init__(self, folder: Path, session: dict[str, Any]) -> None:
        self.folder = folder
        self.session = session
        self.rig = parse_settings(RigSettings, session["rig"], folder / "session.json")
        self.cameras = tuple(self.rig.cameras)
        self.gaps: list[str] = []
        self._tables: dict[str, npt.NDArray[np.void]] = {}
        self._videos: dict[str, IndexedVideo] = {}

    @classmethod
    def open(cls, folder: Path) -> Recording:
        """Open a session folder; raises `RigposeError` where it is none."""
        folder = Path(folder).resolve()
        return cls(folder, read_session(folder))

    def video_path(self, camera: str) -> Path:
        """The video of one camera; a camera that never delivered has none."""
        return self.folder / f"{self.session['name']}_{camera}.mkv"

    def frame_table(self, camera: str) -> npt.NDArray[np.void]:
        """Structured int64 (N,): seq, t_device_ns, t_exposure_ns, uncertainty_ns, t_arrival_ns, lost_before.

        Row n belongs to the n-th decoded frame. Rows whose picture was cut off are left out and
        named in `gaps`; a camera that never delivered a frame has an empty table.
        """
        if camera not in self._tables:
            self._tables[camera] = self._read_table(camera)
        return self._tables[camera]

    def images(self, camera: str) -> Iterator[Image]:
        """Every frame in order, uint8 (H, W) or (H, W, 3) RGB: as many as the table has rows."""
        rows = len(self.frame_table(camera))
        if rows:
            for row, image in enumerate(self._video(camera)):
                yield image
                if row + 1 == rows:
                    return

    def image(self, camera: str, row: int) -> Image:
        """The frame of one row; raises `IndexError`."""
        if not 0 <= row < len(self.frame_table(camera)):
            raise IndexError(f"{camera} has {len(self.frame_table(camera))} frames, no row {row}")
        return self._video(camera).image(row)

    def events(self) -> list[dict[str, Any]]:
        """The events table."""
        return read_events(self.folder)

    def frame_sets(self, sync: SyncSettings | None = None) -> list[StampSet]:
        """All frame sets, made by the same code as live; payloads are row numbers, None where absent."""
        pulses = self.session["pulses"] or {"period_ns": None, "first_exposure_ns": None}
        period_ns = pulses["period_ns"]
        if period_ns is None and self.rig.trigger is not None:
            period_ns = round(1e9 / self.rig.trigger.rate_hz)
        maker = Synchroniser(self.cameras, sync or self.rig.sync, period_ns, pulses["first_exposure_ns"])
        sets: list[StampSet] = []
        for stamp, row in self._stamps():
            maker.add(stamp, row)
            sets += maker.closed(0)
        return sets + maker.flush()

    def close(self) -> None:
        """Close the videos."""
        for video in self._videos.values():
            video.close()
        self._videos.clear()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stamps(self) -> Iterator[tuple[FrameStamp, int | None]]:
        """All frames in the order of their arrival, with those that a full ring dropped."""
        dropped: dict[str, list[tuple[FrameStamp, int | None]]] = {camera: [] for camera in self.cameras}
        for event in self.events():
            if event["kind"] == "ring full":
                numbers = {name: int(event[name]) for name in COLUMNS}
                stamp = FrameStamp(camera=event["camera"], absence=Absence.RING_FULL, **numbers)
                dropped[stamp.camera].append((stamp, None))
        streams = []
        for camera in self.cameras:
            rows = [(stamp_of(camera, row), n) for n, row in enumerate(self.frame_table(camera))]
            streams.append(_by_arrival([*rows, *dropped[camera]]))
        return heapq.merge(*streams, key=lambda item: item[0].t_arrival_ns)

    def _read_table(self, camera: str) -> npt.NDArray[np.void]:
        if camera not in self.cameras:
            raise RigposeError(
                self.folder, expected=f"a camera of {', '.join(self.cameras)}", found=f"'{camera}'",
                remedy="Give one of these",
            )  # fmt: skip
        path = self.folder / f"{self.session['name']}_{camera}{SUFFIX}"
        if not path.exists() and not self.video_path(camera).exists():
            self.gaps.append(f"{camera}: recorded no frame")
            return np.empty(0, FRAME_DTYPE)
        table = read_frame_table(path)
        ended = self.session["ended"] or {}
        counted = ended.get("cameras", {}).get(camera, {}).get("recorded")
        if counted == len(table) and ended["how"] in CLEAN_ENDS:
            return table
        decodable = len(self._video(camera))
        if decodable < len(table):
            self.gaps.append(
                f"{camera}: the last {len(table) - decodable} of {len(table)} frames were cut off"
            )
        return table[:decodable]

    def _video(self, camera: str) -> IndexedVideo:
        if camera not in self._videos:
            self._videos[camera] = IndexedVideo(self.video_path(camera))
        return self._videos[camera]


def _by_arrival(stamps: list[tuple[FrameStamp, int | None]]) -> list[tuple[FrameStamp, int | None]]:
    return sorted(stamps, key=lambda item: item[0].t_arrival_ns)

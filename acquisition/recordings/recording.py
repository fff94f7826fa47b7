"""Reading a session back: tables, images and frame sets, also of one that was cut off."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.recordings.events import read_events
from acquisition.recordings.frame_table import FRAME_DTYPE, begun, read_frame_table, read_origin_ns
from acquisition.recordings.picture_rows import GONE, PictureRows
from acquisition.recordings.recorded_sets import recorded_sets
from acquisition.recordings.segments import VIDEO_SUFFIX, Segment, segments_of, whole_rows
from acquisition.recordings.session import read_session, recorded_frames
from acquisition.recordings.switch import Stretches
from acquisition.rig import RigSettings, SyncSettings
from acquisition.settings import parse_settings
from acquisition.synchronisation.synchronise import StampSet
from acquisition.videos.indexed_video import IndexedVideo
from acquisition.videos.video import Video, open_video

T = TypeVar("T")

_NO_ROWS: npt.NDArray[np.void] = np.empty(0, FRAME_DTYPE)


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
        What is missing, one sentence each, the camera first. Of cameras whose tables were asked for: rows
        that session.json counted and no table has, and the ends of a session that was cut off; of those
        whose pictures were asked for, the ones that are gone or do not decode, one a segment.
    """

    def __init__(self, folder: Path, session: dict[str, Any]) -> None:
        self.folder = folder
        self.session = session
        self.rig = parse_settings(RigSettings, session["rig"], folder / "session.json")
        self.cameras = tuple(self.rig.cameras)
        self.gaps: list[str] = []
        self._listed: dict[str, list[Segment]] = {}
        self._tables: dict[str, list[npt.NDArray[np.void]]] = {}
        self._videos: dict[Path, IndexedVideo] = {}
        self._numbers: dict[Path, npt.NDArray[np.int64]] = {}
        self._missing: dict[Path, tuple[int, str]] = {}

    @classmethod
    def open(cls, folder: Path) -> Recording:
        """Open a session folder; raises `RigposeError` where it is none."""
        folder = Path(folder).resolve()
        return cls(folder, read_session(folder))

    def video_name(self, camera: str) -> str:
        """What the video of one camera is called, without an ending: `<session>_<camera>`."""
        return f"{self.session['name']}_{camera}"

    def video_paths(self, camera: str) -> tuple[Path, ...]:
        """The videos of one camera, one a segment, in order; none where it never delivered."""
        return tuple(segment.video for segment in self._segments(camera) if segment.video.exists())

    def video_path(self, camera: str) -> Path:
        """The one video of one camera; a camera that never delivered has none.

        Raises
        ------
        RigposeError
            If it has several, of several segments.
        """
        paths = self.video_paths(camera)
        if len(paths) > 1:
            raise RigposeError(
                self.folder, expected="one video a camera", found=f"{len(paths)} segments of {camera}",
                remedy=f"Join them: rigpose recover --join {self.folder}",
            )  # fmt: skip
        return paths[0] if paths else self.folder / f"{self.video_name(camera)}{VIDEO_SUFFIX}"

    def frame_table(self, camera: str) -> npt.NDArray[np.void]:
        """Structured int64 (N,): seq, t_device_ns, t_exposure_ns, uncertainty_ns, t_arrival_ns, lost_before.

        Row n belongs to the n-th decoded frame, counted over all segments. Rows whose picture was cut
        off are left out and named in `gaps`; a camera that never delivered a frame has an empty table.
        """
        tables = self._read_tables(camera)
        return np.concatenate(tables) if len(tables) > 1 else tables[0] if tables else _NO_ROWS

    def rows_by_video(self, camera: str) -> dict[Path, int]:
        """Rows of each video of one camera, in order; videos without a row are left out."""
        pieces = zip(self._segments(camera), self._read_tables(camera), strict=True)
        return {segment.video: len(table) for segment, table in pieces if len(table)}

    def images(self, camera: str) -> Iterator[Image | None]:
        """One for each row of the table, uint8 (H, W) or (H, W, 3) RGB; None where none decodes.

        Where a segment's video is damaged and nothing tells which row a picture belongs to, None stands for
        the rest of that segment; `gaps` says so. Raises `RigposeError` where no picture is left at all.
        """
        return self._each(camera, lambda video, frame: video.image_of(frame))

    def frames(self, camera: str) -> Iterator[Any]:
        """As `images`, in PyAV frames, for whoever converts only a few of them."""
        return self._each(camera, lambda video, frame: frame)

    def picture_numbers(self, camera: str) -> npt.NDArray[np.int64]:
        """int64 (N,): for each row of the table, the number of its picture in its segment's video, or `GONE`.

        Told by the times of the packets, without decoding: a picture that has a number may still not decode.
        """
        pieces = zip(self._segments(camera), self._read_tables(camera), strict=True)
        numbers = [self._numbers_of(segment, table) for segment, table in pieces]
        return np.concatenate(numbers) if numbers else np.empty(0, np.int64)

    def image(self, camera: str, row: int) -> Image:
        """The picture of one row, uint8 (H, W) or (H, W, 3) RGB.

        Raises
        ------
        IndexError
            If there is no such row.
        RigposeError
            If its picture is gone, or does not decode.
        """
        rest = row
        for segment, table in zip(self._segments(camera), self._read_tables(camera), strict=True):
            if 0 <= rest < len(table):
                number = int(self._numbers_of(segment, table)[rest])
                if number == GONE:
                    raise RigposeError(
                        segment.video, expected=f"the picture of row {rest}",
                        found="a damaged video, which does not hold it any more",
                        remedy="Restore the file from a copy",
                    )  # fmt: skip
                return self._video(segment).image(number)
            rest -= len(table)
        raise IndexError(f"{camera} has {len(self.frame_table(camera))} frames, no row {row}")

    def events(self) -> list[dict[str, Any]]:
        """The events table."""
        return read_events(self.folder)

    def stretches(self) -> Stretches:
        """When it was asked to record: all the time, where nobody switched it off."""
        return Stretches.of(self.events())

    def frame_sets(self, sync: SyncSettings | None = None) -> list[StampSet]:
        """All frame sets, made by the same code as live; payloads are row numbers, None where absent.

        While the recording was switched off there are none; their numbers stay those of the live run.

        Where the trigger had to be started anew, its pulses are counted anew too: the sets of the new
        count follow at `first_index`, which session.json states for every count, and none is missing in
        between.
        """
        tables = {
            name: list(zip(self._segments(name), self._read_tables(name), strict=True))
            for name in self.cameras
        }
        return recorded_sets(self.session, self.rig, sync or self.rig.sync, tables, self.events())

    def close(self) -> None:
        """Close the videos."""
        for video in self._videos.values():
            video.close()
        self._videos.clear()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _each(self, camera: str, converted: Callable[[Video, Any], T]) -> Iterator[T | None]:
        tables = self._read_tables(camera)
        filled = [piece for piece in zip(self._segments(camera), tables, strict=True) if len(piece[1])]
        for segment, table in filled:
            packets = partial(self._packet_times_s, segment)
            places = PictureRows(table, read_origin_ns(segment.table), packets)
            row = given = 0
            first: int | None = None
            try:
                video = open_video(segment.video)
                for frame in video.frames():
                    at = places.row(video.times_s[-1], row)
                    if at is None:
                        break
                    if at > row and first is None:
                        first = row
                    yield from repeat(None, at - row)
                    yield converted(video, frame)
                    row, given = at + 1, given + 1
                    if row == len(table):
                        break
            except RigposeError:
                if len(filled) == 1:
                    raise
            if given < len(table):
                self._tell_missing(segment, len(table), given, row if first is None else first)
            yield from repeat(None, len(table) - row)

    def _packet_times_s(self, segment: Segment) -> list[float]:
        return self._video(segment).times_s

    def _numbers_of(self, segment: Segment, table: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
        """As `picture_numbers`, of one segment."""
        if segment.video not in self._numbers:
            numbers = np.full(len(table), GONE, np.int64)
            with contextlib.suppress(RigposeError):  # no video at all any more
                packets = partial(self._packet_times_s, segment)
                sound = len(self._video(segment)) >= len(table)  # its times need not be looked at
                rows = PictureRows(table, read_origin_ns(segment.table), packets)
                numbers = np.arange(len(table), dtype=np.int64) if sound else rows.numbers()
            if (gone := np.flatnonzero(numbers == GONE)).size:
                self._tell_missing(segment, len(table), len(table) - len(gone), int(gone[0]))
            self._numbers[segment.video] = numbers
        return self._numbers[segment.video]

    def _tell_missing(self, segment: Segment, rows: int, given: int, first: int) -> None:
        """Enter a gap; of one segment the one that lacks most stays."""
        where = f"segment {segment.number}: " if segment.number else ""
        said = f"{rows - given} of {rows} pictures do not decode, the first of them number {first}"
        lacking, gap = rows - given, f"{segment.camera}: {where}{said}"
        before = self._missing.get(segment.video)
        if before is not None and before[0] >= lacking:
            return
        if before is None:
            self.gaps.append(gap)
        else:
            self.gaps[self.gaps.index(before[1])] = gap
        self._missing[segment.video] = lacking, gap

    def _segments(self, camera: str) -> list[Segment]:
        if camera not in self.cameras:
            raise RigposeError(
                self.folder, expected=f"a camera of {', '.join(self.cameras)}", found=f"'{camera}'",
                remedy="Give one of these",
            )  # fmt: skip
        if camera not in self._listed:
            self._listed[camera] = segments_of(self.folder, camera, self.session["name"])
        return self._listed[camera]

    def _read_tables(self, camera: str) -> list[npt.NDArray[np.void]]:
        """The rows of each segment that have a picture."""
        if camera not in self._tables:
            segments = self._segments(camera)
            written = [read_frame_table(one.table) if begun(one.table) else _NO_ROWS for one in segments]
            rows, recorded = sum(map(len, written)), recorded_frames(self.session).get(camera, 0)
            if rows < recorded:
                self.gaps.append(f"{camera}: its frame table has {rows} of {recorded} recorded frames")
            elif not segments:
                self.gaps.append(f"{camera}: recorded no frame")
            whole = whole_rows(self.session, self.events(), segments)
            self._tables[camera] = [
                self._with_pictures(one, table, whole.get(one.number))
                for one, table in zip(segments, written, strict=True)
            ]
        return self._tables[camera]

    def _with_pictures(
        self, segment: Segment, table: npt.NDArray[np.void], whole: int | None
    ) -> npt.NDArray[np.void]:
        """The rows of one segment; `whole`: how many it was ended with, None where it was cut off."""
        if whole == len(table):
            return table
        try:
            decodable = len(self._video(segment)) if len(table) else 0
        except RigposeError:  # cut off before its first picture
            decodable = 0
        if decodable < len(table):
            where = f"segment {segment.number}: " if segment.number else ""
            lost = f"the last {len(table) - decodable} of {len(table)} frames were cut off"
            self.gaps.append(f"{segment.camera}: {where}{lost}")
        return table[:decodable]

    def _video(self, segment: Segment) -> IndexedVideo:
        if segment.video not in self._videos:
            self._videos[segment.video] = IndexedVideo(segment.video)
        return self._videos[segment.video]

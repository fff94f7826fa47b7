"""One camera's part of a recording: its queue, its encoder's thread, its files segment by segment."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from acquisition.frame import Image
from acquisition.frame_stamp import FrameStamp
from acquisition.recordings.frame_table import FrameTableWriter
from acquisition.recordings.segments import ENDED, Segment, segment_of
from acquisition.videos.encoder import Encoder

QUEUE_BYTES = 96 << 20


class _End(Enum):
    """In the place of a frame: what ends there."""

    SEGMENT = auto()
    TRACK = auto()


@dataclass(frozen=True, slots=True)
class TrackPlan:
    """What the files of one camera are made of.

    Attributes
    ----------
    folder:
        The session's.
    camera, codec:
        By name.
    shape:
        Of the images.
    rate_hz:
        Nominal.
    origin_ns:
        What the times in the videos count from.
    queue_bytes:
        What may wait for the encoder.
    """

    folder: Path
    camera: str
    codec: str
    shape: tuple[int, ...]
    rate_hz: float
    origin_ns: int
    queue_bytes: int

    @property
    def queued_most(self) -> int:
        """Images that may wait."""
        size = self.shape[0] * self.shape[1] * (self.shape[2] if len(self.shape) == 3 else 1)
        return max(8, min(256, self.queue_bytes // size))


class CameraTrack:
    """Takes images without waiting; a thread encodes them.

    Parameters
    ----------
    plan:
        What to write.
    note:
        `EventsWriter.append`, from any thread: it is told of every segment that is whole.

    Attributes
    ----------
    taken, rows:
        Images taken, and images written.
    waiting_most:
        Images that waited for the encoder, at most.
    segment:
        Number of the newest segment.
    error:
        '' or why this camera is recorded no further.
    """

    def __init__(self, plan: TrackPlan, note: Callable[..., None]) -> None:
        self.plan = plan
        self.taken = self.rows = self.waiting_most = 0
        self.segment = -1
        self.error = ""
        self._note = note
        self._queue: queue.Queue[tuple[FrameStamp, Image, int] | _End] = queue.Queue(plan.queued_most)
        self._piece: _Piece | None = None
        self._lock = threading.Lock()
        self._unsynced: list[int] = []
        self._thread = threading.Thread(target=self._encode, name=plan.camera, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Frames in the queue."""
        return self._queue.qsize()

    def put(self, stamp: FrameStamp, image: Image, segment: int) -> bool:
        """Take a copy of the image, for `segment` or the newest if that is later; False where the queue is
        full.
        """
        if self._queue.full():
            return False
        self.segment = max(self.segment, segment)
        self._queue.put((stamp, image.copy(), self.segment))
        self.taken += 1
        self.waiting_most = max(self.waiting_most, self._queue.qsize())
        return True

    def end_segment(self) -> bool:
        """End the files after what was put; the next frame begins new ones. False where the queue is full."""
        if self._queue.full():
            return False
        self._queue.put(_End.SEGMENT)
        return True

    def sync(self) -> None:
        """Have the kernel put onto the disk what has been written so far, the ended segments' too."""
        with self._lock:
            files, self._unsynced = self._unsynced, []
            if self._piece is not None:
                files += self._piece.duplicates()
        for file in files:
            with contextlib.suppress(OSError):  # a full disk is told by the writes
                os.fsync(file)
            os.close(file)

    def finish(self) -> None:
        """Write what waits and end the files."""
        self._queue.put(_End.TRACK)
        self._thread.join()
        self._end_piece()
        self.sync()

    def _encode(self) -> None:
        while (item := self._queue.get()) is not _End.TRACK:
            if self.error:
                continue  # the disk is full: the queue is emptied so that nobody waits for it
            if item is _End.SEGMENT:
                self._end_piece()
                continue
            stamp, image, number = item
            try:
                if self._piece is None or self._piece.segment.number != number:
                    self._end_piece()
                    self._begin_piece(number)
                assert self._piece is not None
                self._piece.write(stamp, image)
                self.rows += 1
            except Exception as error:  # an encoder's too: whatever it is, this camera's recording ends here
                self.error = words(error)

    def _begin_piece(self, number: int) -> None:
        piece = _Piece(self.plan, number)
        with self._lock:
            self._piece = piece

    def _end_piece(self) -> None:
        with self._lock:
            piece, self._piece = self._piece, None
            if piece is None:
                return
            self._unsynced += piece.duplicates()
        try:
            piece.close()
        except Exception as error:  # the other cameras' files are still to be ended
            self.error = self.error or words(error)
        if not self.error:
            self._note(ENDED, camera=self.plan.camera, segment=piece.segment.number, rows=piece.rows)


class _Piece:
    """The two files of one segment."""

    def __init__(self, plan: TrackPlan, number: int) -> None:
        self.segment: Segment = segment_of(plan.folder, plan.camera, number)
        self.rows = 0
        self._origin_ns = plan.origin_ns
        self._table = FrameTableWriter(self.segment.table, plan.camera, plan.origin_ns)
        channels = 1 if len(plan.shape) == 2 else plan.shape[2]
        self._encoder = Encoder(
            self.segment.video, plan.codec, plan.shape[1], plan.shape[0], channels, plan.rate_hz
        )

    def write(self, stamp: FrameStamp, image: Image) -> None:
        # The row first: a picture without a row would shift all that follow.
        self._table.append(stamp)
        self.rows += 1
        self._encoder.write(image, round((stamp.t_exposure_ns - self._origin_ns) / 1e6))

    def duplicates(self) -> list[int]:
        """Open files of its own for whoever syncs: fsync on one is fsync of the file."""
        files = []
        for path in (self.segment.video, self.segment.table, self.segment.table.parent):
            with contextlib.suppress(OSError):
                files.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return files

    def close(self) -> None:
        try:
            self._encoder.close()
        finally:
            self._table.close()


def words(error: Exception) -> str:
    """What an error says, for a person."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

"""The recorder process: rings in, one video and one frame table per camera out.

Frames wait for their encoder in a bounded queue. Where it is full they stay in the ring, whose
writer then drops, counts and says so: nothing is dropped here, and nothing silently. A disk that is
full, or nearly, ends the recording cleanly; the rest of the rig goes on.
"""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from acquisition.child import ChildLink
from acquisition.frame import Absence, Image
from acquisition.frame_stamp import NEW_COUNT, FrameStamp
from acquisition.recordings.events import EventsWriter
from acquisition.recordings.frame_table import SUFFIX, FrameTableWriter
from acquisition.rig import RecordingSettings
from acquisition.rings.readers import RingReaders
from acquisition.rings.ring import Leased
from acquisition.synchronisation.clock import clock_anchor
from acquisition.videos.encoder import Encoder

_QUEUE_BYTES = 96 << 20
_RESERVE_BYTES = 256 << 10
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RecorderPlan:
    """Where and how to record."""

    runtime: str
    session: str
    cameras: tuple[str, ...]
    settings: RecordingSettings

    def file(self, camera: str, suffix: str) -> Path:
        """A file of one camera."""
        folder = Path(self.session)
        return folder / f"{folder.name}_{camera}{suffix}"


def disk_shortage(folder: Path, settings: RecordingSettings) -> str:
    """'' where `folder` has the free space that is to be kept, else the figures."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb >= settings.keep_free_gb:
        return ""
    return f"{free_gb:.2f} GB free, {settings.keep_free_gb:g} GB to be kept"


def recorder(link: ChildLink, plan: RecorderPlan) -> None:
    """Record until told to stop; then what is in the rings and queues is still written.

    A recording that ended by itself is closed and said, and the process waits to be told: the rig,
    and a tracker on it, go on.
    """
    recording = _Recording(link, plan)
    try:
        recording.run()
    finally:
        recording.finish()
    while recording.ended and not link.wait(1.0):
        link.report()


class _Recording:
    def __init__(self, link: ChildLink, plan: RecorderPlan) -> None:
        self._link = link
        self._plan = plan
        self._folder = Path(plan.session)
        self._events = EventsWriter(self._folder)
        # Room for the last words on a full disk.
        self._reserve = self._folder / ".reserve"
        self._reserve.write_bytes(b"\1" * _RESERVE_BYTES)
        self._rings = RingReaders(Path(plan.runtime), plan.cameras, "recorder")
        self._tracks: dict[str, _CameraTrack] = {}
        self._held: dict[str, deque[Leased]] = {camera: deque() for camera in plan.cameras}
        self._next_second_ns = 0
        self._origin_ns: int | None = None
        self.ended = ""

    def run(self) -> None:
        while not self._link.stopping and not self.ended:
            self._take(self._rings.receive(0.05))
            for camera in self._rings.gone():
                self._note("camera gone", camera=camera)
            self._each_second()
            if self._rings.connected:
                self._link.report(state="ready", cameras=self._counters())
        if not self.ended:
            self._drain()

    def finish(self) -> None:
        """End all files; what went wrong while ending them is in the counters too."""
        self._rings.close()
        for track in self._tracks.values():
            track.finish()
        self._reserve.unlink(missing_ok=True)
        for camera, track in self._tracks.items():
            if track.error:
                self.ended = self.ended or f"{camera}: {track.error}"
        self._note("recording ended", why=self.ended or "stopped")
        self._events.close()
        self._link.report(now=True, state="ended", ended=self.ended, cameras=self._counters())

    def _drain(self) -> None:
        """After the stop: what the cameras had captured by then."""
        until_ns = time.monotonic_ns() + _SECOND_NS
        while time.monotonic_ns() < until_ns and not self.ended:
            frames = self._rings.receive(0.02)
            self._take(frames)
            if not frames and not any(self._held.values()):
                return

    def _take(self, frames: list[Leased]) -> None:
        for leased in frames:
            self._held[leased.stamp.camera].append(leased)
        for camera, held in self._held.items():
            while held and self._keep(camera, held[0]):
                held.popleft().release()
        for camera, track in self._tracks.items():
            if track.error and not self.ended:
                self._end(f"{camera}: {track.error}")

    def _keep(self, camera: str, leased: Leased) -> bool:
        """Hand a frame on; False where its encoder's queue is full."""
        stamp = leased.stamp
        if stamp.absence is Absence.RING_FULL:
            self._note("ring full", **{**asdict(stamp), "absence": Absence.RING_FULL.value})
            return True
        assert leased.image is not None
        if camera not in self._tracks:
            try:
                self._tracks[camera] = self._begin(stamp, leased.image)
            except OSError as error:
                self._end(f"{camera}: {_words(error)}")
                return True
        track = self._tracks[camera]
        if track.shape != leased.image.shape:
            self._end(f"{camera}: images changed from {track.shape} to {leased.image.shape}")
            return True
        if not track.put(stamp, leased.image):
            return False
        if stamp.lost_before == NEW_COUNT and track.taken > 1:
            self._note("camera back", camera=camera, seq=stamp.seq, t_exposure_ns=stamp.t_exposure_ns)
        return True

    def _begin(self, stamp: FrameStamp, image: Image) -> _CameraTrack:
        if self._origin_ns is None:
            self._origin_ns = stamp.t_exposure_ns
        rate_hz = float(self._rings.readers[stamp.camera].info.get("rate_hz", 30.0))
        return _CameraTrack(self._plan, stamp, image.shape, rate_hz, self._origin_ns)

    def _each_second(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns < self._next_second_ns:
            return
        self._next_second_ns = now_ns + _SECOND_NS
        anchor = clock_anchor()
        self._note(
            "clock", anchor.t_ns, boot_id=anchor.boot_id, realtime_ns=anchor.realtime_ns,
            uncertainty_ns=anchor.uncertainty_ns,
        )  # fmt: skip
        shortage = disk_shortage(self._folder, self._plan.settings)
        if shortage:
            self._end(f"disk: {shortage}")

    def _note(self, kind: str, t_ns: int | None = None, **facts: Any) -> None:
        try:
            self._events.append(kind, t_ns, **facts)
        except OSError as error:
            self._end(f"events: {_words(error)}")

    def _end(self, why: str) -> None:
        """Stop recording, not the rig."""
        if self.ended:
            return
        self.ended = why
        self._reserve.unlink(missing_ok=True)
        self._link.report(now=True, state="ending", ended=why)

    def _counters(self) -> dict[str, Any]:
        return {
            camera: {"frames": track.rows, "waiting": track.waiting, "waiting_most": track.waiting_most}
            for camera, track in self._tracks.items()
        }


class _CameraTrack:
    """One camera's encoder thread, its queue and its table."""

    def __init__(
        self, plan: RecorderPlan, first: FrameStamp, shape: tuple[int, ...], rate_hz: float, origin_ns: int
    ) -> None:
        camera = first.camera
        self.taken = 0
        self.shape = shape
        self.error = ""
        self.waiting_most = 0
        size = shape[0] * shape[1] * (shape[2] if len(shape) == 3 else 1)
        depth = max(8, min(256, _QUEUE_BYTES // len(plan.cameras) // size))
        self._queue: queue.Queue[tuple[FrameStamp, Image] | None] = queue.Queue(depth)
        self._origin_ns = origin_ns
        self._table = FrameTableWriter(plan.file(camera, SUFFIX), camera)
        self._encoder = Encoder(
            plan.file(camera, ".mkv"), plan.settings.codec, shape[1], shape[0],
            1 if len(shape) == 2 else shape[2], rate_hz,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._encode, name=camera, daemon=True)
        self._thread.start()

    @property
    def rows(self) -> int:
        """Frames written."""
        return self._table.rows

    @property
    def waiting(self) -> int:
        """Frames in the queue."""
        return self._queue.qsize()

    def put(self, stamp: FrameStamp, image: Image) -> bool:
        """Take a copy of the image for the encoder; False where the queue is full."""
        if self._queue.full():
            return False
        self._queue.put((stamp, image.copy()))
        self.taken += 1
        self.waiting_most = max(self.waiting_most, self._queue.qsize())
        return True

    def finish(self) -> None:
        """Write what waits and end the files."""
        self._queue.put(None)
        self._thread.join()
        try:
            self._encoder.close()
        except Exception as error:  # the other cameras' files are still to be ended
            self.error = self.error or _words(error)
        self._table.close()

    def _encode(self) -> None:
        synced_ns = time.monotonic_ns()
        while (item := self._queue.get()) is not None:
            if self.error:
                continue  # the disk is full: the queue is emptied so that nobody waits for it
            stamp, image = item
            try:
                # The row first: a picture without a row would shift all that follow.
                self._table.append(stamp)
                self._encoder.write(image, round((stamp.t_exposure_ns - self._origin_ns) / 1e6))
                if time.monotonic_ns() - synced_ns > _SECOND_NS:
                    synced_ns = time.monotonic_ns()
                    self._table.sync()
            except Exception as error:  # an encoder's too: whatever it is, this camera's recording ends here
                self.error = _words(error)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

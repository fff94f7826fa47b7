"""The recorder process: rings in, videos and frame tables out, one of each for every camera and segment.

Frames wait for their encoder in a bounded queue. Where it is full they stay in the ring, whose
writer then drops, counts and says so: nothing is dropped here, and nothing silently. A disk that is
full, or nearly, ends the recording cleanly; the rest of the rig goes on. What was written is put onto
the disk once a second. A recorder that takes over from one that died begins new segments.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from acquisition.child import ChildLink
from acquisition.frame import Absence, Image
from acquisition.frame_stamp import NEW_COUNT, FrameStamp
from acquisition.recordings import camera_track
from acquisition.recordings.camera_track import CameraTrack, TrackPlan, words
from acquisition.recordings.disk import DiskWatch
from acquisition.recordings.events import EventsWriter
from acquisition.recordings.frame_table import begun, read_frame_table, read_origin_ns
from acquisition.recordings.segments import RECORDER_BACK, SegmentRule, segments_of
from acquisition.rig import RecordingSettings
from acquisition.rings.readers import RingReaders
from acquisition.rings.ring import Leased
from acquisition.synchronisation.clock import clock_anchor

_RESERVE_BYTES = 256 << 10
_SECOND_NS = 1_000_000_000
_SYNC_S = 1.0


@dataclass(frozen=True, slots=True)
class RecorderPlan:
    """Where and how to record."""

    runtime: str
    session: str
    cameras: tuple[str, ...]
    settings: RecordingSettings


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
        self._tracks: dict[str, CameraTrack] = {}
        self._held: dict[str, deque[Leased]] = {camera: deque() for camera in plan.cameras}
        self._next_second_ns = 0
        self._disk = DiskWatch(self._folder, plan.settings)
        self._origin_ns: int | None = None
        self._rule: SegmentRule | None = None
        self._first_segment = 0
        self._over = threading.Event()
        self.ended = ""
        before = [one for camera in plan.cameras for one in segments_of(self._folder, camera)]
        if before:
            self._first_segment = 1 + max(one.number for one in before)
            self._origin_ns = next(
                (t for one in before if (t := read_origin_ns(one.table)) is not None), None
            )
            self._note(RECORDER_BACK, segment=self._first_segment)
        self._rows_before = {camera: 0 for camera in plan.cameras}
        for one in before:
            if begun(one.table):
                self._rows_before[one.camera] += len(read_frame_table(one.table))
        self._syncing = threading.Thread(target=self._sync, name="sync", daemon=True)
        self._syncing.start()

    def run(self) -> None:
        while not self._link.stopping and not self.ended:
            self._take(self._rings.receive(0.05))
            for camera in self._rings.gone():
                self._note("camera gone", camera=camera)
            self._each_second()
            if self._rings.connected:
                self._link.report(state="ready")
            self._link.report(cameras=self._counters(), disk_left_s=self._disk.left_s)
        if not self.ended:
            self._drain()

    def finish(self) -> None:
        """End all files; what went wrong while ending them is in the counters too."""
        self._rings.close()
        self._over.set()
        self._syncing.join()
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
            self._tracks[camera] = self._begin(stamp, leased.image)
        track = self._tracks[camera]
        if track.plan.shape != leased.image.shape:
            self._end(f"{camera}: images changed from {track.plan.shape} to {leased.image.shape}")
            return True
        if not track.put(stamp, leased.image, self._segment(stamp)):
            return False
        if stamp.lost_before == NEW_COUNT and track.taken > 1:
            self._note("camera back", camera=camera, seq=stamp.seq, t_exposure_ns=stamp.t_exposure_ns)
        return True

    def _begin(self, stamp: FrameStamp, image: Image) -> CameraTrack:
        if self._origin_ns is None:
            self._origin_ns = stamp.t_exposure_ns
        rate_hz = float(self._rings.readers[stamp.camera].info.get("rate_hz", 30.0))
        plan = TrackPlan(
            self._folder, stamp.camera, self._plan.settings.codec, image.shape, rate_hz, self._origin_ns,
            camera_track.QUEUE_BYTES // len(self._plan.cameras),
        )  # fmt: skip
        return CameraTrack(plan, self._note)

    def _segment(self, stamp: FrameStamp) -> int:
        if self._rule is None:
            length_ns = round(self._plan.settings.segment_minutes * 60e9)
            self._rule = SegmentRule(self._first_segment, stamp.t_exposure_ns, length_ns)
        return self._rule.number(stamp.t_exposure_ns, self._link.told.get("counts_anew_ns", ()))

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
        if self._disk.look(now_ns) and self._disk.left_s is not None:
            self._note("disk low", minutes_left=round(self._disk.left_s / 60, 1))
        if self._disk.shortage:
            self._end(f"disk: {self._disk.shortage}")

    def _sync(self) -> None:
        """Once a second, in a thread of its own: a disk that is slow to answer holds nobody up."""
        while not self._over.wait(_SYNC_S):
            for track in list(self._tracks.values()):
                track.sync()
            with contextlib.suppress(OSError):  # a full disk is told by the writes
                self._events.sync()

    def _note(self, kind: str, t_ns: int | None = None, **facts: Any) -> None:
        try:
            self._events.append(kind, t_ns, **facts)
        except OSError as error:
            self._end(f"events: {words(error)}")

    def _end(self, why: str) -> None:
        """Stop recording, not the rig."""
        if self.ended:
            return
        self.ended = why
        self._reserve.unlink(missing_ok=True)
        self._link.report(now=True, state="ending", ended=why)

    def _counters(self) -> dict[str, Any]:
        return {
            camera: {
                "frames": self._rows_before[camera] + track.rows,
                "waiting": track.waiting,
                "waiting_most": track.waiting_most,
            }
            for camera, track in self._tracks.items()
        }

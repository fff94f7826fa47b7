"""The recorder process: rings in, videos and frame tables out, one of each for every camera and segment.

Frames wait for their encoder in a bounded queue. Where it is full they stay in the ring, whose
writer then drops, counts and says so: nothing is dropped here, and nothing silently. A disk that is
full, or nearly, ends the recording cleanly; the rest of the rig goes on. What was written is put onto
the disk once a second. A recorder that takes over from one that died begins new segments.

It may be switched off and on (`link.told["record"]`: `on`, `asked_ns`, `by`). Off, it goes on reading, counts
what it lets go and gives it back at once; on again, new segments begin. The events say how it is, so that a
recorder that takes over goes on the same way.
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
from acquisition.recordings.events import EventsWriter, read_events
from acquisition.recordings.frame_table import begun, read_frame_table, read_origin_ns
from acquisition.recordings.segments import RECORDER_BACK, SegmentRule, segments_of
from acquisition.recordings.switch import NOT_ASKED, OFF, ON, LetGo, Stretches, seam_after
from acquisition.rig import RecordingSettings
from acquisition.rings.readers import RingReaders
from acquisition.rings.ring import Leased
from acquisition.synchronisation.clock import clock_anchor

_RESERVE_BYTES = 256 << 10
_SECOND_NS = 1_000_000_000
_SYNC_S = 1.0
_LATE_NS = 1_000_000_000
# After the recording was switched off: a camera's frames from before that are not waited for any longer.


@dataclass(frozen=True, slots=True)
class RecorderPlan:
    """Where and how to record; `paused`: beginning switched off."""

    runtime: str
    session: str
    cameras: tuple[str, ...]
    settings: RecordingSettings
    paused: bool = False


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
        self._rules: dict[int, SegmentRule] = {}
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
        events = read_events(self._folder, (ON, OFF, NOT_ASKED))
        self._stretches = Stretches.of(events)
        self._asked_ns = max((int(e["asked_ns"]) for e in events if e["kind"] in (ON, OFF)), default=0)
        self._refused = ""
        self._newest_ns: int | None = None
        let_go = {event["camera"]: int(event["frames"]) for event in events if event["kind"] == NOT_ASKED}
        self._let_go = {camera: LetGo(self._note, let_go.get(camera, 0)) for camera in plan.cameras}
        # By camera: the stretch whose segment is still to be ended, and before which all are ended.
        self._ending: dict[str, int] = {}
        self._past = dict.fromkeys(plan.cameras, len(self._stretches.seams_ns))
        self._off_ns = 0
        if plan.paused and not self._stretches.seams_ns:
            self._turn(time.monotonic_ns(), "--record-paused")
        self._syncing = threading.Thread(target=self._sync, name="sync", daemon=True)
        self._syncing.start()

    def run(self) -> None:
        while not self._link.stopping and not self.ended:
            self._obey()
            self._take(self._rings.receive(0.05))
            for camera in self._rings.gone():
                self._note("camera gone", camera=camera)
            self._each_second()
            ready: dict[str, Any] = {"state": "ready"} if self._rings.connected else {}
            self._link.report(
                cameras=self._counters(), disk_left_s=self._disk.left_s, recording=self._switch(), **ready
            )
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
        for held in self._held.values():  # the encoder is too slow for these: no reason to say nothing
            for leased in held:
                if self._stretches.asked(leased.stamp.t_exposure_ns):
                    self._note_dropped(leased.stamp)

    def _note_dropped(self, stamp: FrameStamp) -> None:
        self._note("ring full", **{**asdict(stamp), "absence": Absence.RING_FULL.value})

    def _obey(self) -> None:
        """Switch the recording off or on, where that was asked for."""
        wish: dict[str, Any] = self._link.told.get("record") or {"asked_ns": 0}
        begun = self._rings.connected or self._newest_ns is not None
        if wish["asked_ns"] <= self._asked_ns or not begun:
            return
        self._asked_ns = wish["asked_ns"]
        self._refused = self._disk.shortage if wish["on"] else ""
        if wish["on"] != self._stretches.on and not self._refused:
            self._turn(wish["asked_ns"], wish["by"])

    def _turn(self, asked_ns: int, by: str) -> None:
        """Off if it is on, on if it is off: from the first pulse on of which no frame was seen yet."""
        # Before its first frame: those of a recorder that died are not ours.
        from_ns = asked_ns if self._newest_ns is not None else max(asked_ns, time.monotonic_ns())
        seam_ns = self._stretches.turn(seam_after(self._newest_ns, self._period_ns(), from_ns))
        seams, on = len(self._stretches.seams_ns), self._stretches.on
        self._note(ON if on else OFF, seam_ns, asked_ns=asked_ns, by=by)
        if on:
            self._begin_stretch(seams, seam_ns)
            return
        self._off_ns = max(time.monotonic_ns(), seam_ns)
        for let_go in self._let_go.values():
            let_go.begin()
        if self._newest_ns is None:  # no frame came so far, and of those on their way none is asked for
            self._past = dict.fromkeys(self._plan.cameras, seams)
            return
        self._ending = dict.fromkeys(self._plan.cameras, seams - 1)
        if seams - 1 not in self._rules:
            self._begin_stretch(seams - 1, seam_ns)  # frames of it may still be on their way

    def _begin_stretch(self, stretch: int, start_ns: int) -> None:
        """Its segments follow those that the stretch before can have had."""
        first = self._first_segment
        if self._rules:
            last = max(self._rules)
            anew_ns = self._link.told.get("counts_anew_ns", ())
            first = 1 + self._rules[last].number(self._stretches.seams_ns[last] - 1, anew_ns)
        length_ns = round(self._plan.settings.segment_minutes * 60e9)
        self._rules[stretch] = SegmentRule(first, start_ns, length_ns)

    def _period_ns(self) -> int:
        """The trigger's, or the first camera's."""
        told = self._link.told.get("pulses", {}).get("period_ns")
        rate_hz = float(self._rings.readers[self._plan.cameras[0]].info.get("rate_hz") or 30.0)
        return int(told or round(1e9 / rate_hz))

    def _switch(self) -> dict[str, Any]:
        """For the page: whether it is on, since which exposure, and why it was not switched on."""
        seams_ns = self._stretches.seams_ns
        since_ns = seams_ns[-1] if seams_ns else self._origin_ns
        return {"on": self._stretches.on, "since_ns": since_ns, "refused": self._refused}

    def _take(self, frames: list[Leased]) -> None:
        for leased in frames:
            stamp = leased.stamp
            self._held[stamp.camera].append(leased)
            # No frame arrives before its exposure, whatever a clock that was set may say.
            exposed_ns = min(stamp.t_exposure_ns, stamp.t_arrival_ns)
            self._newest_ns = exposed_ns if self._newest_ns is None else max(self._newest_ns, exposed_ns)
        for camera, held in self._held.items():
            while held and self._keep(camera, held[0]):
                held.popleft().release()
        for camera, track in self._tracks.items():
            if track.error and not self.ended:
                self._end(f"{camera}: {track.error}")

    def _keep(self, camera: str, leased: Leased) -> bool:
        """Hand a frame on, or let it go; False where its encoder's queue is full."""
        stamp = leased.stamp
        stretch = self._stretches.number(stamp.t_exposure_ns)
        if stretch > self._ending.get(camera, stretch) and not self._end_segment(camera):
            return False
        asked = stretch % 2 == 0 and stretch >= self._past[camera]
        if stamp.absence is Absence.RING_FULL:
            if asked:
                self._note_dropped(stamp)
            return True
        assert leased.image is not None
        back = camera in self._tracks or self._let_go[camera].frames > 0
        if not asked:
            self._let_go[camera].add(stamp)
        elif not self._put(stretch, stamp, leased.image):
            return False
        if stamp.lost_before == NEW_COUNT and back:
            self._note("camera back", camera=camera, seq=stamp.seq, t_exposure_ns=stamp.t_exposure_ns)
        return True

    def _put(self, stretch: int, stamp: FrameStamp, image: Image) -> bool:
        """Hand a frame to its encoder; False where the queue is full."""
        camera = stamp.camera
        if camera not in self._tracks:
            self._tracks[camera] = self._begin(stamp, image)
        track = self._tracks[camera]
        if track.plan.shape != image.shape:
            self._end(f"{camera}: images changed from {track.plan.shape} to {image.shape}")
            return True
        if not track.put(stamp, image, self._segment(stretch, stamp)):
            return False
        self._let_go[camera].end()
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

    def _segment(self, stretch: int, stamp: FrameStamp) -> int:
        if stretch not in self._rules:
            self._begin_stretch(stretch, stamp.t_exposure_ns)
        counts_anew_ns = self._link.told.get("counts_anew_ns", ())
        return self._rules[stretch].number(stamp.t_exposure_ns, counts_anew_ns)

    def _end_segment(self, camera: str) -> bool:
        """It was switched off: end a camera's files. False where its encoder's queue is full."""
        track = self._tracks.get(camera)
        if track is not None and not track.end_segment():
            return False
        self._past[camera] = self._ending.pop(camera) + 1
        return True

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
        if self._disk.shortage and self._stretches.on:
            self._end(f"disk: {self._disk.shortage}")
        for camera in [*self._ending]:  # of a camera that delivers nothing no later frame ends the files
            if now_ns > self._off_ns + _LATE_NS and not self._held[camera]:
                self._end_segment(camera)

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
        counters = {}
        for camera, let_go in self._let_go.items():
            track = self._tracks.get(camera)
            if track is None and not let_go.frames:
                continue
            counters[camera] = {
                "frames": self._rows_before[camera] + (track.rows if track else 0),
                "waiting": track.waiting if track else 0,
                "waiting_most": track.waiting_most if track else 0,
                "not_asked": let_go.frames,
            }
        return counters

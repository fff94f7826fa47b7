"""Frame sets of a triggered rig: one set a pulse, in order, with the cause of every absence."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from acquisition.frame import Absence
from acquisition.frame_stamp import FrameStamp
from acquisition.rig import SyncSettings
from acquisition.synchronisation.pulse_clock import PulseClock
from acquisition.synchronisation.pulse_track import SETTLE_FRAMES, Placement, PulseTrack
from acquisition.synchronisation.synchronise import Resolved, StampSet


class PulseSets:
    """The synchroniser of a triggered rig; see `synchronise.Synchroniser` for the parameters.

    A set leaves when every camera's frame is there or a later frame of that camera has told why not,
    at the latest `max_delay_ms` after the exposure. Only while a camera's first five frames of the session
    are being placed do sets wait longer, up to seven periods.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        settings: SyncSettings,
        period_ns: int,
        first_exposure_ns: int | None = None,
    ) -> None:
        self.cameras = tuple(cameras)
        self.rejected: list[Any] = []
        self.counts = dict.fromkeys(("late", "stray", "duplicate", "count_conflict"), 0)
        self._clock = PulseClock(float(period_ns), first_exposure_ns)
        self._max_delay_ns = int(settings.max_delay_ms * 1e6)
        self._settle_ns = max(self._max_delay_ns, (SETTLE_FRAMES + 2) * period_ns)
        self._tracks = {
            camera: PulseTrack(self._clock, settings.tolerance_ms * 1e6) for camera in self.cameras
        }
        self._there: dict[int, dict[str, tuple[FrameStamp, Any]]] = {}
        self._absent: dict[int, dict[str, Absence]] = {}
        self._uncertain: dict[int, set[str]] = {}
        self._late_from: dict[str, int] = {}
        self._next = 0
        self._resolved: list[Resolved] = []
        self._waiting: list[tuple[FrameStamp, Any]] | None = [] if first_exposure_ns is None else None

    @property
    def period_ns(self) -> float:
        """The trigger's period as followed so far."""
        return self._clock.period_ns

    def add(self, stamp: FrameStamp, payload: Any = None) -> None:
        """Take in a frame. Frames of one camera come in the order of their exposures."""
        if self._waiting is not None:
            self._waiting.append((stamp, payload))
            return
        for placement in self._tracks[stamp.camera].add(stamp, payload):
            self._place(placement)

    def gone(self, camera: str) -> None:
        """The camera has stopped for now: its frames are no longer waited for."""
        self._release(camera)
        self._tracks[camera].gone = True
        # Sets that left while it was silent waited for a frame that does not come; later ones say so at once.
        self._end_late(camera)

    def closed(self, now_ns: int) -> list[StampSet]:
        """The finished sets, in order. `now_ns` 0 means: wait for causes however long it takes."""
        self._begin(now_ns)
        for camera, track in self._tracks.items():
            if track.settling and now_ns > track.settling[0][0].t_arrival_ns + self._settle_ns:
                self._release(camera)
        sets = []
        while self._clock.index is not None and self._next <= self._clock.index:
            overdue = now_ns > self._clock.time_of(self._next) + self._max_delay_ns
            if overdue:
                for camera, track in self._tracks.items():
                    if track.last_index < self._next and (track.held or (track.settling and track.started)):
                        self._release(camera)
            waited_for = [t for t in self._tracks.values() if t.last_index < self._next and not t.gone]
            if waited_for and (not overdue or any(track.settling for track in waited_for)):
                break
            sets.append(self._close(Absence.LATE))
        return sets

    def resolved(self) -> list[Resolved]:
        """Causes that became known after the set had been closed with `Absence.LATE`."""
        resolved, self._resolved = self._resolved, []
        return resolved

    def flush(self) -> list[StampSet]:
        """The remaining sets; nothing more will come."""
        self._begin(None)
        for camera in self.cameras:
            self._release(camera)
            self._end_late(camera)
        sets = []
        while self._clock.index is not None and self._next <= self._clock.index:
            sets.append(self._close(Absence.ENDED))
        return sets

    def _end_late(self, camera: str) -> None:
        late_from = self._late_from.pop(camera, self._next)
        self._resolved += [Resolved(i, camera, Absence.ENDED) for i in range(late_from, self._next)]

    def _begin(self, now_ns: int | None) -> None:
        """Without the trigger's word, pulse 0 is the earliest frame of those that came first."""
        waiting = self._waiting
        if not waiting:
            return
        enough = len(waiting) > SETTLE_FRAMES * len(self.cameras)
        if now_ns is not None and not enough and now_ns <= waiting[0][0].t_arrival_ns + self._settle_ns:
            return
        self._clock.first_exposure_ns = min(stamp.t_exposure_ns for stamp, _ in waiting)
        self._waiting = None
        for stamp, payload in waiting:
            self.add(stamp, payload)

    def _release(self, camera: str) -> None:
        for placement in self._tracks[camera].release():
            self._place(placement)

    def _place(self, placement: Placement) -> None:
        camera, index = placement.stamp.camera, placement.index
        self.counts["count_conflict"] = sum(track.count_conflicts for track in self._tracks.values())
        if placement.uncertain:
            for at in (index, *(missing for missing, _ in placement.gap)):
                if at >= self._next:
                    self._uncertain.setdefault(at, set()).add(camera)
        late_from = self._late_from.pop(camera, self._next)
        for missing, cause in placement.gap:
            if missing >= self._next:
                self._absent.setdefault(missing, {})[camera] = cause
            elif missing >= late_from:
                self._resolved.append(Resolved(missing, camera, cause))
        misfit = placement.misfit or ("late" if index < self._next else None)
        if misfit is not None:
            self.counts[misfit] += 1
            if placement.payload is not None:
                self.rejected.append(placement.payload)
            if misfit == "stray":
                self._absent.setdefault(index, {})[camera] = Absence.UNMATCHED
        elif placement.stamp.absence is not None:
            self._absent.setdefault(index, {})[camera] = placement.stamp.absence
            if placement.payload is not None:
                self.rejected.append(placement.payload)
        else:
            self._there.setdefault(index, {})[camera] = (placement.stamp, placement.payload)

    def _close(self, unknown: Absence) -> StampSet:
        index, self._next = self._next, self._next + 1
        there = self._there.pop(index, {})
        absent = self._absent.pop(index, {})
        uncertain = self._uncertain.pop(index, set())
        for camera in self.cameras:
            if camera in there or camera in absent:
                continue
            track = self._tracks[camera]
            if not track.started:
                absent[camera] = Absence.NOT_STARTED
            elif track.gone:
                absent[camera] = Absence.ENDED
            else:
                absent[camera] = unknown
                if unknown is Absence.LATE:
                    self._late_from.setdefault(camera, index)
        times = sorted(stamp.t_exposure_ns for stamp, _ in there.values())
        return StampSet(
            index=index,
            t_exposure_ns=round(statistics.median(times)) if times else self._clock.time_of(index),
            spread_ns=times[-1] - times[0] if times else 0,
            stamps=tuple(there[camera][0] if camera in there else None for camera in self.cameras),
            absences=tuple(absent.get(camera) for camera in self.cameras),
            payloads=tuple(there[camera][1] if camera in there else None for camera in self.cameras),
            uncertain=tuple(camera for camera in self.cameras if camera in uncertain),
        )

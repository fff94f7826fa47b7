"""Frame sets of a free-running rig: the exposures nearest to the reference camera's."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from typing import Any

from acquisition.frame import Absence
from acquisition.frame_stamp import FrameStamp
from acquisition.rig import SyncSettings
from acquisition.synchronisation.synchronise import Resolved, StampSet


class NearestSets:
    """The synchroniser of a free-running rig: a set is a frame of the first camera.

    Of every other camera it takes the exposure nearest in time, within the tolerance. A frame that
    the reference camera counted and lost makes a set all the same, at the instant between its
    neighbours.
    """

    def __init__(self, cameras: Sequence[str], settings: SyncSettings) -> None:
        self.cameras = tuple(cameras)
        self.rejected: list[Any] = []
        self.counts = dict.fromkeys(("late", "stray", "duplicate", "count_conflict"), 0)
        self._tolerance_ns = settings.tolerance_ms * 1e6
        self._max_delay_ns = int(settings.max_delay_ms * 1e6)
        self._queues: dict[str, deque[tuple[FrameStamp, Any]]] = {c: deque() for c in self.cameras[1:]}
        self._newest: dict[str, FrameStamp] = {}
        self._gone: set[str] = set()
        # Of the reference: index, instant, its frame or None.
        self._due: deque[tuple[int, int, tuple[FrameStamp, Any] | None, Absence | None]] = deque()
        self._next = 0

    def add(self, stamp: FrameStamp, payload: Any = None) -> None:
        """Take in a frame. Frames of one camera come in the order of their exposures."""
        before = self._newest.get(stamp.camera)
        if before is not None and stamp.t_exposure_ns <= before.t_exposure_ns:
            self._reject("duplicate", payload)
            return
        self._newest[stamp.camera] = stamp
        self._gone.discard(stamp.camera)
        if stamp.camera == self.cameras[0]:
            self._add_reference(before, stamp, payload)
        else:
            self._queues[stamp.camera].append((stamp, payload))

    def gone(self, camera: str) -> None:
        """The camera has stopped for now: its frames are no longer waited for."""
        self._gone.add(camera)

    def closed(self, now_ns: int) -> list[StampSet]:
        """The finished sets, in order. `now_ns` 0 means: wait for causes however long it takes."""
        sets = []
        while self._due:
            t_ns = self._due[0][1]
            known = all(
                camera in self._gone
                or (camera in self._newest and self._newest[camera].t_exposure_ns >= t_ns)
                for camera in self._queues
            )
            if not known and now_ns <= t_ns + self._max_delay_ns:
                break
            sets.append(self._close(Absence.LATE))
        return sets

    def resolved(self) -> list[Resolved]:
        """Nothing: without a trigger there is no later word on a frame that was late."""
        return []

    def flush(self) -> list[StampSet]:
        """The remaining sets; nothing more will come."""
        sets = [self._close(Absence.ENDED) for _ in range(len(self._due))]
        for queue in self._queues.values():
            while queue:
                self._reject("stray", queue.popleft()[1])
        return sets

    def _add_reference(self, before: FrameStamp | None, stamp: FrameStamp, payload: Any) -> None:
        if before is not None and stamp.lost_before >= 0:
            missing = stamp.seq - before.seq - 1
            cause = Absence.LOST if stamp.lost_before else Absence.RING_FULL
            for n in range(1, missing + 1):
                t_ns = before.t_exposure_ns + (stamp.t_exposure_ns - before.t_exposure_ns) * n // (
                    missing + 1
                )
                self._due.append((self._next, t_ns, None, cause))
                self._next += 1
        there = (stamp, payload) if stamp.absence is None else None
        self._due.append((self._next, stamp.t_exposure_ns, there, stamp.absence))
        self._next += 1

    def _close(self, unknown: Absence) -> StampSet:
        index, t_ns, reference, absence = self._due.popleft()
        found = [reference]
        absences = [absence]
        for camera in self.cameras[1:]:
            frame, absence = self._nearest(camera, t_ns, unknown)
            found.append(frame)
            absences.append(absence)
        times = sorted(frame[0].t_exposure_ns for frame in found if frame is not None)
        return StampSet(
            index=index,
            t_exposure_ns=round(statistics.median(times)) if times else t_ns,
            spread_ns=times[-1] - times[0] if times else 0,
            stamps=tuple(frame[0] if frame is not None else None for frame in found),
            absences=tuple(absences),
            payloads=tuple(frame[1] if frame is not None else None for frame in found),
        )

    def _nearest(
        self, camera: str, t_ns: int, unknown: Absence
    ) -> tuple[tuple[FrameStamp, Any] | None, Absence | None]:
        queue = self._queues[camera]
        while queue and queue[0][0].t_exposure_ns < t_ns - self._tolerance_ns:
            self._reject("stray", queue.popleft()[1])
        while len(queue) > 1 and abs(queue[1][0].t_exposure_ns - t_ns) < abs(
            queue[0][0].t_exposure_ns - t_ns
        ):
            self._reject("stray", queue.popleft()[1])
        if queue and queue[0][0].t_exposure_ns <= t_ns + self._tolerance_ns:
            stamp, payload = queue.popleft()
            if stamp.absence is None:
                return (stamp, payload), None
            return None, stamp.absence
        if queue:
            after = queue[0][0]
            if after.lost_before > 0:
                return None, Absence.LOST
            return None, Absence.NOT_STARTED if after.lost_before < 0 else Absence.UNMATCHED
        newest = self._newest.get(camera)
        if newest is None:
            return None, Absence.NOT_STARTED
        if camera in self._gone:
            return None, Absence.ENDED
        return None, Absence.UNMATCHED if newest.t_exposure_ns >= t_ns else unknown

    def _reject(self, why: str, payload: Any) -> None:
        self.counts[why] += 1
        if payload is not None:
            self.rejected.append(payload)

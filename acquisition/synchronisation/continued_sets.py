"""Frame sets counted on from where another process left off: the numbers stay those of before.

A process that makes frame sets keeps a `Counter`, and whoever started it its newest `Count`. The process that
replaces it begins there, however long the rig has been running: not at pulse 0, from which a period that is a
little off would have led it to another pulse by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from acquisition.frame_stamp import NEW_COUNT, FrameStamp
from acquisition.rig import SyncSettings
from acquisition.synchronisation.synchronise import FrameSetMaker, Resolved, StampSet, Synchroniser

_TRIGGER_ERROR = 1e-4
# Of the period that a trigger says: measured over its first second.

_DRIFT = 5e-6
# By which a period may change within minutes: what is measured is the past.

_SCATTER = 0.3
# Periods by which two exposures far from each other may be stamped differently.

_ANCHOR_NS = 300_000_000_000
# The period is measured over the last five to ten minutes: a resonator warms up.

_DOUBT = 0.25
# Periods of uncertainty from which on a set's number may be that of its neighbour.

_EARLIER = 64
# Pulses before the first frame that are counted: a ring may hold frames, and they need not come in order.


@dataclass(frozen=True, slots=True)
class Count:
    """A frame set to count on from.

    Attributes
    ----------
    index, t_exposure_ns:
        Of the set.
    period_ns:
        From set to set.
    error:
        By which share of itself the period may be off.
    sure:
        Whether the index is known to be that of the pulse.
    """

    index: int
    t_exposure_ns: int
    period_ns: float
    error: float
    sure: bool = True

    @classmethod
    def of_trigger(cls, period_ns: int, first_exposure_ns: int) -> Count:
        """Pulse 0, as the trigger says."""
        return cls(0, first_exposure_ns, float(period_ns), _TRIGGER_ERROR)

    def index_at(self, t_ns: int) -> int:
        """The set whose exposure is nearest."""
        return self.index + round((t_ns - self.t_exposure_ns) / self.period_ns)

    def sure_at(self, t_ns: int) -> bool:
        """Whether the period is known well enough to count on to there."""
        return self.sure and abs(t_ns - self.t_exposure_ns) * self.error <= _DOUBT * self.period_ns


class Counter:
    """Follows the frame sets of one process, for the one that may have to replace it.

    Attributes
    ----------
    count:
        The newest set with a frame; None as long as no period is known.

    Parameters
    ----------
    count:
        What is known at the start; None: nothing.
    """

    def __init__(self, count: Count | None) -> None:
        self.count = count
        self._sure = count is None or count.sure
        self._since: tuple[int, int] | None = None  # index and time from which the period is measured
        self._next: tuple[int, int] = (0, 0)  # and will be, once it is long ago

    def saw(self, one: StampSet) -> None:
        """A set was made, in order."""
        if all(stamp is None for stamp in one.stamps):
            return
        index, t_ns = one.index, one.t_exposure_ns
        if self._since is None:
            self._since = self._next = index, t_ns
        elif t_ns - self._next[1] > _ANCHOR_NS:
            self._since, self._next = self._next, (index, t_ns)
        pulses, elapsed_ns = index - self._since[0], t_ns - self._since[1]
        known = self.count
        if pulses > 0 and elapsed_ns > 0:
            error = _DRIFT + _SCATTER / pulses
            if known is None or error <= known.error or elapsed_ns > _ANCHOR_NS:
                self.count = Count(index, t_ns, elapsed_ns / pulses, error, self._sure)
                return
        if known is not None:
            self.count = replace(known, index=index, t_exposure_ns=t_ns)


class ContinuedSets:
    """The synchroniser of a process that replaces another, in the midst of a run; a `FrameSetMaker`.

    On a triggered rig it begins a few pulses before the first frame, whatever has gone before: how long the
    rig has been running costs nothing. A free-running rig's sets are counted on by time, from its first
    camera's first frame. Where the period is not known well enough for that, all sets are uncertain.

    Attributes
    ----------
    sure:
        Whether the numbers are those that the process before would have given.

    Parameters
    ----------
    cameras, settings, period_ns:
        As of `Synchroniser`.
    count:
        The newest that the process before made known.
    now_ns:
        The rig clock.
    """

    def __init__(
        self, cameras: Sequence[str], settings: SyncSettings, period_ns: int | None, count: Count, now_ns: int
    ) -> None:
        self.sure = count.sure_at(now_ns)
        self._cameras = tuple(cameras)
        self._count = count
        self._begun: set[str] = set()
        self._first = max(count.index, count.index_at(now_ns) - _EARLIER)
        self._by_first_frame = period_ns is None
        first_ns = count.t_exposure_ns + round((self._first - count.index) * count.period_ns)
        period_ns = None if period_ns is None else round(count.period_ns)
        self._maker: FrameSetMaker = Synchroniser(cameras, settings, period_ns, first_ns)
        self.rejected = self._maker.rejected
        self.counts = self._maker.counts

    def add(self, stamp: FrameStamp, payload: Any = None) -> None:
        """Take in a frame. Frames of one camera come in the order of their exposures."""
        if stamp.camera not in self._begun:
            self._begun.add(stamp.camera)
            # What the camera lost before is older than the first pulse that is counted here.
            stamp = replace(stamp, lost_before=NEW_COUNT)
            if self._by_first_frame and stamp.camera == self._cameras[0]:
                self._first = max(self._count.index + 1, self._count.index_at(stamp.t_exposure_ns))
        self._maker.add(stamp, payload)

    def gone(self, camera: str) -> None:
        """The camera has stopped for now: its frames are no longer waited for."""
        self._maker.gone(camera)

    def closed(self, now_ns: int) -> list[StampSet]:
        """The finished sets, in order."""
        return self._numbered(self._maker.closed(now_ns))

    def resolved(self) -> list[Resolved]:
        """Causes that became known after the set had been closed."""
        return [replace(one, index=self._first + one.index) for one in self._maker.resolved()]

    def flush(self) -> list[StampSet]:
        """The remaining sets; nothing more will come."""
        return self._numbered(self._maker.flush())

    def _numbered(self, sets: list[StampSet]) -> list[StampSet]:
        if not self.sure:
            sets = [replace(one, uncertain=self._cameras) for one in sets]
        return [replace(one, index=self._first + one.index) for one in sets]

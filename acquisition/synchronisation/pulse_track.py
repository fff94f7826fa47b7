"""One camera on the trigger's pulses: which pulse made each frame, and what became of the others.

Time says which pulse a frame belongs to; the device's count says why pulses between two frames left
none. Steps from frame to frame are taken on the device's own clock where it has one: its drift is
nothing over a few pulses, and late arrivals do not touch it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from acquisition.frame import Absence
from acquisition.frame_stamp import NEW_COUNT, NO_DEVICE_STAMP, FrameStamp

SETTLE_FRAMES = 5
"""A camera's first frames are placed together: the first stamps of a clock are its worst."""

_EARLY = 0.25
# The first frame after pulse 0 may look late (its latency is not known yet), hardly ever early.

_FIRST_PULSES = 200
# So long after the start the trigger's own clock is good enough to place a camera's first frames.

_LONG_GAP = 500
# Pulses over which a device clock, 100 ppm off, is still within a twentieth of a period.

_IN_DOUBT = 0.3
# Periods off the nearest pulse from which on the count decides between two neighbours.


@dataclass(frozen=True, slots=True)
class Placement:
    """A frame on its pulse.

    Attributes
    ----------
    index:
        Pulse number.
    stamp, payload:
        As added.
    gap:
        Cause of every absence between the camera's frame before and this one, first pulse first.
    misfit:
        None, or why the frame cannot be used: "stray" or "duplicate".
    """

    index: int
    stamp: FrameStamp
    payload: Any
    gap: tuple[tuple[int, Absence], ...] = ()
    misfit: str | None = None


@dataclass(slots=True)
class PulseClock:
    """What the cameras of a rig share: the pulses on the rig clock.

    Attributes
    ----------
    period_ns:
        Followed from frame to frame.
    first_exposure_ns:
        Middle of the exposure of pulse 0 as the trigger says, None where it does not.
    index, t_ns:
        The newest pulse placed and its exposure; index None before the first.
    """

    period_ns: float
    first_exposure_ns: int | None
    index: int | None = None
    t_ns: int = 0

    def time_of(self, index: int) -> int:
        """Middle of the exposure of a pulse, as far as is known now."""
        if self.index is not None:
            return self.t_ns + round((index - self.index) * self.period_ns)
        return (self.first_exposure_ns or 0) + round(index * self.period_ns)

    def index_at(self, t_ns: int) -> int:
        """The pulse of an exposure seen on a camera that has no frame before it."""
        if self.first_exposure_ns is not None:
            pulses = (t_ns - self.first_exposure_ns) / self.period_ns
            if pulses < _FIRST_PULSES or self.index is None:
                return max(0, math.floor(pulses + _EARLY))
        if self.index is None:
            return 0
        return max(0, self.index + round((t_ns - self.t_ns) / self.period_ns))

    def saw(self, index: int, t_ns: int) -> None:
        """A frame was placed on pulse `index`."""
        if self.index is None or index > self.index:
            self.index, self.t_ns = index, t_ns


@dataclass(slots=True)
class PulseTrack:
    """The pulses of one camera.

    Attributes
    ----------
    last_index:
        Pulse of the newest frame placed; -1 before the first.
    started:
        Whether any frame was placed.
    gone:
        The camera has stopped; it may come back with a new count.
    settling:
        Its first frames, not yet placed.
    count_conflicts:
        Gaps over which the device counted more frames than there were pulses.
    """

    clock: PulseClock
    tolerance_ns: float
    last_index: int = -1
    started: bool = False
    gone: bool = False
    settling: list[tuple[FrameStamp, Any]] = field(default_factory=list)
    count_conflicts: int = 0
    _last_seq: int = 0
    _last_ticks: float = 0.0
    _anchored: bool = False

    def add(self, stamp: FrameStamp, payload: Any) -> list[Placement]:
        """Take in a frame; the placements that it makes possible."""
        if stamp.lost_before == NEW_COUNT and self.started:
            placed = self.settle()
            self._anchored = False
        else:
            placed = []
        if self._anchored:
            placed.append(self._follow(stamp, payload))
            return placed
        self.settling.append((stamp, payload))
        return placed + self.settle() if len(self.settling) >= SETTLE_FRAMES else placed

    def settle(self) -> list[Placement]:
        """Place the first frames: the newest has the best stamp, the others follow from it."""
        if not self.settling:
            return []
        frames, self.settling = self.settling, []
        newest = frames[-1][0]
        steps = [round((_ticks(newest) - _ticks(stamp)) / self.clock.period_ns) for stamp, _ in frames]
        first, payload = frames[0]
        index = self.clock.index_at(newest.t_exposure_ns) - steps[0]
        if not self.started and first.lost_before != NEW_COUNT:
            index = max(index, first.lost_before)  # a device cannot count more frames than there were pulses
        index = max(index, self.last_index + 1)
        gap = self._gap_of_first(index, first)
        self.gone = False
        self._anchored = True
        placed = [self._accept(index, first, payload, gap)]
        self._last_ticks = _ticks(first)
        return placed + [self._follow(stamp, payload) for stamp, payload in frames[1:]]

    def _follow(self, stamp: FrameStamp, payload: Any) -> Placement:
        period = self.clock.period_ns
        ticks, counted = _ticks(stamp), stamp.seq - self._last_seq
        pulses = (ticks - self._last_ticks) / period
        if pulses > _LONG_GAP:
            step = self.clock.index_at(stamp.t_exposure_ns) - self.last_index
            off = 0.0
        else:
            step = round(pulses)
            off = pulses - step
            if abs(off) > _IN_DOUBT and abs(counted - step) == 1 and abs(pulses - counted) < 1 - _IN_DOUBT:
                step, off = counted, pulses - counted
        if step < 1:
            return Placement(self.last_index, stamp, payload, misfit="duplicate")
        index = self.last_index + step
        gap = self._gap(index, stamp, counted)
        if abs(off) * period > self.tolerance_ns:
            # It did expose, and counted: the pulse is used up, but the frame shows another instant.
            self.last_index, self._last_seq = index, stamp.seq
            self._last_ticks += step * period
            return Placement(index, stamp, payload, gap, misfit="stray")
        # A device's stamps are steady; arrivals scatter and are smoothed.
        steady = stamp.t_device_ns != NO_DEVICE_STAMP
        self._last_ticks = ticks if steady else self._last_ticks + (step + 0.2 * off) * period
        if step < _LONG_GAP:
            self.clock.period_ns += (0.02 if steady else 0.002) * off * period / step
        return self._accept(index, stamp, payload, gap)

    def _accept(
        self, index: int, stamp: FrameStamp, payload: Any, gap: tuple[tuple[int, Absence], ...]
    ) -> Placement:
        self.last_index, self._last_seq, self.started = index, stamp.seq, True
        self.clock.saw(index, stamp.t_exposure_ns)
        return Placement(index, stamp, payload, gap)

    def _gap_of_first(self, index: int, stamp: FrameStamp) -> tuple[tuple[int, Absence], ...]:
        if stamp.lost_before != NEW_COUNT and not self.started:
            return self._gap(index, stamp, stamp.lost_before + 1)
        cause = Absence.ENDED if self.started else Absence.NOT_STARTED
        return tuple((missing, cause) for missing in range(self.last_index + 1, index))

    def _gap(self, index: int, stamp: FrameStamp, counted: int) -> tuple[tuple[int, Absence], ...]:
        """Causes of the pulses between the last frame and `index`.

        The device counted `counted - 1` frames in between: those were lost. It was blind to the other
        pulses. Where both happened in one gap, counts cannot tell their order: lost ones are named first.
        """
        missing = range(self.last_index + 1, index)
        lost = counted - 1
        if lost > len(missing):
            self.count_conflicts += 1
        # Frames that were neither kept nor lost by the device fell to a full ring without a word.
        cause = Absence.LOST if stamp.lost_before or lost <= 0 else Absence.RING_FULL
        return tuple((i, cause if n < lost else Absence.IGNORED) for n, i in enumerate(missing))


def _ticks(stamp: FrameStamp) -> int:
    return stamp.t_exposure_ns if stamp.t_device_ns == NO_DEVICE_STAMP else stamp.t_device_ns

"""One camera on the trigger's pulses: which pulse made each frame, and what became of the others.

Time says which pulse a frame belongs to; the device's count says why pulses between two frames left
none. Steps from frame to frame are taken on the device's own clock where it has one: its drift is
nothing over a few pulses, and late arrivals do not touch it.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from acquisition.frame import Absence
from acquisition.frame_stamp import NEW_COUNT, NO_DEVICE_STAMP, FrameStamp
from acquisition.synchronisation.pulse_clock import EARLY, RECENT, SMOOTHED, PulseClock

SETTLE_FRAMES = 5
"""A camera's first frames are placed together: the first stamps of a clock are its worst."""

_CLEAR_FROM, _CLEAR_TO = -0.2, 0.55
# Periods after its pulse at which a first frame is surely that pulse's.

_LONG_GAP = 500
# Pulses over which a device clock, 100 ppm off, is still within a twentieth of a period.

_IN_DOUBT = 0.3
# Periods off the nearest pulse from which on the count decides between two neighbours.

_SET = 0.7
# Periods by which a device's clock and the rig's may tell a step differently. Beyond that, and beyond three
# times what is not known of the stamp, the device's was set.

_SCATTER = 0.62
# Periods over which arrivals without device stamps may scatter before neighbours cannot be told apart.

_OUT_OF_STEP = 0.45
# Periods that a camera may lie from the pulses all cameras share, in the mean.


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
    uncertain:
        Time and count do not agree well enough: it, and its gap, may be a pulse off.
    """

    index: int
    stamp: FrameStamp
    payload: Any
    gap: tuple[tuple[int, Absence], ...] = ()
    misfit: str | None = None
    uncertain: bool = False


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
    settling, held:
        Frames not yet placed: its first, and such without a device stamp that look late or after ignored
        pulses (with the number of those).
    count_conflicts:
        Gaps over which the device counted more frames than there were pulses.
    """

    clock: PulseClock
    tolerance_ns: float
    last_index: int = -1
    started: bool = False
    gone: bool = False
    settling: list[tuple[FrameStamp, Any]] = field(default_factory=list)
    held: list[tuple[FrameStamp, Any, int]] = field(default_factory=list)
    count_conflicts: int = 0
    _last_seq: int = 0
    _last_ticks: float = 0.0
    _anchored: bool = False
    _offs: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _from_shared: float = 0.0

    def add(self, stamp: FrameStamp, payload: Any) -> list[Placement]:
        """Take in a frame; the placements that it makes possible."""
        placed: list[Placement] = []
        if stamp.lost_before == NEW_COUNT and self.started:
            placed = self.release()
            self._anchored = False
        if not self._anchored:
            self.settling.append((stamp, payload))
            return placed + self.settle() if self._settled() else placed
        if _is_steady(stamp):
            return [*placed, self._follow(stamp, payload)]
        return placed + self._await(stamp, payload)

    def release(self) -> list[Placement]:
        """Place what waits, as well as it can be told now."""
        return self.settle() + self._place_held(sure=False)

    def settle(self) -> list[Placement]:
        """Place the first frames together."""
        if not self.settling:
            return []
        frames, self.settling = self.settling, []
        period, newest = self.clock.period_ns, frames[-1][0]
        first, payload = frames[0]
        if _is_steady(newest):
            # The newest has the best stamp, the others follow from it.
            index = self.clock.index_at(newest.t_exposure_ns)
            index -= round((_ticks(newest) - _ticks(first)) / period)
            ticks = float(_ticks(first))
        else:
            # Each says at which pulse the first was, some too late.
            index = min(
                self.clock.index_at(stamp.t_exposure_ns) - (stamp.seq - first.seq) for stamp, _ in frames
            )
            ticks = statistics.median(
                _ticks(stamp) - (self.clock.index_at(stamp.t_exposure_ns) - index) * period
                for stamp, _ in frames
            )
        uncertain = not any(self._is_clear(stamp) for stamp, _ in frames)
        if not self.started and _counts_from_here(first):
            index = max(index, first.lost_before)  # a device cannot count more frames than there were pulses
        index = max(index, self.last_index + 1)
        gap = self._gap_of_first(index, first)
        self.gone = False
        self._anchored = True
        placed = [self._accept(index, first, payload, gap, uncertain)]
        self._last_ticks = ticks
        for stamp, payload in frames[1:]:
            if _is_steady(stamp):
                followed = self._follow(stamp, payload)
                placed.append(replace(followed, uncertain=followed.uncertain or uncertain))
            else:
                placed += self._await(stamp, payload)
        return placed

    def _settled(self) -> bool:
        """Whether the first frames tell their pulses. A camera that comes back finds the others' there."""
        if len(self.settling) >= SETTLE_FRAMES:
            return True
        if not self.started or not self._is_clear(self.settling[-1][0]):
            return False
        return _is_steady(self.settling[-1][0]) or len(self.settling) > 1

    def _is_clear(self, stamp: FrameStamp) -> bool:
        pulses = self.clock.pulses_at(stamp.t_exposure_ns)
        return _CLEAR_FROM <= pulses - math.floor(pulses + EARLY) <= _CLEAR_TO

    def _follow(self, stamp: FrameStamp, payload: Any) -> Placement:
        """A frame with a device stamp: steps are taken on the device's own clock."""
        ticks, counted = _ticks(stamp), stamp.seq - self._last_seq
        pulses = (ticks - self._last_ticks) / self.clock.period_ns
        uncertain = False
        by_rig = self.clock.pulses_at(stamp.t_exposure_ns) - self.last_index
        apart = abs(pulses - by_rig)
        was_set = apart > _SET and apart * self.clock.period_ns > 3 * stamp.uncertainty_ns
        if was_set and abs(by_rig - counted) < 1:
            pulses, uncertain = float(counted), True  # no pulse was ignored just then
        elif pulses > _LONG_GAP or was_set:
            pulses = float(self.clock.index_at(stamp.t_exposure_ns) - self.last_index)
            uncertain = was_set or not self._is_clear(stamp)
        step = round(pulses)
        if (
            abs(pulses - step) > _IN_DOUBT
            and abs(counted - step) == 1
            and abs(pulses - counted) < 1 - _IN_DOUBT
        ):
            step = counted
        return self._place(stamp, payload, step, pulses - step, uncertain)

    def _await(self, stamp: FrameStamp, payload: Any) -> list[Placement]:
        """A frame without a device stamp. It may be late, and pulses may have been ignored: both look alike.

        Where more pulses went by than the device counted, frames are held until two in a row say the same
        number, or one says that there were none: what is late now is not late always.
        """
        pulses = (_ticks(stamp) - self._last_ticks) / self.clock.period_ns
        if pulses > _LONG_GAP and not self.held:
            step = self.clock.index_at(stamp.t_exposure_ns) - self.last_index
            return [self._place(stamp, payload, step, 0.0, not self._is_clear(stamp))]
        ignored = round(pulses) - (stamp.seq - self._last_seq)
        self.held.append((stamp, payload, ignored))
        if ignored and (len(self.held) < 2 or self.held[-2][2] != ignored):
            return []
        return self._place_held(sure=True)

    def _place_held(self, sure: bool) -> list[Placement]:
        held, self.held = self.held, []
        at, seq = self.last_index, self._last_seq
        placed: list[Placement] = []
        for n, (stamp, payload, ignored) in enumerate(held):
            least = min(later for _, _, later in held[n:])  # a later frame knows of all that were ignored
            step = at + stamp.seq - seq + least - self.last_index
            off = (_ticks(stamp) - self._last_ticks) / self.clock.period_ns - step
            uncertain = not sure or ignored != least or least < 0
            placed.append(self._place(stamp, payload, step, off, uncertain))
        return placed

    def _place(self, stamp: FrameStamp, payload: Any, step: int, off: float, uncertain: bool) -> Placement:
        """`step` pulses after the last, `off` periods from there."""
        period, ticks, counted = self.clock.period_ns, _ticks(stamp), stamp.seq - self._last_seq
        if step < 1:
            return Placement(self.last_index, stamp, payload, misfit="duplicate", uncertain=True)
        index = self.last_index + step
        gap = self._gap(index, stamp, counted)
        if abs(off) * period > self.tolerance_ns:
            # It did expose, and counted: the pulse is used up, but the frame shows another instant.
            self.last_index, self._last_seq = index, stamp.seq
            self._last_ticks += step * period
            return Placement(index, stamp, payload, gap, "stray", uncertain)
        # A device's stamps are steady; arrivals scatter and are smoothed.
        steady = _is_steady(stamp)
        if steady or step >= _LONG_GAP:
            self._last_ticks = ticks
        else:
            self._last_ticks += (step + 0.2 * off) * period
        if step < _LONG_GAP:
            self.clock.period_ns += (0.02 if steady else 0.002) * off * period / step
        if not steady:
            self._offs.append(off)
            if max(self._offs) - min(self._offs) > _SCATTER:
                self.clock.shaky, uncertain = index, True
        return self._accept(index, stamp, payload, gap, uncertain)

    def _accept(
        self,
        index: int,
        stamp: FrameStamp,
        payload: Any,
        gap: tuple[tuple[int, Absence], ...],
        uncertain: bool,
    ) -> Placement:
        self.last_index, self._last_seq, self.started = index, stamp.seq, True
        self.clock.saw(index, stamp.t_exposure_ns)
        late = (stamp.t_exposure_ns - self.clock.time_of(index)) / self.clock.period_ns
        self._from_shared += SMOOTHED * (late - self._from_shared)
        self.clock.led = self.clock.led or _is_steady(stamp)
        apart_ns = abs(self._from_shared) * self.clock.period_ns
        if abs(self._from_shared) > _OUT_OF_STEP or apart_ns > self.tolerance_ns + stamp.uncertainty_ns:
            uncertain = True
        if not self.clock.led and index - self.clock.shaky < RECENT:
            uncertain = True
        return Placement(index, stamp, payload, gap, None, uncertain)

    def _gap_of_first(self, index: int, stamp: FrameStamp) -> tuple[tuple[int, Absence], ...]:
        if stamp.lost_before != NEW_COUNT and not self.started:
            here = stamp.lost_before if _counts_from_here(stamp) else index - self.last_index - 1
            return self._gap(index, stamp, min(stamp.lost_before, here) + 1)
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
    return stamp.t_device_ns if _is_steady(stamp) else stamp.t_exposure_ns


def _counts_from_here(stamp: FrameStamp) -> bool:
    """Whether all that the device counted before this were these pulses' frames, none an earlier train's."""
    return stamp.seq == stamp.lost_before


def _is_steady(stamp: FrameStamp) -> bool:
    return stamp.t_device_ns != NO_DEVICE_STAMP

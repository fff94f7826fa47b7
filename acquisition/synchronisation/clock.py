"""From a camera's clock to the rig clock, and the anchors that tie the rig clock to the calendar."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

_BIN_NS = 500_000_000
_BINS = 60
_DRIFT_MAX = 500e-6
_HOST_STAMP_OLDEST_NS = 5_000_000_000  # a stamp of the host older than that on arrival is wrong
_ARRIVAL_UNCERTAINTY_NS = 5_000_000
_ALIGN_NS = 3_000_000_000
# So long after pulse 0 the trigger's own clock, 50 ppm off, is still within 0.15 ms of ours.
_ALIGN_UNCERTAINTY_NS = 150_000
_EARLY = 0.25
# A latency below all earlier ones by more than this is a wrong stamp, unless others follow.
_TOO_EARLY_NS = 2_000_000
_FOUND_FRAMES = 10
_STEP_NS = 1_000_000_000
_CONFIRMED = 3


class DeviceClock:
    """Maps the stamps of one camera onto the rig clock, online.

    A frame never arrives before its exposure is over, and its latency has a floor it comes back to:
    arrival = offset + (1 + drift) * stamp + floor + (something >= 0). The line below all pairs
    (stamp, arrival) is followed: the offset is that of the pair nearest to it, the drift that of the
    lower hull of the smallest half-second latencies of the last 30 s (the minimum-delay filter of
    clock synchronisation, after Paxson 1998).

    The floor itself cannot be seen from pairs. What is known of it (half the exposure, at least) is
    taken off; the rest stands in the uncertainty, until `align` has told when the exposures really
    were: the pulses of the rig's own trigger.

    A stamp that would put the exposure after its arrival, or back in time, is not learned from until three
    in a row agree: then the device's clock was set (by PTP, say), and is followed anew. Until then such a
    frame goes by its arrival.

    Parameters
    ----------
    stamp_to_middle_ns, stamp_uncertainty_ns:
        As in `CameraInfo`.
    floor_ns:
        Known part of the latency from the middle of the exposure to the arrival.
    unseen_ns:
        What the unknown part of the floor may come to.
    late_ns:
        The unknown part, where an earlier clock of this camera has found it.
    """

    def __init__(
        self,
        stamp_to_middle_ns: int,
        stamp_uncertainty_ns: int,
        floor_ns: int,
        unseen_ns: int = 0,
        late_ns: int | None = None,
    ) -> None:
        self._to_middle_ns = stamp_to_middle_ns
        self._stamp_uncertainty_ns = stamp_uncertainty_ns
        self._floor_ns = floor_ns
        self._unseen_ns = unseen_ns
        self.late_ns = late_ns
        self._pulses: tuple[int, int] | None = None
        self._origin_ns: int | None = None
        self._bins: deque[tuple[int, int]] = deque(maxlen=_BINS)  # smallest latency of each: (stamp, excess)
        self._bin_end_ns = 0
        self._scatter_ns = float(_ARRIVAL_UNCERTAINTY_NS)  # until frames have told better
        self._frames = 0
        self._odd = 0
        self._newest_ns = 0
        self.drift = 0.0
        self.offset_ns = 0

    def align(self, first_exposure_ns: int, period_ns: int) -> None:
        """The trigger's word: middle of this camera's exposure at pulse 0, and the period.

        Frames of the first three seconds are laid onto the pulses; what they looked late by is the
        floor's unknown part. It has to be less than three quarters of a period.
        """
        self._pulses = (first_exposure_ns, period_ns)

    def to_rig(self, t_device_ns: int, t_arrival_ns: int) -> tuple[int, int]:
        """(middle of the exposure on the rig clock, half width of its uncertainty), ns.

        The uncertainty holds the driver's own, how far latencies scatter above their floor while it is
        still being found, and what is not known of the floor.
        """
        middle_ns = t_device_ns + self._to_middle_ns
        excess = t_arrival_ns - middle_ns
        if self._is_odd(middle_ns, excess):
            unknown_ns = max(self._unseen_ns, _ARRIVAL_UNCERTAINTY_NS)
            return t_arrival_ns - self._floor_ns, self._stamp_uncertainty_ns + unknown_ns
        if self._origin_ns is None:
            self._origin_ns = middle_ns
        self._newest_ns = max(self._newest_ns, middle_ns)
        self._learn(middle_ns, excess)
        base = self.offset_ns + round(self.drift * (middle_ns - self._origin_ns))
        self._frames += 1
        self._scatter_ns += max(0.02, 1 / (self._frames + 1)) * (excess - base - self._scatter_ns)
        found = self._found_ns
        t_ns = middle_ns + base - self._floor_ns
        if self._pulses is not None:
            first_ns, period_ns = self._pulses
            if t_ns < first_ns + _ALIGN_NS:
                pulse = max(0, math.floor((t_ns - first_ns) / period_ns + _EARLY))
                self.late_ns = t_ns - first_ns - pulse * period_ns
        unknown_ns = self._unseen_ns if self.late_ns is None else _ALIGN_UNCERTAINTY_NS
        uncertainty_ns = round(self._stamp_uncertainty_ns + max(found, 0.0)) + unknown_ns
        return t_ns - (self.late_ns or 0), uncertainty_ns

    @property
    def _found_ns(self) -> float:
        """How near to the floor the smallest latency is likely to be."""
        # That depends on how rare small ones are; with several independent delays the smallest of n nears
        # the floor by the square root of n.
        return self._scatter_ns * max(0.1, min(1.0, 4 / math.sqrt(max(self._frames, 1))))

    def _is_odd(self, middle_ns: int, excess: int) -> bool:
        """Whether the stamp cannot be right; after three such it can, and the clock was set."""
        if self._origin_ns is None or self._frames < _FOUND_FRAMES:
            return False
        late_ns = excess - self.offset_ns - round(self.drift * (middle_ns - self._origin_ns))
        early = late_ns < -max(_TOO_EARLY_NS, round(self._found_ns))
        back = late_ns > _STEP_NS and middle_ns < self._newest_ns
        if not early and not back:
            self._odd = 0
            return False
        self._odd += 1
        if self._odd < _CONFIRMED:
            return True
        self._odd = 0
        if abs(late_ns) > _STEP_NS:
            self._bins.clear()
            self._origin_ns, self._newest_ns, self._frames = None, middle_ns, 0
            self._scatter_ns = float(_ARRIVAL_UNCERTAINTY_NS)
        return False

    def _learn(self, middle_ns: int, excess: int) -> None:
        new_bin = not self._bins or middle_ns >= self._bin_end_ns
        if new_bin:
            self._bins.append((middle_ns, excess))
            self._bin_end_ns = middle_ns + _BIN_NS
        elif excess - self._bins[-1][1] < self.drift * (middle_ns - self._bins[-1][0]):
            self._bins[-1] = (middle_ns, excess)
        else:
            return
        self._fit()

    def _fit(self) -> None:
        """The line below all bins that lies nearest to them: an edge of their lower hull."""
        assert self._origin_ns is not None
        hull = _lower_hull(list(self._bins))
        middle = (self._bins[0][0] + self._bins[-1][0]) / 2
        left, right = hull[0], hull[-1]
        for a, b in itertools.pairwise(hull):
            if a[0] <= middle <= b[0]:
                left, right = a, b
        # Over a short while scatter looks like drift.
        if len(self._bins) >= 4 and right[0] > left[0]:
            slope = (right[1] - left[1]) / (right[0] - left[0])
            self.drift = max(-_DRIFT_MAX, min(_DRIFT_MAX, slope))
        self.offset_ns = min(
            excess - round(self.drift * (t_ns - self._origin_ns)) for t_ns, excess in self._bins
        )


class HostClock:
    """For a camera whose stamps are on the rig clock already."""

    drift = 0.0
    late_ns: int | None = None

    def __init__(self, stamp_to_middle_ns: int, stamp_uncertainty_ns: int) -> None:
        self._to_middle_ns = stamp_to_middle_ns
        self._uncertainty_ns = stamp_uncertainty_ns

    def align(self, first_exposure_ns: int, period_ns: int) -> None:
        """Nothing to learn: what is not known lies within the camera, and need not be constant."""

    def to_rig(self, t_device_ns: int, t_arrival_ns: int) -> tuple[int, int]:
        """(middle of the exposure on the rig clock, half width of its uncertainty), ns.

        A stamp later than its arrival, or seconds before it, is none: the arrival stands for it.
        """
        if not -_ARRIVAL_UNCERTAINTY_NS <= t_arrival_ns - t_device_ns <= _HOST_STAMP_OLDEST_NS:
            return t_arrival_ns, max(self._uncertainty_ns, _ARRIVAL_UNCERTAINTY_NS)
        return t_device_ns + self._to_middle_ns, self._uncertainty_ns


class ArrivalClock:
    """For a camera without a clock: the arrival, less what is known of the latency."""

    drift = 0.0
    late_ns: int | None = None

    def __init__(self, stamp_uncertainty_ns: int, floor_ns: int) -> None:
        self._uncertainty_ns = max(stamp_uncertainty_ns, _ARRIVAL_UNCERTAINTY_NS)
        self._floor_ns = floor_ns

    def align(self, first_exposure_ns: int, period_ns: int) -> None:
        """Nothing to learn: arrivals scatter too much to be laid onto pulses."""

    def to_rig(self, t_device_ns: int, t_arrival_ns: int) -> tuple[int, int]:
        """(middle of the exposure on the rig clock, half width of its uncertainty), ns."""
        return t_arrival_ns - self._floor_ns, self._uncertainty_ns


@dataclass(frozen=True, slots=True)
class ClockAnchor:
    """One instant on two clocks: the rig's and the calendar's (which may be stepped)."""

    boot_id: str
    t_ns: int
    realtime_ns: int
    uncertainty_ns: int


def clock_anchor() -> ClockAnchor:
    """Read both clocks at once: the tightest of five tries."""
    best: tuple[int, int, int] | None = None
    for _ in range(5):
        before = time.monotonic_ns()
        realtime = time.clock_gettime_ns(time.CLOCK_REALTIME)
        after = time.monotonic_ns()
        if best is None or after - before < best[0]:
            best = (after - before, (before + after) // 2, realtime)
    assert best is not None
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ClockAnchor(boot_id, best[1], best[2], best[0] // 2 + 1)


def _lower_hull(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Lower convex hull of points sorted by abscissa (Andrew 1979)."""
    hull: list[tuple[int, int]] = []
    for p in points:
        while len(hull) >= 2:
            (x1, y1), (x2, y2) = hull[-2], hull[-1]
            if (x2 - x1) * (p[1] - y1) > (y2 - y1) * (p[0] - x1):
                break
            hull.pop()
        hull.append(p)
    return hull

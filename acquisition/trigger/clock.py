"""From the trigger's CPU cycles to the rig clock."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

_BIN_NS = 250_000_000
_BINS = 240
_DRIFT_MAX = 0.01  # a ceramic resonator is within 0.005; more is a host that was held up
_SPAN_NS = 500_000_000
_FLOOR_NS = 20_000  # no exchange is surer than this, however quick it was


@dataclass(frozen=True, slots=True)
class _Exchange:
    cycles: int
    middle_ns: int
    uncertainty_ns: int


class TriggerClock:
    """Follows the trigger's clock by questions and answers. Several threads may use it.

    The trigger reads its clock at some moment between the last byte of the question and the first of
    the answer; the middle is the estimate and half of it the uncertainty (Cristian 1989). The quickest
    exchange of every quarter of a second is kept for a minute; a straight line through them, weighted
    by their uncertainties, is the clock. The board's resonator may be off by some parts in a thousand,
    so the rate matters from the first second on.

    Parameters
    ----------
    hz:
        The nominal rate of the cycles.
    """

    def __init__(self, hz: int) -> None:
        self._nominal_ns = 1e9 / hz
        self._kept: deque[_Exchange] = deque(maxlen=_BINS)
        self._bin_end_ns = 0
        self._lock = threading.Lock()
        self._line: tuple[int, float, float] | None = None  # cycles, ns there, ns per cycle

    def add(self, cycles: int, earliest_ns: int, latest_ns: int) -> None:
        """The trigger's clock read `cycles` between two instants of the rig clock."""
        width_ns = max(0, latest_ns - earliest_ns)
        exchange = _Exchange(cycles, (earliest_ns + latest_ns) // 2, max(_FLOOR_NS, width_ns // 2))
        with self._lock:
            if not self._kept or exchange.middle_ns >= self._bin_end_ns:
                self._kept.append(exchange)
                self._bin_end_ns = exchange.middle_ns + _BIN_NS
            elif exchange.uncertainty_ns < self._kept[-1].uncertainty_ns:
                self._kept[-1] = exchange
            else:
                return
            self._line = None

    @property
    def span_ns(self) -> int:
        """From the first exchange kept to the last."""
        return self._kept[-1].middle_ns - self._kept[0].middle_ns if self._kept else 0

    @property
    def ns_per_cycle(self) -> float:
        """Length of a cycle on the rig clock; the nominal one for the first half second."""
        return self._fitted()[2]

    @property
    def drift_ppm(self) -> float:
        """How much faster than nominal the trigger's clock runs."""
        return (self._nominal_ns / self.ns_per_cycle - 1) * 1e6

    @property
    def uncertainty_ns(self) -> int:
        """Half width of the surest exchange. Raises `ValueError` before there was one."""
        with self._lock:
            return min(exchange.uncertainty_ns for exchange in self._kept)

    def to_rig(self, cycles: int) -> int:
        """Rig clock when the trigger's clock read `cycles`, ns. Raises `ValueError` before an exchange."""
        origin, at_ns, slope = self._fitted()
        return round(at_ns + slope * (cycles - origin))

    def _fitted(self) -> tuple[int, float, float]:
        with self._lock:
            if self._line is None:
                self._line = self._fit()
            return self._line

    def _fit(self) -> tuple[int, float, float]:
        if not self._kept:
            raise ValueError("no exchange with the trigger yet")
        newest = self._kept[-1]
        weights = [1.0 / exchange.uncertainty_ns**2 for exchange in self._kept]
        total = sum(weights)
        # Differences from the newest: a double holds those to a nanosecond, not the clocks themselves.
        xs = [exchange.cycles - newest.cycles for exchange in self._kept]
        ys = [exchange.middle_ns - newest.middle_ns for exchange in self._kept]
        x_mean = sum(w * x for w, x in zip(weights, xs, strict=True)) / total
        y_mean = sum(w * y for w, y in zip(weights, ys, strict=True)) / total
        slope = self._nominal_ns
        if self.span_ns >= _SPAN_NS:
            spread = sum(w * (x - x_mean) ** 2 for w, x in zip(weights, xs, strict=True))
            shared = sum(w * (x - x_mean) * (y - y_mean) for w, x, y in zip(weights, xs, ys, strict=True))
            if spread > 0:
                fitted = shared / spread
                slope = min(max(fitted, slope * (1 - _DRIFT_MAX)), slope * (1 + _DRIFT_MAX))
        return newest.cycles, newest.middle_ns + y_mean - slope * x_mean, slope

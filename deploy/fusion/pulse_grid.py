"""The pulses of a rig of several hosts on one clock: which pulse made a host's frame set.

The host with the trigger counts pulses from its start. Another host may have started later, or restarted, or
run freely behind the trigger's cable: its own numbers then begin elsewhere. Its shift is found by the times
of its exposures once per stream session, and from then on number and time must both say the same pulse: a
number that disagrees with its time is withheld, never joined to the wrong set. The numbers of the host with
the trigger are the pulses by definition; where they and the times part, the grid is laid anew and every shift
found again.
"""

from __future__ import annotations

from dataclasses import dataclass

CONTRADICTIONS = 5
"""So many sets in a row that contradict a shift, and agree with each other, find it anew."""

_DRIFT = 100e-6  # how far the measured period may be off, or drift, together with two hosts' clocks
_MEASURED_OVER = 200  # pulses, before the period is measured: a trigger's own idea of it may be off by 0.5 %


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a host's set belongs: the rig's pulse number, None where it cannot be told, and then why:
    "ambiguous" (the clocks are not known well enough), "off the grid", "contradicted" (number against
    time)."""

    pulse: int | None
    why: str = ""


@dataclass(slots=True)
class _Count:
    """What is known of a stream session's numbers: pulse = number + shift."""

    shift: int
    doubted: int = 0
    other: int = 0


class PulseGrid:
    """Pulse numbers of exposures, from the pulses seen so far.

    Parameters
    ----------
    period_ns:
        Of the trigger, as the host with the trigger tells it.
    tolerance_ns:
        Largest distance of an exposure from its pulse; below half a period.

    Attributes
    ----------
    reference:
        Stream session of the host with the trigger; "" before `begin`.

    Raises
    ------
    ValueError
        If the tolerance is half a period or more.
    """

    def __init__(self, period_ns: int, tolerance_ns: int) -> None:
        if not 0 < 2 * tolerance_ns < period_ns:
            raise ValueError(f"tolerance {tolerance_ns} ns must be below half of the period {period_ns} ns")
        self._period_ns = float(period_ns)
        self._tolerance_ns = tolerance_ns
        self.reference = ""
        self._anchor: tuple[int, int] | None = None  # pulse, its time
        self._since = (0, 0)  # the same, from where the period is measured
        self._counts: dict[str, _Count] = {}

    def begin(self, session: str, number: int, t_ns: int) -> None:
        """The pulses are those of this session, of the host with the trigger: number is pulse."""
        self.reference = session
        self._anchor = self._since = (number, t_ns)
        self._counts = {session: _Count(0)}

    @property
    def begun(self) -> bool:
        """Whether there is a pulse to count from."""
        return self._anchor is not None

    def follows(self, session: str, number: int, t_ns: int, uncertainty_ns: int) -> bool:
        """Whether a new session of the host with the trigger goes on counting the pulses known here."""
        if self._anchor is None:
            return False
        if self._nearest(t_ns, uncertainty_ns) != number:
            return False
        self.reference = session
        self._counts[session] = _Count(0)
        return True

    def place(self, session: str, number: int, t_ns: int, uncertainty_ns: int) -> Placed:
        """The pulse of a set.

        Parameters
        ----------
        session:
            Stream session of its host.
        number:
            Its index there.
        t_ns, uncertainty_ns:
            Middle of its exposure on this host's clock, and how far off the clock comparison may be.
        """
        assert self._anchor is not None, "begin first"
        nearest = self._nearest(t_ns, uncertainty_ns)
        count = self._counts.get(session)
        if count is None:
            if nearest is None:
                return Placed(None, "ambiguous")
            self._counts[session] = count = _Count(nearest - number)
        pulse = number + count.shift
        if session == self.reference:
            if nearest not in (pulse, None):
                self.begin(session, number, t_ns)
            return self._settled(pulse, t_ns, session)
        if nearest is None:
            # After a long silence the time alone no longer tells; the count goes on where it was.
            return Placed(None, "ambiguous") if self._known(t_ns) else self._settled(pulse, t_ns, session)
        if nearest != pulse:
            return self._doubt(count, nearest - number)
        count.doubted = 0
        if abs(t_ns - self._time_of(pulse)) > self._tolerance_ns + uncertainty_ns + self._drift_ns(t_ns):
            return Placed(None, "off the grid")
        return self._settled(pulse, t_ns, session)

    def _doubt(self, count: _Count, shift: int) -> Placed:
        count.doubted = count.doubted + 1 if shift == count.other else 1
        count.other = shift
        if count.doubted >= CONTRADICTIONS:
            count.shift, count.doubted = shift, 0
        return Placed(None, "contradicted")

    def _settled(self, pulse: int, t_ns: int, session: str) -> Placed:
        """The newest pulse placed is the one to count from: drift has no time to add up."""
        if self._anchor is not None and pulse > self._anchor[0]:
            self._anchor = (pulse, t_ns)
            counted = pulse - self._since[0]
            if session == self.reference and counted >= _MEASURED_OVER:
                self._period_ns = (t_ns - self._since[1]) / counted
                if counted >= 10 * _MEASURED_OVER:
                    self._since = (pulse, t_ns)
        return Placed(pulse)

    def _nearest(self, t_ns: int, uncertainty_ns: int) -> int | None:
        """The pulse nearest to an instant; None where that could be another one."""
        assert self._anchor is not None
        pulse, at_ns = self._anchor
        steps = round((t_ns - at_ns) / self._period_ns)
        apart_ns = abs(t_ns - at_ns - steps * self._period_ns)
        sure = 2 * (apart_ns + uncertainty_ns + self._drift_ns(t_ns)) < self._period_ns
        return pulse + steps if sure else None

    def _known(self, t_ns: int) -> bool:
        """Whether the grid still tells pulses apart so far from its newest one."""
        return 2 * (self._tolerance_ns + self._drift_ns(t_ns)) < self._period_ns

    def _drift_ns(self, t_ns: int) -> int:
        assert self._anchor is not None
        return round(abs(t_ns - self._anchor[1]) * _DRIFT)

    def _time_of(self, pulse: int) -> int:
        assert self._anchor is not None
        return self._anchor[1] + round((pulse - self._anchor[0]) * self._period_ns)

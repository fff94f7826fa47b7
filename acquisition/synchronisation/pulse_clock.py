"""The trigger's pulses on the rig clock, as all cameras of a rig share them."""

from __future__ import annotations

import math
from dataclasses import dataclass

EARLY = 0.3
# A camera's first frame may look late (its latency is not known yet), hardly ever early.

_FIRST_PULSES = 200
# So long after the start the trigger's own clock is good enough to place a camera's first frames.

RECENT = 64
# Frames by which a camera's scatter is judged.

SMOOTHED = 0.05
# What one frame moves the pulses that all cameras share: stamps scatter.


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
        The newest pulse placed and its exposure, smoothed over all cameras; index None before the first.
    led:
        Whether a camera with a clock of its own leads: its steps are certain.
    shaky:
        The newest pulse at which a camera's arrivals scattered too much. Where none leads, such a camera may
        have taken the shared pulses along.
    """

    period_ns: float
    first_exposure_ns: int | None
    index: int | None = None
    t_ns: int = 0
    led: bool = False
    shaky: int = -RECENT

    def time_of(self, index: int) -> int:
        """Middle of the exposure of a pulse, as far as is known now."""
        if self.index is not None:
            return self.t_ns + round((index - self.index) * self.period_ns)
        return (self.first_exposure_ns or 0) + round(index * self.period_ns)

    def pulses_at(self, t_ns: int) -> float:
        """An exposure in pulses: 7.2 is a fifth of a period after pulse 7."""
        if self.first_exposure_ns is not None:
            pulses = (t_ns - self.first_exposure_ns) / self.period_ns
            if pulses < _FIRST_PULSES or self.index is None:
                return pulses
        if self.index is None:
            return 0.0
        return self.index + (t_ns - self.t_ns) / self.period_ns

    def index_at(self, t_ns: int) -> int:
        """The pulse of an exposure seen on a camera that has no frame before it."""
        return max(0, math.floor(self.pulses_at(t_ns) + EARLY))

    def saw(self, index: int, t_ns: int) -> None:
        """A frame was placed on pulse `index`."""
        if self.index is None:
            self.index, self.t_ns = index, t_ns
        elif index > self.index:
            expected_ns = self.time_of(index)
            self.index, self.t_ns = index, expected_ns + round(SMOOTHED * (t_ns - expected_ns))

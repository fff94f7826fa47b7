"""Smooth random motion that returns to its start: Fourier series over the loop."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from acquisition.simulation.lens import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Wander:
    """A smooth random function of time with the loop's period, about `amplitude` in deviation."""

    loop_s: float
    harmonics: Floats
    cosines: Floats
    sines: Floats

    @classmethod
    def draw(
        cls,
        random: np.random.Generator,
        loop_s: float,
        amplitude: float,
        slowest_hz: float,
        fastest_hz: float,
    ) -> Wander:
        """Harmonics of the loop between two frequencies, equally strong, of random phase.

        A loop too short for the band moves at its own first harmonic instead.
        """
        first = max(1, math.ceil(slowest_hz * loop_s))
        harmonics = np.arange(first, max(first, math.floor(fastest_hz * loop_s)) + 1, dtype=np.float64)
        weights = random.standard_normal((2, len(harmonics)))
        weights *= amplitude * math.sqrt(2) / np.sqrt((weights**2).sum())
        return cls(loop_s, harmonics, weights[0], weights[1])

    def __call__(self, seconds: Floats) -> Floats:
        """Values at times (T,), float64 (T,)."""
        phase = self._phase(seconds)
        return np.cos(phase) @ self.cosines + np.sin(phase) @ self.sines

    def slope(self, seconds: Floats) -> Floats:
        """First derivative at times (T,), per second."""
        phase, omega = self._phase(seconds), 2 * np.pi * self.harmonics / self.loop_s
        return np.cos(phase) @ (self.sines * omega) - np.sin(phase) @ (self.cosines * omega)

    def scaled(self, factor: float) -> Wander:
        """The same function, `factor` times as large."""
        return Wander(self.loop_s, self.harmonics, self.cosines * factor, self.sines * factor)

    def _phase(self, seconds: Floats) -> Floats:
        return np.multiply.outer(
            np.asarray(seconds, dtype=np.float64), 2 * np.pi * self.harmonics / self.loop_s
        )


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """A closed curve in the arena, walked forwards.

    Attributes
    ----------
    x, y:
        Position of the middle of the body, mm.
    sway:
        None, or the heading itself for loops too short to turn round in.
    """

    loop_s: float
    x: Wander
    y: Wander
    sway: Wander | None
    start_heading: float

    @classmethod
    def draw(cls, random: np.random.Generator, loop_s: float, reach_mm: float) -> Walk:
        """Of many random curves one that the animal can follow: no faster than 250 mm/s, no sharp turns."""
        seconds = np.linspace(0, loop_s, max(64, int(loop_s * 20)), endpoint=False)
        if loop_s >= 6.0:
            for _ in range(400):
                x, y = (Wander.draw(random, loop_s, 1.0, 0.04, 0.16) for _ in range(2))
                size = np.abs([x(seconds), y(seconds)]).max()
                walk = cls(loop_s, x.scaled(reach_mm / size), y.scaled(reach_mm / size), None, 0.0)
                speed = np.hypot(walk.x.slope(seconds), walk.y.slope(seconds))
                if speed.max() < 250.0 and np.abs(walk.turn_rate(seconds)).max() < 3.0:
                    return walk
        slow = min(reach_mm, 8.0 * loop_s)
        x, y = (Wander.draw(random, loop_s, slow / 3, 0.0, 0.3) for _ in range(2))
        heading = Wander.draw(random, loop_s, 0.4, 0.0, 0.3)
        return cls(loop_s, x, y, heading, float(random.uniform(-np.pi, np.pi)))

    def position(self, seconds: Floats) -> Floats:
        """(T, 2) mm."""
        return np.stack([self.x(seconds), self.y(seconds)], axis=-1)

    def heading(self, seconds: Floats) -> Floats:
        """(T,) radians, anticlockwise from world x."""
        if self.sway is not None:
            return self.start_heading + self.sway(seconds)
        return np.arctan2(self.y.slope(seconds), self.x.slope(seconds))

    def turn_rate(self, seconds: Floats) -> Floats:
        """(T,) radians a second, by a central difference over 2 ms."""
        change = self.heading(seconds + 1e-3) - self.heading(seconds - 1e-3)
        return (np.mod(change + np.pi, 2 * np.pi) - np.pi) / 2e-3

    def distance_table(self, samples: int = 2048) -> tuple[Floats, Floats]:
        """Times over one loop and the distance walked by then, (samples + 1,) each."""
        seconds = np.linspace(0, self.loop_s, samples + 1)
        speed = np.hypot(self.x.slope(seconds), self.y.slope(seconds))
        steps = (speed[1:] + speed[:-1]) / 2 * np.diff(seconds)
        return seconds, np.concatenate([[0.0], np.cumsum(steps)])

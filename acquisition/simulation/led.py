"""The trigger's LED in the simulated arena.

The code is written here a second time, from the table in firmware_configs/trigger/README.md, so that
what reads it has something independent to be tested with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from acquisition.frame import Image
from acquisition.settings import Settings
from acquisition.simulation.viewpoints import Viewpoint


class LedSettings(Settings):
    """The LED of a scene."""

    position_mm: tuple[float, float, float] = Field((150.0, 150.0, 40.0), description="where it is, world")
    radius_mm: float = Field(4.0, gt=0, description="of the spot of light around it")
    brightness: float = Field(120.0, ge=0, description="grey levels it adds at its middle, before clipping")
    hidden_from: tuple[str, ...] = Field((), description="cameras that something keeps from seeing it")


@dataclass(frozen=True, slots=True, eq=False)
class LedSpot:
    """The LED as one camera sees it: `light` float32 (h, w) grey levels, its corner at left, top."""

    left: int
    top: int
    light: npt.NDArray[np.float32]

    def paint(self, pulse: int, image: Image) -> None:
        """Add the LED to the image of a pulse, uint8 (H, W), where it is on then."""
        if is_on(pulse):
            height, width = self.light.shape
            part = image[self.top : self.top + height, self.left : self.left + width]
            part[:] = np.minimum(part + self.light, 255)


def spot_of(settings: LedSettings, view: Viewpoint) -> LedSpot | None:
    """The LED in one camera; None where it is hidden or outside of the image."""
    width, height = view.size_px
    position = np.array(settings.position_mm)
    x, y = view.project(position)
    if view.name in settings.hidden_from or not (0 <= x < width and 0 <= y < height):
        return None
    radius = max(0.7, settings.radius_mm * view.lens.focal_x_px / float(view.to_camera(position)[2]))
    reach = int(np.ceil(3 * radius))
    left, top = max(0, round(float(x)) - reach), max(0, round(float(y)) - reach)
    columns = np.arange(left, min(width, round(float(x)) + reach + 1))
    rows = np.arange(top, min(height, round(float(y)) + reach + 1))
    squared = (columns[None, :] - x) ** 2 + (rows[:, None] - y) ** 2
    light = settings.brightness * np.exp(-squared / (2 * (radius / 1.5) ** 2))
    return LedSpot(left, top, light.astype(np.float32))


def is_on(pulse: int) -> bool:
    """Whether the LED is on in a slot: a head, then 13 bits of Gray code, each twice."""
    word, place = pulse // 32 % 8192, pulse % 32
    if place < 6:
        return place in (1, 2, 3)
    bit = 12 - (place - 6) // 2
    one = (word >> bit & 1) != (word >> (bit + 1) & 1)
    return one if place % 2 == 0 else not one

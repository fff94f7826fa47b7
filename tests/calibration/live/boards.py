"""Views of a board as a person holds it: px, tilt and place given, no picture."""

from __future__ import annotations

import numpy as np

from calibration.live.seen import SeenView

SIZE = (640, 480)


def view(
    camera: int, x: float, y: float, extent: float = 0.2, tilt_deg: float = 0.0, *, smear_px: float = 0.0,
    sharpness: float = 0.4,
) -> SeenView:  # fmt: skip
    """The board around (x, y), shares of the image, 5 x 4 corners over `extent` of it."""
    along = np.linspace(-0.5, 0.5, 5) * extent
    down = np.linspace(-0.5, 0.5, 4) * extent
    share = np.stack(np.meshgrid(x + along, y + down), axis=-1).reshape(-1, 2).clip(0, 0.999)
    slant = 1 - np.cos(np.radians(tilt_deg))
    place = np.array([*share.mean(axis=0), *np.ptp(share, axis=0), slant, 0.0])
    return SeenView(camera, SIZE, share * SIZE, tilt_deg, place, sharpness, smear_px)

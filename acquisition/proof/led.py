"""The trigger's LED in a camera's pictures: where it is, and whether it is on.

Nobody has to say where: the LED is what changes with the code. Every part of the picture is compared
with the code at every shift of one word; words resemble their neighbours so much (Gray code) that this
finds the LED at any count. That it is the LED, and at which count, is then read from it, not assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acquisition.frame import Image
from acquisition.synchronisation.pulse_code import WORD_SLOTS, led

Floats = npt.NDArray[np.float32]
Region = tuple[int, int, int, int]

LEAST_FRAMES = 2 * WORD_SLOTS
"""So many pulses hold a whole word wherever they begin."""

_BLOCK = 4  # px; small enough for a LED of a few pixels, large enough to spare time
_CANDIDATES = 5
_AROUND = 16  # px, in which the LED's outline is found
_LIKE = 0.45  # correlation of noise alone stays below, over all parts, shifts and 64 frames
_OUTLINE = 0.7  # of the strongest pixel's covariance
_CERTAIN = 0.25  # of the step from off to on; nearer to their middle a state is in doubt
_SATURATED = 254


@dataclass(frozen=True, slots=True)
class LedSeen:
    """The LED as one camera saw it.

    Attributes
    ----------
    region:
        x, y, width, height px.
    states:
        Per picture on, off, or None where it is in doubt or there is no picture.
    likeness:
        Correlation of its brightness with the code, 1 at best.
    step:
        From off to on, grey levels, mean over the region.
    saturated:
        Whether the region is at the sensor's limit while it is on.
    """

    region: Region
    states: tuple[bool | None, ...]
    likeness: float
    step: float
    saturated: bool


def find_led(pictures: list[Image | None], slots: list[int], region: Region | None = None) -> list[LedSeen]:
    """Where the LED may be, the likeliest first; empty where nothing blinks as it does.

    Parameters
    ----------
    pictures:
        Grey or RGB, uint8, one a slot in order; None where there is none. 64 at least.
    slots:
        What the LED is taken to show in each: frame-set indices.
    region:
        Look there only: x, y, width, height px.
    """
    there = [k for k, picture in enumerate(pictures) if picture is not None]
    if len(there) < LEAST_FRAMES // 2:
        return []
    grey = [_grey(picture) for picture in pictures if picture is not None]
    codes = _codes([slots[k] for k in there])
    if region is not None:
        x, y, width, height = region
        light = np.array([float(image[y : y + height, x : x + width].mean()) for image in grey], np.float32)
        seen = _read(light, codes, there, len(pictures), region, grey)
        return [] if seen is None else [seen]
    stack = np.stack([_blocks(image) for image in grey])
    likeness = _correlate(stack.reshape(len(grey), -1), codes)
    best = np.abs(likeness).max(axis=0) * (likeness.max(axis=0) > 0)
    found: list[LedSeen] = []
    for _ in range(_CANDIDATES):
        block = int(best.argmax())
        if best[block] < _LIKE:
            break
        row, column = divmod(block, stack.shape[2])
        best.reshape(stack.shape[1:])[max(0, row - 4) : row + 5, max(0, column - 4) : column + 5] = 0
        shift = int(likeness[:, block].argmax())
        outline = _outline(grey, codes[shift], row * _BLOCK, column * _BLOCK)
        x, y, width, height = outline
        light = np.array([float(image[y : y + height, x : x + width].mean()) for image in grey], np.float32)
        seen = _read(light, codes, there, len(pictures), outline, grey)
        if seen is not None:
            found.append(seen)
    return found


def _grey(image: Image) -> Image:
    return image if image.ndim == 2 else np.ascontiguousarray(image.max(axis=2))


def _codes(slots: list[int]) -> Floats:
    """The code at every shift of one word, (32, N), each of mean 0 and norm 1."""
    states = np.array(
        [[led(slot + shift) for slot in slots] for shift in range(-WORD_SLOTS // 2, WORD_SLOTS // 2)],
        np.float32,
    )
    states -= states.mean(axis=1, keepdims=True)
    return np.asarray(states / np.linalg.norm(states, axis=1, keepdims=True), np.float32)


def _blocks(image: Image) -> Floats:
    """Means of blocks of 4 x 4 px; what is over at right and bottom is left out."""
    height, width = (side // _BLOCK * _BLOCK for side in image.shape)
    rows = image[:height, :width].reshape(height // _BLOCK, _BLOCK, width).sum(axis=1, dtype=np.uint16)
    blocks = rows.reshape(height // _BLOCK, width // _BLOCK, _BLOCK).sum(axis=2, dtype=np.uint16)
    return np.asarray(blocks.astype(np.float32) / (_BLOCK * _BLOCK), np.float32)


def _correlate(light: Floats, codes: Floats) -> Floats:
    """Pearson's correlation of every column of `light` (N, P) with every code (L, N): (L, P)."""
    light = light - light.mean(axis=0)
    norm = np.linalg.norm(light, axis=0)
    # What hardly changes at all is no LED: noise of a third of a grey level in a block's mean.
    norm = np.where(norm > 0.3 * np.sqrt(len(light)), norm, np.inf)
    return np.asarray(codes @ light / norm, np.float32)


def _outline(grey: list[Image], code: Floats, top: int, left: int) -> Region:
    """The box of pixels that follow the code nearly as much as the one that does most."""
    height, width = grey[0].shape
    y0, y1 = max(0, top - _AROUND), min(height, top + _BLOCK + _AROUND)
    x0, x1 = max(0, left - _AROUND), min(width, left + _BLOCK + _AROUND)
    near = np.stack([image[y0:y1, x0:x1] for image in grey]).astype(np.float32)
    follows = np.tensordot(code, near - near.mean(axis=0), axes=1)
    rows, columns = np.nonzero(follows >= _OUTLINE * follows.max())
    # Only what hangs together with the strongest pixel: a reflection may lie in the same window.
    row, column = np.unravel_index(int(follows.argmax()), follows.shape)
    close = (np.abs(rows - row) <= _AROUND // 2) & (np.abs(columns - column) <= _AROUND // 2)
    rows, columns = rows[close], columns[close]
    return (
        int(x0 + columns.min()),
        int(y0 + rows.min()),
        int(np.ptp(columns)) + 1,
        int(np.ptp(rows)) + 1,
    )


def _read(
    light: Floats, codes: Floats, there: list[int], count: int, region: Region, grey: list[Image]
) -> LedSeen | None:
    """States by the two levels that the region's light has."""
    likeness = _correlate(light[:, None], codes)[:, 0]
    shift = int(likeness.argmax())
    if likeness[shift] < _LIKE:
        return None
    on = codes[shift] > 0
    high, low = float(np.median(light[on])), float(np.median(light[~on]))
    if high - low < 1.0:
        return None
    middle, sure = (high + low) / 2, _CERTAIN * (high - low)
    states: list[bool | None] = [None] * count
    for k, value in zip(there, light, strict=True):
        states[k] = None if abs(value - middle) < sure else bool(value > middle)
    x, y, width, height = region
    brightest = np.median(
        [int(image[y : y + height, x : x + width].max()) for image, lit in zip(grey, on, strict=True) if lit]
    )
    return LedSeen(region, tuple(states), float(likeness[shift]), high - low, bool(brightest >= _SATURATED))

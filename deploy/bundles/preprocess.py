"""From a camera's image to the network's input: the one definition, followed by every floor.

Resampling is bilinear with pixel areas kept (cv2.resize and cv2.warpAffine, whose pixel centres are
those of `ImageTransform`). What lies outside the image is `PAD_LEVEL`. A mono image is replicated
to RGB after resampling, since a third of the work suffices before.
"""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from calibration.image_transform import ImageTransform

PAD_LEVEL = 128
"""Grey level outside the image: the middle of uint8, near the zero of a normalised input."""

_WHOLE_PX = 1e-6


def to_network(
    image: npt.NDArray[Any],
    transform: ImageTransform,
    input_wh: tuple[int, int],
    out: Image | None = None,
) -> Image:
    """One image, resampled to the network's input.

    Parameters
    ----------
    image:
        uint8 (H, W) mono, (H, W, 1) mono or (H, W, 3) RGB.
    transform:
        From the image's pixels to the network's input pixels.
    input_wh:
        Width and height of the network's input.
    out:
        uint8 (height, width, 3), contiguous: written and returned where given (a batch's slot).

    Returns
    -------
    uint8 (height, width, 3) RGB.

    Raises
    ------
    RigposeError
        If the image is not uint8 of one of these shapes, or is empty.
    """
    check_image(image)
    width, height = input_wh
    if out is None:
        out = np.empty((height, width, 3), np.uint8)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim == 3:
        _resample(image, transform, out)
    else:
        mono = np.empty((height, width), np.uint8)
        _resample(image, transform, mono)
        cv2.cvtColor(mono, cv2.COLOR_GRAY2RGB, dst=out)
    return out


def check_image(image: npt.NDArray[Any], whose: object = "image") -> None:
    """Refuse, with `RigposeError`, what is not uint8 (H, W), (H, W, 1) or (H, W, 3)."""
    if image.dtype != np.uint8:
        raise RigposeError(
            whose,
            expected="8 bits a sample (uint8)",
            found=str(image.dtype),
            remedy="Convert it to 8 bits; camera drivers do so by a stated rule",
        )
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)) or not image.size:
        raise RigposeError(
            whose,
            expected="a shape of (H, W) mono or (H, W, 3) RGB",
            found=str(image.shape),
            remedy="Drop an alpha channel, add no batch dimension",
        )


def _resample(source: Image, transform: ImageTransform, target: Image) -> None:
    windows = resize_windows(source.shape[1::-1], transform, target.shape[1::-1])
    if windows is None:
        cv2.warpAffine(
            source,
            transform.matrix,
            target.shape[1::-1],
            dst=target,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(PAD_LEVEL,) * 3,
        )
        return
    (left, top, right, bottom), (sx0, sy0, sx1, sy1) = windows
    part = source[sy0:sy1, sx0:sx1]
    target[:top] = PAD_LEVEL
    target[bottom:] = PAD_LEVEL
    if (left, right) == (0, target.shape[1]):  # whole rows: cv2 writes into them itself
        cv2.resize(part, (right, bottom - top), dst=target[top:bottom], interpolation=cv2.INTER_LINEAR)
        return
    target[top:bottom, :left] = PAD_LEVEL
    target[top:bottom, right:] = PAD_LEVEL
    target[top:bottom, left:right] = cv2.resize(
        part, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR
    )


@functools.lru_cache(maxsize=256)  # cameras that stand still ask the same again and again
def resize_windows(
    source_wh: tuple[int, ...], transform: ImageTransform, target_wh: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Where the map is a resize of whole pixels: target and source windows (x0, y0, x1, y1), or None.

    Edges are those of pixel areas, so edge e of an image is pixel coordinate e - 0.5.
    """
    linear = transform.matrix[:, :2]
    scale = np.diag(linear)
    if linear[0, 1] or linear[1, 0] or (scale <= 0).any():
        return None
    shift = transform.matrix[:, 2] + 0.5 * (1.0 - scale)  # target edge = scale * source edge + shift
    low = np.maximum(shift, 0.0)
    high = np.minimum(scale * source_wh + shift, target_wh)
    if (high - low < 1).any():
        return None
    edges = np.concatenate([low, high, (low - shift) / scale, (high - shift) / scale])
    whole = np.rint(edges)
    if (np.abs(edges - whole) > _WHOLE_PX).any():
        return None
    window = tuple(int(edge) for edge in whole)
    return window[:4], window[4:]

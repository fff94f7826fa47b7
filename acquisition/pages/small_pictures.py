"""Small copies of a camera's pictures, as pages show them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

_Image = npt.NDArray[np.uint8]


def shrunk(image: _Image, side_px: int) -> _Image:
    """A copy of uint8 (H, W) or (H, W, 3), at most `side_px` at the longer side."""
    scale = min(1.0, side_px / max(image.shape[:2]))
    if scale == 1:
        return np.array(image)
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def as_jpeg(image: _Image, quality: int = 80) -> bytes:
    """Coded: uint8 (H, W) grey or (H, W, 3) RGB."""
    turned = image[:, :, ::-1] if image.ndim == 3 else image  # OpenCV codes BGR
    _, coded = cv2.imencode(".jpg", np.ascontiguousarray(turned), [int(cv2.IMWRITE_JPEG_QUALITY), quality])
    return coded.tobytes()

"""Reading labelled images: whole or refused, mono or RGB, kept in memory as long as they fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image

# What a whole file of this kind ends with; OpenCV returns a half picture of a cut one without a word.
_ENDS = {".png": b"IEND", ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}
CACHE_AT_MOST_BYTES = 2 << 30


def read_image(path: Path) -> Image:
    """An image file as uint8: (H, W) if it is grey (three equal channels too), else (H, W, 3) RGB.

    Raises
    ------
    RigposeError
        If the file is missing, cut off, or no image.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RigposeError(
            path, expected="the image that the labels name", found=error.strerror or "no file",
            remedy="Put the image back, or remove its row from the label file",
        ) from None  # fmt: skip
    ending = _ENDS.get(path.suffix.lower())
    image = None
    if content and (ending is None or ending in content[-64:]):
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise RigposeError(
            path, expected="a whole image", found=f"{len(content)} bytes that are cut off or no image",
            remedy="Extract the frame again",
        )  # fmt: skip
    if np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2]):
        return np.ascontiguousarray(image[..., 0])
    return np.asarray(image, np.uint8)


class ImageStore:
    """Images of a project by name, decoded once.

    Parameters
    ----------
    root:
        Folder that the names are relative to.
    names:
        Images to read now, so that a broken one stops the work before it starts.
    cache_at_most_bytes:
        Beyond this, images are decoded again whenever they are wanted.
    """

    def __init__(
        self, root: Path, names: Sequence[str], cache_at_most_bytes: int = CACHE_AT_MOST_BYTES
    ) -> None:
        self._root = root
        self._kept: dict[str, Image] = {}
        self.sizes_px: dict[str, tuple[int, int]] = {}
        room = cache_at_most_bytes
        for name in names:
            image = read_image(root / name)
            self.sizes_px[name] = image.shape[1], image.shape[0]
            if image.nbytes <= room:
                self._kept[name] = image
                room -= image.nbytes

    def __getitem__(self, name: str) -> Image:
        kept = self._kept.get(name)
        return read_image(self._root / name) if kept is None else kept

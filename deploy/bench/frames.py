"""The pictures a bench works on: a video, read again from its beginning when it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.frame import Image
from acquisition.videos.encoder import Encoder
from acquisition.videos.video import open_container, open_video, upright
from deploy.bundles.bundle import Bundle

RATE_HZ = 60.0
_SIZE_WH = (640, 480)
_NOISE_FRAMES = 32


class LoopedVideo:
    """A video decoded by one thread, without end.

    Attributes
    ----------
    size_px, channels:
        Of its images: width and height; 1 or 3.

    Raises
    ------
    RigposeError
        If it is no video.
    """

    def __init__(self, path: Path) -> None:
        info = open_video(path).info
        self.size_px = info.width_px, info.height_px
        self.channels = info.channels
        self._path = path
        self._format = "gray" if info.channels == 1 else "rgb24"
        self._container: Any = None
        self._frames: Iterator[Any] = iter(())

    def read(self) -> tuple[Image, int]:
        """The next image, uint8 (H, W) or (H, W, 3), and how long decoding and conversion took, ns.

        Beginning anew does not count.
        """
        start_ns = time.monotonic_ns()
        frame = next(self._frames, None)
        if frame is None:
            self._begin()
            start_ns = time.monotonic_ns()
            frame = next(self._frames)
        image = upright(frame, self._format)
        return image, time.monotonic_ns() - start_ns

    def close(self) -> None:
        """Let go of the file."""
        if self._container is not None:
            self._container.close()

    def _begin(self) -> None:
        self.close()
        self._container = open_container(self._path)
        stream = self._container.streams.video[0]
        stream.codec_context.thread_count = 1
        self._frames = self._container.decode(stream)


def write_video(bundle: Bundle, path: Path) -> str:
    """A video of the bundle's own held-out frames, or of noise where it has none; says which, in words.

    Frames of the first one's size and kind are taken. x264 as `rigpose record` uses it.
    """
    check = bundle.check()
    if check is None:
        rng = np.random.default_rng(0)
        images = [rng.integers(0, 256, _SIZE_WH[::-1], np.uint8) for _ in range(_NOISE_FRAMES)]
        said = "noise"
    else:
        images = [image for image in check.images if image.shape == check.images[0].shape]
        said = f"{len(images)} held-out frames of the bundle"
    height, width = images[0].shape[:2]
    even = [np.ascontiguousarray(image[: height // 2 * 2, : width // 2 * 2]) for image in images]
    channels = 1 if even[0].ndim == 2 else 3
    encoder = Encoder(path, "x264", even[0].shape[1], even[0].shape[0], channels, RATE_HZ)
    try:
        for number, image in enumerate(even):
            encoder.write(image, round(1e3 * number / RATE_HZ))
    finally:
        encoder.close()
    return said

"""Videos whose frames carry their numbers, in the ways that videos are encoded."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from tests.acquisition.sessions import SHAPE, picture

# How: encoder, pixel format, options. B-frames are shown in another order than they are stored in.
KINDS = {
    "b-frames": ("libx264", "yuv420p", {"bf": "3", "g": "24", "preset": "medium"}),
    "one group": ("libx264", "yuv420p", {"bf": "2", "g": "10000", "preset": "medium"}),
    "open groups": ("libx264", "yuv420p", {"bf": "3", "g": "12", "x264-params": "open-gop=1"}),
    "intra": ("mjpeg", "yuvj420p", {}),
    "lossless": ("ffv1", "gray", {}),
    "rgb": ("ffv1", "bgr0", {}),
    "mpeg4": ("mpeg4", "yuv420p", {"bf": "2", "g": "15"}),
}


def write_film(
    path: Path, count: int, kind: str = "b-frames", pictures: list[np.ndarray] | None = None
) -> Path:
    """A video of `count` frames at 30 Hz that `tests.acquisition.sessions.number_of` tells apart."""
    encoder, pixels, options = KINDS[kind]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = SHAPE[1], SHAPE[0], pixels
        for number in range(count):
            image = picture(number) if pictures is None else pictures[number]
            if image.ndim == 2:
                image = np.repeat(image[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path

"""Videos of the two dots that the golden bundle's network finds, and where they are."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

BUNDLE = Path(__file__).parents[1] / "golden" / "schema1.bundle"
FRAMES = 30


def truth(frames: int = FRAMES) -> np.ndarray:
    """(frames, 2, 2) px: the red and the blue dot, moving."""
    step = np.arange(frames)[:, None]
    red = np.hstack([50 + step, 60 + 2 * step])
    blue = np.hstack([200 - step, 130 - 2 * step])
    return np.stack([red, blue], axis=1).astype(np.float64)


def pictures(frames: int = FRAMES, wh: tuple[int, int] = (256, 192)) -> list[np.ndarray]:
    """The images, uint8 (H, W, 3) RGB."""
    images = []
    for points in truth(frames):
        image = np.full((wh[1], wh[0], 3), 80.0)
        for at, channel in zip(points, (0, 2), strict=True):
            squared = (np.arange(wh[0]) - at[0]) ** 2 + ((np.arange(wh[1]) - at[1]) ** 2)[:, None]
            image[:, :, channel] += 90 * np.exp(-squared / (2 * 14.0**2))
        images.append(np.rint(image).astype(np.uint8))
    return images


def write_video(path: Path, images: list[np.ndarray], times_ms: list[int] | None = None) -> Path:
    """A lossless video; `times_ms`: when each image is shown, else 30 a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = images[0].shape[1], images[0].shape[0], "bgr0"
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[number], stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_stills(folder: Path, images: list[np.ndarray]) -> Path:
    """A folder of PNGs."""
    folder.mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"img{number:03d}.png"), image[:, :, ::-1])
    return folder

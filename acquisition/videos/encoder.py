"""One camera's images into a Matroska file that is readable up to the last fraction of a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from acquisition.frame import Image

CHANNELS_TAG = "RIGPOSE_CHANNELS"
"""Says that a picture is mono: the H.264 decoder gives colour planes all the same."""

_FULL_RANGE = 2  # AVCOL_RANGE_JPEG: 0 is black and 255 is white, also in a codec that thinks in 16 to 235
_MATROSKA = {
    # Clusters are what a killed process loses: short ones, written out packet by packet.
    "flush_packets": "1",
    "cluster_time_limit": "200",
}


@dataclass(frozen=True, slots=True)
class Codec:
    """How a codec is set: encoder and pixel format for mono and for RGB, and its options."""

    mono: tuple[str, str]
    rgb: tuple[str, str]
    options: dict[str, str] = field(default_factory=dict)


# zerolatency: no look-ahead, so that a frame is in the file when the next one is encoded.
_X264 = {"preset": "ultrafast", "tune": "zerolatency"}
CODECS = {
    "x264": Codec(("libx264", "gray"), ("libx264", "yuv420p"), {**_X264, "crf": "18"}),
    "x264-lossless": Codec(("libx264", "gray"), ("libx264rgb", "rgb24"), {**_X264, "qp": "0"}),
    "ffv1": Codec(("ffv1", "gray"), ("ffv1", "bgr0"), {"level": "3", "slicecrc": "1"}),
    "mjpeg": Codec(("mjpeg", "yuvj420p"), ("mjpeg", "yuvj420p"), {"q": "3"}),
}


class Encoder:
    """Writes images with their own times.

    Parameters
    ----------
    path:
        The file to write.
    codec:
        A name in `CODECS`.
    width_px, height_px, channels:
        Shape of the images.
    rate_hz:
        Nominal rate, for the container's header only.
    """

    def __init__(
        self, path: Path, codec: str, width_px: int, height_px: int, channels: int, rate_hz: float
    ) -> None:
        plan = CODECS[codec]
        encoder, pixel_format = plan.mono if channels == 1 else plan.rgb
        self._format = "gray" if channels == 1 else "rgb24"
        self._pixel_format = pixel_format
        self._last_ms = -1
        self._container = av.open(str(path), "w", format="matroska", options=_MATROSKA)
        self._container.metadata[CHANNELS_TAG] = str(channels)
        rate = Fraction(rate_hz if rate_hz > 0 else 30).limit_denominator(1000)
        # Any: PyAV's types do not know which kind of stream a codec's name makes.
        stream: Any = self._container.add_stream(encoder, rate=rate, options=plan.options)
        stream.width, stream.height = width_px, height_px
        stream.pix_fmt = pixel_format
        stream.time_base = Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        self._full_range = channels == 1
        if self._full_range:
            stream.codec_context.color_range = _FULL_RANGE
        stream.codec_context.gop_size = max(1, round(rate_hz))
        stream.codec_context.thread_count = 1  # one busy thread a camera; slices cost quality
        self._stream: Any = stream

    def write(self, image: Image, t_ms: int) -> None:
        """Encode an image that was exposed at `t_ms` since the session began.

        Matroska counts milliseconds: above 1000 images a second its times run ahead of the true ones,
        which stand in the frame table. Raises `OSError` (also `av.error.OSError`) where the disk is full.
        """
        self._last_ms = max(t_ms, self._last_ms + 1)
        frame = av.VideoFrame.from_ndarray(image, format=self._format)
        if self._pixel_format != self._format:
            frame = frame.reformat(format=self._pixel_format)
        if self._full_range:
            frame.color_range = _FULL_RANGE
        frame.pts = self._last_ms
        frame.time_base = Fraction(1, 1000)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Write what is still inside and end the file. Raises as `write` does."""
        try:
            for packet in self._stream.encode(None):
                self._container.mux(packet)
        finally:
            self._container.close()

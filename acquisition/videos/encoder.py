"""One camera's images into a Matroska file that is readable up to the last fraction of a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging
import numpy as np

from acquisition.errors import RigposeError
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
    """How a codec is set.

    Attributes
    ----------
    mono, rgb:
        Encoder and pixel format for each kind of image.
    options:
        The encoder's.
    container:
        Matroska's, beside those that all have.
    others:
        Encoders of the same kind, in the order in which they are tried where the first is not there.
    hardware:
        Whether the machine decides if it is there.
    bytes_per_px:
        What a grey pixel takes on the disk, of a still picture under noise of 3 grey levels
        (`benchmarks/recording.py --codecs`); None where nobody has measured it.
    """

    mono: tuple[str, str]
    rgb: tuple[str, str]
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    hardware: bool = False
    bytes_per_px: float | None = None

    def encoder(self, channels: int) -> tuple[str, str]:
        """Encoder and pixel format on this machine."""
        name, pixel_format = self.mono if channels == 1 else self.rgb
        known = [other for other in (name, *self.others) if other in av.codecs_available]
        return (known or [name])[0], pixel_format


# zerolatency: no look-ahead, so that a frame is in the file when the next one is encoded.
_X264 = {"preset": "ultrafast", "tune": "zerolatency"}
CODECS = {
    "x264": Codec(("libx264", "gray"), ("libx264", "yuv420p"), {**_X264, "crf": "18"}, bytes_per_px=0.09),
    "x264-lossless": Codec(
        ("libx264", "gray"), ("libx264rgb", "rgb24"), {**_X264, "qp": "0"}, bytes_per_px=0.56
    ),
    "ffv1": Codec(("ffv1", "gray"), ("ffv1", "bgr0"), {"level": "3", "slicecrc": "1"}, bytes_per_px=0.49),
    # A fixed quantiser: without it libav aims at 200 kbit/s, whatever the picture.
    "mjpeg": Codec(
        ("mjpeg", "yuvj420p"), ("mjpeg", "yuvj420p"),
        {"flags": "+qscale", "global_quality": str(2 * 118), "qmin": "1"}, bytes_per_px=0.27,
    ),
    # Matroska has no name of its own for raw RGB, and takes it under Windows' one.
    "raw": Codec(
        ("rawvideo", "gray"), ("rawvideo", "bgr24"), container={"allow_raw_vfw": "1"}, bytes_per_px=1.0
    ),
    "nvenc": Codec(
        ("h264_nvenc", "nv12"), ("h264_nvenc", "yuv420p"),
        {"preset": "p4", "tune": "ull", "rc": "constqp", "qp": "20", "delay": "0", "zerolatency": "1"},
        hardware=True,
    ),
    # A Jetson's encoder, where FFmpeg was built to know it; else the kernel's interface.
    "v4l2": Codec(
        ("h264_nvmpi", "nv12"), ("h264_nvmpi", "yuv420p"), others=("h264_v4l2m2m",), hardware=True
    ),
}  # fmt: skip


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
        encoder, pixel_format = plan.encoder(channels)
        self._format = "gray" if channels == 1 else "rgb24"
        self._pixel_format = pixel_format
        self._last_ms = -1
        self._container = av.open(
            str(path.absolute()), "w", format="matroska", options={**_MATROSKA, **plan.container}
        )
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
        stream.codec_context.max_b_frames = 0
        stream.codec_context.gop_size = max(1, round(rate_hz))
        stream.codec_context.thread_count = 1  # one busy thread a camera; slices cost quality
        self._stream: Any = stream

    def write(self, image: Image, t_ms: int) -> None:
        """Encode an image that was exposed at `t_ms` since the session began.

        Matroska counts milliseconds: above 1000 images a second its times run ahead of the true ones,
        which stand in the frame table. Raises `OSError` (also `av.error.OSError`) where the disk is full.
        """
        self._last_ms = max(t_ms, self._last_ms + 1)
        if self._full_range and self._pixel_format == "nv12":
            frame = av.VideoFrame.from_ndarray(_grey_nv12(image), format="nv12")
        else:
            frame = av.VideoFrame.from_ndarray(image, format=self._format)
        if self._pixel_format != frame.format.name:
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


def _grey_nv12(image: Image) -> Image:
    """A grey image as NV12, its levels as they are: the colour planes are empty."""
    height, width = image.shape
    planes = np.full((height + height // 2, width), 128, np.uint8)
    planes[:height] = image
    return planes


def encoders_found() -> dict[str, str]:
    """Every codec by name, and why it cannot be used on this machine: '' where it can. Tries each."""
    return {name: _fault_of(name) for name in CODECS}


def check_codec(codec: str) -> None:
    """Refuse a codec that this machine has no encoder for; raises `RigposeError` naming those it has."""
    if not CODECS[codec].hardware:
        return
    fault = _fault_of(codec)
    if fault:
        there = [name for name, why in encoders_found().items() if not why]
        raise RigposeError(
            f"recording.codec: {codec}", expected="an encoder on this machine", found=fault,
            remedy=f"This machine has {', '.join(there)}",
        )  # fmt: skip


def _fault_of(codec: str) -> str:
    name, pixel_format = CODECS[codec].encoder(1)
    if name not in av.codecs_available:
        return f"no {name} in this FFmpeg"
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as said:
            context: Any = av.CodecContext.create(name, "w")
            context.width, context.height, context.pix_fmt = 256, 128, pixel_format
            context.time_base, context.options = Fraction(1, 1000), CODECS[codec].options
            try:
                context.open()
            except (av.error.FFmpegError, OSError) as error:
                words = [" ".join(row[2].split()) for row in said] or [error.strerror or str(error)]
                return f"{name}: {words[0]}"
    finally:
        av.logging.set_level(level)
    return ""

"""Small videos whose frames carry their numbers (`tests.acquisition.sessions.picture`)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.acquisition.sessions import picture


def clip(
    path: Path, times_ms: Sequence[int] = range(0, 1000, 40), *, codec: str = "libx264",
    shape: tuple[int, int] = (48, 64), colour: bool = False, bframes: int = 0,
) -> Path:  # fmt: skip
    """A video with a frame at each of these times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            codec, rate=25, options={"bf": str(bframes)} if codec == "libx264" else {}
        )
        stream.width, stream.height = shape[1], shape[0]
        stream.pix_fmt = {"mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        tick = Fraction(1, 25 if path.suffix == ".avi" else 1000)  # AVI counts frames
        stream.time_base = stream.codec_context.time_base = tick
        for number, t_ms in enumerate(times_ms):
            image = picture(number, shape)
            if colour:
                image = np.stack([image, image, np.full(shape, 90, np.uint8)], axis=2)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24" if colour else "gray")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = round(t_ms / (1000 * tick)), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def times_of(path: Path) -> list[float]:
    """Of every frame, ms."""
    with av.open(str(path)) as container:
        return [1000 * frame.time for frame in container.decode(video=0)]


def repeated_stamp(video: Path, output: Path, number: int) -> Path:
    """A copy of a 25 Hz video in which frame `number` has the time of the one before."""
    with av.open(str(video)) as source, av.open(str(output), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for place, packet in enumerate(source.demux(video=0)):
            if packet.size:
                packet.time_base = Fraction(1, 1000)
                packet.pts = packet.dts = 40 * (place - (place == number))
                packet.stream = stream
                copy.mux(packet)
    return output

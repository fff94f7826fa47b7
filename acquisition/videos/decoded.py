"""The frames of a video as the decoder gives them: unconverted, with their times."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from acquisition.errors import RigposeError
from acquisition.videos.video import VideoInfo, open_container, open_video


class DecodedFrames:
    """Iterates over a file's PyAV frames; each `pts` grows, counts `time_base`, and begins at 0.

    Parameters
    ----------
    path:
        A video file.

    Attributes
    ----------
    info:
        Shape, channels and nominal rate.
    time_base:
        Unit of the times, s.
    gap:
        None, or where and why the file breaks off. Set while iterating.
    decoded:
        Frames given so far.
    moved:
        Frames whose own time did not grow, or was missing, and was set.

    Raises
    ------
    RigposeError
        If it is missing, a folder, or no video.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise RigposeError(
                path, expected="a video file", found="a folder",
                remedy="Recordings are kept whole; 'rigpose video pack' makes copies of their videos",
            )  # fmt: skip
        self.info: VideoInfo = open_video(self.path).info
        self.time_base = Fraction(1, 1000)
        self.gap: str | None = None
        self.decoded = 0
        self.moved = 0

    def __iter__(self) -> Iterator[Any]:
        self.gap, self.decoded, self.moved = None, 0, 0
        try:
            with open_container(self.path) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                self.time_base = stream.time_base or self.time_base
                step = max(1, round(1 / (self.info.rate_hz or 30) / self.time_base))
                origin: int | None = None
                last = -step
                for frame in container.decode(stream):
                    own = None if frame.pts is None else frame.pts - (origin or 0)
                    if origin is None:
                        origin, own = frame.pts or 0, 0
                    if own is None or own <= last:
                        own = last + (step if own is None else 1)
                        self.moved += 1
                    last = frame.pts = own
                    self.decoded += 1
                    yield frame
        except (av.error.FFmpegError, OSError) as error:
            words = getattr(error, "strerror", None) or str(error)
            self.gap = f"{self.path}: breaks off after {self.decoded} frames: {words}"
        if self.gap is None and self.info.frames is not None and self.decoded < self.info.frames:
            self.gap = f"{self.path}: {self.decoded} frames, its header says {self.info.frames}"


def count_frames(path: Path) -> int:
    """Frames in a video file, by its packets and without decoding. Raises `RigposeError`."""
    open_video(path)
    counted = 0
    with open_container(path) as container:
        try:
            for packet in container.demux(container.streams.video[0]):
                counted += packet.size > 0 and not packet.is_discard
        except (av.error.FFmpegError, OSError):
            pass  # cut off here
    return counted

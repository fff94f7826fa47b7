"""A video whose n-th frame can be had: n counts decoded frames, whatever the container's times say."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.videos.video import Video, open_container, open_video


class IndexedVideo:
    """Frames by number. The index is read from the packets, without decoding.

    Seeking by number through a reader's own count goes wrong where frames are missing; seeking to
    the time stamp of the n-th packet does not.

    Parameters
    ----------
    path:
        A video whose frames' times grow, as `Encoder` writes them.
    """

    def __init__(self, path: Path) -> None:
        self._video: Video = open_video(path)
        self._path = path
        self._times: list[int] = []
        self._tick_s = Fraction(1, 1000)
        self._container: Any = None
        self._decoder: Iterator[Any] = iter(())
        self._next = 0

    def __len__(self) -> int:
        """Frames that are in the file as whole packets."""
        self._index()
        return len(self._times)

    @property
    def times_s(self) -> list[float]:
        """When the frame of each whole packet is shown, as the file says, ascending."""
        self._index()
        return [float(time * self._tick_s) for time in self._times]

    def __iter__(self) -> Iterator[Image]:
        return iter(self._video)

    def image(self, number: int) -> Image:
        """The n-th frame, uint8 (H, W) or (H, W, 3) RGB.

        Raises
        ------
        IndexError
            If there is none of that number.
        RigposeError
            If it does not decode.
        """
        self._index()
        if not 0 <= number < len(self._times):
            raise IndexError(f"{self._path} has {len(self._times)} frames, no frame {number}")
        if self._container is None:
            self._container = open_container(self._path)
        stream = self._container.streams.video[0]
        # A few frames ahead are decoded sooner than sought.
        if not self._next <= number <= self._next + 8 or self._next == 0:
            self._container.seek(self._times[number], stream=stream, backward=True)
            self._decoder = self._container.decode(stream)
        try:
            for frame in self._decoder:
                if frame.pts < self._times[number]:
                    continue
                if frame.pts > self._times[number] and self._is_packets(frame.pts):
                    break  # the picture of a later packet: the decoder has left this one out
                self._next = number + 1
                return self._video.image_of(frame)
        except av.error.FFmpegError:
            pass  # damaged here
        self.close()
        raise RigposeError(
            self._path, expected=f"frame {number}", found="a video that does not decode there",
            remedy="Restore the file from a copy",
        )  # fmt: skip

    def _is_packets(self, time: int) -> bool:
        place = bisect_left(self._times, time)
        return place < len(self._times) and self._times[place] == time

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()
            self._container = None
        self._next = 0

    def _index(self) -> None:
        if self._times:
            return
        with open_container(self._path) as container:
            self._tick_s = container.streams.video[0].time_base or self._tick_s
            try:
                for packet in container.demux(container.streams.video[0]):
                    if packet.pts is not None and packet.size:
                        self._times.append(packet.pts)
            except av.error.FFmpegError:
                pass  # cut off here
        self._times.sort()  # packets stand in the order of decoding, and adopted videos may reorder

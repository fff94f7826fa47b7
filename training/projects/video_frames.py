"""Frames of a video by their number, with no more decoding than they need.

Frame n is the n-th one in the order of display: what DeepLabCut and our frame tables count. The packets are
listed once, without decoding. Frames that nobody wants are left out wherever the codec permits: whole groups
of pictures between two key frames, and within a group the pictures that no other one refers to.
"""

from __future__ import annotations

import contextlib
import itertools
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.videos.video import (
    VideoInfo,
    open_container,
    open_video,
    quarter_turns,
    short_of_header,
    upright,
)

SEEK_BEYOND_PACKETS = 300  # a shorter gap is read through sooner than sought

ROWS_OF_A_PIXEL = (4, 8)  # seen for one of a small picture's: more would only cost memory traffic
EXACT_FROM = 10  # times the small width: below, pictures are small enough to be averaged exactly
_PLANAR = {f"yuv{j}{kind}p" for j in ("", "j") for kind in ("420", "422", "444")}
_NEVER = 2**63  # later than any time
_WITH_LUMA = _PLANAR | {"gray", "nv12"}

Numbers = npt.NDArray[np.int64]


class VideoFrames:
    """One video file.

    Parameters
    ----------
    path:
        Of the file.

    Attributes
    ----------
    info:
        Shape, channels and nominal rate.
    gap:
        None, or what its header promises that is not there.
    decoded:
        Frames that came out of the decoder so far.

    Raises
    ------
    RigposeError
        If the file is missing or cannot be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise RigposeError(
                path, expected="a video file or a recording", found="a folder that is none",
                remedy="Give a video, or a folder that 'rigpose record' has written",
            )  # fmt: skip
        self.info: VideoInfo = open_video(self.path).info
        self.decoded = 0
        self._reformatter = VideoReformatter()
        self.gap: str | None = None
        self._times, self._keys, self._timed = self._listed()
        missing = (self.info.frames or 0) - len(self)
        if missing > 0:
            self.gap = f"{path}: {missing} frames fewer than its header says"

    def __len__(self) -> int:
        """Frames in the file."""
        return len(self._times)

    def images(self, numbers: Sequence[int] | Numbers) -> Iterator[Image | None]:
        """Whole pictures, uint8 (H, W) mono or (H, W, 3) RGB; see `frames`."""
        kind = "gray" if self.info.channels == 1 else "rgb24"
        for frame in self.frames(numbers):
            yield None if frame is None else upright(frame, kind)

    def small(
        self,
        numbers: Sequence[int] | Numbers,
        width_px: int,
        *,
        crop: tuple[int, int, int, int] | None = None,
        colour: bool = False,
    ) -> Iterator[Image | None]:
        """Pictures about `width_px` wide to compare frames by: uint8 (h, w) or (h, w, 3); see `frames`.

        A pixel is the mean of its area, in a large picture of some of its rows. Colours are luma and both
        chromas, as the codec has them: whole pictures converted would cost as much as decoding them.

        Parameters
        ----------
        crop:
            x1, x2, y1, y2 px: see only that part.
        """
        x1, x2, y1, y2 = crop or (0, self.info.width_px, 0, self.info.height_px)
        width = (x2 - x1) // max(1, (x2 - x1) // width_px)  # whole pixels fit into it
        width = width if x2 - x1 >= EXACT_FROM * width_px else min(width_px, x2 - x1)
        size = width, max(1, round((y2 - y1) * width / (x2 - x1)))
        colour = colour and self.info.channels == 3
        readable, otherwise = (_PLANAR, "yuv444p") if colour else (_WITH_LUMA, "gray")
        for frame in self.frames(numbers):
            if frame is None:
                yield None
                continue
            if frame.format.name not in readable:
                frame = self._reformatter.reformat(frame, format=otherwise)
            planes = []
            for plane in frame.planes[: 3 if colour else 1]:
                pixels = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                pixels = np.rot90(pixels[:, : plane.width], quarter_turns(frame))
                across, down = pixels.shape[1] / self.info.width_px, pixels.shape[0] / self.info.height_px
                part = slice(int(y1 * down), int(y2 * down)), slice(int(x1 * across), int(x2 * across))
                planes.append(_reduced(pixels[part], size))
            yield planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)

    def frames(self, numbers: Sequence[int] | Numbers) -> Iterator[Any]:
        """Decoded `av.VideoFrame`s by number, ascending: one item each, None where one does not decode."""
        wanted = np.asarray(numbers, np.int64)
        if len(wanted) and (wanted[0] < 0 or wanted[-1] >= len(self) or (np.diff(wanted) <= 0).any()):
            raise ValueError(f"numbers of {self.path} that do not ascend from 0 to {len(self) - 1}")
        given = 0
        for place, frame in self._by_time(wanted) if self._timed else self._by_counting(wanted):
            for _ in range(given, place):
                yield None
            yield frame
            given = place + 1
        for _ in range(given, len(wanted)):
            yield None

    def _listed(self) -> tuple[Numbers, Numbers, bool]:
        """Display times of all packets and the places of the key packets, both in the order of decoding.

        The third is whether those times tell the frames apart; where they do not, frames are counted.
        """
        times, keys, timed = array("q"), array("q"), True
        with open_container(self.path) as container:
            stream = container.streams.video[0]
            reorders = bool(stream.codec_context.has_b_frames)
            try:
                for packet in container.demux(stream):
                    if not _holds_a_frame(packet):
                        continue
                    if packet.is_keyframe:
                        keys.append(len(times))
                    timed &= packet.pts is not None
                    times.append(packet.pts if packet.pts is not None else len(times))
            except av.error.FFmpegError:
                pass  # cut off here
            last_s = float(max(times) * stream.time_base) if times and timed and stream.time_base else None
            self.gap = short_of_header(self.info, container, len(times), last_s)
        listed = np.array(times, np.int64)
        # AVI stamps a packet with its turn, whenever it is shown: the decoder reorders, the times do not
        timed &= not reorders or bool((np.diff(listed) < 0).any())
        return listed, np.array(keys, np.int64), timed and len(np.unique(listed)) == len(listed)

    def _by_counting(self, wanted: Numbers) -> Iterator[tuple[int, Any]]:
        """(place in `wanted`, frame) by decoding everything up to the last one."""
        place = number = 0
        with open_container(self.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            try:
                for frame in container.decode(stream):
                    if place == len(wanted):
                        return
                    self.decoded += 1
                    if number == wanted[place]:
                        yield place, frame
                        place += 1
                    number += 1
            except av.error.FFmpegError:
                return  # cut off here

    def _by_time(self, wanted: Numbers) -> Iterator[tuple[int, Any]]:
        """(place in `wanted`, frame): known by their times, whatever was left out before them."""
        times = np.sort(self._times)[wanted]
        runs, asked = self._runs(times)
        shown = iter(enumerate(times.tolist()))
        place, time = next(shown, (0, _NEVER))
        with _Packets(self.path, self._times) as packets:
            for first, last in runs:
                for frames in self._decoded_run(packets, first, last, asked):
                    self.decoded += len(frames)
                    for frame in frames:
                        at = frame.pts
                        while time < at:
                            place, time = next(shown, (0, _NEVER))
                        if time == at and not frame.is_corrupt:
                            yield place, frame

    def _runs(self, shown: Numbers) -> tuple[list[tuple[int, int]], bytes]:
        """Which packets the frames at these times need, as (first, last); and 1 for those that hold them."""
        asked = np.isin(self._times, shown)
        ends = np.flatnonzero(asked)
        starts = np.zeros_like(ends)
        if len(self._keys):
            before = np.searchsorted(self._times[self._keys], self._times[ends], side="right") - 1
            starts = np.where(before >= 0, self._keys[np.maximum(before, 0)], 0)
        steps = np.zeros(len(self) + 1, np.int64)
        # the first packet always: what made the stream stands there, and decoders mend its faults by that
        steps[:2] = 1, -1
        np.add.at(steps, np.minimum(starts, ends), 1)
        np.add.at(steps, ends + 1, -1)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], np.cumsum(steps) > 0, [0]])))
        return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)], asked.tobytes()

    def _decoded_run(self, packets: _Packets, first: int, last: int, asked: bytes) -> Iterator[list[Any]]:
        context = packets.stream.codec_context
        sparing = None
        for number, packet in packets.between(first, last):
            # what no other picture refers to need not be decoded, unless it is asked for
            if sparing != (spare := not asked[number]):
                context.skip_frame, sparing = ("NONREF" if spare else "DEFAULT"), spare
            with contextlib.suppress(av.error.FFmpegError):
                yield context.decode(packet)
        with contextlib.suppress(av.error.FFmpegError):
            yield context.decode(None)
        context.flush_buffers()


class _Packets:
    """The packets of a file with their places in the order of decoding, from any place on."""

    def __init__(self, path: Path, times: Numbers) -> None:
        self._path, self._times = path, times
        self._open()

    def __enter__(self) -> _Packets:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def between(self, first: int, last: int) -> Iterator[tuple[int, Any]]:
        """(place, packet) from `first`, a key packet, to `last`; ends early where the file does."""
        if first - self._next > SEEK_BEYOND_PACKETS:
            self._seek(first)
        while self._next <= last:
            packet = self._following()
            if packet is None:
                return
            self._next += 1
            if self._next > first:
                yield self._next - 1, packet

    def _open(self) -> None:
        self._container: Any = open_container(self._path)
        self.stream: Any = self._container.streams.video[0]
        self.stream.thread_type = "AUTO"
        self._demuxed: Iterator[Any] = self._container.demux(self.stream)
        self._next = 0

    def _following(self) -> Any:
        try:
            return next((packet for packet in self._demuxed if _holds_a_frame(packet)), None)
        except av.error.FFmpegError:
            return None

    def _seek(self, first: int) -> None:
        self._container.seek(int(self._times[first]), stream=self.stream, backward=True)
        self._demuxed = self._container.demux(self.stream)
        packet = self._following()
        found = np.flatnonzero(self._times == packet.pts) if packet is not None else np.empty(0, np.int64)
        if len(found) == 1 and found[0] <= first:
            self._next = int(found[0])
            self._demuxed = itertools.chain([packet], self._demuxed)
        else:  # the container's index is wrong, or there is none: read through
            position = self._next
            self._container.close()
            self._open()
            while self._next < position and self._following() is not None:
                self._next += 1


def _holds_a_frame(packet: Any) -> bool:
    return packet.size > 0 and not packet.is_discard


def _reduced(plane: Image, size: tuple[int, int]) -> Image:
    """uint8 (h, w) of `size` (w, h)."""
    (height, width), (w, h) = plane.shape, size
    across, down = width // w, height // h
    if across >= EXACT_FROM // 2 and down >= min(ROWS_OF_A_PIXEL):
        # Means over whole pixels are several times as fast, and rows passed over need not be fetched. What
        # is left over goes half to each side.
        steps = range(max(1, down // max(ROWS_OF_A_PIXEL)), down // min(ROWS_OF_A_PIXEL) + 1)
        step = max(steps, key=lambda step: height // step // h * step)
        tall, wide = height // step // h * h * step, across * w
        top, left = (height - tall) // 2, (width - wide) // 2
        plane = plane[top : top + tall : step, left : left + wide]
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)

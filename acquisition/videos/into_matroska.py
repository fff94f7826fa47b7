"""Another program's video into Matroska: its packets as they are, or, where that cannot be, lossless anew.

The video is decoded once, whole: frame n of a session is the n-th picture that decodes, and a file's own
count is a claim. What was written is looked at again: as many frames, and the first and last of them equal to
the source's, to the bit.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.progress import Progress
from acquisition.videos.encoder import Encoder
from acquisition.videos.indexed_video import IndexedVideo
from acquisition.videos.video import VideoInfo, open_container, open_video

COPIED, REMUXED = "copied", "remuxed"
_LOOKED_AT = 3  # pictures at the beginning, besides the last
_LOSSLESS = "x264-lossless"
_MS = Fraction(1, 1000)
_AS_GIVEN = {"avoid_negative_ts": "disabled"}  # decoding times may lie before 0; what is shown does not


@dataclass(frozen=True, slots=True)
class VideoScan:
    """What a video turned out to be.

    Attributes
    ----------
    info:
        Shape, channels, nominal rate.
    container, codec:
        libav's names.
    frames:
        How many decode.
    times_ns:
        int64 (frames,): what the container says of each, as it stands there; None where it is silent on any.
    gap:
        None, or where and why the file breaks off.
    created:
        The container's `creation_time`, '' without.
    """

    info: VideoInfo
    container: str
    codec: str
    frames: int
    times_ns: npt.NDArray[np.int64] | None
    gap: str | None
    created: str
    _pictures: dict[int, Image] = field(default_factory=dict, repr=False)

    def same_as(self, video: Path) -> bool:
        """Whether another file has as many frames, and the same pictures at both ends."""
        copy = IndexedVideo(video)
        try:
            return len(copy) == self.frames and all(
                np.array_equal(copy.image(number), picture) for number, picture in self._pictures.items()
            )
        except (RigposeError, av.error.FFmpegError, OSError):
            return False
        finally:
            copy.close()


def scan_video(path: Path) -> VideoScan:
    """Decode a video file from end to end. Raises `RigposeError` where it is none."""
    path = Path(path)
    if path.is_dir():
        raise RigposeError(path, expected="a video file", found="a folder", remedy="Name the videos in it")
    video = open_video(path)
    times: list[int | None] = []
    pictures: dict[int, Image] = {}
    gap = None
    last: Any = None
    with Progress(f"reading {path.name}", total=video.info.frames) as bar, open_container(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        tick_ns = (stream.time_base or _MS) * 10**9
        try:
            for frame in container.decode(stream):
                if len(times) < _LOOKED_AT:
                    pictures[len(times)] = video.image_of(frame)
                times.append(None if frame.pts is None else round(frame.pts * tick_ns))
                last = frame
                bar.advance()
        except (av.error.FFmpegError, OSError) as error:
            gap = f"breaks off after {len(times)} frames: {getattr(error, 'strerror', None) or error}"
        pictures[len(times) - 1] = video.image_of(last)
        name, codec = container.format.name, stream.codec_context.name
        created = container.metadata.get("creation_time", stream.metadata.get("creation_time", ""))
    if gap is None and video.info.frames is not None and len(times) < video.info.frames:
        gap = f"{len(times)} frames decode, its header says {video.info.frames}"
    known = [time for time in times if time is not None]
    stamped = np.array(known, np.int64) if len(known) == len(times) else None
    return VideoScan(video.info, name, codec, len(times), stamped, gap, created, pictures)


def into_matroska(scan: VideoScan, target: Path, times_ms: Sequence[int], rate_hz: float) -> str:
    """Write the video's frames into a new Matroska file, frame n at `times_ms[n]`, which grow.

    Returns
    -------
    How it was done: `COPIED` (a Matroska file whose times grow: byte by byte), `REMUXED` (packets as they
    were), or a sentence that begins with "transcoded" and says why: then every picture, as rigpose reads it
    (uint8 grey or RGB), was kept to the bit.

    Raises
    ------
    RigposeError
        A disk that is full, a video that can be read only in part the second time.
    """
    source = scan.info.path
    try:
        if "matroska" in scan.container and scan.times_ns is not None and _grow(scan.times_ns):
            shutil.copyfile(source, target)
            if scan.same_as(target):
                return COPIED
        why = _remux(scan, target, times_ms)
        if why is None:
            return REMUXED
        _transcode(scan, target, times_ms, rate_hz)
    except OSError as error:
        raise RigposeError(
            target, expected="a place to write", found=error.strerror or str(error),
            remedy="Free some space or choose another -o, then run it again",
        ) from error  # fmt: skip
    if not scan.same_as(target):
        raise RigposeError(
            source, expected="the same pictures when it is read a second time", found="others",
            remedy="Copy the video to a sound disk and try again",
        )  # fmt: skip
    return f"transcoded to lossless H.264: {why}"


def _grow(times_ns: npt.NDArray[np.int64]) -> bool:
    return bool(np.all(np.diff(times_ns) > 0))


def _remux(scan: VideoScan, target: Path, times_ms: Sequence[int]) -> str | None:
    """None, or why the packets cannot be taken over."""
    order = _presentation(scan)
    if isinstance(order, str):
        return order
    # Decoding times are the sorted times, all earlier by what the most delayed picture needs.
    delay_ms = max((times_ms[number] - times_ms[place] for number, place in enumerate(order)), default=0)
    try:
        with (
            open_container(scan.info.path) as given,
            av.open(str(target.absolute()), "w", format="matroska", options=_AS_GIVEN) as container,
        ):
            container.metadata.update(given.metadata)
            stream = container.add_stream_from_template(given.streams.video[0])
            number = 0
            for packet in given.demux(given.streams.video[0]):
                if not packet.size:
                    continue
                packet.time_base = _MS
                packet.pts, packet.dts = times_ms[order[number]], times_ms[number] - delay_ms
                packet.duration = 0  # until the next one; the given one counts other ticks
                packet.stream = stream
                container.mux(packet)
                number += 1
    except OSError as error:
        if error.errno == 28:  # no space: transcoding would only need more
            raise
        return f"{scan.codec} does not go into Matroska ({error.strerror or error})"
    except (av.error.FFmpegError, ValueError) as error:
        return f"{scan.codec} does not go into Matroska ({error})"
    return None if scan.same_as(target) else f"{scan.codec} from {scan.container} did not decode the same"


def _presentation(scan: VideoScan) -> list[int] | str:
    """Of every packet, in the file's order, the number of its picture; or why that is not known."""
    stamps: list[int | None] = []
    with open_container(scan.info.path) as container:
        stream = container.streams.video[0]
        reorders = bool(stream.codec_context.has_b_frames)
        try:
            for packet in container.demux(stream):
                if packet.is_discard:
                    return "its edit list leaves out pictures that others are decoded from"
                if packet.size:
                    stamps.append(packet.pts)
        except (av.error.FFmpegError, OSError):
            return "it breaks off"
    if len(stamps) != scan.frames:
        return f"its {len(stamps)} packets decode to {scan.frames} pictures"
    known = np.array([stamp for stamp in stamps if stamp is not None], np.int64)
    if not reorders and bool(np.all(np.diff(known) >= 0)):
        return list(range(len(stamps)))
    # A picture carries its packet's time through the decoder: where these grow, they tell the order.
    if len(known) < len(stamps) or scan.times_ns is None or not _grow(scan.times_ns):
        return f"times in {scan.container} do not tell the order of its pictures"
    ranks = np.empty(len(known), np.int64)
    ranks[np.argsort(known, kind="stable")] = np.arange(len(known))
    return [int(rank) for rank in ranks]


def _transcode(scan: VideoScan, target: Path, times_ms: Sequence[int], rate_hz: float) -> None:
    info = scan.info
    video = open_video(info.path)
    encoder = Encoder(target, _LOSSLESS, info.width_px, info.height_px, info.channels, rate_hz)
    with Progress(f"transcoding {info.path.name}", total=scan.frames) as bar:
        try:
            for number, image in enumerate(video):
                if image.shape[:2] != (info.height_px, info.width_px):
                    raise RigposeError(
                        info.path, expected=f"pictures of {info.width_px} x {info.height_px} px throughout",
                        found=f"{image.shape[1]} x {image.shape[0]} in frame {number}",
                        remedy="Cut the video where its size changes",
                    )  # fmt: skip
                encoder.write(image, times_ms[number])
                bar.advance()
        finally:
            encoder.close()

"""A recorded video's packets in a new container, not decoded: how a file that was cut off becomes whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from acquisition.progress import track
from acquisition.videos.video import open_container

_MILLISECONDS = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class Packets:
    """What the packets of a video say without being decoded.

    Attributes
    ----------
    times_ms:
        Time of every whole packet, in the order of the file.
    """

    times_ms: list[int]

    @classmethod
    def of(cls, path: Path) -> Packets:
        """Of the file up to where it is cut off; none where it is missing, or broke off before its first."""
        times: list[int] = []
        try:
            with open_container(path) as container:
                stream = container.streams.video[0]
                for packet in container.demux(stream):
                    if packet.is_corrupt:
                        break
                    if packet.size and packet.pts is not None and packet.time_base is not None:
                        times.append(round(packet.pts * packet.time_base / _MILLISECONDS))
        except (av.error.FFmpegError, OSError, IndexError):
            pass  # cut off here
        return cls(times)


def decodable(path: Path) -> int:
    """Pictures that the file decodes to, without a fault, from its first on."""
    count = 0
    try:
        with open_container(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in track(container.decode(stream), f"decode {path.name}"):
                if frame.is_corrupt:
                    break
                count += 1
    except (av.error.FFmpegError, OSError, IndexError):
        pass  # cut off here
    return count


def remux(parts: Sequence[tuple[Path, int]], output: Path) -> None:
    """Write the first packets of each part, as many as it says, into one new Matroska file.

    The times of the packets stay, but grow where two parts meet. Tags are the first part's.

    Raises
    ------
    OSError
        Where the disk is full.
    """
    with av.open(str(output.absolute()), "w", format="matroska", options={"allow_raw_vfw": "1"}) as target:
        stream: Any = None
        last = -1
        for path, count in parts:
            with open_container(path) as source:
                template = source.streams.video[0]
                if stream is None:
                    target.metadata.update(source.metadata)
                    stream = _like(target, template)
                    stream.time_base = _MILLISECONDS
                written = 0
                for packet in source.demux(template):
                    if written == count:
                        break
                    if not packet.size or packet.pts is None or packet.time_base is None:
                        continue
                    last = max(round(packet.pts * packet.time_base / _MILLISECONDS), last + 1)
                    packet.pts = packet.dts = last
                    packet.time_base = _MILLISECONDS
                    packet.stream = stream
                    target.mux(packet)
                    written += 1


def _like(target: Any, template: Any) -> Any:
    """A stream for the packets of another one."""
    if template.codec_context.name != "rawvideo":
        return target.add_stream_from_template(template)
    # A template does not carry the pixel format of raw pictures into the header.
    stream = target.add_stream("rawvideo", rate=template.average_rate or 30)
    stream.width, stream.height = template.codec_context.width, template.codec_context.height
    stream.pix_fmt = template.codec_context.pix_fmt
    return stream

"""Shorter, smaller, sparser copies of a video, frame by frame, with the times between frames as they were.

Pictures go from decoder to encoder through libav's own filters in the format that they have, so that no
colour is converted twice. Frame n is the n-th decoded one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.filter import Graph

from acquisition.errors import RigposeError
from acquisition.progress import track
from acquisition.videos.decoded import DecodedFrames
from acquisition.videos.encoder import CHANNELS_TAG
from acquisition.videos.output import ENDINGS, VideoOutput, check_new, written_format
from acquisition.videos.video import quarter_turns

# libav's filters for turning clockwise by so many degrees.
TURNS = {
    0: (), 90: (("transpose", "clock"),), 180: (("hflip", ""), ("vflip", "")),
    270: (("transpose", "cclock"),),
}  # fmt: skip
_NOMINAL_HZ = 30.0  # of files that do not say
_HALF_CHROMA = re.compile("420|nv12|422")

Steps = list[tuple[str, str]]


def shorten(
    source: Path, output: Path | None, *, start: str = "0", stop: str | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Keep the frames from `start` to before `stop`: seconds, HH:MM:SS, or frame numbers like 120f.

    Raises
    ------
    RigposeError
        No video, a part that is empty, an output that exists.
    """
    first = _moment("--start", start)
    last = None if stop is None else _moment("--stop", stop)
    frames = DecodedFrames(source)

    def kept() -> Iterator[Any]:
        for number, frame in enumerate(frames):
            if last is not None and not _before(number, frame, frames.time_base, last):
                return
            if not _before(number, frame, frames.time_base, first):
                yield number, frame

    return _copy(frames, kept(), output, "short", [], overwrite)


def crop(
    source: Path, output: Path | None, *, box: tuple[int, int, int, int], overwrite: bool = False
) -> dict[str, Any]:
    """Keep the pixels x1 <= x < x2, y1 <= y < y2 of every frame; `box` is x1, x2, y1, y2.

    Raises
    ------
    RigposeError
        No video, a box outside the picture or empty, an output that exists.
    """
    x1, x2, y1, y2 = box
    frames = DecodedFrames(source)
    width, height = frames.info.width_px, frames.info.height_px
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise RigposeError(
            "--box", expected=f"x1,x2,y1,y2 inside {width} x {height} px",
            found=",".join(map(str, box)), remedy="Give the edges in this order, widths first",
        )  # fmt: skip
    steps = [("crop", f"{x2 - x1}:{y2 - y1}:{x1}:{y1}:exact=1")]
    return _copy(frames, enumerate(frames), output, "cropped", steps, overwrite)


def downsample(
    source: Path, output: Path | None, *, width: int | None = None, height: int | None = None, every: int = 1,
    turn: int = 0, overwrite: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Make pictures smaller (each pixel the mean of its area), keep every n-th frame, turn by quarters.

    Parameters
    ----------
    width, height:
        px; where one is given the other follows, rounded to an even number.
    turn:
        Degrees clockwise: 0, 90, 180, 270; after the resizing.

    Raises
    ------
    RigposeError
        No video, nothing to do, a picture that would become larger, an output that exists.
    """
    frames = DecodedFrames(source)
    full = frames.info.width_px, frames.info.height_px
    if turn not in TURNS or every < 1 or (width is None and height is None and every == 1 and not turn):
        raise RigposeError(
            "rigpose video downsample", expected="--width, --height, --every N or --turn 90, 180 or 270",
            found=f"--every {every} --turn {turn}", remedy="Say what to make smaller",
        )  # fmt: skip
    steps: Steps = list(TURNS[turn])
    if width is not None or height is not None:
        scale = width / full[0] if width is not None else (height or 0) / full[1]
        size = (
            width if width is not None else round(full[0] * scale / 2) * 2,
            height if height is not None else round(full[1] * scale / 2) * 2,
        )
        if min(size) < 2 or size[0] > full[0] or size[1] > full[1]:
            raise RigposeError(
                "rigpose video downsample", expected=f"2 x 2 to {full[0]} x {full[1]} px",
                found=f"{size[0]} x {size[1]}", remedy="Give another --width or --height",
            )  # fmt: skip
        steps.insert(0, ("scale", f"{size[0]}:{size[1]}:flags=area+accurate_rnd+full_chroma_int"))
    sparse = itertools.islice(enumerate(frames), 0, None, every)
    return _copy(frames, sparse, output, "downsampled", steps, overwrite, every)


def _copy(
    frames: DecodedFrames, kept: Iterator[Any], output: Path | None, mark: str, steps: Steps, overwrite: bool,
    every: int = 1,
) -> dict[str, Any]:  # fmt: skip
    source = frames.path
    ending = source.suffix if source.suffix.lower() in ENDINGS else ".mp4"
    output = source.with_name(f"{source.stem}{mark}{ending}") if output is None else Path(output)
    check_new(output, (source,), overwrite)
    first = next(kept, None)
    if first is None:
        raise RigposeError(
            source, expected="frames in the part asked for",
            found=f"none, the video has {frames.decoded}", remedy="Give other times",
        )  # fmt: skip
    number, frame = first
    steps = [*TURNS[-90 * quarter_turns(frame) % 360], *steps]  # the copy's pictures stand upright
    filters = _Filters(frame, frames.time_base, steps, mono=frames.info.channels == 1)
    shown, origin = filters.apply(frame), frame.pts
    if _HALF_CHROMA.search(written_format(shown.format.name)) and (shown.width % 2 or shown.height % 2):
        raise RigposeError(
            output, expected="an even number of pixels each way, which this video's colours need",
            found=f"{shown.width} x {shown.height}", remedy="Give one pixel more or less",
        )  # fmt: skip
    rate = Fraction(frames.info.rate_hz or _NOMINAL_HZ).limit_denominator(100_000) / every
    tags = {CHANNELS_TAG: "1"} if frames.info.channels == 1 else {}
    with VideoOutput(
        output, shown.width, shown.height, rate=rate, time_base=frames.time_base,
        pixel_format=shown.format.name, colours=shown, metadata=tags,
    ) as written:  # fmt: skip
        for _, frame in track(itertools.chain([first], kept), source.name, total=frames.info.frames):
            shown = filters.apply(frame) if frame is not first[1] else shown
            shown.pts = frame.pts - origin
            last_s = float(shown.pts * frames.time_base)
            written.write(shown)
    return {
        "video": str(source), "output": str(output), "frames": written.written, "first_frame": number,
        "width_px": shown.width, "height_px": shown.height, "last_s": last_s, "times_set": frames.moved,
        "gap": frames.gap,
    }  # fmt: skip


class _Filters:
    """A chain of libav's filters; none: the frame as it is. A mono video's frames become grey first."""

    def __init__(self, frame: Any, time_base: Fraction, steps: Steps, *, mono: bool) -> None:
        self._mono = mono
        self._graph: Graph | None = None
        if steps:
            frame = self._grey(frame)
            about = {
                "video_size": f"{frame.width}x{frame.height}", "pix_fmt": frame.format.name,
                "time_base": f"{time_base.numerator}/{time_base.denominator}",
                "range": str(frame.color_range), "colorspace": str(frame.colorspace),
            }  # fmt: skip
            graph = Graph()
            source = graph.add("buffer", ":".join(f"{key}={value}" for key, value in about.items()))
            chain = [graph.add(name, options or None) for name, options in steps]
            graph.link_nodes(source, *chain, graph.add("buffersink")).configure()
            self._graph = graph

    def apply(self, frame: Any) -> Any:
        frame = self._grey(frame)
        if self._graph is None:
            return frame
        self._graph.push(frame)
        return self._graph.pull()

    def _grey(self, frame: Any) -> Any:
        """The decoder gives planes of colour all the same, and their levels are the grey ones'."""
        if self._mono and frame.format.name != "gray":
            own_range = frame.color_range
            frame = frame.reformat(format="gray")
            frame.color_range = own_range
        return frame


def _moment(option: str, text: str) -> int | float:
    """An int for a frame number (120f), a float for seconds."""
    if re.fullmatch(r"\d+f", text):
        return int(text[:-1])
    parts = text.split(":")
    if len(parts) > 3 or not all(re.fullmatch(r"\d+(\.\d+)?", part) for part in parts):
        raise RigposeError(
            option, expected="seconds, HH:MM:SS, or a frame number like 120f", found=f"'{text}'",
            remedy="Write it in one of these ways",
        )  # fmt: skip
    seconds = 0.0
    for part in parts:
        seconds = seconds * 60 + float(part)
    return seconds


def _before(number: int, frame: Any, time_base: Fraction, moment: int | float) -> bool:
    if isinstance(moment, int):
        return number < moment
    # half a tick: a frame at 1/30 s is not before '0.0333'
    return float(frame.pts * time_base) < moment - float(time_base) / 2

"""A finished video for other programs: H.264 in MP4 or Matroska, whole or not there at all.

Recordings are written by `acquisition.videos.encoder`, which cares for a crash; this one cares for what every
program can read: no reordered pictures, a key frame at least every second or so, times as they were.
"""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import av.error

from acquisition.errors import RigposeError
from acquisition.frame import Image

ENDINGS = (".mp4", ".mkv", ".mov")
CRF = 18  # x264's scale: hardly to be told from the source
KEY_EVERY = 30
# What x264 takes as it comes; other formats are converted to the first.
_TAKEN = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray", "nv12")


class VideoOutput:
    """Writes pictures with their times into a new file, which appears when the block ends well.

    Parameters
    ----------
    path:
        Ends in .mp4, .mkv or .mov.
    width_px, height_px:
        Of the pictures; even, unless `pixel_format` has a chroma sample for every pixel, or none.
    rate:
        Nominal rate, Hz.
    time_base:
        Unit of the times, s.
    pixel_format:
        libav's name of the pictures' format.
    colours:
        A PyAV frame whose range and kind of colours the file shall state.
    metadata:
        Tags for the container.

    Raises
    ------
    RigposeError
        In `write` and at the end, if the disk is full or the folder cannot be written.
    """

    def __init__(
        self, path: Path, width_px: int, height_px: int, *, rate: Fraction, time_base: Fraction,
        pixel_format: str = "yuv420p", crf: int = CRF, colours: Any = None,
        metadata: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.path = Path(path)
        self.pixel_format = written_format(pixel_format)
        self._temporary = self.path.with_name(f".unfinished-{self.path.name}")
        self._time_base = time_base
        with self._mendable():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # MP4: the index first, for players on a network; and tags that it does not know are kept
            movie = {} if self.path.suffix == ".mkv" else {"movflags": "+faststart+use_metadata_tags"}
            # absolute: before a colon in a bare name libav looks for a protocol
            self._container = av.open(str(self._temporary.absolute()), "w", options=movie)
        self._container.metadata.update(metadata or {})
        options = {"preset": "fast", "crf": str(crf), "bf": "0"}
        stream: Any = self._container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, self.pixel_format
        stream.time_base = stream.codec_context.time_base = time_base
        stream.codec_context.gop_size = KEY_EVERY
        if colours is not None:
            for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
                setattr(stream.codec_context, name, getattr(colours, name))
        self._stream = stream
        self.written = 0

    def write(self, frame: Any) -> None:
        """Encode a PyAV frame; its `pts` count the time base, and grow."""
        if frame.format.name != self.pixel_format:
            frame = frame.reformat(format=self.pixel_format)
        frame.pict_type = 0
        frame.time_base = self._time_base
        with self._mendable():
            self._container.mux(self._stream.encode(frame))
        self.written += 1

    def write_image(self, image: Image, pts: int) -> None:
        """Encode uint8 (H, W, 3) RGB or (H, W) grey."""
        frame = av.VideoFrame.from_ndarray(image, format="rgb24" if image.ndim == 3 else "gray")
        frame.pts = pts
        self.write(frame)

    def __enter__(self) -> VideoOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with self._mendable():
                    self._container.mux(self._stream.encode(None))
                    self._container.close()
                    self._temporary.replace(self.path)
        finally:
            with contextlib.suppress(OSError, av.error.FFmpegError):
                self._container.close()
            self._temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _mendable(self) -> Any:
        try:
            yield
        except OSError as error:
            raise RigposeError(
                self.path, expected="a place to write", found=error.strerror or str(error),
                remedy="Free some space or choose another -o, then run it again",
            ) from error  # fmt: skip


def written_format(pixel_format: str) -> str:
    """libav's name of the format in which pictures of this format are written."""
    return pixel_format if pixel_format in _TAKEN else _TAKEN[0]


def check_new(path: Path, inputs: tuple[Path, ...], overwrite: bool) -> None:
    """Refuse an output of an unknown kind, one that is an input, or one that exists; `RigposeError`."""
    if path.suffix.lower() not in ENDINGS:
        raise RigposeError(
            path, expected=f"a name that ends in {', '.join(ENDINGS)}", found=f"'{path.name}'",
            remedy=f"Say for instance -o {path.stem or 'video'}.mp4",
        )  # fmt: skip
    if path.resolve() in {given.resolve() for given in inputs}:
        raise RigposeError(
            path, expected="an output that is no input", found="the input itself",
            remedy="Choose another -o",
        )  # fmt: skip
    if path.exists() and not overwrite:
        raise RigposeError(
            path, expected="an output that does not exist yet", found="a file",
            remedy="Give --overwrite to replace it, or another -o",
        )  # fmt: skip

"""Reading one video file, or a folder of images, as uint8 images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import av
import av.error
import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.videos.encoder import CHANNELS_TAG

T = TypeVar("T")

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video says of itself, upright. `frames` is the container's claim, None where it makes none."""

    path: Path
    width_px: int
    height_px: int
    channels: int
    rate_hz: float
    frames: int | None


class Video:
    """Iterates over the images of one file or folder, uint8 (H, W) mono or (H, W, 3) RGB.

    A file that breaks off gives the images before the break; `gap` then says where and why.

    Attributes
    ----------
    info:
        Shape and nominal rate.
    gap:
        None, or what is wrong with the file after the last image it gave. Set while iterating.
    decoded:
        Images given so far in the newest iteration.
    times_s:
        When each of them is shown, as the file says; empty for a folder.
    """

    def __init__(self, info: VideoInfo, files: tuple[Path, ...] = ()) -> None:
        self.info = info
        self.gap: str | None = None
        self.decoded = 0
        self.times_s: list[float | None] = []
        self._files = files

    def __iter__(self) -> Iterator[Image]:
        if not self._files:
            yield from self._through(self.image_of)
            return
        self.gap, self.decoded, self.times_s = None, 0, []
        for image in self._still_images():
            self.decoded += 1
            yield image

    def frames(self) -> Iterator[Any]:
        """The same of a file as PyAV frames, unconverted (`image_of` converts one)."""
        return self._through(lambda frame: frame)

    def image_of(self, frame: Any) -> Image:
        """The image of a PyAV frame of this file."""
        return upright(frame, "gray" if self.info.channels == 1 else "rgb24")

    def _through(self, converted: Callable[[Any], T]) -> Iterator[T]:
        self.gap, self.decoded, self.times_s = None, 0, []
        try:
            with open_container(self.info.path) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                last_s = None
                for frame in container.decode(stream):
                    last_s = frame.time
                    self.times_s.append(last_s)
                    given = converted(frame)
                    self.decoded += 1
                    yield given
                self.gap = short_of_header(self.info, container, self.decoded, last_s)
        except (av.error.FFmpegError, OSError) as error:
            if not self.decoded:
                raise _not_a_video(self.info.path, error) from None
            self.gap = f"{self.info.path}: after frame {self.decoded - 1}: {_words(error)}"
        if self.gap is None and self.info.frames is not None and self.decoded < self.info.frames:
            self.gap = (
                f"{self.info.path}: ends after {self.decoded} frames, its header says {self.info.frames}"
            )

    def _still_images(self) -> Iterator[Image]:
        for file in self._files:
            yield _read_image(file)


def open_container(path: Path | str) -> Any:
    """A file as PyAV reads it; tags that are no UTF-8, of old programs or damaged, do not matter."""
    # absolute: before a colon in a bare name libav looks for a protocol
    return av.open(str(Path(path).absolute()), metadata_errors="replace")


def quarter_turns(frame: Any) -> int:
    """How often a PyAV frame has to be turned counterclockwise by 90 degrees to stand upright: 0 to 3.

    Telephones and action cameras write the picture as the sensor lies, and say in the file how it is to be
    turned. OpenCV, by which DeepLabCut reads, turns by quarters and passes over other angles; so is it here.
    """
    angle = int(frame.rotation)
    return angle // 90 % 4 if angle % 90 == 0 else 0


def upright(frame: Any, pixel_format: str) -> Image:
    """The image of a PyAV frame as it is to be shown: uint8 (H, W) of "gray", (H, W, 3) of "rgb24"."""
    image: Image = frame.to_ndarray(format=pixel_format)
    turns = quarter_turns(frame)
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def short_of_header(info: VideoInfo, container: Any, frames: int, last_s: float | None) -> str | None:
    """That an open file ends before its header says, in a sentence; None where it does not, or nothing tells.

    Matroska has no count of frames, but a duration, and libav does not mind an early end.

    Parameters
    ----------
    frames, last_s:
        How many it has, and when the last of them is shown.
    """
    if container.duration is None or last_s is None or not info.rate_hz or len(container.streams) > 1:
        return None
    missing_s = container.duration / av.time_base - last_s
    if missing_s <= 2.5 / info.rate_hz:
        return None
    return f"{info.path}: ends after {frames} frames, {missing_s:.2f} s short of its header's length"


def open_video(path: Path) -> Video:
    """A video file, or a folder of images in the order of their names.

    Raises
    ------
    RigposeError
        If it is missing, is no video, or holds no picture.
    """
    path = Path(path)
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise RigposeError(
            path,
            expected="a video file or a folder of images",
            found="nothing there",
            remedy="Check the path",
        )
    try:
        with open_container(path) as container:
            stream = container.streams.video[0]
            frame = next(container.decode(stream), None)
            rate = stream.average_rate or stream.guessed_rate
            claimed = stream.frames or None
            tagged = container.metadata.get(CHANNELS_TAG)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise _not_a_video(path, error) from None
    if frame is None:
        raise RigposeError(
            path, expected="a video with pictures", found="not one that decodes",
            remedy="Record it again, or restore the file from a copy",
        )  # fmt: skip
    channels = int(tagged) if tagged in ("1", "3") else 1 if frame.format.name.startswith("gray") else 3
    size = (frame.height, frame.width) if quarter_turns(frame) % 2 else (frame.width, frame.height)
    return Video(VideoInfo(path, *size, channels, float(rate) if rate else 0.0, claimed))


def _open_folder(path: Path) -> Video:
    files = tuple(sorted(f for f in path.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES))
    if not files:
        raise RigposeError(
            path,
            expected="images (PNG, JPEG, TIFF, BMP)",
            found="none in the folder",
            remedy="Check the path",
        )
    shape = _read_image(files[0]).shape
    channels = 1 if len(shape) == 2 else 3
    return Video(VideoInfo(path, shape[1], shape[0], channels, 0.0, len(files)), files)


def _read_image(file: Path) -> Image:
    import cv2

    image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_ANYCOLOR) if file.stat().st_size else None
    if image is None:
        raise RigposeError(
            file,
            expected="an image",
            found="a file that does not decode",
            remedy="Remove or replace the file",
        )
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.asarray(image, np.uint8)


def _not_a_video(path: Path, error: Exception) -> RigposeError:
    return RigposeError(
        path, expected="a video", found=f"a file that cannot be decoded ({_words(error)})",
        remedy="Record it again, or restore the file from a copy",
    )  # fmt: skip


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

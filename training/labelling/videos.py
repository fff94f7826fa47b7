"""The project's videos, frame by frame, and single frames of them kept for labelling."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image
from training.frames import DIGITS, save_images
from training.labelling.folder import images_in
from training.labelling.views import number_of
from training.project import LABELED_DATA, Project

SUFFIXES = (".avi", ".mkv", ".mov", ".mp4", ".m4v", ".mpg", ".mpeg", ".webm")
AHEAD = 24  # a frame this near is decoded on to sooner than sought
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90]


class Videos:
    """What lies in the project's `videos` folder, by the stem of the file's name.

    Parameters
    ----------
    project:
        Its `videos` folder is looked through when a page asks.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._busy = threading.Lock()
        self._open: dict[str, SeekableVideo] = {}

    def names(self) -> list[str]:
        """Stems of the videos."""
        return sorted(self._paths())

    def count(self, name: str) -> int:
        """Frames of a video. Raises `KeyError`, `RigposeError`."""
        with self._busy:
            return len(self._video(name))

    def picture(self, name: str, number: int) -> bytes:
        """A frame as JPEG, to look at. Raises `KeyError`, `IndexError`, `RigposeError`."""
        done, content = cv2.imencode(".jpg", _bgr(self._image(name, number)), _JPEG)
        assert done
        return content.tobytes()

    def grab(self, name: str, number: int) -> str:
        """Keep a frame in `labeled-data/<name>`; returns its file name, also where it was there before.

        Raises
        ------
        KeyError, IndexError, RigposeError, OSError
            If there is no such frame, or it cannot be written.
        """
        place = self._project.root / LABELED_DATA / name
        there = {number_of(image): image for image in images_in(place)} if place.is_dir() else {}
        if number in there:
            return there[number]
        image = self._image(name, number)
        digits = max(DIGITS, len(str(max(self.count(name) - 1, 0))))
        if there:  # as the frames that are there
            digits = min(
                len(Path(file).stem) - len(Path(file).stem.rstrip("0123456789")) for file in there.values()
            )
        return save_images(self._project, name, [(number, image)], digits=digits)[0]

    def close(self) -> None:
        """Close the files."""
        with self._busy:
            for video in self._open.values():
                video.close()
            self._open.clear()

    def _image(self, name: str, number: int) -> Image:
        with self._busy:
            return self._video(name).image(number)

    def _video(self, name: str) -> SeekableVideo:
        if name not in self._open:
            self._open[name] = SeekableVideo(self._paths()[name])
        return self._open[name]

    def _paths(self) -> dict[str, Path]:
        folder = self._project.root / "videos"
        if not folder.is_dir():
            return {}
        return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}


class SeekableVideo:
    """Any video's frames by number, in the order in which they are shown.

    The index is read from the packets without decoding; seeking is by the time stamp of the n-th frame.

    Parameters
    ----------
    path:
        The file.

    Raises
    ------
    RigposeError
        If it is no video.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next: int | None = None
        self._frames: Iterator[Any] = iter(())
        try:
            with av.open(str(path)) as container:
                packets = container.demux(container.streams.video[0])
                stamps = [packet.pts for packet in packets if packet.size]
            self._container = av.open(str(path))
            self._stream = self._container.streams.video[0]
            self._stream.thread_type = "AUTO"
        except (av.error.FFmpegError, IndexError, OSError) as error:
            raise RigposeError(
                path, expected="a video that can be decoded", found=str(error), remedy="Check the file"
            ) from None
        # Stored in the order of decoding; frames that lean on later ones are shown in another.
        self._times = sorted(stamp for stamp in stamps if stamp is not None)
        if len(self._times) < len(stamps):
            raise RigposeError(
                path, expected="a time stamp on every frame", found=f"{len(stamps)} frames, "
                f"{len(self._times)} stamps", remedy="Convert the video, for instance to MP4",
            )  # fmt: skip

    def __len__(self) -> int:
        return len(self._times)

    def image(self, number: int) -> Image:
        """uint8 (H, W) of a grey video, else (H, W, 3) RGB; raises `IndexError`, `RigposeError`."""
        if not 0 <= number < len(self._times):
            raise IndexError(f"{self._path} has {len(self._times)} frames, no frame {number}")
        try:
            if self._next is None or not self._next <= number <= self._next + AHEAD:
                self._container.seek(self._times[number], stream=self._stream, backward=True)
                self._frames = iter(self._container.decode(self._stream))
            self._next = number + 1
            for frame in self._frames:
                if frame.pts is not None and frame.pts >= self._times[number]:
                    kind = "gray" if frame.format.name.startswith("gray") else "rgb24"
                    return np.asarray(frame.to_ndarray(format=kind), np.uint8)
        except av.error.FFmpegError:
            pass
        self._next = None
        raise RigposeError(
            self._path, expected=f"frame {number}", found="a video that does not decode so far",
            remedy="Restore the file from a copy",
        )  # fmt: skip

    def close(self) -> None:
        """Close the file."""
        self._container.close()


def _bgr(image: Image) -> Image:
    return image if image.ndim == 2 else image[..., ::-1]


def frame_number(text: str | None) -> int:
    """A frame's number as a page gives it; raises `RigposeError`."""
    if text is None or not text.isdigit():
        raise RigposeError(
            "frame", expected="a number from 0", found=repr(text), remedy="Give the number of a frame"
        )
    return int(text)

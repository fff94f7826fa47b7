"""Board images read out of what they lie in: pictures, videos, recordings; grey, and only the rows wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image


def still(path: Path) -> Image:
    """A picture, uint8 (H, W)."""
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise RigposeError(
            path, expected="a picture", found="a file that does not open as one",
            remedy="Remove or replace it",
        )  # fmt: skip
    return np.asarray(image, dtype=np.uint8)


def count_frames(path: Path) -> int:
    """How many frames a video has."""
    import av

    from acquisition.videos.video import open_container

    try:
        with open_container(path) as container:
            stream = container.streams.video[0]
            return stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
    except (av.FFmpegError, OSError, IndexError) as error:
        raise _broken(path, error) from None


def rate_hz(path: Path) -> float | None:
    """The frame rate that a video states; None where it states none."""
    from acquisition.videos.video import open_container

    with open_container(path) as container:
        rate = container.streams.video[0].average_rate
    return float(rate) if rate else None


def recorded(folder: Path, camera: str, wanted: Sequence[int]) -> Iterator[tuple[int, Image]]:
    """Of a camera of a recording, whose damaged pictures take no other's place."""
    from acquisition.recordings.recording import Recording
    from acquisition.videos.video import upright

    if not wanted:
        return
    rows = set(wanted)
    with Recording.open(folder) as recording:
        for row, frame in enumerate(recording.frames(camera)):
            if row in rows and frame is not None:
                yield row, upright(frame, "gray")
            if row == wanted[-1]:
                return


def frames(path: Path, wanted: Sequence[int]) -> Iterator[tuple[int, Image]]:
    """Of a video; where it breaks off the rest is missing. Raises `RigposeError` where none decodes."""
    import av

    from acquisition.videos.video import open_container, upright

    rows = iter(wanted)
    row = next(rows, None)
    delivered = 0
    try:
        with open_container(path) as container:
            stream = container.streams.video[0]
            for number, frame in enumerate(container.decode(stream)):
                if row is None:
                    return
                if number == row:  # the others are decoded, which is cheap, but not converted
                    yield row, upright(frame, "gray")
                    delivered += 1
                    row = next(rows, None)
    except (av.FFmpegError, OSError, IndexError) as error:
        if not delivered:
            raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> RigposeError:
    return RigposeError(
        path, expected="a video", found=f"{getattr(error, 'strerror', None) or error}",
        remedy="Record it again, or restore the file from a copy",
    )  # fmt: skip

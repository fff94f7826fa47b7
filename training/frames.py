"""Frames become labelled images: `labeled-data/<folder>/img<index>.png`.

The index is that of the frame set, so that equal names in the folders of several cameras show one
instant; for a lone video it is the frame's number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image
from training.files import write_bytes
from training.project import LABELED_DATA, Project

DIGITS = 4
_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # noise hardly compresses: a tenth larger, three times as fast


def save_images(
    project: Project,
    folder: str,
    images: Iterable[tuple[int, Image]],
    *,
    recording: str = "",
    digits: int = DIGITS,
) -> list[str]:
    """Write images as PNG into `labeled-data/<folder>`.

    Parameters
    ----------
    images:
        (index of the frame set, uint8 (H, W) mono or (H, W, 3) RGB).
    recording:
        Where they come from; the folders of one rig's cameras share it.

    Returns
    -------
    File names, in the order given.
    """
    names: list[str] = []
    for index, image in images:
        if not names:
            project.add_labelled_folder(folder, size_px=(image.shape[1], image.shape[0]), recording=recording)
        done, content = cv2.imencode(".png", image if image.ndim == 2 else image[..., ::-1], _FAST_PNG)
        assert done
        names.append(f"img{index:0{digits}d}.png")
        write_bytes(project.root / LABELED_DATA / folder / names[-1], content.tobytes())
    return names


def extract_from_video(project: Project, video: Path, frames: Sequence[int]) -> list[str]:
    """Frames of a video, by their number in decoding order, into `labeled-data/<stem of the video>`.

    Raises
    ------
    RigposeError
        If the video cannot be decoded or is shorter than a frame that is wanted.
    """
    wanted = sorted(set(frames))
    digits = max(DIGITS, len(str(wanted[-1]))) if wanted else DIGITS
    found: list[tuple[int, Image]] = []
    try:
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for number, frame in enumerate(container.decode(stream)):
                if len(found) == len(wanted):
                    break
                if number == wanted[len(found)]:
                    found.append((number, _picture(frame)))
    except (av.error.FFmpegError, IndexError) as error:
        raise RigposeError(
            video, expected="a video that can be decoded", found=str(error), remedy="Check the file"
        ) from None
    if len(found) < len(wanted):
        raise RigposeError(
            video, expected=f"at least {wanted[-1] + 1} frames", found="fewer",
            remedy="Choose frames that the video has",
        )  # fmt: skip
    return save_images(project, Path(video).stem, found, digits=digits)


def _picture(frame: av.VideoFrame) -> Image:
    kind = "gray" if frame.format.name.startswith("gray") else "rgb24"
    return np.asarray(frame.to_ndarray(format=kind), np.uint8)

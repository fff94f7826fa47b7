"""Frames become labelled images: `labeled-data/<folder>/img<index>.png`.

The index is that of the frame set, so that equal names in the folders of several cameras show one
instant; for a lone video it is the frame's number.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.videos.video import VideoInfo
from training.files import write_bytes
from training.projects.project import LABELED_DATA, Project
from training.projects.video_frames import VideoFrames

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
    """Write images as PNG into `labeled-data/<folder>`; see `save_views`.

    Parameters
    ----------
    images:
        (index of the frame set, uint8 (H, W) mono or (H, W, 3) RGB).

    Returns
    -------
    File names, in the order given.
    """
    instants = ((index, [image]) for index, image in images)
    return save_views(project, [folder], instants, recording=recording, digits=digits)[0]


def save_views(
    project: Project,
    folders: Sequence[str],
    instants: Iterable[tuple[int, Sequence[Image]]],
    *,
    videos: Sequence[VideoInfo] | None = None,
    recording: str = "",
    digits: int = DIGITS,
) -> list[list[str]]:
    """Write the images of several views as PNG, all of them or none; an image that is there is kept.

    Parameters
    ----------
    folders:
        One per view, in labeled-data.
    instants:
        (index, one image per view: uint8 (H, W) mono or (H, W, 3) RGB).
    videos:
        The files they come from, for config.yaml.
    recording:
        The recording they come from; the folders of one rig's cameras share it.
    digits:
        Of the index in a name, at least; a folder that has images goes on with as many as they have.

    Returns
    -------
    File names per view, in the order given.

    Raises
    ------
    RigposeError
        If the disk is full or cannot be written.
    """
    present = [existing_frames(project, folder) for folder in folders]
    lengths = [max((len(_number(name)) for name in names.values()), default=digits) for names in present]
    names: list[list[str]] = [[] for _ in folders]
    sizes: list[tuple[int, int]] = []
    try:
        with tempfile.TemporaryDirectory(dir=project.root, prefix=".unfinished-frames-") as staged:
            for index, images in instants:
                sizes = sizes or [(image.shape[1], image.shape[0]) for image in images]
                for view, image in enumerate(images):
                    name = present[view].get(index)
                    if name is None:
                        name = f"img{index:0{lengths[view]}d}.png"
                        write_bytes(Path(staged) / f"{view}-{name}", _png(image))
                    names[view].append(name)
            for view, size_px in enumerate(sizes):
                _enter(project, folders[view], size_px, recording, videos[view] if videos else None)
                for name in names[view]:
                    if (Path(staged) / f"{view}-{name}").exists():
                        (Path(staged) / f"{view}-{name}").replace(
                            project.root / LABELED_DATA / folders[view] / name
                        )
    except OSError as error:
        raise RigposeError(
            project.root, expected="room for the images", found=error.strerror or str(error),
            remedy="Free some space, then run it again",
        ) from error  # fmt: skip
    return names


def existing_frames(project: Project, folder: str) -> dict[int, str]:
    """Index -> file name of the images in `labeled-data/<folder>`; names without a number are left out."""
    place = project.root / LABELED_DATA / folder
    files = sorted(place.glob("img*.png")) if place.is_dir() else []
    return {int(number): file.name for file in files if (number := _number(file.name))}


def extract_from_video(project: Project, video: Path, frames: Sequence[int]) -> list[str]:
    """Frames of a video, by their number, into `labeled-data/<stem of the video>`; see `save_views`.

    Raises
    ------
    RigposeError
        If the video cannot be decoded or is shorter than a frame that is wanted.
    """
    wanted = sorted(set(frames))
    film = VideoFrames(video)
    if wanted and not 0 <= wanted[0] <= wanted[-1] < len(film):
        raise RigposeError(
            video, expected=f"at least {wanted[-1] + 1} frames", found=f"{len(film)}",
            remedy="Choose frames that the video has",
        )  # fmt: skip

    def pictures() -> Iterable[tuple[int, list[Image]]]:
        for number, picture in zip(wanted, film.images(wanted), strict=True):
            if picture is None:
                raise RigposeError(
                    video, expected=f"frame {number}", found="pictures that do not decode there",
                    remedy="Choose other frames, or restore the file from a copy",
                )  # fmt: skip
            yield number, [picture]

    digits = max(DIGITS, len(str(len(film) - 1)))
    return save_views(project, [video.stem], pictures(), videos=[film.info], digits=digits)[0]


def _enter(
    project: Project, folder: str, size_px: tuple[int, int], recording: str, video: VideoInfo | None
) -> None:
    """Make the folder, and have config.yaml name the video that its images come from."""
    if video is None or folder in project.videos_by_folder():
        project.add_labelled_folder(folder, size_px=size_px, recording=recording)
        return
    whole = (0, video.width_px, 0, video.height_px)
    project.enter_videos({str(video.path.resolve()): whole}, {folder: recording} if recording else {})
    (project.root / LABELED_DATA / folder).mkdir(parents=True, exist_ok=True)


def _number(name: str) -> str:
    found = re.fullmatch(r"img(\d+)\.png", name)
    return found[1] if found else ""


def _png(image: Image) -> bytes:
    done, content = cv2.imencode(".png", image if image.ndim == 2 else image[..., ::-1], _FAST_PNG)
    assert done
    return content.tobytes()

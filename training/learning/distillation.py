"""A teacher labels frames that nobody has labelled, and a smaller network learns from both.

The teacher is a trained run, or files of predictions (ours or DeepLabCut's). What it says counts by its
confidence. It must know nothing of what measures the student: of a video that is held out no frame is
labelled, of a video held out in part none that lies nearer to a held-out frame than to a training one;
and a run that trained on a held-out image is refused as a teacher. What a file of predictions was trained
on cannot be seen; the student's run says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.progress import Progress
from calibration.image_transform import ImageTransform
from training.frames.footage import Footage, open_footage, project_videos
from training.learning.teachers import find_teacher
from training.projects.labels import Labels
from training.projects.project import Project
from training.projects.splits import Split, instant_of

FRAMES_AT_MOST = 1500
# A teacher that is less sure says nothing.
LEAST_CONFIDENCE = 0.1
# Frames are kept somewhat larger than the network sees them, never larger than they are.
KEPT_SCALE = 1.25


class KeptFrames:
    """Frames at about the network's scale, in memory, by name."""

    def __init__(self) -> None:
        self._kept: dict[str, Image] = {}
        self.sizes_px: dict[str, tuple[int, int]] = {}

    def __getitem__(self, name: str) -> Image:
        return self._kept[name]

    def keep(self, name: str, image: Image, network_wh: tuple[int, int]) -> ImageTransform:
        """Keep a frame; returns the transform from its own px to those of the kept one."""
        height, width = image.shape[:2]
        scale = min(1.0, KEPT_SCALE * ImageTransform.fit((width, height), network_wh).scale)
        size = round(width * scale), round(height * scale)
        if scale < 1.0:
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        self._kept[name] = image
        self.sizes_px[name] = size
        return ImageTransform.resize(size[0] / width, size[1] / height)


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """What a teacher said of unlabelled frames.

    Attributes
    ----------
    labels:
        Points px of the kept frames, NaN where the teacher was not sure.
    weight:
        float32 (N, K): the teacher's confidence, 0..1.
    frames:
        The pictures.
    passed_over:
        Names of videos in the project's folder that the project does not know.
    """

    labels: Labels
    weight: npt.NDArray[np.float32]
    frames: KeptFrames
    passed_over: tuple[str, ...]


def teach(
    project: Project, labels: Labels, split: Split, teacher: Sequence[Path],
    sizes_px: Mapping[str, tuple[int, int]], network_wh: tuple[int, int],
) -> Taught:  # fmt: skip
    """Label the project's unlabelled video frames.

    Parameters
    ----------
    labels, split:
        All labels of the project, and which of them measure the student.
    teacher:
        One run directory, or files of predictions, each of one of the project's videos.
    sizes_px:
        Of the labelled images (width, height): frames are cropped as these were.
    network_wh:
        Input of the student.

    Raises
    ------
    RigposeError
        If a teacher cannot be read, has seen what is held out or has other keypoints, or if there is no
        video with frames it may label.
    """
    speaks = find_teacher(teacher, split, labels.keypoints)
    footages, passed_over = _videos(project, sizes_px)
    open_to = [(footage, teachable(project, footage, labels, split)) for footage in footages]
    open_to = [(footage, may) for footage, may in open_to if may.any() and speaks.knows(footage)]
    views = sum(int(may.sum()) * len(footage.views) for footage, may in open_to)
    if not views:
        raise RigposeError(
            project.root, expected="videos with frames that the teacher may label",
            found=f"{len(footages)} videos, none with frames apart from what is held out"
            + (f"; {', '.join(passed_over)} no video of the project" if passed_over else ""),
            remedy="Add videos: rigpose add-videos PROJECT VIDEOS, or train without --teacher",
        )  # fmt: skip
    names: list[str] = []
    points: list[npt.NDArray[np.float64]] = []
    weight: list[npt.NDArray[np.float32]] = []
    kept = KeptFrames()
    share = min(1.0, FRAMES_AT_MOST / views)
    with Progress("teacher", total=sum(round(share * may.sum()) for _, may in open_to)) as bar:
        for footage, may in open_to:
            candidates = np.flatnonzero(may)
            count = max(1, round(share * len(candidates)))
            instants = candidates[np.linspace(0, len(candidates) - 1, count).round().astype(int)]
            for name, image, found in speaks.of(footage, instants):
                sure = found[:, 2] >= LEAST_CONFIDENCE  # False where there is nothing (NaN)
                if not sure.any():
                    continue
                to_kept = kept.keep(name, image, network_wh)
                names.append(name)
                points.append(np.where(sure[:, None], to_kept.apply(found[:, :2]), np.nan))
                weight.append(np.where(sure, found[:, 2], 0.0).astype(np.float32))
                if len(names) % len(footage.views) == 0:
                    bar.advance()
    if not names:
        raise RigposeError(
            "the teacher", expected=f"points with a confidence of {LEAST_CONFIDENCE} or more",
            found=f"none in {views} frames", remedy="Give a teacher that knows this animal",
        )  # fmt: skip
    taught = Labels(tuple(names), labels.keypoints, np.stack(points))
    return Taught(taught, np.stack(weight), kept, passed_over)


def teachable(project: Project, footage: Footage, labels: Labels, split: Split) -> npt.NDArray[np.bool_]:
    """bool (T,): instants of `footage` that are complete, unlabelled, and not near what is held out.

    Near: the nearest labelled instant is held out (the earlier one, where two are equally near).
    """
    folders = {view.folder for view in footage.views}
    of_it = {folder: project.recordings.get(folder, folder) for folder in folders}
    held_out = set(split.test)
    at: dict[int, bool] = {}  # labelled instant -> whether it is held out in any view
    for name in labels.images:
        recording, number, _ = instant_of(project, name)
        if recording in of_it.values() and number >= 0:
            at[number] = at.get(number, False) or name in held_out
    may: npt.NDArray[np.bool_] = footage.complete.copy()
    if not at:
        return may
    numbers = np.array(sorted(at))
    if all(at.values()):
        return np.zeros_like(may)
    after = np.searchsorted(numbers, footage.index).clip(0, len(numbers) - 1)
    before = (after - 1).clip(0)
    nearest = np.where(
        np.abs(footage.index - numbers[before]) <= np.abs(numbers[after] - footage.index), before, after
    )
    measured = np.array([at[int(number)] for number in numbers])
    may &= ~measured[nearest] & ~np.isin(footage.index, numbers)
    return may


def _videos(
    project: Project, sizes_px: Mapping[str, tuple[int, int]]
) -> tuple[list[Footage], tuple[str, ...]]:
    """The project's videos, cropped as config.yaml says where the labelled images are of that size.

    Those that config.yaml names, and those in the folder `videos` that have labelled images: projects that
    travel have placeholders for paths. What else lies there is named and passed over: it may be a copy of a
    held-out video, or one with keypoints drawn onto it.
    """
    labelled = {name.split("/")[1]: size for name, size in sizes_px.items()}
    named = project_videos(project)[0]
    found = []
    for path, crop in named:
        cropped = crop is not None and labelled.get(path.stem) == (crop[1] - crop[0], crop[3] - crop[2])
        found.append(open_footage(path, crop if cropped else None))
    taken = {path.resolve() for path, _ in named}
    passed_over = []
    for path in sorted((project.root / "videos").glob("*")):
        if path.is_file() and path.resolve() not in taken:
            with contextlib.suppress(RigposeError):  # notes and pictures may lie there, too
                footage = open_footage(path)
                if path.stem in labelled:
                    found.append(footage)
                else:
                    passed_over.append(path.name)
    return found, tuple(passed_over)

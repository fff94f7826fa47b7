"""Labels in the formats of sleap-io as this package sees them: frames by where their pictures come from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.videos.video import IMAGE_SUFFIXES
from training.projects.collected_data import Points
from training.projects.origins import Origin, PointNote


@dataclass(slots=True, eq=False)
class Frame:
    """One labelled frame of the file: its number in its source, labels (K, 2) px, notes by keypoint."""

    number: int
    points: Points
    notes: dict[str, PointNote]


@dataclass(slots=True)
class Source:
    """Where frames come from: a video file, image files by number, or pictures in the label file itself."""

    folder: str
    video: Path | None = None
    images: dict[int, Path] = field(default_factory=dict)
    inside: Any = None
    frames: list[Frame] = field(default_factory=list)


def load_labels(path: Path) -> Any:
    """A file as `sleap_io.Labels`. Raises `RigposeError` where it does not read or nothing is labelled."""
    if not path.is_file():
        raise RigposeError(path, expected="a file of labels", found="no such file", remedy="Check the path")
    try:
        import sleap_io
    except ModuleNotFoundError:
        raise RigposeError(
            path,
            expected="sleap-io, which reads it",
            found="not installed",
            remedy="pip install 'rigpose[slp]'",
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            labels = sleap_io.load_file(str(path))
            frames = labels.labeled_frames
    except Exception as error:  # each of its readers raises kinds of its own
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RigposeError(
            path, expected="labels in a format that sleap-io reads", found=words,
            remedy="Export them as .slp or COCO JSON",
        ) from None  # fmt: skip
    if not len(frames):
        raise RigposeError(path, expected="labelled frames", found="none", remedy="Give another file")
    return labels


def group_frames(labels: Any, keypoints: Sequence[str], path: Path, places: Sequence[Path]) -> list[Source]:
    """The frames by where their pictures come from."""
    found: dict[tuple[str, Path | None, int], Source] = {}
    for frame in labels.labeled_frames:
        made = _frame(keypoints, frame, path)
        if made is None:
            continue
        source = _source_of(frame.video, made.number, path, places)
        pictures_in = 0 if source.inside is None else id(source.inside)
        kept = found.setdefault((source.folder, source.video, pictures_in), source)
        for number, image in source.images.items():
            number = _free(kept.images, number, image)
            made.number = number
            kept.images[number] = image
        kept.frames.append(made)
    return list(found.values())


def _free(images: dict[int, Path], number: int, image: Path) -> int:
    """A number for an image among others: its own, unless another image of the folder has it."""
    while number in images and images[number] != image:
        number += 1
    return number


def _source_of(video: Any, number: int, path: Path, places: Sequence[Path]) -> Source:
    names = video.filename if isinstance(video.filename, list) else None
    if names is None and Path(str(video.filename)).suffix.lower() in IMAGE_SUFFIXES:
        names = [str(video.filename)]
    if names is not None:
        image = _found(str(names[number]), path, places)
        return Source(image.resolve().parent.name, images={number: image})
    if getattr(video.backend, "has_embedded_images", False):
        original = video.source_video.filename if video.source_video is not None else None
        stem = Path(str(original).replace("\\", "/")).stem if isinstance(original, str) else path.stem
        return Source(stem.removesuffix(".pkg"), inside=video)
    file = _found(str(video.filename), path, places)
    return Source(file.stem, video=file)


def _found(name: str, path: Path, places: Sequence[Path]) -> Path:
    """A video or image where the file says it is, or in one of the places, by the end of its path."""
    parts = Path(name.replace("\\", "/")).parts
    ends = [Path(*parts[-count:]) for count in range(min(len(parts), 3), 0, -1)]
    candidates = [Path(name), *(place / end for place in places for end in ends)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.absolute()
    raise RigposeError(
        path, expected=f"the video or image {name}", found="nothing there",
        remedy="Say where it is now: --videos FOLDER",
    )  # fmt: skip


def _frame(keypoints: Sequence[str], frame: Any, path: Path) -> Frame | None:
    """What a frame says of the project's keypoints; None where it says nothing."""
    users, guesses = list(frame.user_instances), list(frame.predicted_instances)
    if len(users) > 1 or (not users and len(guesses) > 1):
        raise RigposeError(
            path, expected="one animal in each frame",
            found=f"{len(users or guesses)} in frame {frame.frame_idx} of {_name(frame.video)}",
            remedy="rigpose trains networks for a single animal for now: label one animal a file",
        )  # fmt: skip
    points = np.full((len(keypoints), 2), np.nan)
    notes: dict[str, PointNote] = {}
    for instance in users or guesses:
        guess = instance.from_predicted if users else None
        scores = instance.points["score"] if not users else None
        for node, (name, at) in enumerate(zip(instance.skeleton.node_names, instance.numpy(), strict=True)):
            if name not in keypoints or not np.isfinite(at).all():
                continue
            if users:
                points[keypoints.index(name)] = at
                same = guess is not None and np.array_equal(guess.numpy()[node], at)
                notes[name] = PointNote(Origin.MODEL if same else Origin.CLICKED, path.name)
            else:
                score = float(scores[node]) if scores is not None else float("nan")
                place = float(at[0]), float(at[1])
                confidence = score if np.isfinite(score) else None
                notes[name] = PointNote(
                    Origin.UNREVIEWED, path.name, at_px=place, confidence=confidence
                )  # fmt: skip
    return Frame(int(frame.frame_idx), points, notes) if notes else None


def _name(video: Any) -> str:
    filename = video.filename[0] if isinstance(video.filename, list) else video.filename
    return Path(str(filename)).name

"""Labels from the formats that sleap-io reads (.slp, COCO, NWB, Label Studio, ...) into a project.

Keypoints are matched by name. What a person placed becomes labels; what a model predicted becomes proposals
that nobody has looked at; and where a person corrected a prediction, the points left as they were count as
the model's, confirmed. An image that is labelled in the project already keeps its labels.
"""

from __future__ import annotations

import filecmp
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image
from acquisition.video import IMAGE_SUFFIXES
from training.collected_data import Points
from training.frames import existing_frames, extract_from_video, save_images
from training.images import read_image
from training.labels import read_folder, write_labels
from training.origins import Origin, PointNote, read_notes, write_notes
from training.project import LABELED_DATA, Project
from training.project_videos import add_videos, find_video, look_at_videos
from training.video_frames import VideoFrames

COMPARED_BYTES = 1 << 20


@dataclass(slots=True, eq=False)
class _Frame:
    """One labelled frame of the file: its number in its source, labels (K, 2) px, notes by keypoint."""

    number: int
    points: Points
    notes: dict[str, PointNote]


@dataclass(slots=True)
class _Source:
    """Where frames come from: a video file, image files by number, or pictures in the label file itself."""

    folder: str
    video: Path | None = None
    images: dict[int, Path] = field(default_factory=dict)
    inside: Any = None
    frames: list[_Frame] = field(default_factory=list)


def import_labels(project: Project, path: Path, *, videos: Path | None = None) -> dict[str, Any]:
    """Take the labels of a file into the project, with their images.

    Parameters
    ----------
    videos:
        Where to look for videos and images that are no longer where the file says.

    Returns
    -------
    `folders`, `images`, `points`, `proposals`, `already_labelled`, and the keypoints that only one side has.

    Raises
    ------
    RigposeError
        If the file does not read, names none of the project's keypoints, shows several animals in a frame,
        or if a video or image is not to be found. Nothing is changed then.
    """
    labels = _load(Path(path))
    names = list(dict.fromkeys(str(name) for skeleton in labels.skeletons for name in skeleton.node_names))
    if not set(names) & set(project.keypoints):
        raise RigposeError(
            path, expected=f"some of the project's keypoints {', '.join(project.keypoints)}",
            found=", ".join(names) or "no keypoints",
            remedy="Rename them on one side: they are matched by name",
        )  # fmt: skip
    places = [place for place in (videos, Path(path).resolve().parent) if place is not None]
    sources = _sources(project, labels, Path(path), places)
    new = [source.video for source in sources if source.video and find_video(project, source.folder) is None]
    found = look_at_videos(new, project=project)
    before = {source.folder: _labelled(project, source.folder) for source in sources}
    project = add_videos(project, found)
    counts = [_take_in(project, source, before[source.folder]) for source in sources]
    totals = [sum(column) for column in zip(*counts, strict=True)]
    return {
        "folders": [source.folder for source in sources],
        **dict(zip(("images", "points", "proposals", "already_labelled"), totals, strict=True)),
        "only_in_file": [name for name in names if name not in project.keypoints],
        "only_in_project": [name for name in project.keypoints if name not in names],
    }


def _load(path: Path) -> Any:
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


def _sources(project: Project, labels: Any, path: Path, places: Sequence[Path]) -> list[_Source]:
    """The frames by where their pictures come from."""
    found: dict[tuple[str, Path | None, int], _Source] = {}
    for frame in labels.labeled_frames:
        made = _frame(project, frame, path)
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
    folders = [source.folder for source in found.values()]
    if twice := sorted({folder for folder in folders if folders.count(folder) > 1}):
        raise RigposeError(
            path, expected="videos of different names", found=f"two of the name {twice[0]}",
            remedy="Their images would lie in one folder: rename one, and where the file names it",
        )  # fmt: skip
    for source in found.values():
        _check_video(project, source)
        _check_images(project, source)
    return list(found.values())


def _check_video(project: Project, source: _Source) -> None:
    if source.video is None:
        return
    there = find_video(project, source.folder)
    if there is not None and not _same_content(there, source.video):
        raise RigposeError(
            source.video, expected="a name that no other video has", found=f"that of {there}",
            remedy="Their images would lie in one folder: rename the file",
        )  # fmt: skip
    video = VideoFrames(source.video)
    frames, last = len(video), max(frame.number for frame in source.frames)
    present = existing_frames(project, source.folder)
    for number in sorted({frame.number for frame in source.frames} & set(present)):
        image = project.root / LABELED_DATA / source.folder / present[number]
        height, width = read_image(image).shape[:2]
        if (width, height) != (video.info.width_px, video.info.height_px):
            raise RigposeError(
                image, expected=f"the whole picture, {video.info.width_px}x{video.info.height_px} px",
                found=f"{width}x{height} px: a part of it",
                remedy="Its labels are of the whole picture: take that image out first",
            )  # fmt: skip
    if last >= frames:
        raise RigposeError(
            source.video, expected=f"frame {last}, which is labelled", found=f"{frames} frames",
            remedy="Give the video that was labelled",
        )  # fmt: skip


def _same_content(first: Path, second: Path) -> bool:
    """Whether one is the other or its copy, judged by size, beginning and end: videos are long."""
    if first.samefile(second):
        return True
    size = first.stat().st_size
    if size != second.stat().st_size:
        return False
    with first.open("rb") as a, second.open("rb") as b:
        for start in (0, max(0, size - COMPARED_BYTES)):
            a.seek(start)
            b.seek(start)
            if a.read(COMPARED_BYTES) != b.read(COMPARED_BYTES):
                return False
    return True


def _check_images(project: Project, source: _Source) -> None:
    """Every image reads, and none has the name of another one in the folder."""
    known: dict[str, Path] = {}
    for image in source.images.values():
        read_image(image)
        there = known.setdefault(image.name, project.root / LABELED_DATA / source.folder / image.name)
        if there.exists() and not there.samefile(image) and not filecmp.cmp(there, image, shallow=False):
            raise RigposeError(
                there, expected=f"the image {image}", found="another one of that name",
                remedy="Rename one of them, and where its label file names it",
            )  # fmt: skip
        known[image.name] = image


def _free(images: dict[int, Path], number: int, image: Path) -> int:
    """A number for an image among others: its own, unless another image of the folder has it."""
    while number in images and images[number] != image:
        number += 1
    return number


def _source_of(video: Any, number: int, path: Path, places: Sequence[Path]) -> _Source:
    names = video.filename if isinstance(video.filename, list) else None
    if names is None and Path(str(video.filename)).suffix.lower() in IMAGE_SUFFIXES:
        names = [str(video.filename)]
    if names is not None:
        image = _found(str(names[number]), path, places)
        return _Source(image.resolve().parent.name, images={number: image})
    if getattr(video.backend, "has_embedded_images", False):
        original = video.source_video.filename if video.source_video is not None else None
        stem = Path(str(original).replace("\\", "/")).stem if isinstance(original, str) else path.stem
        return _Source(stem.removesuffix(".pkg"), inside=video)
    file = _found(str(video.filename), path, places)
    return _Source(file.stem, video=file)


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


def _frame(project: Project, frame: Any, path: Path) -> _Frame | None:
    """What a frame says of the project's keypoints; None where it says nothing."""
    users, guesses = list(frame.user_instances), list(frame.predicted_instances)
    if len(users) > 1 or (not users and len(guesses) > 1):
        raise RigposeError(
            path, expected="one animal in each frame",
            found=f"{len(users or guesses)} in frame {frame.frame_idx} of {_name(frame.video)}",
            remedy="rigpose trains networks for a single animal for now: label one animal a file",
        )  # fmt: skip
    points = np.full((len(project.keypoints), 2), np.nan)
    notes: dict[str, PointNote] = {}
    for instance in users or guesses:
        guess = instance.from_predicted if users else None
        scores = instance.points["score"] if not users else None
        for node, (name, at) in enumerate(zip(instance.skeleton.node_names, instance.numpy(), strict=True)):
            if name not in project.keypoints or not np.isfinite(at).all():
                continue
            if users:
                points[project.keypoints.index(name)] = at
                same = guess is not None and np.array_equal(guess.numpy()[node], at)
                notes[name] = PointNote(Origin.MODEL if same else Origin.CLICKED, path.name)
            else:
                score = float(scores[node]) if scores is not None else float("nan")
                place = float(at[0]), float(at[1])
                confidence = score if np.isfinite(score) else None
                notes[name] = PointNote(
                    Origin.UNREVIEWED, path.name, at_px=place, confidence=confidence
                )  # fmt: skip
    return _Frame(int(frame.frame_idx), points, notes) if notes else None


def _name(video: Any) -> str:
    filename = video.filename[0] if isinstance(video.filename, list) else video.filename
    return Path(str(filename)).name


def _labelled(project: Project, folder: str) -> dict[str, Points]:
    """Image file -> points of a folder as it is now. Raises `RigposeError` where its files disagree."""
    place = project.root / LABELED_DATA / folder
    labels = read_folder(project, folder) if place.is_dir() else None
    if labels is None:
        return {}
    return {
        image.rsplit("/", 1)[1]: points for image, points in zip(labels.images, labels.points, strict=True)
    }


def _take_in(project: Project, source: _Source, rows: dict[str, Points]) -> tuple[int, int, int, int]:
    """Images, labels and notes of one source; returns images, points, proposals, images left as they were."""
    source.frames.sort(key=lambda frame: frame.number)
    files = _pictures(project, source)
    notes = read_notes(project, source.folder)
    images = points = proposals = left = 0
    for frame, file in zip(source.frames, files, strict=True):
        if file in rows and np.isfinite(rows[file]).any():
            left += 1
            continue
        labelled = np.isfinite(frame.points).all(axis=1)
        images += 1
        points += int(labelled.sum())
        proposals += sum(note.origin is Origin.UNREVIEWED for note in frame.notes.values())
        if labelled.any():
            rows[file] = frame.points
        notes[file] = notes.get(file, {}) | frame.notes
    if rows:
        write_labels(project, source.folder, list(rows), np.stack(list(rows.values())))
    write_notes(project, source.folder, notes)
    return images, points, proposals, left


def _pictures(project: Project, source: _Source) -> list[str]:
    """Write the pictures of a source's frames; returns their names, one a frame."""
    numbers = [frame.number for frame in source.frames]
    if source.video is not None:
        video = find_video(project, source.folder) or source.video
        names = dict(zip(sorted(set(numbers)), extract_from_video(project, video, numbers), strict=True))
        return [names[number] for number in numbers]
    if source.inside is not None:
        pictures = ((number, _grey_or_rgb(source.inside[number])) for number in numbers)
        return save_images(project, source.folder, pictures)
    place = project.root / LABELED_DATA / source.folder
    for number in numbers:
        image = source.images[number]
        size = read_image(image).shape
        if not place.is_dir():
            project = project.add_labelled_folder(source.folder, size_px=(size[1], size[0]))
        there = place / image.name
        if not there.exists():
            shutil.copyfile(image, there)
    return [source.images[number].name for number in numbers]


def _grey_or_rgb(picture: Any) -> Image:
    array = np.asarray(picture, np.uint8)
    return np.ascontiguousarray(array[..., 0] if array.shape[-1] == 1 else array)

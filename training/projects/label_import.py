"""Labels of other projects and programs into a project: DeepLabCut's, and what sleap-io reads.

Keypoints are matched by name. What a person placed becomes labels; what a model predicted becomes proposals
that nobody has looked at; and where a person corrected a prediction, the points left as they were count as
the model's, confirmed. An image that is labelled in the project already keeps its labels.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.frame import Image
from training.images import read_image
from training.projects.collected_data import Points
from training.projects.deeplabcut_labels import group_rows, is_deeplabcut, keypoints_of, load_files
from training.projects.label_sources import Source
from training.projects.labels import read_folder, write_labels
from training.projects.origins import Origin, read_notes, write_notes
from training.projects.project import LABELED_DATA, Project
from training.projects.saved_frames import existing_frames, extract_from_video, save_images
from training.projects.sleap_labels import group_frames, load_labels
from training.projects.video_frames import VideoFrames
from training.projects.videos import add_videos, find_video, look_at_videos

COMPARED_BYTES = 1 << 20
# Two codings of one picture differ by few levels; two pictures of one scene by more, where the animal is.
OTHER_LEVELS, OTHER_SHARE = 24.0, 1e-3


def import_labels(project: Project, path: Path, *, videos: Path | None = None) -> dict[str, Any]:
    """Take the labels of a file into the project, with their images.

    Parameters
    ----------
    videos:
        Where to look for videos and images that are no longer where the file says.

    Returns
    -------
    `folders`, `images`, `points`, `proposals`, `already_labelled`, the keypoints that only one side has, and
    `left_out`, a line for each labelled image that is gone from its folder and each folder without labels.

    Raises
    ------
    RigposeError
        If the file does not read, names none of the project's keypoints, shows several animals in a frame,
        or if a video or a folder of images is not to be found. Nothing is changed then.
    """
    path = Path(path)
    names, sources, left_out = _read(path, project.keypoints, videos)
    if not set(names) & set(project.keypoints):
        raise RigposeError(
            path, expected=f"some of the project's keypoints {', '.join(project.keypoints)}",
            found=", ".join(names) or "no keypoints",
            remedy="Rename them on one side: they are matched by name",
        )  # fmt: skip
    if not sources:
        raise RigposeError(
            path, expected="points of the project's keypoints", found="frames without any",
            remedy="Give another file",
        )  # fmt: skip
    _check(project, sources, path)
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
        "left_out": left_out,
    }


def _read(
    path: Path, keypoints: Sequence[str], videos: Path | None
) -> tuple[list[str], list[Source], list[str]]:
    """The keypoints in a file, its frames that have some of `keypoints`, a line for all that is left out."""
    if is_deeplabcut(path):
        files, left_out = load_files(path)
        names = keypoints_of(files)
        sources, gone = group_rows(files, keypoints, videos)
    else:
        labels, hidden = load_labels(path, videos)
        nodes = [str(node) for skeleton in labels.skeletons for node in skeleton.node_names]
        names = list(dict.fromkeys(nodes))
        sources, gone = group_frames(labels, keypoints, path, videos)
        left_out, gone = [], hidden + gone
    return names, sources, left_out + [f"{name}: the image is not there" for name in gone]


def _check(project: Project, sources: Sequence[Source], path: Path) -> None:
    """Refuse what would lie in one folder with something else, or is not what was labelled."""
    folders = [source.folder for source in sources]
    if twice := sorted({folder for folder in folders if folders.count(folder) > 1}):
        raise RigposeError(
            path, expected="videos of different names", found=f"two of the name {twice[0]}",
            remedy="Their images would lie in one folder: rename one, and where the file names it",
        )  # fmt: skip
    for source in sources:
        _check_video(project, source)
        _check_inside(project, source)
        _check_images(project, source)


def _check_video(project: Project, source: Source) -> None:
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
    if last >= frames:
        raise RigposeError(
            source.video, expected=f"frame {last}, which is labelled", found=f"{frames} frames",
            remedy="Give the video that was labelled",
        )  # fmt: skip
    whole = video.info.height_px, video.info.width_px
    present = existing_frames(project, source.folder)
    labelled = {frame.number for frame in source.frames} & set(present)
    # Where the folder's video is gone, all its pictures tell whether this is it; those of a recording have
    # the numbers of frame sets.
    unknown = there is None and source.folder not in project.recordings
    same_size = []
    for number in sorted({number for number in present if number < frames} if unknown else labelled):
        image = project.root / LABELED_DATA / source.folder / present[number]
        height, width = read_image(image).shape[:2]
        if (height, width) == whole:
            same_size.append(number)
        elif number in labelled:
            raise RigposeError(
                image, expected=f"the whole picture, {whole[1]}x{whole[0]} px",
                found=f"{width}x{height} px: a part of it",
                remedy="Its labels are of the whole picture: take that image out first",
            )  # fmt: skip
    _compare(project, source, same_size, video.images(same_size))


def _check_inside(project: Project, source: Source) -> None:
    if source.inside is None:
        return
    present = existing_frames(project, source.folder)
    shared = sorted({frame.number for frame in source.frames} & set(present))
    _compare(project, source, shared, (_grey_or_rgb(source.inside[number]) for number in shared))


def _compare(
    project: Project, source: Source, numbers: Sequence[int], pictures: Iterable[Image | None]
) -> None:
    """What lies in the folder under a picture's number is that picture, give or take its coding."""
    present = existing_frames(project, source.folder)
    for number, picture in zip(numbers, pictures, strict=True):
        if picture is None:
            raise RigposeError(
                source.video, expected=f"frame {number}", found="a picture that does not decode",
                remedy="Restore the file from a copy",
            )  # fmt: skip
        image = project.root / LABELED_DATA / source.folder / present[number]
        there, theirs = _grey(read_image(image)), _grey(picture)
        if there.shape != theirs.shape or (np.abs(there - theirs) > OTHER_LEVELS).mean() > OTHER_SHARE:
            raise RigposeError(
                image, expected=f"frame {number} as {source.video or 'the file'} has it",
                found="another picture of that number",
                remedy="Rename that folder, and its line in config.yaml, or import into a project of its own",
            )  # fmt: skip


def _grey(image: Image) -> Points:
    return image.astype(np.float64) if image.ndim == 2 else image.mean(axis=2)


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


def _check_images(project: Project, source: Source) -> None:
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


def _labelled(project: Project, folder: str) -> dict[str, Points]:
    """Image file -> points of a folder as it is now. Raises `RigposeError` where its files disagree."""
    place = project.root / LABELED_DATA / folder
    labels = read_folder(project, folder) if place.is_dir() else None
    if labels is None:
        return {}
    return {
        image.rsplit("/", 1)[1]: points for image, points in zip(labels.images, labels.points, strict=True)
    }


def _take_in(project: Project, source: Source, rows: dict[str, Points]) -> tuple[int, int, int, int]:
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


def _pictures(project: Project, source: Source) -> list[str]:
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

"""Labels in the formats of sleap-io as this package sees them: frames by where their pictures come from."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.errors import RigposeError
from acquisition.videos.video import IMAGE_SUFFIXES
from training.projects.coco_file import with_found_images
from training.projects.label_sources import Frame, Source, find_images, find_videos
from training.projects.origins import Origin, PointNote


def load_labels(path: Path, videos: Path | None = None) -> tuple[Any, list[str]]:
    """A file as `sleap_io.Labels`; and the names of images that are gone, as far as its reader would hide it.

    Parameters
    ----------
    videos:
        Where to look for images that are no longer where the file says.

    Raises
    ------
    RigposeError
        If it does not read, if nothing is labelled, or if a folder of its images is not to be found.
    """
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
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            readable = with_found_images(path, videos, Path(folder))
            labels = sleap_io.load_file(str(readable.path))
            frames = labels.labeled_frames
            for frame in frames if readable.scores else ():
                score = readable.scores.get(str(frame.video.filename[frame.frame_idx]))
                if score is not None:
                    frame.instances = [_as_guess(sleap_io, one, score) for one in frame.instances]
    except RigposeError:
        raise
    except Exception as error:  # each of its readers raises kinds of its own
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RigposeError(
            path, expected="labels in a format that sleap-io reads", found=words,
            remedy="Export them as .slp or COCO JSON",
        ) from None  # fmt: skip
    if not len(frames):
        raise RigposeError(path, expected="labelled frames", found="none", remedy="Give another file")
    return labels, readable.gone


def group_frames(
    labels: Any, keypoints: Sequence[str], path: Path, videos: Path | None = None
) -> tuple[list[Source], list[str]]:
    """The labelled frames by where their pictures come from; and the names of images that are gone.

    Parameters
    ----------
    videos:
        Where to look for videos and images that are no longer where the file says.

    Raises
    ------
    RigposeError
        If a frame shows several animals, or if a video or a folder of images is not to be found.
    """
    labelled = [
        (frame.video, made)
        for frame in labels.labeled_frames
        if (made := _frame(keypoints, frame, path)) is not None
    ]
    every = {id(video): video for video in [*labels.videos, *(video for video, _ in labelled)]}
    lists = {key: _image_names(video) for key, video in every.items()}
    named = {key: _video_name(video) for key, video in every.items()}
    wanted = [_image_of(lists[id(video)], made.number, path) for video, made in labelled]
    images, gone = find_images(
        [name for names in lists.values() for name in names or ()],
        [name for name in wanted if name is not None], path, videos,
    )  # fmt: skip
    files = find_videos(
        [name for name in named.values() if name is not None],
        [name for video, _ in labelled if (name := named[id(video)]) is not None], path, videos,
    )  # fmt: skip
    found: dict[tuple[str, Path | None, int], Source] = {}
    for (video, made), name in zip(labelled, wanted, strict=True):
        file = named[id(video)]
        if name is not None and name not in images:
            continue
        if name is not None:
            source = Source(images[name].parent.name)
        elif file is not None:
            source = Source(files[file].stem, video=files[file])
        else:
            source = Source(_stem_inside(video, path), inside=video)
        inside = 0 if source.inside is None else id(source.inside)
        kept = found.setdefault((source.folder, source.video, inside), source)
        if name is not None:
            made.number = _free(kept.images, made.number, images[name])
            kept.images[made.number] = images[name]
        kept.frames.append(made)
    return list(found.values()), gone


def _free(images: dict[int, Path], number: int, image: Path) -> int:
    """A number for an image among others: its own, unless another image of the folder has it."""
    while number in images and images[number] != image:
        number += 1
    return number


def _as_guess(sleap_io: Any, instance: Any, score: float) -> Any:
    """An instance as a network's, with its score at every point."""
    points = instance.numpy()
    scores = np.full(len(points), score)
    return sleap_io.PredictedInstance.from_numpy(points, instance.skeleton, point_scores=scores, score=score)


def _image_names(video: Any) -> list[str] | None:
    """The images that a video of sleap-io's consists of; None for one that is a video, or embedded."""
    if isinstance(video.filename, list):
        return [str(name) for name in video.filename]
    name = _as_written(video)
    return [name] if Path(name).suffix.lower() in IMAGE_SUFFIXES else None


def _image_of(names: list[str] | None, number: int, path: Path) -> str | None:
    if names is None:
        return None
    if not 0 <= number < len(names):  # a reader that left out what is gone, and counted it all the same
        raise RigposeError(
            path, expected=f"image {number}, which is labelled", found=f"{len(names)} images that are there",
            remedy="Put the missing images back where the file says: nothing tells which is which now",
        )  # fmt: skip
    return names[number]


def _video_name(video: Any) -> str | None:
    """The video's file as the label file names it; None for images and embedded pictures."""
    if _image_names(video) is not None or getattr(video.backend, "has_embedded_images", False):
        return None
    return _as_written(video)


def _as_written(video: Any) -> str:
    """The video's path as the file has it: sleap-io takes any file of its name beside the labels for it."""
    name = (video.backend_metadata or {}).get("filename")
    return str(name) if name not in (None, "", ".") else str(video.filename)


def _stem_inside(video: Any, path: Path) -> str:
    """The name of the video that embedded pictures were taken from."""
    original = video.source_video.filename if video.source_video is not None else None
    stem = Path(str(original).replace("\\", "/")).stem if isinstance(original, str) else path.stem
    return stem.removesuffix(".pkg")


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
